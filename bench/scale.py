"""A catalogue of 200,000 products: pages, filters and searches beside one of 2,000 (PERFORMANCE 9, 10).

    make bench-scale

Whole requests through Django without the read cache, in one process; medians. DATABASE_URL picks the
database.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from bench.stage import say, stage  # first: it sets Django up

from django.db import connection  # isort: skip
from django.db.models import QuerySet  # isort: skip

from catalog.models import Product
from catalog.seed import seed_products
from catalog.services.search import engine, index_products
from miniback.core.pagination import encode, page
from miniback.core.statistics import refresh_statistics
from tests.conftest import Api

SMALL, TRIES, PAGE = 2_000, 41, 20
# In the names of every 48th product; and, given to one product by us, in one.
COMMON, RARE = "龙井", "麒麟"
QUERIES = {
    "first page": "",
    "by price": "ordering=price_fen",
    "by sales": "ordering=-sales_count",
    "category": "category={category}",
    "brand, by price": "brand={brand}&ordering=price_fen",
    "price and stock": "min_price_fen=5000&max_price_fen=9000&in_stock=true",
    "tag": "tag=新品",
    "search, common": f"search={COMMON}",
    "search, common, by price": f"search={COMMON}&ordering=price_fen",
    "search, three terms": "search=云岭茶社 龙井 绿茶",
    "search, rare": f"search={RARE}",
    "search, common, with facets": f"search={COMMON}&facets=true",
}


def median_ms(act: Callable[[], Any]) -> float:
    times = []
    for number in range(TRIES + 5):
        began = time.perf_counter()
        act()
        # The first ones fill caches.
        times += [time.perf_counter() - began] if number >= 5 else []
    return 1000 * statistics.median(times)


def measure(names: dict[str, int]) -> dict[str, float]:
    api, times = Api(), {}
    for label, query in QUERIES.items():
        path = "products/?" + query.format(**names)
        answer = api.get(path)
        assert answer.status_code == 200 and answer.json()["results"], (label, answer.content[:300])
        times[label] = median_ms(lambda path=path: api.get(path))  # type: ignore[misc]
    return times


def deep_ms(ordering: str, depth: int) -> float:
    """The page that begins after ``depth`` rows."""
    column = ordering.removeprefix("-")
    rows = Product.objects.on_sale().order_by(ordering, "-id" if ordering[0] == "-" else "id")
    row = rows.values(column, "id")[depth]
    api, cursor = Api(), encode(row[column], row["id"])
    path = f"products/?ordering={ordering}&cursor={cursor}"
    assert api.get(path).json()["results"]
    return median_ms(lambda: api.get(path))


def database_ms(rows: QuerySet[Any, Any]) -> float:
    """What the database alone takes: building the SQL is the same for a row and for a million."""
    sql, params = rows.query.sql_with_params()

    def fetch() -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            cursor.fetchall()

    return median_ms(fetch)


def like_ms(word: str) -> float:
    """What search by LIKE would take."""
    rows = Product.objects.on_sale().filter(name__contains=word).cards().order_by("-id")
    return database_ms(rows[:PAGE])


def index_ms(word: str) -> float:
    """The same word through the index."""
    found = engine().matching(Product.objects.all(), word)
    return database_ms(page(found.cards(), "-relevance", None, PAGE))


def grow(products: int) -> None:
    began = time.monotonic()
    for done in seed_products(products):
        if done % 20_000 == 0:
            say(f"  {done:,} products after {time.monotonic() - began:.0f} s")
    refresh_statistics("catalog")
    say(f"{connection.vendor}: {products:,} products after {time.monotonic() - began:.0f} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=200_000)
    options = parser.parse_args()
    with stage():
        grow(SMALL)
        product = Product.objects.order_by("id")[0]
        Product.objects.filter(pk=product.pk).update(name=f"{RARE}瑞兽茶")
        index_products([product.pk])
        names = {"category": product.category_id, "brand": product.brand_id or 0}
        small = measure(names)
        grow(options.products)
        large = measure(names)
        say(
            f"{'ms a request':32}{SMALL:>10,}{options.products:>10,}{'ratio':>8}   must 1.5, stretch 1.2"
        )
        for label in QUERIES:
            say(
                f"{label:32}{small[label]:10.2f}{large[label]:10.2f}{large[label] / small[label]:8.2f}"
            )
        depth = min(5000 * PAGE, options.products // 2)
        title = f"page after {depth:,} rows"
        say(f"{title:32}{'page 1':>10}{'deep':>10}{'ratio':>8}   must 2")
        for ordering in ("-published_at", "price_fen", "-sales_count"):
            first = median_ms(lambda o=ordering: Api().get(f"products/?ordering={o}"))  # type: ignore[misc]
            deep = deep_ms(ordering, depth)
            say(f"{ordering:32}{first:10.2f}{deep:10.2f}{deep / first:8.2f}")
        newest = Product.objects.on_sale().cards().order_by("-published_at", "-id")
        plain = database_ms(newest[:PAGE])
        rare, common, like = index_ms(RARE), index_ms(COMMON), like_ms(RARE)
        say(
            f"rare word: LIKE {like:.2f} ms, index {rare:.2f} ms: {like / rare:.0f} times (must 100)"
        )
        say(
            f"common word: {common:.2f} ms, keyset page {plain:.2f} ms: {common / plain:.2f} (must 3)"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
