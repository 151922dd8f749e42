"""An order in several parcels, and refunds of what was sent and what was not."""

from typing import Any

import pytest
from django.urls import reverse

from catalog.models import Sku
from miniback.core.errors import NotFound
from orders.models import Carrier, Order, OrderLine, Refund
from orders.services import desk, refund_decisions
from orders.services.fulfillment import ParcelExists, RefundOpen, TooManyToShip, ship_order
from orders.services.life import OrderStatusConflict
from orders.status import OrderStatus, RefundStatus
from tests.factories import make_staff
from tests.orders.conftest import Deal
from tests.orders.services.test_after_sales import ask, balanced
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
def carrier(db: None) -> Carrier:
    return Carrier.objects.get_or_create(code="SF", defaults={"name": "顺丰速运"})[0]


@pytest.fixture
def staff(db: None) -> Any:
    return make_staff()


@pytest.fixture
def half(paid: Deal, carrier: Carrier) -> Deal:
    """One of two pieces is on its way."""
    ship(paid, carrier, 1)
    return paid


def ship(deal: Deal, carrier: Carrier, count: int | None = None, number: str = "SF1001") -> None:
    line = OrderLine.objects.get()
    quantities = None if count is None else {line.pk: count}
    ship_order(
        deal.order, carrier=carrier, tracking_number=number, user=None, quantities=quantities
    )


def test_two_parcels(half: Deal, carrier: Carrier) -> None:
    order = half.api.get(f"orders/{half.number}/").json()
    assert (order["status"], order["lines"][0]["shipped_quantity"]) == ("partly_shipped", 1)
    assert order["actions"] == ["refund"]
    assert half.api.post(f"orders/{half.number}/confirm-receipt/").json()["code"] == "order_status"

    ship(half, carrier, number="SF1002")
    order = half.api.get(f"orders/{half.number}/").json()
    assert order["status"] == "shipped"
    line = order["lines"][0]["id"]
    assert [(parcel["tracking_number"], parcel["lines"]) for parcel in order["shipments"]] == [
        ("SF1001", [{"line": line, "quantity": 1}]),
        ("SF1002", [{"line": line, "quantity": 1}]),
    ]
    with pytest.raises(OrderStatusConflict):
        ship(half, carrier, 1)
    assert run()[0] == 0


@pytest.mark.broken_books
def test_three_parcels_leave_three_events(paid: Deal, carrier: Carrier) -> None:
    OrderLine.objects.update(quantity=3)
    for number in ("SF1001", "SF1002", "SF1003"):
        ship(paid, carrier, 1, number)
    assert list(paid.order.events.order_by("id").values_list("kind", "to_status"))[2:] == [
        ("status", "partly_shipped"), ("parcel", "partly_shipped"), ("status", "shipped"),
    ]  # fmt: skip


@pytest.mark.parametrize("count", [3, 0, -1])
def test_no_more_than_there_is(paid: Deal, carrier: Carrier, count: int) -> None:
    with pytest.raises(TooManyToShip):
        ship(paid, carrier, count)
    assert (paid.order.status, OrderLine.objects.get().shipped_quantity) == (S.PAID, 0)
    assert not paid.order.shipments.exists()


@pytest.mark.parametrize("quantities", [{}, {999_999: 1}])
def test_only_the_orders_lines(paid: Deal, carrier: Carrier, quantities: dict[int, int]) -> None:
    with pytest.raises(NotFound):
        ship_order(
            paid.order, carrier=carrier, tracking_number="SF1", user=None, quantities=quantities
        )


def test_ten_parcels_at_once(paid: Deal, carrier: Carrier) -> None:
    """C18: two pieces are sent, whoever is faster."""
    outcomes = together([lambda n=n: ship(paid, carrier, 1, f"SF{n:04d}") for n in range(10)])
    assert outcomes.count(None) == 2
    assert (paid.order.status, paid.order.shipments.count()) == (S.SHIPPED, 2)
    assert run()[0] == 0


def test_the_rest_is_refunded(half: Deal, staff: Any) -> None:
    """A partly shipped order whose remainder is refunded is shipped."""
    refund = Refund.objects.get(number=ask(half).json()["number"])
    assert not refund.is_shipped
    with pytest.raises(RefundOpen):
        ship(half, Carrier.objects.get(code="SF"), 1, "SF1002")
    refund_decisions.approve_refund(refund, user=staff)
    settle_refunds(half)
    assert (half.order.status, half.stock()) == (S.SHIPPED, 9)
    assert half.order.shipped_at is not None
    balanced(half, 1990)


def test_what_was_sent_comes_back(half: Deal, staff: Any, carrier: Carrier) -> None:
    refund = Refund.objects.get(number=ask(half, kind="return").json()["number"])
    assert refund.is_shipped
    # It does not hold up the rest.
    ship(half, carrier, 1, "SF1002")
    refund_decisions.approve_refund(refund, user=staff)
    refund_decisions.receive_return(refund, user=staff, is_restocked=True)
    settle_refunds(half)
    assert (half.order.status, half.stock()) == (S.SHIPPED, 9)
    balanced(half, 1990)


