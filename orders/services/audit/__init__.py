"""What must hold of the books, whatever happened: each rule is a query that must find nothing."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from queue import SimpleQueue
from typing import Any, Final

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

Attempt = Callable[[Rule, Any, datetime], Failure | None]
# A database works on each of them at once.
CONNECTIONS: Final = 2

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


def audit(attempt: Attempt = try_rule) -> Iterator[tuple[Rule, Failure | None]]:
    """Try every rule, read-only, on connections that all look at now; yield what each found, in order.

    A rule is one query, so it sees one moment whichever connection it is tried on.
    """
    now = timezone.now()
    cursors: SimpleQueue[Any] = SimpleQueue()

    def on_a_free_one(rule: Rule) -> Failure | None:
        cursor = cursors.get()
        try:
            return attempt(rule, cursor, now)
        finally:
            cursors.put(cursor)

    with ExitStack() as stack:
        for _n in range(CONNECTIONS):
            cursors.put(stack.enter_context(read_snapshot()))
        pool = ThreadPoolExecutor(CONNECTIONS)
        # Whoever has seen enough waits for no other rule.
        stack.callback(pool.shutdown, cancel_futures=True)
        yield from zip(RULES, pool.map(on_a_free_one, RULES), strict=True)


def try_rules(cursor: Any) -> Iterator[tuple[Rule, Failure | None]]:
    """Try every rule on whatever ``cursor`` sees."""
    now = timezone.now()
    for rule in RULES:
        yield rule, try_rule(rule, cursor, now)
