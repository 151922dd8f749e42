"""Domain operations on the catalogue: stock, prices, publication, sales, reviews."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import nh3
from django.db import connection
from django.db.models import F, Min
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.models import Product, Review, Sku, StockMovement, StockMovementKind
from miniback.core.errors import Conflict, InvalidFields
from miniback.core.models import UploadPurpose
from miniback.core.queries import CompiledQuery, insert
from miniback.core.transactions import atomic
from miniback.core.uploads import refuse_foreign_uploads

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
    sold_out = Product.objects.filter(skus__in=quantities, in_stock=False)
    refresh_availability(sold_out.values_list("id", flat=True))


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


def refresh_availability(product_ids: Iterable[int]) -> None:
    """Write ``in_stock`` of each product from its SKUs, where it is no longer true."""
    for product_id in sorted(set(product_ids)):
        buyable = Sku.objects.filter(product_id=product_id, is_active=True, stock__gt=0).exists()
        Product.objects.filter(id=product_id).exclude(in_stock=buyable).update(in_stock=buyable)


@atomic
def refresh_product(product_id: int) -> None:
    """Write a product's lowest price and availability from its active SKUs, after one was changed."""
    active = Sku.objects.filter(product_id=product_id, is_active=True)
    lowest = active.aggregate(price=Min("price_fen"), market=Min("market_price_fen"))
    Product.objects.filter(id=product_id).update(
        price_fen=lowest["price"] or 0, market_price_fen=lowest["market"]
    )
    refresh_availability([product_id])


def count_sales(pieces: Mapping[int, int]) -> None:
    """Add sold pieces to products; ``pieces`` maps product id to a number."""
    for product_id, count in sorted(pieces.items()):
        Product.objects.filter(id=product_id).update(sales_count=F("sales_count") + count)


@atomic
def write_review(
    user: Any,
    *,
    product_id: int,
    sku_id: int,
    reference: str,
    rating: int,
    text: str,
    images: Sequence[str],
    is_anonymous: bool,
) -> Review:
    """Keep what a customer says of a bought line; ``reference`` names the line and is unique.

    ``images`` are ids of his uploads. Raises NotFound (an upload that is not his).
    """
    refuse_foreign_uploads(images, user_id=user.pk, purpose=UploadPurpose.REVIEW)
    return Review.objects.create(
        user=user,
        product_id=product_id,
        sku_id=sku_id,
        reference=reference,
        rating=rating,
        text=text,
        images=list(images),
        is_anonymous=is_anonymous,
        created_at=timezone.now(),
    )


def clean_html(html: str) -> str:
    """Rich text with an allow-list of tags: no script, style, frame or handler is left."""
    return nh3.clean(html)
