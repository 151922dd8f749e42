"""The audit on a large shop: some hundred real orders, copied until there are enough.

    make bench-audit ORDERS=1000000

They are placed, paid, sent, completed, cancelled, refunded in every way, and compared with a bill,
through the services; their rows are then copied within the database, ids and keys moved along, so
that every rule has as much to look at as in a shop that lived that long. Orders are placed while the
audit runs.

MariaDB's innodb_buffer_pool_size is 128 MiB unless somebody says otherwise: give it 4 GiB first, as
a shop of that size would, and say so beside the figures.
"""

import argparse
import logging
import string
import sys
import threading
import time
from datetime import datetime
from typing import Any

from bench.stage import say, stage  # first: it sets Django up

from django.db import connection  # isort: skip
from django.test.utils import override_settings  # isort: skip
from django.utils import timezone  # isort: skip

from catalog.models import Product, Sku
from catalog.services.products import refresh_product
from miniback.core.statistics import refresh_statistics
from orders.models import Order
from orders.services.audit import RULES, Failure, Rule, audit
from orders.services.audit.rules import try_rule
from orders.services.checkout import place_order
from tests.factories import make_address, make_customer
from tests.history import (
    FREIGHT_FEN,
    ORDINARY,
    WAITING,
    WITH_PLATFORM,
    Shop,
    compare_bill,
    connect_settings,
)
from tests.sandbox_process import SandboxProcess

ROUNDS = 8
# Every table of the deal: columns that point to copied rows, and texts that name a number.
TABLES: dict[str, tuple[list[str], list[str]]] = {
    "orders_coupon": ([], []),
    "orders_claimedcoupon": (["coupon_id"], []),
    "orders_order": (["claimed_coupon_id"], ["number"]),
    "orders_orderline": (["order_id"], []),
    "orders_orderevent": (["order_id"], ["event_key"]),
    "orders_payment": (["order_id"], ["number", "transaction_id"]),
    "orders_refund": (["order_id", "payment_id"], ["number", "out_refund_no"]),
    "orders_refundline": (["refund_id", "line_id"], []),
    "orders_refundattempt": (["refund_id"], ["out_refund_no"]),
    "orders_refundapproval": (["refund_id", "open_key"], []),
    "orders_shipment": (["order_id"], ["tracking_number"]),
    "orders_shipmentline": (["shipment_id", "line_id"], []),
    "orders_ledgertransaction": (["order_id"], ["event_key"]),
    "orders_ledgerentry": (["transaction_id"], []),
    "catalog_stockmovement": ([], ["event_key", "reference"]),
}
# Each round copies all rows so far, once for each letter: a number has room for ten more letters.
ROUNDS_OF_LETTERS = (string.ascii_lowercase, string.ascii_uppercase, string.digits)


def live(sandbox: SandboxProcess) -> None:
    """Orders that went every way."""
    shop = Shop(sandbox).open(customers=50, skus=50, stock=100_000)
    for _ in range(ROUNDS):
        for fate in (*ORDINARY, *WITH_PLATFORM):
            fate(shop)
    compare_bill(shop)
    for fate in WAITING:
        fate(shop)


def copy_up_to(orders: int) -> None:
    """Copy every row of the deal until there are enough orders."""
    for letters in ROUNDS_OF_LETTERS:
        last = {table: _last_id(table) for table in TABLES}
        # One distance for all tables keeps every pointer right.
        distance = max(last.values()) + 1
        for nth, letter in enumerate(letters, start=1):
            if Order.objects.count() >= orders:
                return
            _copy(last, distance * nth, letter)
            with connection.cursor() as cursor:
                cursor.execute(
                    f"UPDATE orders_bill SET paid_fen = paid_fen * {nth + 1} / {nth},"
                    f" refunded_fen = refunded_fen * {nth + 1} / {nth},"
                    f" row_count = row_count * {nth + 1} / {nth}"
                )


