"""Full-text search by a table of character pairs: the same on every database, and in Chinese.

The interface is three functions of an engine: ``index`` products, ``forget`` them, narrow a queryset
to those ``matching`` a text. docs/search.md says how another engine takes their place.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, Protocol

from django.conf import settings
from django.db import connection
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.utils.module_loading import import_string

from catalog.models import MAX_FACET, Product, ProductFacet, SearchText, SearchToken, Sku
from catalog.words import (
    index_tokens,
    is_chinese,
    is_settled_by_tokens,
    normalise,
    query_terms,
    term_tokens,
)
from miniback.core.transactions import atomic

INSERT_ROWS = """
    INSERT INTO catalog_searchtoken (token, product_id, weight, price_fen) VALUES (%s, %s, %s, %s)"""
RELEVANCE = "-relevance"
# Counting goes no further: from there on a token is common, whatever its number.
COMMON = 1000
# Orders in which a common word's products lie about everywhere: the list is read and sifted. By price
# they lie together, perhaps at the far end.
WALKED = {"-sales_count", "-published_at"}
CAPPED_COUNT = f"""(SELECT COUNT(*) FROM
    (SELECT 1 AS one FROM catalog_searchtoken WHERE token = %s LIMIT {COMMON}) AS counted)"""  # noqa: S608
# What a token in the name weighs more than one in the subtitle; below it, shorter names come first.
TIER = 64
NAME, KIND, SUBTITLE, ATTRIBUTE = 4, 3, 2, 1


class SearchEngine(Protocol):
    def index(self, product_ids: Collection[int]) -> None:
        """Make these products found by what they are now; forget those not on sale."""

    def forget(self, product_ids: Collection[int]) -> None:
        """Let these products be found no more."""

    def matching(
        self, products: "QuerySet[Product]", text: str, *, ordering: str = RELEVANCE
    ) -> "QuerySet[Product]":
        """Narrow ``products`` to those on sale that match.

        Annotated with ``relevance``, high first, and ``found_price_fen``, which is ``price_fen``
        from where the engine reads it most cheaply. They will be read by ``ordering``; if that is
        not ``-relevance``, relevance may be any number.
        """


@cache
def engine() -> SearchEngine:
    """The engine that SEARCH_ENGINE names."""
    made: SearchEngine = import_string(settings.SEARCH_ENGINE)()
    return made


class BigramEngine:
    """Tokens in the shop's own database: nothing to run beside it, and never behind it."""

    @atomic
    def index(self, product_ids: Collection[int]) -> None:
        self.forget(product_ids)
        documents = list(_documents(product_ids))
        SearchText.objects.bulk_create(
            SearchText(product_id=one.product_id, text=one.text) for one in documents
        )
        rows = [
            (token, one.product_id, weight, one.price_fen)
            for one in documents
            for token, weight in sorted(one.weights.items())
        ]
        # Fifty rows a product: as objects they would cost four times what the database takes.
        with connection.cursor() as cursor:
            cursor.executemany(INSERT_ROWS, rows)

    @atomic
    def forget(self, product_ids: Collection[int]) -> None:
        for table in (SearchToken, SearchText):
            # No need to load rows that nothing hangs on.
            rows = table.objects.filter(product_id__in=product_ids)
            rows._raw_delete(rows.db)

    def matching(
        self, products: "QuerySet[Product]", text: str, *, ordering: str = RELEVANCE
    ) -> "QuerySet[Product]":
        """The strictest reading of ``text`` that finds anything, on sale in all of the shop."""
        for tokens, terms in _readings(query_terms(text)):
            counts = _capped_counts(tokens)
            # The rarest leads: its rows are read, and the others looked up for each of them.
            ordered = sorted(tokens, key=lambda token: (counts[token], token))
            if not ordered or not all(counts.values()):
                continue
            is_sure = len(ordered) == 1 and not terms
            if is_sure or _narrow(Product.objects.all(), ordered, terms, leads=True).exists():
                is_common = is_sure and counts[ordered[0]] == COMMON
                leads = not (is_common and ordering in WALKED)
                return _narrow(products, ordered, terms, leads=leads)
        return products.annotate(relevance=F("id"), found_price_fen=F("price_fen")).none()


Tokens = Collection[str]


def _readings(terms: Sequence[str]) -> Iterator[tuple[Tokens, Sequence[str]]]:
    """Tokens that a product must have, and terms that must stand in its text, strictest first.

    As it is written; then cut where no product has the pair, for words written without a space
    (降噪耳机 is 降噪 and 耳机, for nothing has 噪耳); then by single characters.
    """
    if not terms:
        return
    strict = {token for term in terms for token in term_tokens(term)}
    yield strict, [term for term in terms if not is_settled_by_tokens(term)]
    known = {token for token, count in _capped_counts(strict).items() if count}
    cut: set[str] = set()
    for term in terms:
        own = term_tokens(term) & known
        cut |= own | (set(term) - set("".join(own)) if is_chinese(term) else {term})
    yield cut, []
    yield {piece for term in terms for piece in (term if is_chinese(term) else [term])}, []


