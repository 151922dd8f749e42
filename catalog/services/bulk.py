"""What staff do to many products at once, and a product made from another."""

import secrets
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.models import Product, ProductOption, ProductPicture, ProductStatus, Sku
from catalog.services.products import refresh_product, set_status
from catalog.services.stock import adjust_stock
from miniback.core.errors import DomainError, InvalidFields
from miniback.core.models import Task, TaskKind
from miniback.core.money import MAX_FEN
from miniback.core.tables import read_lines
from miniback.core.tasks import prepare_task
from miniback.core.transactions import atomic, retry

# One transaction: what a page of the list holds. More is a task, a product a transaction.
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


def many_task(products: QuerySet[Product], change: str, params: dict[str, Any], user: Any) -> Task:
    """A task that makes one of CHANGES to each of ``products``; nobody does it before it is begun."""
    ids = products.order_by("pk").values_list("pk", flat=True)
    source = "\n".join(map(str, ids)).encode()
    return prepare_task(
        TaskKind.CHANGE_PRODUCTS, user=user, params={**params, "change": change}, source=source
    )


def change_task(task: Task) -> Iterator[list[Any]]:
    """Do to each product of ``task.source`` what ``task.params`` say; the report has what was refused.

    Begun again after a crash it goes on behind what was done: how far it came is written in the
    transaction of each change.
    """
    ids = [int(cells[0]) for cells in read_lines(Path(task.source.path))]
    task.total, changed, refused = len(ids), 0, 0
    yield [_("product"), _("problem")]
    if reached := task.params.get("reached", 0):
        yield ["", _("Interrupted and gone on with: the first %d stand in no report.") % reached]
    for place, product_id in enumerate(ids, start=1):
        try:
            if place > reached:
                # How far it came is written in the same transaction: a repeat finds it.
                retry(partial(_step, task, place, product_id), is_keyed=True)
                changed += 1
        except DomainError as error:
            refused += 1
            yield [product_id, error.reason]
        task.done, task.counts = place, {"changed": changed, "refused": refused}
        yield []


@atomic
def _step(task: Task, place: int, product_id: int) -> None:
    row = Task.objects.select_for_update().get(pk=task.pk)
    if row.params.get("reached", 0) >= place:
        return
    what = {name: value for name, value in row.params.items() if name not in {"change", "reached"}}
    CHANGES[row.params["change"]]([product_id], **what)
    product = Product.objects.filter(pk=product_id)
    LogEntry.objects.log_actions(row.user_id, product, CHANGE, change_message=str(what))
    row.params["reached"] = place
    row.save(update_fields=["params"])


# By the name that a task's parameter "change" has.
CHANGES: dict[str, Callable[..., int]] = {
    "prices": change_prices,
    "stocks": change_stocks,
    "status": set_status,
}
