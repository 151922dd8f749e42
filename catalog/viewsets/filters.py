"""Which products a list shows, and its plain pages without building the same SQL again and again."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.db.models import Field, QuerySet

from catalog.models import Category, Product
from catalog.services.search import attribute_facet, engine, tag_facet
from miniback.core.pagination import KeysetPagination, page
from miniback.core.queries import CompiledValues

# Filters that compare a column with a number: what they ask, and of which column.
COMPARISONS = {
    "brand": ("brand", "brand"),
    "min_price_fen": ("price_fen__gte", "price_fen"),
    "max_price_fen": ("price_fen__lte", "price_fen"),
}


def filter_products(wanted: Mapping[str, Any]) -> Any:
    """Products on sale that match a validated ProductQuery."""
    products: QuerySet[Product]
    if text := wanted["search"].strip():
        # The index knows products on sale only: the status need not be looked at.
        products = engine().matching(Product.objects.all(), text)
    else:
        products = Product.objects.on_sale()
    if category := wanted.get("category"):
        products = products.filter(category__in=Category.objects.with_descendants(category))
    if tag := wanted.get("tag"):
        products = products.filter(facets__facet=tag_facet(tag))
    for name, value in wanted.get("attribute", []):
        products = products.filter(facets__facet=attribute_facet(name, value))
    return _compare(products, wanted)


def _compare(products: Any, wanted: Mapping[str, Any]) -> Any:
    for name, (lookup, _column) in COMPARISONS.items():
        if (value := wanted.get(name)) is not None:
            products = products.filter(**{lookup: value})
    if wanted["in_stock"] is not None:
        products = products.filter(in_stock=wanted["in_stock"])
    return products


class CardPagination(KeysetPagination):
    """Pages of cards; those that differ only in numbers share one compiled statement.

    Building a page's SQL costs more than running it. ``view.wanted`` is the validated query.
    """

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> list[Any]:
        self.wanted: Mapping[str, Any] = view.wanted
        other = any(self.wanted.get(name) for name in ("search", "tag", "attribute"))
        self.is_plain = not other
        if other:
            queryset = filter_products(self.wanted).cards()
        return super().paginate_queryset(queryset, request, view)

    def fetch(self, queryset: Any, key: tuple[Any, Any] | None, count: int) -> list[Any]:
        wanted = self.wanted
        if not self.is_plain:
            return super().fetch(queryset, key, count)
        given = tuple(name for name in COMPARISONS if wanted.get(name) is not None)
        below: Sequence[int] = ()
        if category := wanted.get("category"):
            below = sorted(Category.objects.with_descendants(category))
        statement = _statement(
            self.ordering, key is not None, count, given, len(below), wanted["in_stock"]
        )
        return statement.all(*(wanted[name] for name in given), *below, *(key or ()))


@lru_cache(maxsize=500)
def _statement(
    ordering: str,
    has_key: bool,
    count: int,
    given: tuple[str, ...],
    categories: int,
    in_stock: bool | None,
) -> CompiledValues:
    column = Product._meta.get_field
    fields: list[Field[Any, Any]] = [column(COMPARISONS[name][1]) for name in given]  # type: ignore[misc]
    fields += [Product._meta.get_field("category")] * categories
    if has_key:
        fields += [column(ordering.removeprefix("-")), column("id")]  # type: ignore[list-item]

    def build(*values: Any) -> QuerySet[Any]:
        rest = values[len(given) :]
        products = Product.objects.on_sale()
        if categories:
            products = products.filter(category__in=rest[:categories])
        wanted = {**dict(zip(given, values, strict=False)), "in_stock": in_stock}
        cards = _compare(products, wanted).cards()
        return page(cards, ordering, rest[categories:] if has_key else None, count)

    return CompiledValues(build, fields)
