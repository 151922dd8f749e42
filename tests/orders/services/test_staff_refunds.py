"""Refunds that staff begin, large ones, and what is left when money went back outside the shop."""

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Staff, User
from catalog.models import FreightRule, FreightTemplate
from miniback.core.errors import DomainError
from miniback.core.transactions import atomic
from orders.models import Order, Refund, new_number
from orders.services.books import post_external_refund
from orders.services.checkout import place_order
from orders.services.daily import compute_day
from orders.services.fulfillment import confirm_receipt
from orders.services.owed_refunds import cancel_if_all_is_back
from orders.services.refund_approvals import SecondApproval
from orders.services.refund_claims import left_at_platform, left_of
from orders.services.refund_decisions import approve_refund, receive_return, refund_order
from orders.status import Actor, OrderStatus, RefundKind
from tests.factories import make_address, make_order, make_product, make_sku, make_staff, pay
from tests.orders.services.test_free_orders import arrive, ask, lines_of, ship
from tests.orders.services.test_refund_amounts import balances

pytestmark = pytest.mark.django_db
S = OrderStatus


@pytest.fixture(autouse=True)
def _platforms(sandbox: Any) -> None: ...


@pytest.fixture
def staff(db: None) -> Staff:
    return make_staff()


@pytest.fixture
def order(customer: User) -> Order:
    """Three pieces at 10.00, freight 5.00, paid."""
    template = FreightTemplate.objects.create(name="包裹", unit="fixed")
    FreightRule.objects.create(template=template, first_fen=500)
    sku = make_sku(product=make_product(freight_template=template), price_fen=1000, stock=10)
    address = make_address(customer)
    placed = place_order(customer, quantities={sku.pk: 3}, address_id=address.pk, payable_fen=3500)
    return pay(placed)


def give(order: Order, staff: Staff, count: int = 0, **more: Any) -> Refund:
    (line,) = lines_of(order)
    values: dict[str, Any] = {"freight_fen": None, "kind": RefundKind.REFUND_ONLY, "reason": "补偿"}
    quantities = {line.pk: count} if count else {}
    return refund_order(order, quantities=quantities, user=staff, **{**values, **more})


def complete(order: Order) -> None:
    (line,) = lines_of(order)
    ship(order, **{f"l{line.pk}": line.to_ship})
    order.refresh_from_db()
    confirm_receipt(order, actor=Actor.CUSTOMER)


def refusal(act: Any) -> str:
    with pytest.raises(DomainError) as raised:
        act()
    return raised.value.code


# Staff begin one


def test_staff_refund_a_completed_order_after_the_window(order: Order, staff: Staff) -> None:
    complete(order)
    Order.objects.update(completed_at=timezone.now() - timedelta(days=60))
    refund = give(order, staff, 1, freight_fen=500)
    assert (refund.status, refund.amount_fen, refund.freight_fen) == ("approved", 1500, 500)
    assert (refund.opened_by_id, refund.decided_by_id, refund.is_shipped) == (
        staff.pk,
        staff.pk,
        True,
    )
    assert balances()["customer_refunds"] == -1500


def test_freight_alone_goes_back_once(order: Order, staff: Staff) -> None:
    complete(order)
    assert give(order, staff, freight_fen=300).amount_fen == 300
    assert refusal(lambda: give(order, staff, freight_fen=201)) == "invalid"
    assert give(order, staff, freight_fen=200).amount_fen == 200
    assert refusal(lambda: give(order, staff, freight_fen=1)) == "invalid"
    assert Refund.objects.count() == 2


def test_staff_give_back_less(order: Order, staff: Staff) -> None:
    refund = give(order, staff, 3, amount_fen=1200)
    assert (refund.amount_fen, refund.freight_fen) == (1200, 0)
    assert refusal(lambda: give(order, staff, 1)) == "over_refund"


def test_goods_come_back_first(order: Order, staff: Staff) -> None:
    complete(order)
    refund = give(order, staff, 2, kind=RefundKind.RETURN)
    assert refund.status == "returning"
    refund = receive_return(refund, user=staff, is_restocked=True)
    assert (refund.status, refund.amount_fen) == ("approved", 2000)


