"""Refunds on request, before and after shipment, ending with the books in balance."""

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from catalog.models import StockMovement
from miniback.core.errors import InvalidFields
from miniback.core.models import Upload
from orders.models import Carrier, LedgerEntry, Order, OrderLine, Payment, Refund
from orders.services import after_sales, refund_decisions
from orders.services.fulfillment import RefundOpen, ship_order
from orders.services.refunds import send_due_refunds
from orders.status import OrderStatus, RefundKind, RefundStatus
from tests.factories import make_staff
from tests.orders.conftest import Deal, due_now
from tests.orders.services.test_audit import run
from tests.orders.services.test_payment import settle_refunds
from tests.threads import together

pytestmark = pytest.mark.django_db(transaction=True)

S = OrderStatus


@pytest.fixture
def paid(deal: Deal) -> Deal:
    """Two pieces at 19.90, paid."""
    deal.pay()
    assert deal.check().json()["order_status"] == "paid"
    return deal


@pytest.fixture
def shipped(paid: Deal) -> Deal:
    carrier = Carrier.objects.get_or_create(code="SF", defaults={"name": "顺丰速运"})[0]
    ship_order(paid.order, carrier=carrier, tracking_number="SF1", user=None)
    return paid


@pytest.fixture
def staff(db: None) -> Any:
    return make_staff()


def ask(deal: Deal, quantity: int = 1, kind: str = "refund_only", **more: Any) -> Any:
    line = deal.order.lines.get().pk
    body = {"lines": [{"line": line, "quantity": quantity}], "kind": kind, "reason": "不想要了"}
    return deal.api.ask_refund(deal.number, {**body, **more})


def asked(deal: Deal, quantity: int = 1, kind: str = "refund_only") -> Refund:
    answer = ask(deal, quantity, kind)
    assert answer.status_code == 201, answer.content
    return Refund.objects.get(number=answer.json()["number"])


def balanced(deal: Deal, kept_fen: int) -> None:
    """The platform, the ledger and the audit agree."""
    assert run() == (0, run()[1])
    assert deal.sandbox.net_fen() == kept_fen
    at_platform = LedgerEntry.objects.filter(account="platform:wechat")
    assert sum(at_platform.values_list("amount_fen", flat=True)) == kept_fen
    owed = LedgerEntry.objects.filter(account="customer_refunds")
    assert sum(owed.values_list("amount_fen", flat=True)) == 0


def test_a_part_before_shipment(paid: Deal, staff: Any) -> None:
    answer = ask(paid)
    assert (answer.json()["amount_fen"], answer.json()["actions"]) == (1990, ["withdraw"])
    refund = Refund.objects.get()
    refund_decisions.approve_refund(refund, user=staff)
    assert paid.stock() == 9
    settle_refunds(paid)

    assert paid.order.status == S.PAID
    assert paid.order.lines.get().released_quantity == 1
    shown = paid.api.get(f"refunds/{refund.number}/").json()
    assert (shown["status"], shown["order"], shown["actions"]) == ("succeeded", paid.number, [])
    balanced(paid, 1990)


def test_everything_before_shipment_cancels_the_order(paid: Deal, staff: Any) -> None:
    for _piece in range(2):
        refund_decisions.approve_refund(asked(paid), user=staff)
    settle_refunds(paid)

    assert (paid.order.status, paid.order.cancel_reason) == (S.CANCELLED, "已全额退款")
    assert paid.stock() == 10
    assert [row["amount_fen"] for row in paid.sandbox.ledger()["refunds"]] == [1990, 1990]
    balanced(paid, 0)


def test_a_return_is_paid_when_the_goods_are_back(shipped: Deal, staff: Any) -> None:
    refund = asked(shipped, 2, "return")
    refund_decisions.approve_refund(refund, user=staff)
    assert shipped.api.get(f"refunds/{refund.number}/").json()["actions"] == [
        "withdraw", "return_parcel",
    ]  # fmt: skip
    parcel = {"carrier": "顺丰速运", "tracking_number": "SF99"}
    sent = shipped.api.post(f"refunds/{refund.number}/return-parcel/", parcel)
    assert sent.json()["return_tracking"] == "SF99"
    send_due_refunds()
    assert shipped.sandbox.net_fen() == 3980

    refund_decisions.receive_return(refund, user=staff, is_restocked=True)
    settle_refunds(shipped)
    assert (shipped.order.status, shipped.stock()) == (S.SHIPPED, 10)
    assert StockMovement.objects.get(kind="return").delta == 2
    balanced(shipped, 0)


