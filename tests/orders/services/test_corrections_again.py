"""Corrections of what changes after it was corrected, and of payments that are half on their way."""

from typing import Any

import pytest
from django.db.models import Sum
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from miniback.core.errors import InvalidFields
from miniback.platforms.contract import PlatformRefund
from orders.models import (
    Bill,
    BillDifference,
    Carrier,
    DifferenceKind,
    LedgerEntry,
    Order,
    Payment,
    Refund,
    RefundApproval,
)
from orders.services import desk
from orders.services.audit import audit
from orders.services.bill_comparison import compare_refunds, refunded_on
from orders.services.corrections import (
    Correction,
    CorrectionDoesNotFit,
    book_amount,
    explain_difference,
    fitting,
    mark_foreign,
    open_again,
)
from orders.services.daily import compute_day
from orders.services.difference_rows import account_of
from orders.services.fulfillment import ship_order
from orders.services.missing_bills import (
    BillAgrees,
    BillNotMissing,
    accept_missing_bill,
    ask_again,
)
from orders.services.payment_corrections import (
    RefundUnderWay,
    give_back,
    keep_money,
    void_payment,
)
from orders.services.refund_approvals import Proposal, SecondApproval, approve_step
from orders.services.refund_corrections import book_external_refund, reverse_refund
from orders.services.refund_decisions import refund_order
from orders.services.refunds import record_refund
from orders.status import RefundKind, RefundStep
from tests.factories import make_staff
from tests.orders.conftest import Deal
from tests.orders.services.test_corrections import (
    bought as bought,
)
from tests.orders.services.test_corrections import (
    clerk as clerk,
)
from tests.orders.services.test_corrections import (
    differ,
    ledger,
    missing_payment,
    payment_of,
    unknown_payment,
    unknown_refund,
)
from tests.orders.services.test_reconciliation import open_bill
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)


def at_wechat() -> int:
    entries = LedgerEntry.objects.filter(account="platform:wechat")
    return int(entries.aggregate(sum=Sum("amount_fen"))["sum"] or 0)


def red_rules() -> list[str]:
    return [rule.name for rule, found in audit() if found]


def fail(refund: Refund, **columns: Any) -> Refund:
    """As if it had been sent, and the platform had not paid it."""
    columns = {"status": "failed", "sent_at": timezone.now(), "due_at": None, **columns}
    Refund.objects.filter(pk=refund.pk).update(**columns)
    return Refund.objects.select_related("payment").get(pk=refund.pk)


def ask_back(order: Order, user: User, count: int = 1) -> Refund:
    return refund_order(
        order,
        quantities={order.lines.get().pk: count},
        freight_fen=None,
        kind=RefundKind.REFUND_ONLY,
        reason="r",
        user=user,
    )


# Amounts


def test_book_amount_twice_books_the_difference(bought: Order, clerk: User) -> None:
    payment = payment_of(bought)
    for theirs in (3981, 3990, 3970):
        row = differ(payment, DifferenceKind.AMOUNT, theirs_fen=theirs, ours_fen=3980)
        book_amount(row, user=clerk, note="n")
        assert at_wechat() == theirs


def test_book_amount_of_a_refund_twice_books_the_difference(bought: Order, clerk: User) -> None:
    payment = payment_of(bought)
    book_external_refund(unknown_refund(payment), user=clerk, note="n")
    for theirs in (1200, 900):
        row = differ(
            payment, DifferenceKind.AMOUNT, is_refund=True, number="console-1",
            theirs_fen=theirs, ours_fen=1000,
        )  # fmt: skip
        book_amount(row, user=clerk, note="n")
        assert at_wechat() == 3980 - theirs


def test_book_amount_of_rows_under_one_number_books_the_difference(
    bought: Order, clerk: User
) -> None:
    payment = payment_of(bought)
    for more in (3980, 7960):
        row = differ(payment, DifferenceKind.TWICE, theirs_fen=more, ours_fen=None)
        book_amount(row, user=clerk, note="n")
    assert at_wechat() == 3980 + 7960


def test_booked_amount_opens_when_the_bill_agrees(shop: SandboxProcess) -> None:
    """The platform corrects its bill: booking the amount again takes the entry back."""
    day, user = open_bill("wechat", shop), make_staff()
    before = at_wechat()
    day.fault("row_differs")
    day.reconcile()
    book_amount(BillDifference.objects.get(kind="amount"), user=user, note="n")
    assert at_wechat() == before + 1
    for _time in range(2):
        bill = day.reconcile()
        row = BillDifference.objects.get(kind="amount")
        assert (row.status, row.theirs_fen, row.ours_fen) == ("open", 3998, 3998)
        assert (fitting(row), bill.agreed_at) == ({Correction.BOOK_AMOUNT}, None)
    book_amount(row, user=user, note="the bill was corrected")
    assert at_wechat() == before
    assert day.reconcile().agreed_at is not None
    row.refresh_from_db()
    assert row.status == "resolved"