@pytest.mark.parametrize(
    "more",
    [{}, {"freight_fen": 0}, {"freight_fen": 501}, {"freight_fen": -1}, {"count": 1, "amount_fen": 0},
     {"freight_fen": 100, "kind": RefundKind.RETURN}, {"count": 1, "amount_fen": 1001},
     {"count": 1, "kind": RefundKind.RETURN}],
)  # fmt: skip
def test_staff_cannot_refund_what_is_none(order: Order, staff: Staff, more: dict[str, Any]) -> None:
    assert refusal(lambda: give(order, staff, **more)) == "invalid"
    assert not Refund.objects.exists()
    assert lines_of(order)[0].refunded_quantity == 0


@pytest.mark.parametrize(("is_shipped", "released"), [(None, 1), (False, 1), (True, 0)])
def test_staff_say_which_pieces_of_a_line(
    order: Order, staff: Staff, is_shipped: bool | None, released: int
) -> None:
    (line,) = lines_of(order)
    ship(order, **{f"l{line.pk}": 1})
    refund = give(order, staff, 1, is_shipped=is_shipped)
    line.refresh_from_db()
    assert (refund.is_shipped, line.released_quantity) == (released == 0, released)


def test_staff_refund_from_the_order_page(order: Order, staff: Staff, client: Any) -> None:
    client.force_login(staff)
    (line,) = lines_of(order)
    url = reverse("admin:orders_order_refund", args=[order.pk])
    assert client.get(url).context["form"][f"line_{line.pk}"].value() == 0
    form = {"kind": "refund_only", "reason": "补偿", f"line_{line.pk}": "1", "amount_fen": "6.50"}
    client.post(url, form)
    refund = Refund.objects.get()
    assert (refund.amount_fen, refund.reason, refund.opened_by_id) == (650, "补偿", staff.pk)


# Freight is decided when staff agree


def test_the_last_piece_that_is_agreed_brings_the_freight(order: Order, staff: Staff) -> None:
    (line,) = lines_of(order)
    first, second = ask(order, line), ask(order, line, count=2)
    assert [first.freight_fen, second.freight_fen] == [0, 0]
    assert approve_refund(second, user=staff).amount_fen == 2000
    assert approve_refund(first, user=staff).amount_fen == 1500
    for refund in Refund.objects.all():
        arrive(refund)
    order.refresh_from_db()
    assert (order.status, balances()) == (S.CANCELLED, {})


# Large ones


def test_small_steps_of_one_order_are_large_together(
    order: Order, staff: Staff, settings: Any
) -> None:
    settings.REFUND_SECOND_APPROVAL_FEN = 2000
    (line,) = lines_of(order)
    assert approve_refund(ask(order, line), user=staff).status == "approved"
    Refund.objects.update(decided_at=timezone.now() - timedelta(days=30))
    second = approve_refund(ask(order, line), user=make_staff(username="two"))
    assert (second.status, second.first_approved_by.username) == ("requested", "two")
    assert approve_refund(second, user=staff).status == "approved"


def test_small_steps_of_one_day_are_large_together(staff: Staff, settings: Any) -> None:
    """Of one customer, or by one member of staff."""
    settings.REFUND_SECOND_APPROVAL_FEN = 3000
    orders = [pay(make_order(sku=make_sku(price_fen=1999))) for _ in range(2)]
    mine = pay(make_order(orders[0].user, sku=make_sku(price_fen=1999)))
    first, other, same = (ask(one, *lines_of(one)) for one in (*orders, mine))
    two = make_staff(username="two")
    assert approve_refund(first, user=staff).status == "approved"
    assert approve_refund(other, user=staff).status == "requested"
    assert approve_refund(same, user=two).status == "requested"
    # Another day, and nobody's sum is large.
    Refund.objects.filter(pk=first.pk).update(decided_at=timezone.now() - timedelta(days=1))
    assert approve_refund(same, user=two).status == "approved"


