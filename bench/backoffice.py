"""The back office of a large shop: every list, its tabs and searches, and the start page.

    make bench-backoffice

A million orders and two hundred thousand products; queries and median milliseconds of each page.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator

from bench.stage import say, stage  # first: it sets Django up

from django.contrib import admin  # isort: skip
from django.contrib.admin.models import LogEntry  # isort: skip
from django.db import connection  # isort: skip
from django.test import Client  # isort: skip
from django.test.utils import CaptureQueriesContext, override_settings  # isort: skip
from django.urls import reverse  # isort: skip

from accounts.models import Customer
from bench.audit import copy_up_to, live
from catalog.models import Sku, StockMovement
from catalog.seed import seed_products
from miniback.core.models import OutboxMessage
from miniback.core.statistics import refresh_statistics
from orders.models import LedgerTransaction, Notice, Order, Payment, Refund, Shipment
from orders.services.daily import refresh_daily_totals
from tests.factories import make_staff
from tests.history import connect_settings

MOST_MS, TRIES = 1000, 5


def pages() -> Iterator[tuple[str, str]]:
    """(what it is, its address)."""
    yield "start page", reverse("admin:index")
    for model in admin.site._registry:
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        yield f"{model._meta.label}", address
    order, parcel = Order.objects.order_by("-pk")[0], Shipment.objects.order_by("-pk")[0]
    orders = reverse("admin:orders_order_changelist")
    for status in ("pending_payment", "paid", "shipped", "completed", "cancelled"):
        yield f"orders that are {status}", f"{orders}?status__exact={status}"
    yield "orders flagged", f"{orders}?is_flagged__exact=1"
    yield "orders of a day", f"{orders}?placed_on={order.placed_on}"
    yield "orders, page 20", f"{orders}?p=20"
    for what, word in (
        ("number", order.number), ("tracking number", parcel.tracking_number),
        ("recipient", order.recipient), ("nobody", "无此人"), ("phone", order.phone),
        ("last four digits", order.phone[-4:]), ("product", "龙井"),
    ):  # fmt: skip
        yield f"orders by {what}", f"{orders}?q={word}"
    yield "an order", reverse("admin:orders_order_change", args=[order.pk])
    yield "a customer", reverse("admin:accounts_customer_change", args=[order.user_id])
    products = reverse("admin:catalog_product_changelist")
    yield "products by name", f"{products}?q=龙井"
    yield "products by SKU code", f"{products}?q=MB00007-1"
    yield "products on sale", f"{products}?status__exact=on_sale"
    yield "SKUs low on stock", f"{reverse('admin:catalog_sku_changelist')}?stock=low"
    payment = Payment.objects.order_by("-pk")[0]
    for model, what, word in (
        (Sku, "SKU code", "MB00007-1"), (Sku, "nothing", "nichts"),
        (StockMovement, "order number", order.number), (StockMovement, "SKU code", "MB00007-1"),
        (Payment, "number", payment.number), (Payment, "order number", order.number),
        (Payment, "transaction id", payment.transaction_id), (Notice, "order number", order.number),
        (Refund, "order number", order.number), (Shipment, "tracking number", parcel.tracking_number),
        (LedgerTransaction, "order number", order.number), (OutboxMessage, "order number", order.number),
        (Customer, "nickname", "小"), (LogEntry, "word", "龙井"),
    ):  # fmt: skip
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        yield f"{model._meta.model_name}s by {what}", f"{address}?q={word}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--products", type=int, default=200_000)
    options = parser.parse_args()
    with stage() as (sandbox, _folder), override_settings(**connect_settings(sandbox)):
        for _done in seed_products(options.products):
            pass
        live(sandbox)
        copy_up_to(options.orders)
        refresh_daily_totals()
        refresh_statistics("catalog", "orders", "accounts", "core")
        say(f"{connection.vendor}: {Order.objects.count():,} orders, {options.products:,} products")
        return report()


def median_ms(client: Client, address: str) -> float:
    times = []
    for _try in range(TRIES):
        began = time.perf_counter()
        client.get(address)
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


def report() -> int:
    client = Client()
    client.force_login(make_staff(username="bench"))
    slow = 0
    say(f"{'':34}{'queries':>8}{'ms':>9}")
    for what, address in pages():
        with CaptureQueriesContext(connection) as captured:
            status = client.get(address).status_code
        if status != 200:
            raise RuntimeError(f"{address}: {status}")
        # The next request forgets them.
        queries = len(captured)
        took = median_ms(client, address)
        slow += took > MOST_MS
        say(f"{what:34}{queries:8}{took:9.1f}{'  slow' if took > MOST_MS else ''}")
    say(f"{slow} pages take more than a second")
    return 0


if __name__ == "__main__":
    sys.exit(main())
