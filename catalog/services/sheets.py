"""The catalogue as a file of the back office: looked over, imported and exported by the jobs."""

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from catalog.models import Category, Product, Sku
from catalog.services.importing import Problem, find_problems, import_products
from catalog.services.tables import COLUMNS, Row, read_table
from miniback.core.models import Task
from miniback.core.money import format_yuan
from miniback.core.statistics import MANY, refresh_statistics
from miniback.core.tables import read_lines

# How much of a file is looked over before it is begun.
LOOKED_OVER = 200
BATCH = 500


class Preview(NamedTuple):
    rows: list[Row]
    problems: list[Problem]


def preview_products(path: Path) -> Preview:
    """The first rows, and what is wrong with them. Raises UnreadableFile."""
    table = list(itertools.islice(read_table(path), LOOKED_OVER))
    problems = list(find_problems(table))
    return Preview([row for _line, row in table], problems)


def import_task(task: Task) -> Iterator[list[Any]]:
    """Import ``task.source``; the report has what was refused, and why. Begun again it goes on."""
    path = Path(task.source.path)
    task.total = max(0, sum(1 for _cells in read_lines(path)) - 1)
    yield [_("line"), _("column"), _("value"), _("problem")]
    counts: Counter[str] = Counter()
    for outcome in import_products(read_table(path), update=bool(task.params.get("update"))):
        counts[outcome.kind] += 1
        task.done += outcome.rows
        task.counts = dict(counts)
        yield from map(list, outcome.problems)
        yield []
    if counts["made"] >= MANY:
        refresh_statistics("catalog")


def export_task(task: Task) -> Iterator[list[Any]]:
    """Every product, in the columns of an import: a row a SKU."""
    task.total = Sku.objects.count()
    yield list(COLUMNS.values())
    paths, last = _category_paths(), 0
    while batch := list(
        Product.objects.filter(pk__gt=last)
        .select_related("brand")
        .prefetch_related("skus")
        .order_by("pk")[:BATCH]
    ):
        for product in batch:
            for sku in sorted(product.skus.all(), key=lambda sku: sku.pk):
                task.done += 1
                task.counts = {"rows": task.done}
                yield _exported(product, sku, paths)
        last = batch[-1].pk


def _category_paths() -> dict[int, str]:
    """Category id -> "茶叶/绿茶"."""
    rows = {category.pk: category for category in Category.objects.all()}

    def path(pk: int) -> str:
        parent = rows[pk].parent_id
        return f"{path(parent)}/{rows[pk].name}" if parent else rows[pk].name

    return {pk: path(pk) for pk in rows}


def _exported(product: Product, sku: Sku, paths: dict[int, str]) -> list[Any]:
    market = "" if sku.market_price_fen is None else format_yuan(sku.market_price_fen)
    cells = {
        "product": product.pk, "name": product.name, "subtitle": product.subtitle,
        "category": paths[product.category_id], "brand": product.brand.name if product.brand else "",
        "description": product.detail_html, "tags": ",".join(product.tags),
        "attributes": _pairs(product.attributes), "status": product.status,
        "sku": sku.code, "options": _pairs(sku.options), "price": format_yuan(sku.price_fen),
        "market_price": market, "stock": sku.stock, "weight_g": sku.weight_g,
    }  # fmt: skip
    return [cells.get(name, "") for name in COLUMNS]


def _pairs(pairs: dict[str, Any]) -> str:
    return "; ".join(
        f"{name}={','.join(value) if isinstance(value, list) else value}"
        for name, value in pairs.items()
    )
