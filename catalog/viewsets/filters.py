"""Which products a list shows, and its plain pages without building the same SQL again and again.

A filter that many products pass must not lead the database: it would read and sort all of them for
one page. Such a filter is written so that no index of its own fits (``price_fen + 0 >= x``), and the
list is read in its order until the page is full. A filter that few pass may lead, and so may one
category or one brand where an index has them in that order. Of all, being on sale is the one that
most products pass. PostgreSQL weighs all this by its statistics, and an expression has none.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import F, Field, QuerySet, Value
from django.db.models.functions import Concat

from catalog.models import Category, Product, ProductStatus
from catalog.services.search import attribute_facet, engine, tag_facet
from miniback.core.pagination import KeysetPagination, page
from miniback.core.queries import CompiledValues

# Beyond this sorting what a filter finds costs more than reading past what it does not.
FEW = 1000
# By what a category's and a brand's products are indexed.
INDEXED = {"published_at", "price_fen"}


def hides() -> bool:
    """Whether filters are written so that no index fits."""
    return connection.vendor != "postgresql"


class Shape(NamedTuple):
    """What decides the SQL of a plain list: everything of the question but its numbers.

    ``categories`` is how many; ``leads`` says whether category and brand may lead the database.
    """

    ordering: str
    categories: int
    has_brand: bool
    has_lowest: bool
    has_highest: bool
    in_stock: bool | None
    leads: bool

    @property
    def columns(self) -> list[str]:
        """The column of each number, in the order of `build`'s arguments."""
        prices = self.has_lowest + self.has_highest
        return ["category"] * self.categories + ["brand"] * self.has_brand + ["price_fen"] * prices

    def build(self, products: Any, *numbers: Any) -> Any:
        """``products`` narrowed by the numbers."""
        left = list(numbers)
        named = {f"_{name}": F(name) + 0 for name in ("category_id", "brand_id", "price_fen")}
        has_price = self.has_lowest or self.has_highest
        used = {
            "_category_id": hides() and self.categories and not self.leads,
            "_brand_id": hides() and self.has_brand and not self.leads,
            "_price_fen": hides() and has_price and "price" not in self.ordering,
        }
        products = products.alias(**{name: named[name] for name in named if used[name]})

        def column(name: str) -> str:
            return f"_{name}" if used[f"_{name}"] else name

        if self.categories:
            wanted = [left.pop(0) for _each in range(self.categories)]
            products = products.filter(**{f"{column('category_id')}__in": wanted})
        if self.has_brand:
            products = products.filter(**{column("brand_id"): left.pop(0)})
        if self.has_lowest:
            products = products.filter(**{f"{column('price_fen')}__gte": left.pop(0)})
        if self.has_highest:
            products = products.filter(**{f"{column('price_fen')}__lte": left.pop(0)})
        if self.in_stock is not None:
            products = products.filter(in_stock=self.in_stock)
        return products


def shape_of(wanted: Mapping[str, Any]) -> tuple[Shape, list[int]]:
    """The shape of a validated ProductQuery without its words, and its numbers."""
    below: list[int] = []
    if category := wanted.get("category"):
        below = sorted(Category.objects.with_descendants(category))
    brand = [wanted["brand"]] if wanted.get("brand") else []
    prices = [wanted.get("min_price_fen"), wanted.get("max_price_fen")]
    ordering = wanted["ordering"]
    is_indexed = len(below) <= 1 and ordering.removeprefix("-") in INDEXED
    shape = Shape(
        ordering=ordering,
        categories=len(below),
        has_brand=bool(brand),
        has_lowest=prices[0] is not None,
        has_highest=prices[1] is not None,
        in_stock=wanted["in_stock"],
        leads=bool(below or brand) and (is_indexed or finds_few(below, brand)),
    )
    return shape, [*below, *brand, *(price for price in prices if price is not None)]


def finds_few(categories: list[int], brand: list[int]) -> bool:
    found = Product.objects.on_sale()
    if categories:
        found = found.filter(category__in=categories)
    if brand:
        found = found.filter(brand__in=brand)
    return found.values("pk")[FEW : FEW + 1].count() == 0


def filter_products(wanted: Mapping[str, Any]) -> Any:
    """Products on sale that match a validated ProductQuery."""
    products: QuerySet[Product]
    if text := wanted["search"].strip():
        # The index knows products on sale only: the status need not be looked at.
        products = engine().matching(Product.objects.all(), text, ordering=wanted["ordering"])
    else:
        products = Product.objects.on_sale()
    if tag := wanted.get("tag"):
        products = products.filter(facets__facet=tag_facet(tag))
    for name, value in wanted.get("attribute", []):
        products = products.filter(facets__facet=attribute_facet(name, value))
    shape, numbers = shape_of(wanted)
    return shape.build(products, *numbers)


def reading_order(wanted: Mapping[str, Any]) -> str:
    """The column that a validated ProductQuery is read by: a search's price is the index's own."""
    ordering: str = wanted["ordering"]
    is_search = bool(wanted["search"].strip())
    return ordering.replace("price_fen", "found_price_fen") if is_search else ordering


def on_sale(shape: Shape) -> QuerySet[Product]:
    if shape.leads or not hides():
        return Product.objects.on_sale()
    hidden = Concat("status", Value(""))
    return Product.objects.alias(_status=hidden).filter(_status=ProductStatus.ON_SALE)


class CardPagination(KeysetPagination):
    """Pages of cards; those that differ only in numbers share one compiled statement.

    Building a page's SQL costs more than running it. ``view.wanted`` is the validated query.
    """

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> list[Any]:
        self.wanted: Mapping[str, Any] = view.wanted
        self.is_plain = not any(self.wanted.get(name) for name in ("search", "tag", "attribute"))
        if not self.is_plain:
            queryset = filter_products(self.wanted).cards()
        return super().paginate_queryset(queryset, request, view)

    def fetch(self, queryset: Any, key: tuple[Any, Any] | None, count: int) -> list[Any]:
        if not self.is_plain:
            return super().fetch(queryset, key, count)
        shape, numbers = shape_of(self.wanted)
        return _statement(shape, key is not None, count).all(*numbers, *(key or ()))


@lru_cache(maxsize=500)
def _statement(shape: Shape, has_key: bool, count: int) -> CompiledValues:
    names = [*shape.columns, *([shape.ordering.removeprefix("-"), "id"] if has_key else [])]
    fields: list[Field[Any, Any]] = [Product._meta.get_field(name) for name in names]  # type: ignore[misc]

    def build(*values: Any) -> QuerySet[Any]:
        numbers, key = values[: len(shape.columns)], values[len(shape.columns) :]
        cards = shape.build(on_sale(shape), *numbers).cards()
        return page(cards, shape.ordering, key if has_key else None, count)

    return CompiledValues(build, fields)
