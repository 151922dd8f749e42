"""Orders a second: POST orders/ with two lines, beside the same statements in raw SQL (PERFORMANCE 6-8).

    make bench-orders

One server process on one core, four threads; the clients (and the database, if it is a server) have
the other. The subjects take turns in short rounds; medians of the rounds, and their ratio, are what
counts: seconds of another machine or another day are not comparable.
"""

import argparse
import http.client
import itertools
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from bench.stage import say, stage  # first: it sets Django up

from django.db import connection  # isort: skip
from django.test.utils import CaptureQueriesContext  # isort: skip

from accounts.models import Session
from bench.server import cpu_seconds, pin
from catalog.services.stock import adjust_stock
from orders.services.audit import audit
from tests.conftest import Api
from tests.factories import make_address, make_customer, make_product, make_sku
from tests.races.conftest import Buyer, Shop
from tests.sandbox_process import SandboxProcess

CLIENTS, THREADS, SPREAD = 16, 4, 400
keys = itertools.count(1)


class Customer(NamedTuple):
    authorization: str
    session: str
    address: int


class Round(NamedTuple):
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


def log_in(shop: Shop, sandbox: SandboxProcess) -> list[Customer]:
    made = []
    for number in range(CLIENTS):
        buyer = Buyer(shop, sandbox, f"o-{number}").settle()
        session = Session.objects.get(user=buyer.user())
        row_id = session._meta.pk.get_db_prep_value(session.pk, connection)
        made.append(
            Customer(str(buyer.http.headers["Authorization"]), str(row_id), buyer.address or 0)
        )
    return made


def pair(skus: list[int], chance: random.Random) -> list[dict[str, int]]:
    return [{"sku": sku, "quantity": 1} for sku in chance.sample(skus, 2)]


def to_shop(customer: Customer, lines: list[dict[str, int]]) -> tuple[str, dict[str, str], bytes]:
    body = {"lines": lines, "address": customer.address, "payable_fen": 3980}
    headers = {
        "Authorization": customer.authorization,
        "Idempotency-Key": f"bench-{next(keys):09d}",
        "Content-Type": "application/json",
    }
    return "/api/v1/orders/", headers, json.dumps(body).encode()


def to_raw(customer: Customer, lines: list[dict[str, int]]) -> tuple[str, dict[str, str], bytes]:
    body = {
        "lines": lines, "address": customer.address, "session": customer.session,
        "key": f"bench-{next(keys):09d}",
    }  # fmt: skip
    return "/raw/orders/", {"Content-Type": "application/json"}, json.dumps(body).encode()


Request = Callable[[Customer, list[dict[str, int]]], tuple[str, dict[str, str], bytes]]


def measure(
    shop: Shop, customers: list[Customer], skus: list[int], request: Request, seconds: float
) -> Round:
    before, started = cpu_seconds(shop), time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        jobs = [pool.submit(order_for, shop.port, one, skus, request, seconds) for one in customers]
        times = sorted(taken for job in jobs for taken in job.result())
    elapsed = time.monotonic() - started
    return Round(
        per_second=len(times) / elapsed,
        p50_ms=1000 * times[len(times) // 2],
        p99_ms=1000 * times[int(len(times) * 0.99)],
        cpu_us=1e6 * (cpu_seconds(shop) - before) / len(times),
    )


def order_for(
    port: int, customer: Customer, skus: list[int], request: Request, seconds: float
) -> list[float]:
    """One customer's orders, one after the other; the seconds each took."""
    chance = random.Random(customer.session)
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    times, deadline = [], time.monotonic() + seconds
    while time.monotonic() < deadline:
        path, headers, body = request(customer, pair(skus, chance))
        began = time.monotonic()
        line.request("POST", path, body, headers)
        answer = line.getresponse()
        text = answer.read()
        times.append(time.monotonic() - began)
        if answer.status != 201:
            raise RuntimeError(f"{path}: {answer.status} {text[:300]!r}")
    line.close()
    return times


def statements(skus: list[int]) -> int:
    """Of one order with two lines, BEGIN and COMMIT apart."""
    user = make_customer()
    lines = [{"sku": sku, "quantity": 1} for sku in skus[:2]]
    api, address = Api(user), make_address(user).pk
    with CaptureQueriesContext(connection) as captured:
        answer = api.place(
            f"bench-{next(keys):09d}", lines=lines, address=address, payable_fen=3980
        )
    assert answer.status_code == 201, answer.content
    own = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
    return sum(not query["sql"].startswith(own) for query in captured)


def stocked(count: int) -> list[int]:
    product = make_product()
    skus = [make_sku(product=product, stock=0, options={}) for _ in range(count)]
    return [adjust_stock(sku, delta=10_000_000, note="bench").pk for sku in skus]


def table(rounds: dict[str, list[Round]]) -> dict[str, float]:
    say(f"{'':34}{'orders/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}")
    medians = {}
    for name, rows in rounds.items():
        middle = [statistics.median(column) for column in zip(*rows, strict=True)]
        medians[name] = middle[0]
        say(f"{name:34}{middle[0]:10.0f}{middle[1]:9.1f}{middle[2]:9.1f}{middle[3]:9.0f}")
    return medians


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round")
    options = parser.parse_args()
    with stage() as (sandbox, folder):
        spread, hot = stocked(SPREAD), stocked(2)
        count = statements(spread)
        shop = Shop(
            sandbox, folder / "server.log", jobs=False,
            settings="bench.settings", workers=1, threads=THREADS,
        )  # fmt: skip
        customers = log_in(shop, sandbox)
        pin(shop)
        subjects: dict[str, tuple[list[int], Request]] = {
            "raw SQL": (spread, to_raw),
            "POST orders/": (spread, to_shop),
            "POST orders/, one hot pair": (hot, to_shop),
        }
        rounds: dict[str, list[Round]] = {name: [] for name in subjects}
        try:
            for number in range(options.rounds + 1):
                for name, (skus, request) in subjects.items():
                    row = measure(shop, customers, skus, request, options.seconds)
                    # The first round warms up.
                    rounds[name] += [row] if number else []
        finally:
            shop.stop()
        rounds_of = f"{options.rounds} rounds of {options.seconds:g} s, medians"
        say(f"{connection.vendor}, {CLIENTS} clients, {rounds_of}")
        report(rounds, count)
    return 0


def report(rounds: dict[str, list[Round]], count: int) -> None:
    medians = table(rounds)
    say(f"statements an order               {count:10}  (must 16, stretch 11)")
    ratio = medians["POST orders/"] / medians["raw SQL"]
    say(f"against raw SQL                   {ratio:10.2f}  (must 0.45, stretch 0.65)")
    hot_ratio = medians["POST orders/, one hot pair"] / medians["POST orders/"]
    say(f"hot against spread                {hot_ratio:10.2f}  (must 0.6, stretch 0.75)")
    broken = [rule.name for rule, failure in audit() if failure and rule.name != "product-copies"]
    # The raw orders are real rows: what they left out shows here.
    say(f"audit: {broken or 'clean'}")


if __name__ == "__main__":
    sys.exit(main())
