"""What somebody wants to buy: SKUs and pieces at today's price, and how many he may buy."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from django.db.models import F, Sum
from django.utils.translation import gettext_lazy as _

from catalog.models import Product, Sku
from miniback.core.errors import Conflict
from orders.models import OrderLine
from orders.status import OrderStatus


class OverLimit(Conflict):
    code = "over_limit"
    detail = _("One customer may not buy that many of this product.")


class PricedLine(NamedTuple):
    sku: Sku
    quantity: int

    @property
    def total_fen(self) -> int:
        return int(self.sku.price_fen * self.quantity)


def priced(skus: Mapping[int, Sku], wanted: Mapping[int, int]) -> list[PricedLine]:
    """The SKUs that exist, in the order in which they were wanted."""
    return [PricedLine(skus[sku_id], count) for sku_id, count in wanted.items() if sku_id in skus]


def over_limit(user: Any, lines: Iterable[PricedLine]) -> dict[int, int]:
    """Products of which ``lines`` hold more than the customer may still buy: product id -> how many.

    What he bought before counts, except what was cancelled or refunded before it was shipped.
    """
    limits: dict[int, int] = {}
    pieces: dict[int, int] = {}
    for line in lines:
        product = line.sku.product
        if product.purchase_limit is not None:
            limits[product.pk] = product.purchase_limit
            pieces[product.pk] = pieces.get(product.pk, 0) + line.quantity
    if not limits:
        return {}
    bought = (
        OrderLine.objects.filter(order__user=user, product__in=limits)
        .exclude(order__status=OrderStatus.CANCELLED)
        .values_list("product_id")
        .annotate(pieces=Sum(F("quantity") - F("released_quantity")))
    )
    left = limits | {pk: max(limits[pk] - count, 0) for pk, count in bought}
    return {pk: left[pk] for pk in limits if pieces[pk] > left[pk]}


def refuse_over_limit(user: Any, lines: Iterable[PricedLine]) -> None:
    """Raises OverLimit. Call it in the transaction of the order, after the stock was taken."""
    lines = list(lines)
    limited = {line.sku.product_id for line in lines if line.sku.product.purchase_limit is not None}
    if not limited:
        return
    # One buyer of a limited product at a time: two orders of one customer must see each other.
    list(Product.objects.select_for_update().filter(pk__in=limited).order_by("pk").only("pk"))
    over = over_limit(user, lines)
    for line in lines:
        if line.sku.product_id in over:
            raise OverLimit(sku=line.sku.pk, left=over[line.sku.product_id])
