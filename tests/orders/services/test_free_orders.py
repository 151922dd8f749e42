"""Orders and lines that cost nothing are cancelled, released, refunded and completed like others."""

from typing import Any

import pytest

from accounts.models import Staff, User
from catalog.models import Sku
from miniback.core.errors import DomainError
from miniback.platforms.contract import PlatformRefund
from orders.models import Carrier, Order, OrderLine, Refund
from orders.services import desk
from orders.services.after_sales import request_refund
from orders.services.audit import audit
from orders.services.cancellation import cancel_order
from orders.services.checkout import place_order
from orders.services.fulfillment import confirm_receipt, ship_order
from orders.services.refund_decisions import approve_refund, receive_return
from orders.services.refunds import record_refund
from orders.status import Actor, OrderStatus, RefundKind
from tests.factories import make_address, make_claim, make_sku, make_staff, pay
from tests.orders.services.test_refund_amounts import balances

pytestmark = pytest.mark.django_db
S = OrderStatus


@pytest.fixture(autouse=True)
def _books_agree(sandbox: Any) -> Any:
    yield
    assert [failure for _rule, failure in audit() if failure] == []


@pytest.fixture
def staff(db: None) -> Staff:
    return make_staff()


@pytest.fixture
def free(customer: User) -> Order:
    """Two pieces of what costs nothing."""
    return buy(customer, {make_sku(price_fen=0, stock=10): 2})


@pytest.fixture
def with_gift(customer: User) -> Order:
    """A piece at 10.00, and a gift."""
    return pay(
        buy(customer, {make_sku(price_fen=1000, stock=10): 1, make_sku(price_fen=0, stock=10): 1})
    )


def buy(user: User, pieces: dict[Sku, int], **more: Any) -> Order:
    address = user.addresses.first() or make_address(user)
    return place_order(
        user,
        quantities={sku.pk: count for sku, count in pieces.items()},
        address_id=address.pk,
        payable_fen=more.pop("payable_fen", sum(s.price_fen * n for s, n in pieces.items())),
        **more,
    )


def ship(order: Order, **quantities: int) -> None:
    carrier = Carrier.objects.get_or_create(code="SF", defaults={"name": "SF"})[0]
    pieces = {int(pk.removeprefix("l")): count for pk, count in quantities.items()}
    ship_order(order, carrier=carrier, tracking_number="SF1", user=None, quantities=pieces)


def lines_of(order: Order) -> tuple[OrderLine, ...]:
    return tuple(order.lines.order_by("unit_fen", "pk"))


def ask(order: Order, *lines: OrderLine, count: int = 1, kind: str = "refund_only") -> Refund:
    quantities = {line.pk: count for line in lines}
    return request_refund(order, quantities=quantities, kind=RefundKind(kind), reason="x")


def arrive(refund: Refund) -> None:
    """The platform has paid it."""
    refund.refresh_from_db()
    assert refund.payment and refund.out_refund_no
    answer = (
        refund.out_refund_no,
        refund.payment.number,
        "50",
        "SUCCESS",
        refund.amount_fen,
        "CNY",
    )
    record_refund(PlatformRefund(*answer))


def stocks() -> list[int]:
    return list(Sku.objects.order_by("price_fen", "pk").values_list("stock", flat=True))


def test_the_rest_of_a_partly_shipped_free_order_is_called_off(free: Order, staff: Staff) -> None:
    (line,) = lines_of(free)
    ship(free, **{f"l{line.pk}": 1})
    desk.call_off(free, reason="缺货", user=staff)
    free.refresh_from_db()
    refund = Refund.objects.get()
    assert (free.status, refund.status, refund.amount_fen) == (S.SHIPPED, "succeeded", 0)
    assert (refund.payment, refund.out_refund_no, stocks()) == (None, None, [9])
    confirm_receipt(free, actor=Actor.CUSTOMER)
    free.refresh_from_db()
    assert free.status == S.COMPLETED


