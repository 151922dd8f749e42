"""What staff change of an order, and what time does by itself."""

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Staff, User
from catalog.models import Sku
from miniback.core.crypto import keyed_hash
from miniback.core.errors import InvalidFields
from miniback.jobs import deliver_outbox
from orders.models import Order, OrderEvent, Payment, Refund
from orders.services.cancellation import remind_unpaid_orders
from orders.services.desk import adjust_price
from orders.services.fulfillment import confirm_old_shipments
from orders.services.life import OrderStatusConflict
from orders.status import OrderStatus
from tests.conftest import Api
from tests.factories import make_order, make_product, make_sku, make_staff
from tests.orders.conftest import Deal
from tests.orders.services.test_audit import run
from tests.orders.services.test_payment import ask, settle_refunds
from tests.sandbox_process import until

pytestmark = pytest.mark.django_db

S = OrderStatus


@pytest.fixture
def staff(client: Any) -> Staff:
    staff = make_staff()
    client.force_login(staff)
    return staff


def test_another_price_is_spread_and_kept(order: Order, staff: Staff) -> None:
    adjust_price(order, discount_fen=81, reason="老顾客", user=staff)
    order.refresh_from_db()
    assert (order.discount_fen, order.payable_fen) == (81, 3899)
    assert order.lines.get().discount_fen == 81
    event = order.events.get(kind="price")
    assert (event.note, event.user_id) == ("¥39.80 → ¥38.99 老顾客", staff.pk)


@pytest.mark.parametrize("discount", [-1, 3981])
def test_no_more_is_taken_off_than_the_goods_cost(
    order: Order, staff: Staff, discount: int
) -> None:
    with pytest.raises(InvalidFields):
        adjust_price(order, discount_fen=discount, reason="x", user=staff)
    order.refresh_from_db()
    assert order.payable_fen == 3980


@pytest.mark.parametrize("status", sorted(set(S) - {S.PENDING_PAYMENT}))
def test_only_unpaid_orders_get_another_price(order: Order, staff: Staff, status: str) -> None:
    Order.objects.update(status=status)
    with pytest.raises(OrderStatusConflict):
        adjust_price(order, discount_fen=1, reason="x", user=staff)


@pytest.mark.django_db(transaction=True)
def test_the_new_price_is_paid_by_a_new_payment(deal: Deal) -> None:
    adjust_price(deal.order, discount_fen=80, reason="x", user=make_staff())
    fresh = ask(deal.api, deal.number).json()
    assert fresh["payment"] != deal.payment.number
    deliver_outbox()
    assert deal.sandbox.pay(deal.params).status_code == 400
    assert deal.sandbox.pay(fresh["params"]).ok
    until(lambda: deal.order.status == S.PAID)
    assert deal.sandbox.net_fen() == 3900
    assert run()[0] == 0


@pytest.mark.django_db(transaction=True)
def test_money_of_the_old_price_goes_back(deal: Deal) -> None:
    """Paid while staff adjusted: neither too much nor too little is kept."""
    deal.sandbox.fault("wechatpay.notice", "dropped")
    deal.pay()
    adjust_price(deal.order, discount_fen=80, reason="x", user=make_staff())
    deliver_outbox()
    assert deal.order.status == S.PENDING_PAYMENT
    assert not Payment.objects.get().is_applied
    settle_refunds(deal)
    assert deal.sandbox.net_fen() == 0
    assert Refund.objects.get().amount_fen == 3980
    assert run()[0] == 0


# In the back office


def post(client: Any, order: Order, action: str, **form: Any) -> Any:
    url = reverse(f"admin:orders_order_{action}", args=[order.pk])
    return client.post(url, form, follow=True)


ADDRESS = {
    "recipient": "王芳", "phone": "13987654321", "province": "上海市", "city": "上海市",
    "district": "静安区", "detail": "南京西路 1 号", "reason": "顾客来电",
}  # fmt: skip


def test_staff_send_an_order_elsewhere(client: Any, staff: Staff, order: Order) -> None:
    ask_page = client.get(reverse("admin:orders_order_address", args=[order.pk]))
    assert "文三路 100 号" in ask_page.content.decode()
    post(client, order, "address", **ADDRESS)

    order.refresh_from_db()
    assert (order.recipient, order.phone, order.detail) == ("王芳", "13987654321", "南京西路 1 号")
    assert order.phone_hash == keyed_hash("13987654321", purpose="phone")
    event = order.events.get(kind="address")
    assert event.note == "顾客来电"
    assert "南京西路" not in str(list(OrderEvent.objects.values()))


@pytest.mark.parametrize("change", [{"phone": "x"}, {"reason": ""}, {"detail": ""}])
def test_half_an_address_is_explained(
    client: Any, staff: Staff, order: Order, change: dict[str, str]
) -> None:
    assert "errorlist" in post(client, order, "address", **{**ADDRESS, **change}).content.decode()
    order.refresh_from_db()
    assert order.recipient == "李明"


