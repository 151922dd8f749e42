"""The audit on a large shop: a thousand real orders, doubled until there are enough.

    make bench-audit ORDERS=1000000

The thousand are placed, paid, sent, completed, cancelled and refunded through the services; their
rows are then copied within the database, ids and keys moved along, so that every rule has as much
to look at as in a shop that lived that long. Orders are placed while the audit runs.
"""

import argparse
import itertools
import random
import sys
import threading
import time
from typing import Any

from bench.stage import say, stage  # first: it sets Django up

from django.conf import settings  # isort: skip
from django.db import connection  # isort: skip
from django.utils import timezone  # isort: skip

from catalog.models import Sku
from catalog.services.products import refresh_product
from miniback.core.snapshot import read_snapshot
from miniback.core.statistics import refresh_statistics
from orders.models import Carrier, Order
from orders.services.audit import RULES, moments
from orders.services.cancellation import cancel_order
from orders.services.checkout import place_order
from orders.services.fulfillment import confirm_receipt, ship_order
from orders.status import Actor
from tests.factories import make_address, make_customer, make_product, make_sku, pay

BASE = 1000
# Every table of the deal: columns that point to copied rows, and columns that are unique texts.
TABLES: dict[str, tuple[list[str], list[str]]] = {
    "orders_order": ([], ["number"]),
    "orders_orderline": (["order_id"], []),
    "orders_orderevent": (["order_id"], ["event_key"]),
    "orders_payment": (["order_id"], ["number", "transaction_id"]),
    "orders_shipment": (["order_id"], ["tracking_number"]),
    "orders_shipmentline": (["shipment_id", "line_id"], []),
    "orders_ledgertransaction": (["order_id"], ["event_key"]),
    "orders_ledgerentry": (["transaction_id"], []),
    "catalog_stockmovement": ([], ["event_key", "reference"]),
}
LETTERS = "abcdefghijklmnop"


def live(sandbox: Any) -> None:
    """A thousand orders that went every way."""
    for name, value in sandbox.env.items():
        if name.startswith("WECHAT"):
            setattr(settings, name, value)
    chance, numbers = random.Random(1), itertools.count(1)
    product = make_product()
    skus = [make_sku(product=product, stock=100_000, price_fen=990 + n) for n in range(50)]
    users = [make_customer() for _ in range(100)]
    addresses = {user.pk: make_address(user).pk for user in users}
    carrier = Carrier.objects.get_or_create(code="SF", defaults={"name": "顺丰速运"})[0]
    for _ in range(BASE):
        user = chance.choice(users)
        chosen = {sku.pk: sku for sku in chance.sample(skus, 2)}
        order = place_order(
            user,
            quantities=dict.fromkeys(chosen, 1),
            address_id=addresses[user.pk],
            payable_fen=sum(sku.price_fen for sku in chosen.values()),
        )
        fate = chance.random()
        if fate < 0.2:
            cancel_order(order, actor=Actor.CUSTOMER)
            continue
        pay(order)
        if fate > 0.4:
            ship_order(order, carrier=carrier, tracking_number=f"SF{next(numbers):08d}", user=None)
        if fate > 0.6:
            confirm_receipt(order, actor=Actor.JOB)


def double(letter: str) -> None:
    """Copy every row of the deal once; the copies are consistent among themselves."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT MAX(id) FROM orders_ledgerentry")
        entries = cursor.fetchone()[0]
        cursor.execute("SELECT MAX(id) FROM catalog_stockmovement")
        # One distance for all tables keeps every pointer right.
        distance = max(entries, cursor.fetchone()[0]) + 1
        for table, (pointers, texts) in TABLES.items():
            columns = [
                c.name for c in connection.introspection.get_table_description(cursor, table)
            ]
            quote = connection.ops.quote_name
            chosen = []
            for name in columns:
                column = quote(name)
                if name == "id" or name in pointers:
                    chosen.append(f"{column} + {distance}")
                elif name in texts:
                    joined = f"CONCAT({column}, '{letter}')"
                    chosen.append(
                        joined if connection.vendor == "mysql" else f"{column} || '{letter}'"
                    )
                else:
                    chosen.append(column)
            where = (
                "WHERE kind NOT IN ('initial', 'adjust')"
                if table == "catalog_stockmovement"
                else ""
            )
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(map(quote, columns))}) "
                f"SELECT {', '.join(chosen)} FROM {table} {where}"
            )


def settle_stock() -> None:
    """The first delivery was large enough for all of it."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE catalog_stockmovement SET delta = 1000000000 WHERE kind = 'initial'")
        cursor.execute(
            "UPDATE catalog_sku SET stock = (SELECT SUM(delta) FROM catalog_stockmovement m "
            "WHERE m.sku_id = catalog_sku.id)"
        )
        if connection.vendor == "postgresql":
            for table in TABLES:
                cursor.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT MAX(id) FROM {table}))"
                )
    refresh_statistics("catalog", "orders")
    refresh_product(Sku.objects.all()[0].product_id)


def sell_on(stop: threading.Event, times: list[float]) -> None:
    """A customer who does not know of any audit."""
    user = make_customer()
    address, sku = make_address(user).pk, Sku.objects.all()[0]
    while not stop.wait(0.05):
        started = time.monotonic()
        place_order(user, quantities={sku.pk: 1}, address_id=address, payable_fen=sku.price_fen)
        times.append(time.monotonic() - started)
    connection.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=100_000)
    options = parser.parse_args()
    with stage() as (sandbox, _folder):
        started = time.monotonic()
        live(sandbox)
        for letter in LETTERS:
            if Order.objects.count() * 2 > options.orders * 1.5:
                break
            double(letter)
        settle_stock()
        count = Order.objects.count()
        say(f"{connection.vendor}: {count:,} orders made in {time.monotonic() - started:.0f} s")
        stop, times = threading.Event(), []
        seller = threading.Thread(target=sell_on, args=[stop, times])
        seller.start()
        started, broken = time.monotonic(), 0
        with read_snapshot() as cursor:
            for rule in RULES:
                began = time.monotonic()
                cursor.execute(rule.sql, moments(timezone.now()))
                rows = cursor.fetchmany(3)
                broken += bool(rows)
                say(f"{rule.name:16}{time.monotonic() - began:8.2f} s  {rows or ''}")
        seconds = time.monotonic() - started
        stop.set()
        seller.join()
        slowest = max(times, default=0)
        say(f"{len(RULES)} rules in {seconds:.1f} s, {broken} broken")
        say(f"meanwhile {len(times)} orders were placed, the slowest in {slowest:.2f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