def _narrow(
    products: "QuerySet[Product]", tokens: Sequence[str], terms: Iterable[str], *, leads: bool
) -> "QuerySet[Product]":
    """With the first token leading, or in the order of whatever list it is."""
    if leads:
        leading, *tokens = tokens
        found = products.filter(search_tokens__token=leading)
        found = found.annotate(
            relevance=F("search_tokens__weight"),
            found_price_fen=F("search_tokens__price_fen"),
            tie_id=F("search_tokens__product_id"),
        )
    else:
        found = products.annotate(relevance=F("id"), found_price_fen=F("price_fen"))
    mine = {"product_id": OuterRef("pk")}
    needed = [
        *(SearchToken.objects.filter(token=token, **mine) for token in tokens),
        *(SearchText.objects.filter(text__contains=term, **mine) for term in terms),
    ]
    for number, has_it in enumerate(needed):
        # A value, looked up for each candidate. Of EXISTS and of a join MariaDB and PostgreSQL make
        # plans that begin at the wrong end; and of "is not null" PostgreSQL believes that most rows
        # pass, so that it reads in order and stops at the page's end.
        name = f"_has_{number}"
        found = found.alias(**{name: Subquery(has_it.values("product_id")[:1])})
        found = found.filter(**{f"{name}__isnull": False})
    return found


def _capped_counts(tokens: Tokens) -> dict[str, int]:
    """How many products each token has, up to COMMON, in one round trip."""
    tokens = list(tokens)
    if not tokens:
        return {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join([CAPPED_COUNT] * len(tokens)), tokens)
        return dict(zip(tokens, cursor.fetchone(), strict=True))


class _Document:
    """A product's words, each with the weight of the best place it stands in."""

    def __init__(self, product: Product, codes: Iterable[str], options: Iterable[str]) -> None:
        self.product_id, self.price_fen = product.pk, product.price_fen
        name = normalise(product.name)
        kinds = [product.category.name, product.brand.name if product.brand else "", *product.tags]
        places = [
            (NAME, [name]),
            (KIND, [*kinds, *codes]),
            (SUBTITLE, [product.subtitle]),
            (ATTRIBUTE, [*_words(product.attributes), *options]),
        ]
        brevity = TIER - 1 - min(len(name), TIER - 1)
        self.weights: dict[str, int] = {}
        # Terms do not reach over a line's end.
        self.text = "\n".join(normalise(text) for _tier, texts in places for text in texts)
        for tier, texts in places:
            for text in texts:
                for token in index_tokens(normalise(text), beginnings=tier == NAME):
                    # Single characters of a long subtitle would find everything.
                    if tier > SUBTITLE or len(token) > 1:
                        self.weights.setdefault(token, tier * TIER + brevity)


def _documents(product_ids: Collection[int]) -> Iterator[_Document]:
    codes: dict[int, list[str]] = defaultdict(list)
    options: dict[int, dict[str, None]] = defaultdict(dict)
    active = Sku.objects.filter(product__in=product_ids, is_active=True).order_by("id")
    for product_id, code, chosen in active.values_list("product_id", "code", "options"):
        codes[product_id].append(code)
        options[product_id] |= dict.fromkeys(chosen.values())
    products = Product.objects.on_sale().filter(pk__in=product_ids).order_by("id")
    for product in products.select_related("category", "brand"):
        yield _Document(product, codes[product.pk], options[product.pk])


def _words(attributes: dict[str, Any]) -> Iterator[str]:
    for name, value in attributes.items():
        yield name
        yield from value if isinstance(value, list) else [value]


def tag_facet(tag: str) -> str:
    return f"tag:{tag}"[:MAX_FACET]


def attribute_facet(name: str, value: str) -> str:
    return f"attribute:{name}:{value}"[:MAX_FACET]


@atomic
def index_products(product_ids: Collection[int]) -> None:
    """Bring everything that lists find products by up to date: text, tags and attributes."""
    engine().index(product_ids)
    old = ProductFacet.objects.filter(product_id__in=product_ids)
    old._raw_delete(old.db)
    products = Product.objects.on_sale().filter(pk__in=product_ids).order_by("id")
    ProductFacet.objects.bulk_create(
        ProductFacet(product=product, facet=facet)
        for product in products
        for facet in sorted(_facets(product))
    )


def _facets(product: Product) -> set[str]:
    attributes = {
        attribute_facet(name, value)
        for name, values in product.attributes.items()
        for value in (values if isinstance(values, list) else [values])
    }
    return {tag_facet(tag) for tag in product.tags} | attributes