def test_sent_and_unsent_are_asked_for_apart(half: Deal) -> None:
    answer = ask(half, 2)
    assert (answer.status_code, answer.json()["code"]) == (409, "over_refund")
    assert ask(half, 1).json()["kind"] == "refund_only"
    assert ask(half, 1).status_code == 201
    assert list(Refund.objects.order_by("id").values_list("is_shipped", flat=True)) == [False, True]
    assert ask(half, 1).json()["code"] == "over_refund"
    assert run()[0] == 0


@pytest.mark.broken_books
def test_freight_stays_once_something_was_sent(half: Deal, staff: Any) -> None:
    Order.objects.update(freight_fen=500, payable_fen=4480)
    assert ask(half).json()["freight_fen"] == 0


# Staff call it off


def test_calling_off_a_paid_order_gives_everything_back(paid: Deal, staff: Any) -> None:
    desk.call_off(paid.order, reason="缺货", user=staff)
    settle_refunds(paid)
    assert (paid.order.status, paid.stock()) == (S.CANCELLED, 10)
    balanced(paid, 0)
    with pytest.raises(OrderStatusConflict):
        desk.call_off(paid.order, reason="缺货", user=staff)


def test_calling_off_a_partly_shipped_order_gives_back_the_rest(half: Deal, staff: Any) -> None:
    desk.call_off(half.order, reason="缺货", user=staff)
    settle_refunds(half)
    assert (half.order.status, half.stock()) == (S.SHIPPED, 9)
    balanced(half, 1990)


def test_calling_off_leaves_what_is_asked_for(paid: Deal, staff: Any) -> None:
    """One piece was asked back by its customer: that one waits for its own decision."""
    ask(paid)
    desk.call_off(paid.order, reason="缺货", user=staff)
    assert sorted(Refund.objects.values_list("status", flat=True)) == ["approved", "requested"]
    assert run()[0] == 0


def test_the_same_parcel_is_sent_once(half: Deal, staff: Any) -> None:
    parcel = half.order.shipments.get()
    with pytest.raises(ParcelExists):
        ship_order(
            half.order, carrier=parcel.carrier, tracking_number=parcel.tracking_number, user=staff
        )
    assert half.order.shipments.count() == 1


# Large refunds


def test_a_large_refund_needs_two_people(paid: Deal, staff: Any, settings: Any) -> None:
    settings.REFUND_SECOND_APPROVAL_FEN = 3000
    refund = Refund.objects.get(number=ask(paid, 2).json()["number"])
    refund_decisions.approve_refund(refund, user=staff)
    refund.refresh_from_db()
    assert (refund.status, refund.first_approved_by_id) == (RefundStatus.REQUESTED, staff.pk)
    assert paid.stock() == 8
    with pytest.raises(refund_decisions.SecondApproval):
        refund_decisions.approve_refund(refund, user=staff)

    refund_decisions.approve_refund(refund, user=make_staff(username="second"))
    settle_refunds(paid)
    assert paid.order.status == S.CANCELLED
    balanced(paid, 0)


def test_a_smaller_amount_needs_one(paid: Deal, staff: Any, settings: Any) -> None:
    settings.REFUND_SECOND_APPROVAL_FEN = 3000
    refund = Refund.objects.get(number=ask(paid, 2).json()["number"])
    refund_decisions.approve_refund(refund, user=staff, amount_fen=2999)
    refund.refresh_from_db()
    assert (refund.status, refund.first_approved_by_id) == (RefundStatus.APPROVED, None)


def test_two_people_at_once(paid: Deal, staff: Any, settings: Any) -> None:
    """C13: whoever comes second completes it; money goes once."""
    settings.REFUND_SECOND_APPROVAL_FEN = 3000
    refund = Refund.objects.get(number=ask(paid, 2).json()["number"])
    people = [staff, make_staff(username="second")]
    together([lambda p=p: refund_decisions.approve_refund(refund, user=p) for p in people * 3])
    settle_refunds(paid)
    assert len(paid.sandbox.ledger()["refunds"]) == 1
    balanced(paid, 0)


# The desk


def test_the_desk_asks_how_many(paid: Deal, staff: Any, carrier: Carrier, client: Any) -> None:
    client.force_login(staff)
    page = reverse("admin:orders_order_ship", args=[paid.order.pk])
    line = OrderLine.objects.get().pk
    assert client.get(page).context["form"][f"line_{line}"].value() == 2

    def send(count: str, number: str) -> Any:
        parcel = {"carrier": carrier.pk, "tracking_number": number, f"line_{line}": count}
        return client.post(page, parcel, follow=True)

    for bad in ("3", "-1", "x", "0"):
        assert "errorlist" in send(bad, "SF1001").content.decode()
    send("1", "SF1001")
    assert paid.order.status == S.PARTLY_SHIPPED
    shown = client.get(reverse("admin:orders_order_change", args=[paid.order.pk]))
    assert f"1 × {Sku.objects.get().code}" in shown.content.decode()
    send("", "SF1002")
    assert paid.order.status == S.SHIPPED
