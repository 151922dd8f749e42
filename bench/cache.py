"""Is anything ever older than a second? Three server processes, one database, prices and stock that move.

    make bench-cache

A product's price and stock count how often it was changed. The writer notes when each change was
committed; a reader that asked more than a second later must have seen it, in the product's page and
in lists. Products are asked for as customers do: a few very often, most of them seldom (Zipf).
"""

import argparse
import bisect
import http.client
import itertools
import json
import multiprocessing
import random
import sys
import time
from collections import Counter, defaultdict
from typing import Any

from bench.stage import say, stage  # first: it sets Django up

from django.db import connection, transaction  # isort: skip

from catalog.models import Product, Sku
from catalog.seed import seed_products
from catalog.services.products import refresh_product
from catalog.services.stock import adjust_stock
from miniback.core.read_cache import FRESH_SECONDS
from tests.races.conftest import Shop

SERVERS, READERS, BASE = 3, 8, 1_000_000
LIST_EVERY = 20

# What a reader saw: when it asked, of which product, how many changes, and whether it was a hit.
Seen = tuple[float, int, int]


class Zipf:
    """Products by popularity: the n-th is asked for 1/n as often as the first."""

    def __init__(self, ids: list[int], seed: int) -> None:
        self.ids, self.chance = ids, random.Random(seed)
        self.weights = list(itertools.accumulate(1 / rank for rank in range(1, len(ids) + 1)))

    def pick(self) -> int:
        place = bisect.bisect(self.weights, self.chance.random() * self.weights[-1])
        return self.ids[min(place, len(self.ids) - 1)]


def read(port: int, ids: list[int], seed: int, answers: int, results: Any) -> None:
    """Ask ``answers`` times; report what was seen, and how often each kind of answer came."""
    zipf, line = Zipf(ids, seed), http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    seen: list[Seen] = []
    kinds: Counter[str] = Counter()
    for number in range(answers):
        is_list = number % LIST_EVERY == 0
        path = "products/?limit=20" if is_list else f"products/{zipf.pick()}/"
        asked = time.monotonic()
        line.request("GET", f"/api/v1/{path}")
        answer = line.getresponse()
        body = json.loads(answer.read())
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {body}")
        kinds[answer.headers["X-Cache"]] += 1
        if is_list:
            seen += [(asked, row["id"], row["price_fen"] - BASE) for row in body["results"]]
        else:
            sku = body["skus"][0]
            changes = min(body["price_fen"] - BASE, sku["price_fen"] - BASE, sku["stock"])
            seen.append((asked, body["id"], changes))
    results.put((seen, kinds))


def level(ids: list[int]) -> dict[int, Sku]:
    """One SKU a product, with price and stock at the beginning of the count."""
    first: dict[int, Sku] = {}
    for sku in Sku.objects.filter(product__in=ids).order_by("id"):
        first.setdefault(sku.product_id, sku)
    kept = [sku.pk for sku in first.values()]
    Sku.objects.exclude(pk__in=kept).update(is_active=False)
    Sku.objects.filter(pk__in=kept).update(price_fen=BASE, stock=0)
    Product.objects.update(price_fen=BASE)
    return first


def change(sku: Sku, count: int) -> None:
    with transaction.atomic():
        Sku.objects.filter(pk=sku.pk).update(price_fen=BASE + count)
        adjust_stock(sku, delta=1, note="bench")
        refresh_product(sku.product_id)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=100_000)
    parser.add_argument("--products", type=int, default=10_000)
    options = parser.parse_args()
    with stage() as (sandbox, folder):
        for _done in seed_products(options.products):
            pass
        # Popular ones are the newest, which stand in the list too.
        newest = Product.objects.on_sale().order_by("-published_at", "-id")
        ids = list(newest.values_list("id", flat=True))
        skus = level(ids)
        shop = Shop(sandbox, folder / "server.log", jobs=False, workers=SERVERS)
        results: Any = multiprocessing.Queue()
        connection.close()
        share = options.answers // READERS
        readers = [
            multiprocessing.Process(target=read, args=(shop.port, ids, seed, share, results))
            for seed in range(READERS)
        ]
        began = time.monotonic()
        for reader in readers:
            reader.start()
        committed, reports = write(skus, Zipf(ids, seed=99), results)
        seconds = time.monotonic() - began
        for reader in readers:
            reader.join()
        shop.stop()
    return report(committed, reports, seconds)


def write(
    skus: dict[int, Sku], zipf: Zipf, results: Any
) -> tuple[dict[int, list[float]], list[tuple[list[Seen], "Counter[str]"]]]:
    """Change what is popular until every reader has reported; return when each change was there."""
    committed: dict[int, list[float]] = defaultdict(list)
    reports = []
    while len(reports) < READERS:
        while not results.empty():
            reports.append(results.get())
        product_id = zipf.pick()
        change(skus[product_id], len(committed[product_id]) + 1)
        committed[product_id].append(time.monotonic())
        time.sleep(0.01)
    return committed, reports


def report(
    committed: dict[int, list[float]],
    reports: list[tuple[list[Seen], "Counter[str]"]],
    seconds: float,
) -> int:
    kinds = sum((kinds for _seen, kinds in reports), Counter())
    old, oldest, facts = 0, 0.0, 0
    for seen, _kinds in reports:
        for asked, product_id, changes in seen:
            facts += 1
            times = committed.get(product_id, [])
            due = bisect.bisect_right(times, asked - FRESH_SECONDS)
            if changes < due:
                old += 1
            if changes < len(times):
                oldest = max(oldest, asked - times[changes])
    answers = sum(kinds.values())
    changes = sum(map(len, committed.values()))
    say(f"{connection.vendor}, {SERVERS} server processes, {READERS} readers, {changes} changes")
    say(f"{answers:8}  answers in {seconds:.0f} s ({answers / seconds:.0f} a second)")
    say(f"{facts:8}  prices in them")
    say(f"{old:8}  older than a second; the oldest {max(oldest, 0):.3f} s")
    say(f"{kinds['hit'] / answers:8.1%}  hits (Zipf over the products, one list in {LIST_EVERY})")
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