# Refunds that went to the shop's own account


def send_to_shop(order: Order, clerk: User) -> Refund:
    desk.call_off(order, reason="x", user=clerk)
    refund = fail(Refund.objects.get(), is_to_shop=True, platform_status="ABNORMAL")
    number, amount = refund.out_refund_no or "", int(refund.amount_fen)
    payment = payment_of(order).number
    record_refund(PlatformRefund(number, payment, "5" * 20, "SUCCESS", amount, "CNY"))
    return Refund.objects.get()


def test_refund_to_shop_missing_from_the_bill_differs(bought: Order, clerk: User) -> None:
    refund = send_to_shop(bought, clerk)
    account, day = account_of(payment_of(bought)), timezone.localdate()
    assert refund.status == "to_pay_out"
    assert list(refunded_on(account, day)) == [refund]
    (one,) = compare_refunds(account, day, {})
    assert (one.kind, one.number, one.ours_fen) == ("not_theirs", refund.out_refund_no, 3980)


# Payments that never came


@pytest.mark.parametrize("said", ["", "ABNORMAL", "PROCESSING"])
def test_void_payment_refuses_while_a_refund_is_in_doubt(
    bought: Order, clerk: User, said: str
) -> None:
    fail(ask_back(bought, clerk), last_error="timeout", platform_status=said)
    with pytest.raises(RefundUnderWay):
        void_payment(missing_payment(payment_of(bought)), user=clerk, note="never")
    assert payment_of(bought).status == "paid"


def test_void_payment_gives_up_the_number_of_a_closed_refund(bought: Order, clerk: User) -> None:
    make_staff(username="second")
    refund = fail(ask_back(bought, clerk), platform_status="CLOSED")
    number = refund.out_refund_no
    approve_step(refund, Proposal(RefundStep.PAY_OUT, "cash"), user=clerk, by_two=True)
    void_payment(missing_payment(payment_of(bought)), user=clerk, note="never")
    refund.refresh_from_db()
    assert (refund.status, refund.out_refund_no) == ("written_off", None)
    assert refund.past_attempts.get().out_refund_no == number
    approval = RefundApproval.objects.get()
    assert (approval.open_key, approval.confirmed_at) == (None, None)
    assert approval.dropped_at is not None
    assert red_rules() == []


def test_void_payment_releases_what_is_not_shipped(bought: Order, clerk: User) -> None:
    line = bought.lines.get()
    carrier, _new = Carrier.objects.get_or_create(code="SF", defaults={"name": "顺丰"})
    ship_order(bought, carrier=carrier, tracking_number="SF1", user=clerk, quantities={line.pk: 1})
    void_payment(missing_payment(payment_of(bought)), user=clerk, note="never")
    bought.refresh_from_db()
    line.refresh_from_db()
    assert (bought.status, line.to_ship, line.sku.stock) == ("shipped", 0, 9)
    assert ledger(bought) == {"corrections": 1990, "goods": -1990}
    assert red_rules() == []


# Two members of staff


def test_give_back_forgets_an_approval_of_another_sum(
    bought: Order, clerk: User, settings: Any
) -> None:
    settings.REFUND_SECOND_APPROVAL_FEN = 2000
    payment, second = payment_of(bought), make_staff(username="second")
    give_back(unknown_payment(payment), user=clerk, note="n")
    row = give_back(unknown_payment(payment, theirs_fen=398000), user=second, note="n")
    assert (row.status, row.first_approved_by) == ("open", second)
    assert not Refund.objects.exists()


def test_keep_money_needs_a_second_member_of_staff(
    bought: Order, clerk: User, settings: Any
) -> None:
    settings.REFUND_SECOND_APPROVAL_FEN = 2000
    payment, second = payment_of(bought), make_staff(username="second")
    row = give_back(unknown_payment(payment), user=second, note="n")
    # Who would give it back has not agreed to keep it.
    row = keep_money(row, user=clerk, note="n")
    assert (row.status, row.first_approved_by) == ("open", clerk)
    with pytest.raises(SecondApproval):
        keep_money(row, user=clerk, note="n")
    row = keep_money(row, user=second, note="n")
    assert (row.resolution, row.first_approved_by) == ("money_kept", None)


# What customers read


