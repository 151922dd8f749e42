"""Cancelling, shipping, receiving."""

import pytest
from django.utils import timezone

from accounts.models import User
from catalog.models import Sku, StockMovement
from orders.models import Carrier, Order, OrderEvent
from orders.services.cancellation import cancel_order
from orders.services.fulfillment import confirm_receipt, ship_order
from orders.services.life import OrderStatusConflict, move_order
from orders.status import Actor, OrderStatus
from tests.conftest import Api
from tests.factories import make_order, make_sku, make_staff
from tests.threads import together

pytestmark = pytest.mark.django_db

S = OrderStatus


@pytest.fixture
def carrier() -> Carrier:
    return Carrier.objects.get_or_create(code="SF", defaults={"name": "顺丰速运"})[0]


def test_cancelling_gives_the_stock_back_once(api: Api, order: Order, sku: Sku) -> None:
    """T15, C12: the second time changes nothing and is no error."""
    for _ in range(3):
        answer = api.post(f"orders/{order.number}/cancel/", {"reason": "不想买了"})
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        assert answer.json()["cancel_reason"] == "不想买了"
    assert Sku.objects.get(pk=sku.pk).stock == 100
    assert StockMovement.objects.filter(kind="release").count() == 1
    assert OrderEvent.objects.filter(to_status="cancelled").count() == 1


@pytest.mark.parametrize("status", [S.PAID, S.PARTLY_SHIPPED, S.SHIPPED, S.COMPLETED])
def test_only_unpaid_orders_are_cancelled(api: Api, order: Order, status: str) -> None:
    Order.objects.update(status=status)
    answer = api.post(f"orders/{order.number}/cancel/")
    assert (answer.status_code, answer.json()["code"]) == (409, "order_status")
    assert answer.json()["status"] == status
    assert Sku.objects.get().stock == 98


@pytest.mark.parametrize("status", sorted(set(S) - {S.SHIPPED, S.COMPLETED}))
def test_only_shipped_orders_are_received(api: Api, order: Order, status: str) -> None:
    Order.objects.update(status=status)
    answer = api.post(f"orders/{order.number}/confirm-receipt/")
    assert (answer.status_code, answer.json()["code"]) == (409, "order_status")
    assert Order.objects.get().status == status


def test_receiving_twice_is_receiving(api: Api, order: Order) -> None:
    Order.objects.update(status=S.SHIPPED)
    for _ in range(2):
        answer = api.post(f"orders/{order.number}/confirm-receipt/")
        assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert OrderEvent.objects.filter(to_status="completed").count() == 1


def test_shipping_writes_who_and_how(order: Order, carrier: Carrier) -> None:
    staff = make_staff()
    Order.objects.update(status=S.PAID)
    ship_order(order, carrier=carrier, tracking_number="SF1", user=staff)

    order.refresh_from_db()
    event = order.events.get(to_status="shipped")
    assert (order.status, event.actor, event.note) == ("shipped", "staff", "顺丰速运 SF1")
    assert event.user_id == staff.pk
    with pytest.raises(OrderStatusConflict):
        ship_order(order, carrier=carrier, tracking_number="SF2", user=staff)
    assert order.shipments.count() == 1


@pytest.mark.parametrize("actor", [Actor.STAFF, Actor.PLATFORM])
def test_who_may_do_what_is_asked_of_the_table(order: Order, actor: Actor) -> None:
    Order.objects.update(status=S.SHIPPED)
    with pytest.raises(OrderStatusConflict):
        confirm_receipt(order, actor=actor)


@pytest.mark.django_db(transaction=True)
def test_fifty_cancels_at_once() -> None:
    """T15, C12: one return of stock."""
    sku = make_sku(stock=10)
    order = make_order(sku=sku, quantity=3)
    outcomes = together([lambda: cancel_order(order, actor=Actor.CUSTOMER).status] * 50)

    assert outcomes == ["cancelled"] * 50
    assert Sku.objects.get().stock == 10
    assert sum(StockMovement.objects.values_list("delta", flat=True)) == 10


def test_events_know_the_person(api: Api, order: Order, customer: User) -> None:
    api.post(f"orders/{order.number}/cancel/")
    assert set(OrderEvent.objects.values_list("actor", "user")) == {("customer", customer.pk)}


def test_a_status_that_changed_meanwhile_is_not_overwritten(order: Order) -> None:
    """The condition is in the UPDATE: on SQLite no lock would save it."""
    stale = Order.objects.get(pk=order.pk)
    Order.objects.update(status=S.CANCELLED)
    with pytest.raises(OrderStatusConflict):
        move_order(stale, S.PAID, actor=Actor.PLATFORM, now=timezone.now())
    assert Order.objects.get().status == S.CANCELLED
    assert OrderEvent.objects.count() == 1