def test_a_shipped_order_goes_where_it_goes(client: Any, staff: Staff, order: Order) -> None:
    Order.objects.update(status=S.SHIPPED)
    answer = post(client, order, "address", **ADDRESS)
    assert [message.level_tag for message in answer.context["messages"]] == ["error"]
    order.refresh_from_db()
    assert order.recipient == "李明"


def test_staff_adjust_in_yuan(client: Any, staff: Staff, order: Order) -> None:
    post(client, order, "adjust-price", discount_fen="0.80", reason="老顾客")
    order.refresh_from_db()
    assert order.payable_fen == 3900
    assert (
        "errorlist"
        in post(client, order, "adjust-price", discount_fen="x", reason="y").content.decode()
    )


def test_notes_are_for_staff(client: Any, staff: Staff, order: Order, api: Api) -> None:
    post(client, order, "note", staff_note="难缠", is_flagged="on")
    order.refresh_from_db()
    assert (order.staff_note, order.is_flagged) == ("难缠", True)
    assert "难缠" not in api.get(f"orders/{order.number}/").content.decode()


def test_buttons_follow_the_status(client: Any, staff: Staff, order: Order) -> None:
    shown = {}
    for status in S:
        Order.objects.update(status=status)
        page = client.get(reverse("admin:orders_order_change", args=[order.pk]))
        shown[status] = [button["action"].url for button in page.context["buttons"]]
    assert shown == {
        S.PENDING_PAYMENT: ["adjust-price", "address", "note", "cancel"],
        S.PAID: ["ship", "address", "note", "refund", "cancel"],
        S.PARTLY_SHIPPED: ["ship", "note", "refund", "cancel"],
        S.SHIPPED: ["note", "refund"],
        S.COMPLETED: ["note", "refund"],
        S.CANCELLED: ["note"],
    }


# The customer's list


def test_an_order_that_ended_can_be_hidden(api: Api, order: Order) -> None:
    assert api.delete(f"orders/{order.number}/").json()["code"] == "order_status"
    api.post(f"orders/{order.number}/cancel/")
    for _ in range(2):
        assert api.delete(f"orders/{order.number}/").status_code == 204
    assert api.get("orders/").json()["results"] == []
    assert api.get("orders/counts/").json()["cancelled"] == 0
    assert api.get(f"orders/{order.number}/").json()["status"] == "cancelled"


def test_counts_name_every_status(
    api: Api, order: Order, customer: User, django_assert_num_queries: Any
) -> None:
    make_order()
    with django_assert_num_queries(2):
        counts = api.get("orders/counts/").json()
    assert counts == {**dict.fromkeys(S.values, 0), "pending_payment": 1}


def test_orders_are_found_by_number_and_name(api: Api, order: Order, customer: User) -> None:
    other = make_order(customer, sku=make_sku(product=make_product(name="苹果")))

    def found(search: str) -> list[str]:
        return [row["number"] for row in api.get(f"orders/?search={search}").json()["results"]]

    assert found(order.number.lower()) == [order.number]
    assert found("苹果") == [other.number]
    assert found("%25") == []


# What time does


def test_a_customer_is_reminded_once(order: Order) -> None:
    remind_unpaid_orders()
    assert not order.events.filter(kind="reminder").exists()
    Order.objects.update(pay_before=timezone.now() + timedelta(minutes=9))
    remind_unpaid_orders()
    remind_unpaid_orders()
    assert order.events.filter(kind="reminder").count() == 1


def test_an_order_counts_as_received_after_its_days(order: Order, sku: Sku, settings: Any) -> None:
    shipped_at = timezone.now() - settings.ORDER_RECEIVE_TIME
    Order.objects.update(status=S.SHIPPED, shipped_at=shipped_at + timedelta(minutes=1))
    confirm_old_shipments()
    assert Order.objects.get().status == S.SHIPPED
    Order.objects.update(shipped_at=shipped_at)
    confirm_old_shipments()
    assert Order.objects.get().status == S.COMPLETED
    assert order.events.get(to_status="completed").actor == "job"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("then", ["adjust", "cancel"])
def test_a_price_adjusted_before_the_old_payment_is_closed(deal: Deal, then: str) -> None:
    """The outbox has not told the platform yet: asking it to close twice must not fail."""
    staff = make_staff()
    adjust_price(deal.order, discount_fen=80, reason="x", user=staff)
    ask(deal.api, deal.number)
    if then == "adjust":
        adjust_price(deal.order, discount_fen=90, reason="y", user=staff)
    else:
        assert deal.api.post(f"orders/{deal.number}/cancel/").status_code == 200
    deliver_outbox()
    assert set(Payment.objects.values_list("status", flat=True)) == {"closed"}


def test_what_staff_write_is_not_the_customers(
    client: Any, staff: Staff, order: Order, api: Api
) -> None:
    post(client, order, "note", staff_note="难缠", is_flagged="on")
    post(client, order, "address", **{**ADDRESS, "reason": "内部原因"})
    post(client, order, "adjust-price", discount_fen="0.80", reason="内部价")

    note = order.events.get(kind="note")
    assert (note.note, note.user_id) == ("难缠", staff.pk)
    shown = api.get(f"orders/{order.number}/").content.decode()
    for words in ("难缠", "内部原因", "内部价"):
        assert words not in shown
