"""The shop window: cached, uncached, and beside it what it is measured by (PERFORMANCE, targets 1-4).

    make bench-catalogue

Needs wrk. One server process on one core; wrk (and the database, if it is a server) has the other.
The subjects take turns in short rounds; medians of the rounds, and their ratios, are what counts.
"""

import argparse
import re
import shutil
import statistics
import subprocess
import sys
from typing import NamedTuple

from bench.stage import say, stage  # first: it sets Django up

from django.db import connection  # isort: skip

from bench.server import cpu_seconds, pin, settle
from catalog.models import Product
from catalog.seed import seed_products
from miniback.core.statistics import refresh_statistics
from tests.races.conftest import Shop

CONNECTIONS, THREADS = 32, 4
HELLO, BARE = "Django hello", "bare granian, 2 KB"


class Round(NamedTuple):
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


def subjects() -> dict[str, str]:
    product = Product.objects.order_by("id").values_list("id", flat=True)[0]
    lists, detail = "/api/v1/products/?limit=20", f"/api/v1/products/{product}/"
    return {
        BARE: "/bare/",
        HELLO: "/hello/",
        "cached detail": detail,
        "cached list of 20": lists,
        "uncached detail": f"/uncached{detail}",
        "uncached list of 20": f"/uncached{lists}",
        "plain DRF detail": f"/plain/products/{product}/",
        "plain DRF list of 20": "/plain/products/",
    }


# Ratio, its two subjects, must, stretch (PERFORMANCE, targets 1 to 4).
TARGETS = [
    ("cached detail", BARE, 0.6, 0.8),
    ("cached list of 20", BARE, 0.5, 0.65),
    ("cached detail", HELLO, 8, 12),
    ("cached list of 20", HELLO, 6, 10),
    ("uncached list of 20", HELLO, 0.25, 0.4),
    ("uncached detail", HELLO, 0.12, 0.25),
    ("uncached list of 20", "plain DRF list of 20", 10, 18),
    ("uncached detail", "plain DRF detail", 3, 5),
]


def measure(shop: Shop, path: str, seconds: int) -> Round:
    settle(shop)
    before = cpu_seconds(shop)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", shop.url + path]
    done = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in done:
        raise RuntimeError(f"{path}: {done}")
    answers = int(re.search(r"(\d+) requests in", done)[1])  # type: ignore[index]
    return Round(
        per_second=float(re.search(r"Requests/sec:\s+([\d.]+)", done)[1]),  # type: ignore[index]
        p50_ms=_latency(done, "50"),
        p99_ms=_latency(done, "99"),
        cpu_us=1e6 * (cpu_seconds(shop) - before) / answers,
    )


def _latency(done: str, percent: str) -> float:
    number, unit = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", done).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each round")
    parser.add_argument("--products", type=int, default=2000)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        say("wrk is needed (Debian: apt-get install wrk).")
        return 1
    with stage() as (sandbox, folder):
        for _done in seed_products(options.products):
            pass
        refresh_statistics("catalog")
        shop = Shop(
            sandbox, folder / "server.log", "bench.front:application",
            jobs=False, settings="bench.settings", workers=1, threads=THREADS,
        )  # fmt: skip
        pin(shop)
        rounds: dict[str, list[Round]] = {name: [] for name in subjects()}
        try:
            for number in range(options.rounds + 1):
                for name, path in subjects().items():
                    row = measure(shop, path, options.seconds if number else 1)
                    # The first round warms up.
                    rounds[name] += [row] if number else []
        finally:
            shop.stop()
        report(rounds, options.rounds, options.seconds)
    return 0


def report(rounds: dict[str, list[Round]], number: int, seconds: int) -> None:
    say(f"{connection.vendor}, {CONNECTIONS} connections, {number} rounds of {seconds} s, medians")
    say(f"{'':26}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}")
    medians = {}
    for name, rows in rounds.items():
        middle = [statistics.median(column) for column in zip(*rows, strict=True)]
        medians[name] = middle[0]
        say(f"{name:26}{middle[0]:9.0f}{middle[1]:9.2f}{middle[2]:9.2f}{middle[3]:9.0f}")
    say(f"{'':52}{'ratio':>8}{'must':>8}{'stretch':>9}")
    for one, other, must, stretch in TARGETS:
        ratio = medians[one] / medians[other]
        say(f"{one + ' / ' + other:52}{ratio:8.2f}{must:8g}{stretch:9g}")


if __name__ == "__main__":
    sys.exit(main())