def test_goods_that_are_broken_are_written_off(shipped: Deal, staff: Any) -> None:
    refund = asked(shipped, 1, "return")
    refund_decisions.approve_refund(refund, user=staff)
    refund_decisions.receive_return(refund, user=staff, is_restocked=False)
    settle_refunds(shipped)
    assert shipped.stock() == 8
    balanced(shipped, 1990)


def test_after_shipment_without_a_return_no_stock_comes_back(shipped: Deal, staff: Any) -> None:
    refund_decisions.approve_refund(asked(shipped, 2), user=staff)
    settle_refunds(shipped)
    assert (shipped.order.status, shipped.stock()) == (S.SHIPPED, 8)
    balanced(shipped, 0)


def test_staff_may_agree_to_less(paid: Deal, staff: Any) -> None:
    refund = asked(paid, 2)
    refund_decisions.approve_refund(refund, user=staff, amount_fen=1000, decision="折价")
    refund.refresh_from_db()
    assert (refund.amount_fen, refund.lines.get().amount_fen) == (1000, 1000)
    assert ask(paid).json()["code"] == "over_refund"
    settle_refunds(paid)
    balanced(paid, 2980)


@pytest.mark.parametrize("amount", [0, -1, 3981])
def test_but_not_to_nothing_or_more(paid: Deal, staff: Any, amount: int) -> None:
    refund = asked(paid, 2)
    with pytest.raises(InvalidFields):
        refund_decisions.approve_refund(refund, user=staff, amount_fen=amount)
    refund.refresh_from_db()
    assert refund.status == RefundStatus.REQUESTED


@pytest.mark.parametrize("end", ["withdraw", "reject"])
def test_what_is_given_up_can_be_asked_for_again(paid: Deal, staff: Any, end: str) -> None:
    refund = asked(paid, 2)
    assert ask(paid).json()["code"] == "over_refund"
    if end == "reject":
        refund_decisions.reject_refund(refund, user=staff, decision="已发货")
    else:
        for _twice in range(2):
            assert paid.api.post(f"refunds/{refund.number}/withdraw/").status_code == 200
    line = paid.order.lines.get()
    assert (line.refunded_quantity, line.refunded_fen) == (0, 0)
    assert ask(paid, 2).json()["amount_fen"] == 3980
    assert run()[0] == 0


def test_a_decision_is_made_once(paid: Deal, staff: Any) -> None:
    refund = asked(paid)
    refund_decisions.approve_refund(refund, user=staff)
    for again in (
        lambda: refund_decisions.approve_refund(refund, user=staff),
        lambda: refund_decisions.reject_refund(refund, user=staff, decision="x"),
        lambda: after_sales.withdraw_refund(refund),
        lambda: refund_decisions.receive_return(refund, user=staff, is_restocked=True),
        lambda: after_sales.register_return(refund, carrier="x", tracking_number="x"),
    ):
        with pytest.raises(after_sales.RefundStatusConflict):
            again()
    assert paid.stock() == 9


@pytest.mark.broken_books
@pytest.mark.parametrize("status", [S.PENDING_PAYMENT, S.CANCELLED])
def test_orders_that_give_nothing_back(paid: Deal, status: str) -> None:
    Order.objects.update(status=status)
    answer = ask(paid)
    assert (answer.status_code, answer.json()["code"]) == (409, "order_status")
    assert not Refund.objects.exists()