def test_a_gift_that_cannot_be_shipped_is_released(with_gift: Order, staff: Staff) -> None:
    gift, paid = lines_of(with_gift)
    ship(with_gift, **{f"l{paid.pk}": 1})
    desk.call_off(with_gift, reason="缺货", user=staff)
    with_gift.refresh_from_db()
    assert (with_gift.status, stocks()) == (S.SHIPPED, [10, 9])
    gift.refresh_from_db()
    assert (gift.released_quantity, Refund.objects.get().amount_fen) == (1, 0)


def test_an_order_ends_with_a_gift_when_all_money_is_back(with_gift: Order, staff: Staff) -> None:
    _gift, paid = lines_of(with_gift)
    refund = approve_refund(ask(with_gift, paid), user=staff)
    arrive(refund)
    with_gift.refresh_from_db()
    assert (with_gift.status, stocks()) == (S.PAID, [9, 10])
    desk.call_off(with_gift, reason="缺货", user=staff)
    with_gift.refresh_from_db()
    assert (with_gift.status, stocks(), balances()) == (S.CANCELLED, [10, 10], {})


def test_a_gift_goes_back_with_what_was_paid(with_gift: Order, staff: Staff) -> None:
    refund = approve_refund(ask(with_gift, *lines_of(with_gift)), user=staff)
    assert refund.amount_fen == 1000
    arrive(refund)
    with_gift.refresh_from_db()
    assert (with_gift.status, stocks()) == (S.CANCELLED, [10, 10])


@pytest.mark.parametrize("is_restocked", [True, False])
def test_a_free_piece_is_returned(free: Order, staff: Staff, is_restocked: bool) -> None:
    (line,) = lines_of(free)
    ship(free, **{f"l{line.pk}": 2})
    confirm_receipt(free, actor=Actor.CUSTOMER)
    free.refresh_from_db()
    refund = approve_refund(ask(free, line, kind="return"), user=staff)
    assert refund.status == "returning"
    receive_return(refund, user=staff, is_restocked=is_restocked)
    refund.refresh_from_db()
    assert (refund.status, stocks()) == ("succeeded", [9 if is_restocked else 8])


def test_what_is_left_of_a_free_order_is_cancelled(free: Order, staff: Staff) -> None:
    """One piece was released, one is asked back: stock comes back once, the request ends."""
    (line,) = lines_of(free)
    approve_refund(ask(free, line), user=staff)
    pending = ask(free, line)
    assert stocks() == [9]
    cancel_order(free, actor=Actor.CUSTOMER)
    pending.refresh_from_db()
    free.refresh_from_db()
    assert (free.status, pending.status, stocks()) == (S.CANCELLED, "withdrawn", [10])


def test_a_free_order_ends_with_its_last_piece(free: Order, staff: Staff) -> None:
    approve_refund(ask(free, *lines_of(free), count=2), user=staff)
    free.refresh_from_db()
    assert (free.status, stocks()) == (S.CANCELLED, [10])


def test_nothing_is_refunded_of_nothing(free: Order, staff: Staff) -> None:
    (line,) = lines_of(free)
    ask(free, line, count=2)
    with pytest.raises(DomainError) as raised:
        ask(free, line)
    assert raised.value.code == "over_refund"
    with pytest.raises(DomainError) as raised:
        ship(free, **{f"l{line.pk}": 1})
    assert raised.value.code == "refund_open"


def test_a_discount_of_everything_is_taken_back_by_pieces(customer: User, staff: Staff) -> None:
    """Three pieces at 10.00, 30.00 off: nothing was paid, and the discount comes back by thirds."""
    make_address(customer)
    sku, claimed = make_sku(price_fen=1000, stock=10), make_claim(customer, off=3000)
    order = buy(customer, {sku: 3}, payable_fen=0, coupon_id=claimed.pk)
    assert balances() == {"goods": -3000, "coupons": 3000}
    (line,) = lines_of(order)
    approve_refund(ask(order, line), user=staff)
    assert balances() == {"goods": -2000, "coupons": 2000}
    approve_refund(ask(order, line, count=2), user=staff)
    claimed.refresh_from_db()
    order.refresh_from_db()
    assert (order.status, balances(), claimed.used_at) == (S.CANCELLED, {}, None)