def test_an_amount_that_has_risen_needs_two_again(
    order: Order, staff: Staff, settings: Any
) -> None:
    settings.REFUND_SECOND_APPROVAL_FEN = 1000
    two, three = make_staff(username="two"), make_staff(username="three")
    (line,) = lines_of(order)
    first, last = ask(order, line), ask(order, line, count=2)
    approve_refund(last, user=staff)
    for member in (two, three):
        approve_refund(first, user=member)
    # 20.00 were agreed to; with the last pieces it is 25.00 now.
    last = approve_refund(last, user=two)
    assert (last.status, last.amount_fen, last.first_approved_by_id) == ("requested", 2500, two.pk)
    with pytest.raises(SecondApproval):
        approve_refund(last, user=two)
    assert approve_refund(last, user=staff).amount_fen == 2500


def test_many_small_ones_are_not_approved_at_once(
    order: Order, staff: Staff, client: Any, settings: Any
) -> None:
    settings.REFUND_SECOND_APPROVAL_FEN = 2000
    (line,) = lines_of(order)
    chosen = [ask(order, line).pk for _piece in range(3)]
    client.force_login(staff)
    data = {"action": "approve_selected", "_selected_action": chosen, "sure": 1, "decision": "好"}
    client.post(reverse("admin:orders_refund_changelist"), data)
    statuses = Refund.objects.order_by("pk").values_list("status", flat=True)
    assert list(statuses) == ["approved", "requested", "requested"]


# What went back outside the shop


@atomic
def book_outside(order: Order, fen: int) -> Refund:
    now = timezone.now()
    order = Order.objects.lock(order.pk)
    refund = Refund.objects.create(
        order=order, payment=order.payments.get(), number=new_number("R"), kind="external",
        out_refund_no=new_number("X"), amount_fen=fen, status="succeeded", reason="x",
        created_at=now, decided_at=now, succeeded_at=now,
    )  # fmt: skip
    post_external_refund(refund, now=now)
    cancel_if_all_is_back(order, now=now)
    return refund


def test_no_more_goes_back_than_is_left(order: Order, staff: Staff) -> None:
    book_outside(order, 1000)
    payment = order.payments.get()
    assert (left_of(payment), left_at_platform(payment)) == (2500, 2500)
    refund = give(order, staff, 3)
    assert (refund.amount_fen, refund.freight_fen) == (2500, 0)
    arrive(refund)
    order.refresh_from_db()
    assert (order.status, left_of(payment)) == (S.CANCELLED, 0)
    assert balances() == {"goods": -500, "freight": -500, "corrections": 1000}


def test_a_request_from_before_is_capped_when_it_is_agreed(order: Order, staff: Staff) -> None:
    (line,) = lines_of(order)
    asked = [ask(order, line), ask(order, line, count=2)]
    book_outside(order, 3000)
    amounts = [approve_refund(refund, user=staff).amount_fen for refund in asked]
    assert amounts == [500, 0]
    assert Refund.objects.get(pk=asked[1].pk).status == "succeeded"


def test_an_order_follows_when_all_went_back_outside(order: Order, staff: Staff) -> None:
    (line,) = lines_of(order)
    asked = ask(order, line)
    book_outside(order, 3500)
    order.refresh_from_db()
    asked.refresh_from_db()
    line.refresh_from_db()
    assert (order.status, line.released_quantity, line.sku.stock) == (S.CANCELLED, 3, 10)
    assert (asked.status, asked.amount_fen) == ("succeeded", 0)


def test_a_shipped_order_stays_when_all_went_back_outside(order: Order) -> None:
    complete(order)
    book_outside(order, 3500)
    order.refresh_from_db()
    assert order.status == S.COMPLETED


def test_the_day_counts_what_went_back_outside(order: Order) -> None:
    book_outside(order, 1000)
    total = compute_day(timezone.localdate())
    assert (total.sale_fen, total.back_fen) == (3500, 1000)


def test_a_customers_spend_is_what_did_not_go_back(order: Order, staff: Staff, client: Any) -> None:
    complete(order)
    give(order, staff, 1)
    book_outside(order, 500)
    client.force_login(staff)
    page = client.get(reverse("admin:accounts_customer_change", args=[order.user_id]))
    spend = page.context["sections"][0]
    assert spend.rows[0][1][:2] == ["1", "¥20.00"]
