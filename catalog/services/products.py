"""What stands on a product's own row, kept right whenever something under it changes."""

import itertools
import math
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

import nh3
from django.db.models import F, Min, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.models import Brand, Category, Product, ProductStatus, Sku
from catalog.services.search import index_products
from miniback.core import outbox, read_cache
from miniback.core.clock import database_now
from miniback.core.due import try_each
from miniback.core.errors import Refused
from miniback.core.models import Lane
from miniback.core.transactions import atomic

BATCH = 200
MAX_SKUS = 200
# Of an outbox message: {"category": id} or {"brand": id} has a new name.
REINDEX: Final = "catalog.reindex"


def topic(product_id: int) -> str:
    """What the read cache calls answers about one product."""
    return f"product:{product_id}"


def refresh_availability(product_ids: Iterable[int]) -> None:
    """Write ``in_stock`` of each product from its SKUs, where it is no longer true."""
    for product_id in sorted(set(product_ids)):
        buyable = Sku.objects.filter(product_id=product_id, is_active=True, stock__gt=0).exists()
        stale = Product.objects.filter(id=product_id).exclude(in_stock=buyable)
        if stale.update(in_stock=buyable):
            read_cache.forget_on_commit()


@atomic
def refresh_product(product_id: int) -> bool:
    """Write a product's lowest price and availability from its active SKUs, after one was changed.

    A new price goes to the search index, too; return whether there was one.
    """
    active = Sku.objects.filter(product_id=product_id, is_active=True)
    lowest = active.aggregate(price=Min("price_fen"), market=Min("market_price_fen"))
    price, product = lowest["price"] or 0, Product.objects.filter(id=product_id)
    product.update(market_price_fen=lowest["market"])
    has_new_price = bool(product.exclude(price_fen=price).update(price_fen=price))
    if has_new_price:
        index_products([product_id])
    refresh_availability([product_id])
    read_cache.forget_on_commit()
    return has_new_price


class TooManySkus(Refused):
    code = "too_many_skus"
    detail = _("The options make more than 200 SKUs.")


@atomic
def make_missing_skus(product: Product) -> int:
    """Make a SKU for each combination of a product's options that has none; return how many.

    They cost what the product's cheapest does, and are inactive until staff have looked at them.
    Raises TooManySkus.
    """
    options = list(product.options.order_by("position", "pk").values_list("name", "values"))
    if not options:
        return 0
    if math.prod(len(values) for _option, values in options) > MAX_SKUS:
        raise TooManySkus
    there = list(product.skus.values_list("options", flat=True))
    names = [name for name, _values in options]
    wanted = (
        dict(zip(names, values, strict=True))
        for values in itertools.product(*(values for _option, values in options))
    )
    made = [
        Sku.objects.create(
            product=product,
            code=f"{product.pk}-{secrets.token_hex(4)}",
            options=chosen,
            price_fen=product.price_fen,
            is_active=False,
        )
        for chosen in wanted
        if chosen not in there
    ]
    return len(made)


@atomic
def set_status(product_ids: Collection[int], status: ProductStatus) -> int:
    """Put products on sale or take them off; return how many were not so already."""
    now = timezone.now()
    changed = Product.objects.filter(pk__in=product_ids).exclude(status=status)
    if status == ProductStatus.ON_SALE:
        # What was planned for later is published now.
        changed.filter(published_at__gt=now).update(published_at=now)
    count = changed.update(status=status)
    index_products(product_ids)
    read_cache.forget_on_commit()
    return count


def publish_due_products() -> None:
    """Put scheduled products on sale whose time has come."""
    try_each(_due_products().order_by("?")[:BATCH], _publish)


def _due_products() -> QuerySet[Product]:
    return Product.objects.filter(status=ProductStatus.SCHEDULED, published_at__lte=database_now())


@atomic
def _publish(product: Product) -> None:
    # Staff may have changed their mind meanwhile.
    if _due_products().filter(pk=product.pk).update(status=ProductStatus.ON_SALE):
        index_products([product.pk])


def announce_new_name(named: Category | Brand) -> None:
    """Have the products of a renamed category or brand indexed again, soon."""
    outbox.post(
        topic=REINDEX,
        event_key=f"{REINDEX}:{secrets.token_hex(8)}",
        payload={named._meta.model_name or "": named.pk},
        lane=Lane.LONG,
    )


def reindex_named(named: dict[str, int]) -> None:
    """Bring the products up to date whose category or brand has a new name: {"brand": id}."""
    for _done in reindex(named):
        pass


def reindex(wanted: Mapping[str, int]) -> Iterator[int]:
    """Index products again, all or those of {"brand": id}; yield how many a batch had."""
    last = 0
    while True:
        after = Product.objects.filter(pk__gt=last, **wanted).order_by("pk")
        ids = list(after.values_list("pk", flat=True)[:BATCH])
        if not ids:
            return
        index_products(ids)
        last = ids[-1]
        yield len(ids)


def count_sales(pieces: Mapping[int, int]) -> None:
    """Add sold pieces to products; ``pieces`` maps product id to a number."""
    for product_id, count in sorted(pieces.items()):
        Product.objects.filter(id=product_id).update(sales_count=F("sales_count") + count)


def clean_html(html: str) -> str:
    """Rich text with an allow-list of tags: no script, style, frame or handler is left."""
    return nh3.clean(html)
