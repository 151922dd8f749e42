"""What must hold of the books, whatever happened: each rule is a query that must find nothing."""

from collections.abc import Iterator
from typing import Any

from django.utils import timezone

from miniback.core.snapshot import read_snapshot
from orders.services.audit import (
    bills,
    catalog,
    coupons,
    daily,
    ledger,
    ledger_refunds,
    orders,
    payments,
    people,
    queues,
    refunds,
    stock,
)
from orders.services.audit.rules import Failure, Rule, try_rule

__all__ = ["RULES", "Failure", "Rule", "audit", "try_rules"]

RULES = (
    *orders.RULES,
    *coupons.RULES,
    *stock.RULES,
    *payments.RULES,
    *refunds.RULES,
    *ledger.RULES,
    *ledger_refunds.RULES,
    *bills.RULES,
    *daily.RULES,
    *queues.RULES,
    *catalog.RULES,
    *people.RULES,
)


def audit() -> Iterator[tuple[Rule, Failure | None]]:
    """Try every rule on one snapshot, read-only, and yield what each found."""
    with read_snapshot() as cursor:
        yield from try_rules(cursor)


def try_rules(cursor: Any) -> Iterator[tuple[Rule, Failure | None]]:
    """Try every rule on whatever ``cursor`` sees."""
    now = timezone.now()
    for rule in RULES:
        yield rule, try_rule(rule, cursor, now)