@pytest.mark.broken_books
def test_the_window_ends(shipped: Deal) -> None:
    Order.objects.update(status=S.COMPLETED, completed_at=timezone.now() - timedelta(days=16))
    assert ask(shipped).json()["code"] == "refund_window_over"
    Order.objects.update(completed_at=timezone.now() - timedelta(days=14))
    assert ask(shipped).status_code == 201


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"lines": []}, 400), ({"lines": [{"line": 1, "quantity": 0}]}, 400), ({"kind": "auto"}, 400),
        ({"lines": [{"line": 999999, "quantity": 1}]}, 404), ({"kind": "return"}, 400),
        ({"reason": ""}, 400), ({"images": ["nothing"]}, 404), ({"images": ["x"] * 10}, 400),
        ({"lines": "all"}, 400), ({"amount_fen": 1, "lines": None}, 400),
    ],
)  # fmt: skip
def test_requests_that_are_none(paid: Deal, change: dict[str, Any], status: int) -> None:
    assert ask(paid, **change).status_code == status
    assert not Refund.objects.exists()
    assert paid.order.lines.get().refunded_quantity == 0


def test_pictures_are_ones_own(paid: Deal, stranger: Any) -> None:
    def upload(user: Any) -> str:
        row = Upload(user=user, purpose="refund", width=1, height=1)
        row.file = f"uploads/{row.pk}.jpg"
        row.save()
        return row.pk

    assert ask(paid, images=[upload(stranger)]).status_code == 404
    assert ask(paid, images=[upload(paid.user)]).status_code == 201


def test_there_is_an_end_of_refunds(paid: Deal, monkeypatch: Any) -> None:
    monkeypatch.setattr(after_sales, "MAX_REFUNDS", 1)
    asked(paid)
    assert ask(paid).json()["code"] == "over_refund"
    assert paid.order.lines.get().refunded_quantity == 1


@pytest.mark.broken_books
def test_freight_goes_back_with_the_last_piece(paid: Deal, staff: Any) -> None:
    """With the one that is agreed last, not with the one that is asked for last."""
    Order.objects.update(freight_fen=500, payable_fen=4480)
    Payment.objects.update(amount_fen=4480)
    first, last = asked(paid), asked(paid)
    assert [(r.amount_fen, r.freight_fen) for r in (first, last)] == [(1990, 0), (1990, 0)]
    last = refund_decisions.approve_refund(last, user=staff)
    assert (last.amount_fen, last.freight_fen) == (1990, 0)
    first = refund_decisions.approve_refund(first, user=staff)
    assert (first.amount_fen, first.freight_fen) == (2490, 500)


@pytest.mark.broken_books
@pytest.mark.parametrize("end", ["withdraw", "reject"])
def test_freight_stays_when_another_request_is_given_up(paid: Deal, staff: Any, end: str) -> None:
    """What was merely asked for may be kept: then a parcel goes out, and its freight was due."""
    Order.objects.update(freight_fen=500, payable_fen=4480)
    Payment.objects.update(amount_fen=4480)
    kept, back = asked(paid), asked(paid)
    back = refund_decisions.approve_refund(back, user=staff)
    if end == "withdraw":
        after_sales.withdraw_refund(kept)
    else:
        refund_decisions.reject_refund(kept, user=staff, decision="x")
    assert (back.amount_fen, back.freight_fen) == (1990, 0)
    # The one that is left is the last one now.
    assert ask(paid).json()["amount_fen"] == 2490


@pytest.mark.broken_books
def test_freight_is_not_added_to_an_amount_set_by_hand(paid: Deal, staff: Any) -> None:
    Order.objects.update(freight_fen=500, payable_fen=4480)
    Payment.objects.update(amount_fen=4480)
    less = refund_decisions.approve_refund(asked(paid, 2), user=staff, amount_fen=3980)
    assert (less.amount_fen, less.freight_fen) == (3980, 0)


def test_shipping_waits_for_the_decision(paid: Deal, staff: Any) -> None:
    """C18: what is asked for is decided first; what is refunded is not shipped."""
    carrier = Carrier.objects.get_or_create(code="SF", defaults={"name": "顺丰速运"})[0]

    def ship() -> None:
        ship_order(paid.order, carrier=carrier, tracking_number="SF1", user=staff)

    refund = asked(paid, 2)
    with pytest.raises(RefundOpen):
        ship()
    refund_decisions.approve_refund(refund, user=staff)
    with pytest.raises(RefundOpen):
        ship()
    assert paid.order.status == S.PAID
    settle_refunds(paid)
    assert paid.order.status == S.CANCELLED