def _last_id(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COALESCE(MAX(id), 0) FROM {table}")
        return int(cursor.fetchone()[0])


def _copy(last: dict[str, int], distance: int, letter: str) -> None:
    """Copy every row up to the last ones once; the copies are consistent among themselves."""
    with connection.cursor() as cursor:
        for table in TABLES:
            described = connection.introspection.get_table_description(cursor, table)
            columns = [column.name for column in described]
            chosen = [_copied(table, name, distance, letter) for name in columns]
            only = (
                "AND kind NOT IN ('initial', 'adjust')" if table == "catalog_stockmovement" else ""
            )
            names = ", ".join(map(connection.ops.quote_name, columns))
            cursor.execute(
                f"INSERT INTO {table} ({names}) SELECT {', '.join(chosen)} FROM {table}"
                f" WHERE id <= {last[table]} {only}"
            )


def _copied(table: str, name: str, distance: int, letter: str) -> str:
    """Return what a copy has in a column."""
    pointers, texts = TABLES[table]
    column = connection.ops.quote_name(name)
    if name == "id" or name in pointers:
        return f"{column} + {distance}"
    if name in texts:
        # A number names its day: there it becomes another one, wherever it stands.
        day = f"{timezone.localdate():%y%m}"
        dated = f"REPLACE({column}, '{day}', '{day}{letter}')"
        return f"CASE WHEN {column} LIKE '%{day}%' THEN {dated} ELSE {_join(column, letter)} END"
    if name == "open_key":
        return _keyed(distance)
    if name == "note" and table == "orders_orderevent":
        is_parcel = "to_status IN ('partly_shipped', 'shipped')"
        return f"CASE WHEN {is_parcel} THEN {_join(column, letter)} ELSE {column} END"
    # Reviews are not copied: their reference is a line's id.
    return "NULL" if name == "reviewed_at" else column


def _join(column: str, letter: str) -> str:
    is_mysql = connection.vendor == "mysql"
    return f"CONCAT({column}, '{letter}')" if is_mysql else f"{column} || '{letter}'"


def _keyed(distance: int) -> str:
    parts = [f"order_id + {distance}", "':'", "channel", "':'", "payer_id"]
    is_mysql = connection.vendor == "mysql"
    joined = f"CONCAT({', '.join(parts)})" if is_mysql else " || ".join(f"({p})" for p in parts)
    return f"CASE WHEN open_key IS NULL THEN NULL ELSE {joined} END"


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
    Product.objects.update(sales_count=1_000_000_000)
    refresh_product(Sku.objects.all()[0].product_id)


def sell_on(stop: threading.Event, times: list[float]) -> None:
    """A customer who does not know of any audit."""
    user = make_customer()
    address, sku = make_address(user).pk, Sku.objects.all()[0]
    while not stop.wait(0.05):
        started = time.monotonic()
        payable = sku.price_fen + FREIGHT_FEN
        place_order(user, quantities={sku.pk: 1}, address_id=address, payable_fen=payable)
        times.append(time.monotonic() - started)
    connection.close()


SECONDS: dict[str, float] = {}


def timed(rule: Rule, cursor: Any, now: datetime) -> Failure | None:
    began = time.monotonic()
    failure = try_rule(rule, cursor, now)
    SECONDS[rule.name] = time.monotonic() - began
    return failure


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=100_000)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    with stage() as (sandbox, _folder), override_settings(**connect_settings(sandbox)):
        started = time.monotonic()
        live(sandbox)
        copy_up_to(options.orders)
        settle_stock()
        count = Order.objects.count()
        say(f"{connection.vendor}: {count:,} orders made in {time.monotonic() - started:.0f} s")
        stop, times = threading.Event(), []
        seller = threading.Thread(target=sell_on, args=[stop, times])
        seller.start()
        started, broken = time.monotonic(), 0
        for rule, failure in audit(timed):
            broken += failure is not None
            say(f"{rule.name:28}{SECONDS[rule.name]:8.2f} s  {failure.rows[:3] if failure else ''}")
        seconds = time.monotonic() - started
        stop.set()
        seller.join()
        slowest = max(times, default=0)
        say(f"{len(RULES)} rules in {seconds:.1f} s, {broken} broken")
        say(f"meanwhile {len(times)} orders were placed, the slowest in {slowest:.2f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
