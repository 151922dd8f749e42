"""Walk the table of states: every value has a row, and every state that is no end has a way out."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib import admin
from django.utils import timezone
from django.utils.translation import override

from accounts.models import Staff, User
from miniback.platforms.contract import PlatformRefund
from orders.models import (
    Carrier,
    DifferenceStatus,
    NoticeOutcome,
    Order,
    Refund,
)
from orders.services import desk
from orders.services.after_sales import request_refund, withdraw_refund
from orders.services.cancellation import cancel_order, close_unpaid_orders
from orders.services.fulfillment import confirm_old_shipments, confirm_receipt, ship_order
from orders.services.refund_decisions import approve_refund, receive_return, reject_refund
from orders.services.refund_redirects import redirect_refund
from orders.services.refund_steps import pay_out_refund, reapply_refund, write_off_refund
from orders.services.refunds import record_refund
from orders.status import (
    ORDER_MOVES,
    REFUND_ACTIONS,
    REFUND_MOVES,
    Actor,
    OrderStatus,
    PaymentStatus,
    RefundKind,
    RefundStatus,
)
from tests.factories import make_address, make_order, make_sku, make_staff, pay, serial

pytestmark = pytest.mark.django_db
S, R = OrderStatus, RefundStatus
STATES = {
    "order": OrderStatus.values,
    "payment": PaymentStatus.values,
    "refund": RefundStatus.values,
    "shipment": ["sent"],
    "review": ["visible", "hidden"],
    "task": ["unfinished", "finished"],
    "outbox message": ["waiting", "done"],
    "notice": NoticeOutcome.values,
    "difference": DifferenceStatus.values,
}
BUTTONS = {
    R.REQUESTED: {approve_refund, reject_refund},
    R.RETURNING: {receive_return, reject_refund},
    R.FAILED: {reapply_refund, pay_out_refund, write_off_refund},
    "abnormal": {redirect_refund, pay_out_refund, write_off_refund},
    R.TO_PAY_OUT: {pay_out_refund, write_off_refund},
}


def rows() -> dict[tuple[str, str], tuple[str, str]]:
    """(Of what, state) -> how it goes on, and the age limit."""
    text = (settings.BASE_DIR / "docs" / "states.md").read_text()
    found = re.findall(r"^\| ([a-z ]+) \| `(\w+)` \| (.+) \| (.+) \|$", text, re.MULTILINE)
    return {(what, state): (how, limit) for what, state, how, limit in found}


def test_every_state_has_a_row() -> None:
    assert set(rows()) == {(what, state) for what, states in STATES.items() for state in states}


@pytest.mark.parametrize(
    ("what", "states", "moves"), [("order", S, ORDER_MOVES), ("refund", R, REFUND_MOVES)]
)
def test_what_is_called_an_end_is_one(what: str, states: Any, moves: Any) -> None:
    for state in states:
        is_end = not any(start == state for start, _end in moves)
        is_said = rows()[what, state][0].startswith("an end")
        # Of what a platform said it paid the bill may say otherwise.
        assert is_said == (is_end or state == R.SUCCEEDED), state


def test_every_way_out_is_a_button() -> None:
    refunds, orders = (admin.site._registry[model] for model in (Refund, Order))
    shown = {
        state: {action.service for action in refunds.desk if state in action.statuses}
        for state in (*R, "abnormal")
    }
    assert shown == {state: BUTTONS.get(state, set()) for state in (*R, "abnormal")}
    of_orders = {action.service: action.statuses for action in orders.desk}
    assert set(of_orders[ship_order]) == {S.PAID, S.PARTLY_SHIPPED}
    assert set(of_orders[desk.call_off]) == {S.PENDING_PAYMENT, S.PAID, S.PARTLY_SHIPPED}
    for state in (R.REQUESTED, R.RETURNING):
        assert "withdraw" in REFUND_ACTIONS[state]
    named = " ".join(how for how, _limit in rows().values())
    with override("en"):
        for action in refunds.desk:
            assert f"*{action.title}*" in named


# Every exit, carried out


@pytest.fixture
def staff(sandbox: Any, db: None) -> Staff:
    return make_staff()


@pytest.fixture(params=[1000, 0], ids=["paid", "free"])
def order(request: Any, customer: User, staff: Staff) -> Order:
    """Two pieces, of 10.00 or of nothing."""
    make_address(customer)
    placed = make_order(customer, sku=make_sku(price_fen=request.param), quantity=2)
    return pay(placed) if request.param else placed


def ship(order: Order, count: int | None = None) -> None:
    carrier = Carrier.objects.get_or_create(code="SF", defaults={"name": "SF"})[0]
    quantities = None if count is None else {order.lines.get().pk: count}
    ship_order(
        order,
        carrier=carrier,
        tracking_number=f"SF{next(serial)}",
        user=None,
        quantities=quantities,
    )


def say(refund: Refund, status: str) -> None:
    """The platform answers about a refund, where it has ever heard of it."""
    refund.refresh_from_db()
    if refund.out_refund_no and refund.payment:
        number, payment = refund.out_refund_no, refund.payment.number
        record_refund(PlatformRefund(number, payment, "50", status, int(refund.amount_fen), "CNY"))


def call_off(order: Order, staff: Staff) -> None:
    desk.call_off(order, reason="x", user=staff)
    for refund in Refund.objects.filter(order=order):
        say(refund, "SUCCESS")


def confirm_by_job(order: Order, staff: Staff) -> None:
    Order.objects.filter(pk=order.pk).update(shipped_at=timezone.now() - timedelta(days=60))
    confirm_old_shipments()


@pytest.mark.parametrize(
    ("shipped", "leave", "end"),
    [
        (0, lambda order, staff: ship(order), S.SHIPPED),
        (0, lambda order, staff: ship(order, 1), S.PARTLY_SHIPPED),
        (0, call_off, S.CANCELLED),
        (1, lambda order, staff: ship(order), S.SHIPPED),
        (1, call_off, S.SHIPPED),
        (2, lambda order, staff: confirm_receipt(order, actor=Actor.CUSTOMER), S.COMPLETED),
        (2, confirm_by_job, S.COMPLETED),
    ],
)
def test_an_order_gets_out(
    order: Order, staff: Staff, shipped: int, leave: Callable[..., Any], end: str
) -> None:
    if shipped:
        ship(order, shipped)
        order.refresh_from_db()
    leave(order, staff)
    order.refresh_from_db()
    assert order.status == end


@pytest.mark.parametrize(
    "leave",
    [
        lambda order, staff: cancel_order(order, actor=Actor.CUSTOMER),
        lambda order, staff: desk.call_off(order, reason="x", user=staff),
        lambda order, staff: close_unpaid_orders(),
    ],
)
def test_an_unpaid_order_gets_out(customer: User, staff: Staff, leave: Callable[..., Any]) -> None:
    order = make_order(customer, sku=make_sku())
    Order.objects.update(pay_before=timezone.now() - timedelta(hours=1))
    leave(Order.objects.get(), staff)
    order.refresh_from_db()
    assert order.status == S.CANCELLED


def bring(order: Order, staff: Staff, status: str) -> Refund:
    """A refund of both pieces in that state."""
    kind = RefundKind.RETURN if status == R.RETURNING else RefundKind.REFUND_ONLY
    if kind == RefundKind.RETURN:
        ship(order)
        order.refresh_from_db()
    refund = request_refund(order, quantities={order.lines.get().pk: 2}, kind=kind, reason="x")
    if status == R.REQUESTED:
        return refund
    refund = approve_refund(refund, user=staff)
    if status == R.PROCESSING:
        say(refund, "PROCESSING")
    elif status == R.FAILED:
        say(refund, "CLOSED")
    elif status == R.TO_PAY_OUT:
        Refund.objects.update(is_to_shop=True)
        say(refund, "SUCCESS")
    return Refund.objects.select_related("payment").get()


@pytest.mark.parametrize(
    ("status", "leave", "end", "is_free_too"),
    [
        (R.REQUESTED, lambda r, who: approve_refund(r, user=who), R.APPROVED, False),
        (R.REQUESTED, lambda r, who: reject_refund(r, user=who, decision="x"), R.REJECTED, True),
        (R.REQUESTED, lambda r, who: withdraw_refund(r), R.WITHDRAWN, True),
        (R.RETURNING, lambda r, who: receive_return(r, user=who, is_restocked=True), None, True),
        (R.RETURNING, lambda r, who: reject_refund(r, user=who, decision="x"), R.REJECTED, True),
        (R.RETURNING, lambda r, who: withdraw_refund(r), R.WITHDRAWN, True),
        (R.APPROVED, lambda r, who: say(r, "PROCESSING"), R.PROCESSING, False),
        (R.APPROVED, lambda r, who: say(r, "SUCCESS"), R.SUCCEEDED, False),
        (R.PROCESSING, lambda r, who: say(r, "SUCCESS"), R.SUCCEEDED, False),
        (R.PROCESSING, lambda r, who: say(r, "ABNORMAL"), R.FAILED, False),
        (R.FAILED, lambda r, who: reapply_refund(r, user=who), R.APPROVED, False),
        (R.FAILED, lambda r, who: pay_out_refund(r, user=who, reference="x"), R.SUCCEEDED, False),
        (R.FAILED, lambda r, who: write_off_refund(r, user=who, note="x"), R.WRITTEN_OFF, False),
        (R.FAILED, lambda r, who: say(r, "SUCCESS"), R.SUCCEEDED, False),
        (
            R.TO_PAY_OUT,
            lambda r, who: pay_out_refund(r, user=who, reference="x"),
            R.SUCCEEDED,
            False,
        ),
        (
            R.TO_PAY_OUT,
            lambda r, who: write_off_refund(r, user=who, note="x"),
            R.WRITTEN_OFF,
            False,
        ),
    ],
)
def test_a_refund_gets_out(
    order: Order,
    staff: Staff,
    status: str,
    leave: Callable[..., Any],
    end: str | None,
    is_free_too: bool,
) -> None:
    if not order.payable_fen and not is_free_too:
        # Of nothing that was paid no platform has to answer.
        refund = approve_refund(bring(order, staff, R.REQUESTED), user=staff)
        assert refund.status == R.SUCCEEDED
        return
    refund = bring(order, staff, status)
    assert refund.status == status
    leave(refund, staff)
    refund.refresh_from_db()
    returned = R.APPROVED if order.payable_fen else R.SUCCEEDED
    assert refund.status == (end or returned)
