"""What the races share: many customers, and what must hold when they are done."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import connection
from django.db.models import Sum

from catalog.models import Sku, StockMovement
from orders.models import OrderLine
from orders.services.audit import audit
from tests.races.conftest import Buyer, Shop, in_turns
from tests.sandbox_process import SandboxProcess

OpenShop = Callable[..., Shop]


def report(**figures: Any) -> None:
    """Shown with -s, and by pytest's -rP."""
    print(connection.vendor, figures)  # noqa: T201


def buyers(shop: Shop, platform: SandboxProcess, count: int) -> list[Buyer]:
    made = in_turns([partial(Buyer, shop, platform, f"o-{n}") for n in range(count)])
    return in_turns([buyer.settle for buyer in made])


def sold(sku: Sku) -> int:
    return OrderLine.objects.filter(sku=sku).aggregate(sum=Sum("quantity"))["sum"] or 0


def broken_rules() -> dict[str, Any]:
    """Return the audit's failures, by rule. Which accounts the shop has only its servers know."""
    found = {failure.rule.name: failure.rows for _rule, failure in audit() if failure}
    found.pop("payment-account", None)
    return found


def assert_stock_adds_up() -> None:
    """T26: every SKU's book is its stock, and what left it is in orders that live."""
    for sku in Sku.objects.annotate(booked=Sum("movements__delta")):
        assert sku.booked == sku.stock >= 0
    broken = broken_rules()
    assert broken == {}, broken
    alive = OrderLine.objects.exclude(order__status="cancelled")
    taken = alive.aggregate(sum=Sum("quantity"))["sum"] or 0
    first = StockMovement.objects.filter(kind__in=["initial", "adjust"]).aggregate(
        sum=Sum("delta")
    )["sum"]
    assert first - taken == Sku.objects.aggregate(sum=Sum("stock"))["sum"]
