"""From a choice of SKUs to a quote, and from a quote to an order."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Address, phone_hashes
from catalog.models import FreightRule, Sku
from catalog.services import take_stock
from miniback.core.errors import Conflict, NotFound, Refused
from miniback.core.money import MAX_FEN
from miniback.core.transactions import atomic
from orders import freight
from orders.models import CartLine, Order, OrderLine, new_number
from orders.pricing import Amounts, price
from orders.services.cart import NotBuyable
from orders.services.life import record_event
from orders.status import Actor

MAX_ORDER_LINES = 50


class CartEmpty(Conflict):
    code = "cart_empty"
    detail = _("Nothing in the cart is selected.")


class PriceChanged(Conflict):
    code = "price_changed"
    detail = _("The price has changed. Please look at the order again.")


class OrderTooLarge(Refused):
    code = "order_too_large"
    detail = _("An order has at most 50 lines and costs at most 100,000,000 yuan.")


class NotDelivered(Conflict):
    code = "not_delivered"
    detail = _("This article is not delivered there.")


class NothingToPay(Refused):
    code = "nothing_to_pay"
    detail = _("An order must cost at least 0.01 yuan.")


class Problem(NamedTuple):
    """Why a line cannot be ordered; ``code`` is the one that ordering would answer."""

    sku: int
    code: str


class QuoteLine(NamedTuple):
    sku: Sku
    quantity: int

    @property
    def total_fen(self) -> int:
        return int(self.sku.price_fen * self.quantity)


class Quote(NamedTuple):
    lines: list[QuoteLine]
    amounts: Amounts
    problems: list[Problem]


def quote(
    user: Any, *, quantities: Mapping[int, int] | None, address_id: int | None = None
) -> Quote:
    """Say what an order of ``quantities`` (SKU id -> pieces; None: the cart's selection) would cost.

    Nothing is reserved. Every line that could not be ordered has a problem. Without an address
    freight is that of everywhere else. Raises CartEmpty, OrderTooLarge, NotFound (address).
    """
    wanted = _cart_selection(user) if quantities is None else quantities
    _check_size(wanted)
    skus = Sku.objects.select_related("product").in_bulk(wanted)
    problems = []
    for sku_id, quantity in wanted.items():
        sku = skus.get(sku_id)
        if sku is None or not sku.is_buyable:
            problems.append(Problem(sku_id, NotBuyable.code))
        elif sku.stock < quantity:
            problems.append(Problem(sku_id, "out_of_stock"))
    place = None if address_id is None else _place(_own_address(user, address_id))
    loads = _loads(skus, wanted)
    refused = {problem.sku for problem in problems}
    for sku_id in _not_delivered(loads, skus, place):
        if sku_id not in refused:
            problems.append(Problem(sku_id, NotDelivered.code))
    lines = [QuoteLine(skus[i], quantity) for i, quantity in wanted.items() if i in skus]
    amounts = price(
        ((line.sku.price_fen, line.quantity) for line in lines),
        freight_fen=freight.total(loads.values(), place),
    )
    return Quote(lines, amounts, problems)


@atomic
def place_order(
    user: Any,
    *,
    quantities: Mapping[int, int] | None,
    address_id: int,
    payable_fen: int,
    note: str = "",
) -> Order:
    """Take the stock and write the order, all or nothing.

    ``quantities`` maps SKU id to pieces; None takes, and spends, the cart's selected lines.
    ``payable_fen`` is what the customer saw. Raises CartEmpty, OrderTooLarge, OutOfStock,
    NotBuyable, NotFound (address), NotDelivered, PriceChanged, NothingToPay. Call it through ``run_once``.
    """
    now = timezone.now()
    wanted = _spend_cart_selection(user) if quantities is None else quantities
    _check_size(wanted)
    number = new_number("O")
    skus = take_stock(wanted, reference=number)
    address = _own_address(user, address_id)
    amounts = _amounts(skus, wanted, _place(address))
    _check_payable(amounts.payable_fen, seen_fen=payable_fen)
    order = Order.objects.create(
        number=number,
        user=user,
        note=note,
        placed_at=now,
        placed_on=timezone.localdate(now),
        pay_before=now.replace(microsecond=0) + settings.UNPAID_ORDER_LIFETIME,
        payable_fen=amounts.payable_fen,
        **amounts._asdict(),
        **_address_columns(address),
    )
    OrderLine.objects.bulk_create(
        _line(order, skus[sku_id], quantity) for sku_id, quantity in sorted(wanted.items())
    )
    record_event(order, actor=Actor.CUSTOMER, now=now, user=user)
    return order


def _amounts(skus: Mapping[int, Sku], wanted: Mapping[int, int], place: freight.Place) -> Amounts:
    """Read after the stock was taken, so under its lock: what is checked is what is sold."""
    for sku in skus.values():
        if not sku.is_buyable:
            raise NotBuyable(sku=sku.pk)
    loads = _loads(skus, wanted)
    for sku_id in _not_delivered(loads, skus, place):
        raise NotDelivered(sku=sku_id)
    return price(
        ((skus[i].price_fen, quantity) for i, quantity in wanted.items()),
        freight_fen=freight.total(loads.values(), place),
    )


def _check_payable(payable_fen: int, *, seen_fen: int) -> None:
    if payable_fen != seen_fen:
        raise PriceChanged(payable_fen=payable_fen)
    if payable_fen <= 0:
        raise NothingToPay
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


def _own_address(user: Any, address_id: int) -> Address:
    address = Address.objects.for_customer(user).filter(pk=address_id).first()
    if address is None:
        raise NotFound(_("There is no such address."))
    return address


def _address_columns(address: Address) -> dict[str, str]:
    copied = ["recipient", "phone", "province", "city", "district", "detail", "region_code"]
    return {name: getattr(address, name) for name in copied} | phone_hashes(address.phone)


def _place(address: Address) -> freight.Place:
    return freight.Place(address.province, address.city, address.region_code)


def _loads(skus: Mapping[int, Sku], wanted: Mapping[int, int]) -> dict[int, freight.Load]:
    """What each freight template of these SKUs has to carry, from one query if there is any."""
    by_template: dict[int, list[Sku]] = {}
    for sku in skus.values():
        if sku.product.freight_template_id is not None:
            by_template.setdefault(sku.product.freight_template_id, []).append(sku)
    if not by_template:
        return {}
    rules = FreightRule.objects.filter(template__in=by_template).select_related("template")
    grouped: dict[int, list[FreightRule]] = {template_id: [] for template_id in by_template}
    for rule in rules.order_by("id"):
        grouped[rule.template_id].append(rule)
    return {
        template_id: freight.Load(
            unit=grouped[template_id][0].template.unit if grouped[template_id] else freight.FIXED,
            rules=[_rule(rule) for rule in grouped[template_id]],
            pieces=sum(wanted[sku.pk] for sku in carried),
            weight_g=sum(wanted[sku.pk] * sku.weight_g for sku in carried),
            goods_fen=sum(wanted[sku.pk] * sku.price_fen for sku in carried),
        )
        for template_id, carried in by_template.items()
    }


def _rule(rule: FreightRule) -> freight.Rule:
    return freight.Rule(**{name: getattr(rule, name) for name in freight.Rule._fields})


def _not_delivered(
    loads: Mapping[int, freight.Load], skus: Mapping[int, Sku], place: freight.Place | None
) -> list[int]:
    """SKUs whose template does not deliver to the place."""
    refused = {key for key, load in loads.items() if freight.freight_of(load, place) is None}
    return sorted(pk for pk, sku in skus.items() if sku.product.freight_template_id in refused)


def _line(order: Order, sku: Sku, quantity: int) -> OrderLine:
    return OrderLine(
        order=order,
        sku=sku,
        product=sku.product,
        name=sku.product.name,
        sku_code=sku.code,
        options=sku.options,
        picture=sku.picture.name or sku.product.cover.name,
        unit_fen=sku.price_fen,
        quantity=quantity,
    )