@pytest.mark.parametrize("is_void", [True, False])
def test_notes_of_staff_stay_with_the_difference(deal: Deal, clerk: User, is_void: bool) -> None:
    deal.pay()
    assert deal.check().json()["order_status"] == "paid"
    payment = payment_of(deal.order)
    if is_void:
        row = void_payment(missing_payment(payment), user=clerk, note="known fraudster")
    else:
        row = book_external_refund(unknown_refund(payment, 100), user=clerk, note="known fraudster")
    assert row.note == "known fraudster"
    for page in ("refunds/", f"orders/{deal.number}/", "orders/"):
        assert "fraudster" not in deal.api.get(page).content.decode()


# Sums


def test_reversed_external_refund_leaves_the_daily_total(bought: Order, clerk: User) -> None:
    payment = payment_of(bought)
    book_external_refund(unknown_refund(payment), user=clerk, note="n")
    assert compute_day(timezone.localdate()).back_fen == 1000
    row = differ(
        payment, DifferenceKind.NOT_THEIRS, is_refund=True, number="console-1",
        theirs_fen=None, ours_fen=1000,
    )  # fmt: skip
    reverse_refund(row, user=clerk, note="n")
    assert compute_day(timezone.localdate()).back_fen == 0


def test_book_external_refund_refuses_less_than_nothing(bought: Order, clerk: User) -> None:
    with pytest.raises(InvalidFields):
        book_external_refund(unknown_refund(payment_of(bought), -5), user=clerk, note="n")


# What has no other way out


def test_refund_difference_of_a_voided_payment_is_explained(bought: Order, clerk: User) -> None:
    payment = payment_of(bought)
    row = unknown_refund(payment)
    void_payment(missing_payment(payment), user=clerk, note="never")
    explain_difference(row, user=clerk, note="it was never paid, nor given back")
    row.refresh_from_db()
    assert (row.status, red_rules()) == ("resolved", [])


@pytest.mark.parametrize("said", [mark_foreign, explain_difference])
def test_open_again_takes_back_what_was_said(bought: Order, clerk: User, said: Any) -> None:
    payment = payment_of(bought)
    row = said(
        unknown_payment(payment, theirs_fen=3980 if said == mark_foreign else 0),
        user=clerk,
        note="oops",
    )
    assert fitting(row) == {Correction.OPEN_AGAIN}
    row = open_again(row, user=clerk)
    assert (row.status, row.resolution, row.resolved_by, row.note) == ("open", "", None, "")
    assert Correction.OPEN_AGAIN not in fitting(row)


def test_open_again_refuses_what_was_booked(bought: Order, clerk: User) -> None:
    row = keep_money(unknown_payment(payment_of(bought)), user=clerk, note="n")
    with pytest.raises(CorrectionDoesNotFit):
        open_again(row, user=clerk)


def late_bill(payment: Payment, *, attempts: int) -> Bill:
    return Bill.objects.create(
        channel=payment.channel,
        app_id=payment.app_id,
        merchant_id=payment.merchant_id,
        day=timezone.localdate(),
        attempts=attempts,
        last_error="NO_STATEMENT_EXIST",
    )


def test_accept_missing_bill_ends_the_asking(bought: Order, clerk: User) -> None:
    bill = late_bill(payment_of(bought), attempts=9)
    assert list(Bill.objects.missing()) == [bill]
    bill = accept_missing_bill(bill, user=clerk, note="the platform lost it")
    assert (bill.accepted_by, bill.note, bill.due_at) == (clerk, "the platform lost it", None)
    assert not Bill.objects.missing().exists()
    bill = ask_again(bill, user=clerk)
    assert (bill.accepted_at, bill.accepted_by, bill.note) == (None, None, "")
    assert bill.due_at is not None
    assert list(Bill.objects.missing()) == [bill]


def test_accept_missing_bill_refuses_one_that_may_come(bought: Order, clerk: User) -> None:
    bill = late_bill(payment_of(bought), attempts=1)
    with pytest.raises(BillNotMissing):
        accept_missing_bill(bill, user=clerk, note="n")


def test_ask_again_refuses_a_bill_that_agrees(bought: Order, clerk: User) -> None:
    bill = late_bill(payment_of(bought), attempts=1)
    bill.agreed_at = bill.compared_at = timezone.now()
    bill.save()
    with pytest.raises(BillAgrees):
        ask_again(bill, user=clerk)


def test_buttons_of_a_bill_are_those_of_its_state(
    bought: Order, clerk: User, client: Client
) -> None:
    bill = late_bill(payment_of(bought), attempts=9)
    client.force_login(clerk)
    page = reverse("admin:orders_bill_change", args=[bill.pk])
    assert "/accept/" in client.get(page).content.decode()
    client.post(reverse("admin:orders_bill_accept", args=[bill.pk]), {"note": "lost"})
    bill.refresh_from_db()
    assert bill.accepted_by == clerk
    shown = client.get(page).content.decode()
    assert "/accept/" not in shown
    assert "/ask-again/" in shown
