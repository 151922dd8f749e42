"""What staff do to many products at once, and a product made from another."""

import secrets
from collections.abc import Collection

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.models import Product, ProductOption, ProductPicture, ProductStatus, Sku
from catalog.services.products import refresh_product
from catalog.services.stock import adjust_stock
from miniback.core.errors import InvalidFields
from miniback.core.money import MAX_FEN
from miniback.core.transactions import atomic

# One transaction: what a page of the list holds, and no more.
MOST = 200
OWN = (
    "category", "brand", "freight_template", "name", "subtitle", "cover", "detail_html",
    "purchase_limit", "tags", "attributes",
)  # fmt: skip


@atomic
def duplicate_product(product: Product) -> Product:
    """A draft with the same text, pictures, options and SKUs, which have new codes and no stock."""
    columns = {name: getattr(product, name) for name in OWN}
    columns["name"] = str(_("%(name)s (copy)") % {"name": product.name})[:100]
    copy = Product.objects.create(
        **columns, status=ProductStatus.DRAFT, published_at=timezone.now()
    )
    copy.related.set(product.related.all())
    ProductOption.objects.bulk_create(
        ProductOption(product=copy, name=row.name, values=row.values, position=row.position)
        for row in product.options.all()
    )
    ProductPicture.objects.bulk_create(
        ProductPicture(product=copy, picture=row.picture.name, position=row.position)
        for row in product.pictures.all()
    )
    Sku.objects.bulk_create(
        Sku(
            product=copy, code=f"{copy.pk}-{secrets.token_hex(4)}", options=sku.options,
            price_fen=sku.price_fen, market_price_fen=sku.market_price_fen, weight_g=sku.weight_g,
            picture=sku.picture.name, is_active=sku.is_active,
        )
        for sku in product.skus.order_by("pk")
    )  # fmt: skip
    refresh_product(copy.pk)
    return copy


@atomic
def change_prices(product_ids: Collection[int], *, percent: int) -> int:
    """Make every SKU cost ``percent`` more (less: negative), to the fen; return how many changed.

    Raises InvalidFields where a price would leave what is allowed.
    """
    skus = _lock(product_ids)
    for sku in skus:
        sku.price_fen = (sku.price_fen * (100 + percent) + 50) // 100
        if not 0 <= sku.price_fen <= MAX_FEN:
            raise InvalidFields(percent=_("A price would be too low or too high."))
    Sku.objects.bulk_update(skus, ["price_fen"])
    _touch(product_ids)
    return len(skus)


@atomic
def change_stocks(product_ids: Collection[int], *, delta: int, note: str) -> int:
    """Add pieces to every active SKU (remove: negative), for a reason. Raises OutOfStock."""
    skus = [sku for sku in _lock(product_ids) if sku.is_active]
    for sku in skus:
        adjust_stock(sku, delta=delta, note=note)
    return len(skus)


def _lock(product_ids: Collection[int]) -> list[Sku]:
    """SKUs before their products, as orders do (docs/locking.md)."""
    if len(product_ids) > MOST:
        raise InvalidFields(products=_("Choose up to 200 products at a time."))
    return list(Sku.objects.select_for_update().filter(product__in=product_ids).order_by("pk"))


def _touch(product_ids: Collection[int]) -> None:
    """Whoever has an older form open is told of it."""
    for product_id in sorted(product_ids):
        refresh_product(product_id)
    Product.objects.filter(pk__in=product_ids).update(updated_at=timezone.now())