def test_a_refund_that_fails_keeps_its_claim_and_number(paid: Deal, staff: Any) -> None:
    """P19, P20."""
    refund = asked(paid, 2)
    refund_decisions.approve_refund(refund, user=staff)
    paid.sandbox.fault("wechatpay.refund", "not_enough")
    due_now(Refund)
    send_due_refunds()
    refund.refresh_from_db()
    assert (refund.status, paid.order.status) == (RefundStatus.FAILED, S.PAID)
    assert ask(paid).json()["code"] == "over_refund"
    settle_refunds(paid)
    sent = [row["out_refund_no"] for row in paid.sandbox.ledger()["refunds"]]
    assert sent == [f"{paid.payment.number}R1"]
    balanced(paid, 0)


def codes(*acts: Any) -> list[str]:
    """Run acts at once; the code of each refusal, or "ok"."""
    return sorted(getattr(outcome, "code", "ok") for outcome in together(acts))


def test_many_requests_at_once_share_what_is_there(paid: Deal) -> None:
    """C13, C14: ten ask for a piece of two."""
    order, line = paid.order, paid.order.lines.get().pk

    def act() -> None:
        after_sales.request_refund(
            order, quantities={line: 1}, kind=RefundKind.REFUND_ONLY, reason="x"
        )

    assert codes(*[act] * 10) == ["ok"] * 2 + ["over_refund"] * 8
    assert sum(Refund.objects.values_list("amount_fen", flat=True)) == 3980
    assert run()[0] == 0


def test_two_staff_at_once_decide_once(paid: Deal, staff: Any) -> None:
    """C13: one refund goes out, the other sees why not."""
    refund = asked(paid, 2)
    outcomes = codes(
        lambda: refund_decisions.approve_refund(refund, user=staff),
        lambda: refund_decisions.approve_refund(refund, user=staff),
        lambda: after_sales.withdraw_refund(refund),
    )
    assert outcomes.count("ok") == 1
    assert run()[0] == 0


def test_ship_and_ask_at_once(paid: Deal, staff: Any) -> None:
    """C18."""
    carrier = Carrier.objects.get_or_create(code="SF", defaults={"name": "顺丰速运"})[0]
    order, line = paid.order, OrderLine.objects.get().pk
    outcomes = codes(
        lambda: ship_order(order, carrier=carrier, tracking_number="SF1", user=staff),
        lambda: after_sales.request_refund(
            order, quantities={line: 2}, kind=RefundKind.REFUND_ONLY, reason="x"
        ),
    )
    refund = Refund.objects.get()
    shipped = paid.order.status == S.SHIPPED
    assert refund.is_shipped == shipped
    assert outcomes == (["ok", "ok"] if shipped else ["ok", "refund_open"])


def test_the_desk(paid: Deal, staff: Any, client: Any) -> None:
    client.force_login(staff)
    refund = asked(paid, 2)

    def post(action: str, **form: Any) -> Any:
        url = reverse(f"admin:orders_refund_{action}", args=[refund.pk])
        return client.post(url, form, follow=True)

    page = client.get(reverse("admin:orders_refund_change", args=[refund.pk]))
    assert [button["action"].url for button in page.context["buttons"]] == ["approve", "reject"]
    assert "errorlist" in post("reject", decision="").content.decode()
    assert "errorlist" in post("approve", amount_fen="x").content.decode()
    post("approve", amount_fen="10.00", decision="折价")
    refund.refresh_from_db()
    assert (refund.status, refund.amount_fen, refund.decided_by_id) == ("approved", 1000, staff.pk)
    assert [m.level_tag for m in post("reject", decision="x").context["messages"]] == ["error"]


def test_queries_of_the_refund_list(paid: Deal, django_assert_num_queries: Any) -> None:
    asked(paid)
    with django_assert_num_queries(3):
        paid.api.get("refunds/")
    asked(paid)
    with django_assert_num_queries(3):
        assert len(paid.api.get("refunds/").json()["results"]) == 2
