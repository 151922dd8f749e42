"""Stock: taken, given back, adjusted, each time by one conditional UPDATE and with a line in the book."""

import secrets
from collections.abc import Mapping
from functools import cache

from django.db import connection
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from catalog.models import Product, Sku, StockMovement, StockMovementKind
from catalog.services.products import refresh_availability, refresh_product, topic
from miniback.core import read_cache
from miniback.core.errors import Conflict, InvalidFields
from miniback.core.queries import CompiledQuery, insert
from miniback.core.transactions import atomic

MAX_STOCK = 1_000_000_000


class OutOfStock(Conflict):
    code = "out_of_stock"
    detail = _("Out of stock.")


# The ORM's own words, written out: it is the hottest statement of the shop.
TAKE = "UPDATE catalog_sku SET stock = stock - %s WHERE id = %s AND stock >= %s"


@cache
def _with_product(count: int) -> CompiledQuery[Sku]:
    build = Sku.objects.select_related("product").filter
    return CompiledQuery(lambda *ids: build(pk__in=ids), [Sku._meta.pk] * count)


@atomic
def take_stock(quantities: Mapping[int, int], *, reference: str) -> dict[int, Sku]:
    """Take stock for each SKU, all or nothing, and return the SKUs as they are now, with product.

    ``quantities`` maps SKU id to pieces, each at least 1; ``reference`` is what they are for (an
    order number) and makes each movement once only. Raises OutOfStock naming the first SKU that
    falls short or does not exist. Call it before inserting rows that refer to the SKUs: the other
    way round deadlocks on a hot SKU.
    """
    # Ascending id: two checkouts that share SKUs cannot deadlock.
    with connection.cursor() as cursor:
        for sku_id, quantity in sorted(quantities.items()):
            cursor.execute(TAKE, [quantity, sku_id, quantity])
            if cursor.rowcount != 1:
                raise OutOfStock(sku=sku_id)
    skus = {sku.pk: sku for sku in _with_product(len(quantities)).all(*quantities)}
    _record(StockMovementKind.RESERVE, {i: -n for i, n in quantities.items()}, reference)
    refresh_availability(sku.product_id for sku in skus.values() if sku.stock == 0)
    for product_id in {sku.product_id for sku in skus.values()}:
        read_cache.forget_on_commit(topic(product_id))
    return skus


@atomic
def give_back_stock(
    quantities: Mapping[int, int],
    *,
    reference: str,
    occasion: str = "",
    kind: StockMovementKind = StockMovementKind.RELEASE,
) -> None:
    """Give back pieces that were taken for ``reference``, once an ``occasion``.

    A repeat breaks the movement's unique key. Without an occasion all of it comes back.
    """
    for sku_id, quantity in sorted(quantities.items()):
        Sku.objects.filter(id=sku_id).update(stock=F("stock") + quantity)
    _record(kind, quantities, reference, occasion=occasion)
    products = dict(Product.objects.filter(skus__in=quantities).values_list("id", "in_stock"))
    refresh_availability(product_id for product_id, in_stock in products.items() if not in_stock)
    for product_id in products:
        read_cache.forget_on_commit(topic(product_id))


@atomic
def adjust_stock(
    sku: Sku, *, delta: int, note: str, kind: StockMovementKind = StockMovementKind.ADJUST
) -> Sku:
    """Add pieces, or remove them (negative), for a reason that is kept. Raises OutOfStock.

    A change, never a new total: orders go on while staff count.
    """
    if delta == 0 or abs(delta) > MAX_STOCK:
        raise InvalidFields(delta=_("Enter a change between -1,000,000,000 and 1,000,000,000."))
    enough = Sku.objects.filter(id=sku.pk, stock__gte=-delta, stock__lte=MAX_STOCK - delta)
    if not enough.update(stock=F("stock") + delta):
        raise OutOfStock(_("There are not that many pieces."), sku=sku.pk)
    reference = f"{kind}-{secrets.token_hex(8)}"
    _record(kind, {sku.pk: delta}, reference, note=note)
    refresh_product(sku.product_id)
    sku.refresh_from_db(fields=["stock"])
    return sku


def _record(
    kind: StockMovementKind,
    deltas: Mapping[int, int],
    reference: str,
    *,
    occasion: str = "",
    note: str = "",
) -> None:
    insert(
        *(
            StockMovement(
                sku_id=sku_id,
                kind=kind,
                delta=delta,
                reference=reference,
                event_key=":".join(filter(None, [kind, reference, occasion, str(sku_id)])),
                note=note,
            )
            for sku_id, delta in sorted(deltas.items())
        )
    )
