"""From a choice of SKUs to a quote, and from a quote to an order."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Address
from catalog.models import Sku
from catalog.services.stock import OutOfStock, take_stock
from miniback.core.errors import Conflict, Refused
from miniback.core.models import remember
from miniback.core.money import MAX_FEN
from miniback.core.queries import insert
from miniback.core.transactions import atomic
from orders import freight
from orders.models import CartLine, Order, OrderLine, new_number
from orders.pricing import Amounts, Discount, price
from orders.services.cart import NotBuyable
from orders.services.coupons import (
    CouponNotUsable,
    QuotedCoupon,
    discount_of,
    quote_coupons,
    use_coupon,
)
from orders.services.delivery import (
    NotDelivered,
    address_columns,
    loads_of,
    not_delivered,
    own_address,
    place_of,
)
from orders.services.life import record_event
from orders.services.lines import OverLimit, PricedLine, over_limit, priced, refuse_over_limit
from orders.services.settlement import settle_free_order
from orders.status import Actor

MAX_ORDER_LINES = 100


class CartEmpty(Conflict):
    code = "cart_empty"
    detail = _("Nothing in the cart is selected.")


class PriceChanged(Conflict):
    code = "price_changed"
    detail = _("The price has changed. Please look at the order again.")


class OrderTooLarge(Refused):
    code = "order_too_large"
    detail = _("An order has at most 100 lines and costs at most 100,000,000 yuan.")


class Problem(NamedTuple):
    """Why it cannot be ordered; ``code`` is the one that ordering would answer.

    ``left`` says how many pieces could be had; ``reason`` why a coupon takes nothing off.
    """

    code: str
    sku: int | None = None
    coupon: int | None = None
    left: int | None = None
    reason: str = ""


class Quote(NamedTuple):
    lines: list[PricedLine]
    amounts: Amounts
    coupons: list[QuotedCoupon]
    problems: list[Problem]


def quote(
    user: Any,
    *,
    quantities: Mapping[int, int] | None,
    address_id: int | None = None,
    coupon_id: int | None = None,
) -> Quote:
    """Say what an order of ``quantities`` (SKU id -> pieces; None: the cart's selection) would cost.

    Nothing is reserved. Everything that stands in the way of a line is a problem, and so is a
    chosen coupon (a claimed one's id) that takes nothing off. Without an address freight is that of
    everywhere else. Raises CartEmpty, OrderTooLarge, NotFound (address, coupon).
    """
    wanted = _cart_selection(user) if quantities is None else quantities
    _check_size(wanted)
    lines = priced(Sku.objects.select_related("product").in_bulk(wanted), wanted)
    place = None if address_id is None else place_of(own_address(user, address_id))
    loads = loads_of(lines)
    problems = _problems(user, wanted, lines, not_delivered(loads, lines, place))
    freight_fen = freight.total(loads.values(), place)
    coupons = quote_coupons(user, lines, freight_fen=freight_fen, chosen_id=coupon_id)
    off = None
    for row in coupons:
        if row.claimed.pk == coupon_id:
            off = row.off if isinstance(row.off, Discount) else None
            if row.reason:
                problems.append(Problem(CouponNotUsable.code, coupon=coupon_id, reason=row.reason))
    amounts = price([line.total_fen for line in lines], freight_fen=freight_fen, off=off)
    return Quote(lines, amounts, coupons, problems)


def _problems(
    user: Any, wanted: Mapping[int, int], lines: Sequence[PricedLine], undelivered: set[int]
) -> list[Problem]:
    found = []
    by_sku = {line.sku.pk: line.sku for line in lines}
    over = over_limit(user, lines)
    for sku_id, quantity in wanted.items():
        sku = by_sku.get(sku_id)
        if sku is None or not sku.is_buyable:
            found.append(Problem(NotBuyable.code, sku_id))
            continue
        if sku.stock < quantity:
            found.append(Problem(OutOfStock.code, sku_id, left=sku.stock))
        if sku.product_id in over:
            found.append(Problem(OverLimit.code, sku_id, left=over[sku.product_id]))
        if sku_id in undelivered:
            found.append(Problem(NotDelivered.code, sku_id))
    return found


@atomic
def place_order(
    user: Any,
    *,
    quantities: Mapping[int, int] | None,
    address_id: int,
    payable_fen: int,
    coupon_id: int | None = None,
    note: str = "",
) -> Order:
    """Take the stock and write the order, all or nothing. One that costs nothing is paid at once.

    ``quantities`` maps SKU id to pieces; None takes, and spends, the cart's selected lines.
    ``payable_fen`` is what the customer saw. Raises CartEmpty, OrderTooLarge, OutOfStock,
    NotBuyable, OverLimit, NotFound (address, coupon), CouponNotUsable, NotDelivered, PriceChanged.
    Call it through ``run_once``.
    """
    now = timezone.now()
    wanted = _spend_cart_selection(user) if quantities is None else quantities
    _check_size(wanted)
    if coupon_id is not None:
        use_coupon(user, coupon_id, now=now)
    number = new_number("O")
    # Read after the stock was taken, so under its lock: what is checked is what is sold.
    skus = take_stock(wanted, reference=number)
    lines = priced(skus, dict(sorted(wanted.items())))
    _refuse_what_is_not_sold(user, lines)
    address = own_address(user, address_id)
    amounts, off = _amounts(user, lines, address, coupon_id, now)
    _check_payable(amounts.payable_fen, seen_fen=payable_fen)
    order = Order(
        number=number,
        user=user,
        note=note,
        placed_at=now,
        placed_on=timezone.localdate(now),
        pay_before=now.replace(microsecond=0) + settings.UNPAID_ORDER_LIFETIME,
        claimed_coupon_id=coupon_id,
        payable_fen=amounts.payable_fen,
        **amounts._asdict(),
        **address_columns(address),
    )
    _write(order, lines, off, now=now)
    return order


def _write(
    order: Order, lines: Sequence[PricedLine], off: Discount | None, *, now: datetime
) -> None:
    insert(order)
    discounts = off.lines if off else [0] * len(lines)
    made = insert(*map(_line, [order] * len(lines), lines, discounts))
    event = record_event(order, actor=Actor.CUSTOMER, now=now, user=order.user)
    if not order.payable_fen:
        settle_free_order(order, now=now)
    elif made[0].pk:
        # Everything there is to show of it.
        remember(order, lines=made, events=[event], shipments=[], refunds=[])


def _refuse_what_is_not_sold(user: Any, lines: Sequence[PricedLine]) -> None:
    for line in lines:
        if not line.sku.is_buyable:
            raise NotBuyable(sku=line.sku.pk)
    refuse_over_limit(user, lines)


def _amounts(
    user: Any,
    lines: Sequence[PricedLine],
    address: Address,
    coupon_id: int | None,
    now: datetime,
) -> tuple[Amounts, Discount | None]:
    place, loads = place_of(address), loads_of(lines)
    for sku_id in sorted(not_delivered(loads, lines, place)):
        raise NotDelivered(sku=sku_id)
    freight_fen = freight.total(loads.values(), place)
    off = None
    if coupon_id is not None:
        off = discount_of(user, coupon_id, lines, freight_fen=freight_fen, now=now)
    return price([line.total_fen for line in lines], freight_fen=freight_fen, off=off), off


def _check_payable(payable_fen: int, *, seen_fen: int) -> None:
    if payable_fen != seen_fen:
        raise PriceChanged(payable_fen=payable_fen)
    if payable_fen > MAX_FEN:
        raise OrderTooLarge


def _check_size(wanted: Mapping[int, int]) -> None:
    if len(wanted) > MAX_ORDER_LINES:
        raise OrderTooLarge


def _cart_selection(user: Any) -> dict[int, int]:
    selected = CartLine.objects.for_customer(user).filter(is_selected=True).order_by("id")
    wanted = dict(selected.values_list("sku_id", "quantity"))
    if not wanted:
        raise CartEmpty
    return wanted


def _spend_cart_selection(user: Any) -> dict[int, int]:
    """Read the selected lines and delete exactly those: a cart line is spent once."""
    selected = CartLine.objects.for_customer(user).filter(is_selected=True).order_by("id")
    rows = list(selected.select_for_update().values_list("id", "sku_id", "quantity"))
    spent, _by_model = CartLine.objects.filter(id__in=[row_id for row_id, *_rest in rows]).delete()
    if not rows or spent != len(rows):
        raise CartEmpty
    return {sku_id: quantity for _row_id, sku_id, quantity in rows}


def _line(order: Order, line: PricedLine, discount_fen: int) -> OrderLine:
    sku = line.sku
    return OrderLine(
        order=order,
        sku=sku,
        product=sku.product,
        name=sku.product.name,
        sku_code=sku.code,
        options=sku.options,
        picture=sku.picture.name or sku.product.cover.name,
        unit_fen=sku.price_fen,
        quantity=line.quantity,
        discount_fen=discount_fen,
    )
