"""What a rule of the audit is, and how one is tried on any of the three databases."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import connection
from django.utils import timezone

# Rows shown of a rule that fails; one is enough to know.
SHOWN: Final = 20
FETCHED: Final = 2000


@dataclass(frozen=True)
class Rule:
    """A query that must find nothing.

    ``sql`` may use the macros below, and %(ago_10_minutes)s, %(ahead_2_hours)s or %(day_9_ago)s. Where
    SQL cannot decide, ``is_wrong`` says of each row that it finds whether it offends.
    """

    name: str
    says: str
    remedy: str
    sql: str
    is_wrong: Callable[[Sequence[Any]], bool] | None = None

    @property
    def tables(self) -> set[str]:
        return set(
            re.findall(r"\b(?:FROM|JOIN)\s+((?:orders|catalog|accounts|core)_\w+)", self.sql)
        )


@dataclass(frozen=True)
class Failure:
    rule: Rule
    columns: list[str]
    rows: list[tuple[Any, ...]]


# What each database calls the same; no argument may hold a parenthesis.
MACROS: Final[dict[str, dict[str, str]]] = {
    # The day of Shanghai on which a moment lies.
    "LOCAL_DAY": {
        "sqlite": "date({0}, '+8 hours')",
        "mysql": "DATE({0} + INTERVAL 8 HOUR)",
        "postgresql": "(({0} AT TIME ZONE 'Asia/Shanghai')::date)",
    },
    # The same of ten minutes before.
    "LOCAL_DAY_10_MINUTES_BEFORE": {
        "sqlite": "date({0}, '+470 minutes')",
        "mysql": "DATE({0} + INTERVAL 470 MINUTE)",
        "postgresql": "((({0} AT TIME ZONE 'Asia/Shanghai') - INTERVAL '10 minutes')::date)",
    },
    # Of millions of groups: MariaDB is to sort, not to look each of them up in a temporary table.
    "MANY_GROUPS": {"sqlite": "", "mysql": "SQL_BIG_RESULT", "postgresql": ""},
    # From the first moment to the second.
    "SECONDS": {
        "sqlite": "((julianday({1}) - julianday({0})) * 86400.0)",
        "mysql": "TIMESTAMPDIFF(SECOND, {0}, {1})",
        "postgresql": "EXTRACT(EPOCH FROM ({1} - {0}))",
    },
    # Whether two values differ, NULL being a value.
    "DIFFER": {
        "sqlite": "({0} IS NOT {1})",
        "mysql": "(NOT ({0} <=> {1}))",
        "postgresql": "({0} IS DISTINCT FROM {1})",
    },
    # Of whole numbers, without a rest.
    "QUOTIENT": {
        "sqlite": "(({0}) / ({1}))",
        "mysql": "(({0}) DIV ({1}))",
        "postgresql": "DIV(({0})::numeric, ({1})::numeric)",
    },
    # The number in an event's key that begins at a place: a colon ends it.
    "NAMED": {
        "sqlite": "substr(substr({0}, {1}), 1, instr(substr({0}, {1}) || ':', ':') - 1)",
        "mysql": "SUBSTRING_INDEX(SUBSTR({0}, {1}), ':', 1)",
        "postgresql": "SPLIT_PART(SUBSTR({0}, {1}), ':', 1)",
    },
    "NUMBER": {
        "sqlite": "CAST({0} AS INTEGER)",
        "mysql": "CAST({0} AS SIGNED)",
        "postgresql": "CAST({0} AS BIGINT)",
    },
}
# Of each payment: how much more the platform holds than its rows say, by differences that staff booked;
# ``raised_fen`` leaves out what was lowered, which may have gone back before.
AMOUNTS_BOOKED: Final = """
    SELECT d.channel, d.payment_number, SUM(e.amount_fen) AS fen,
           SUM(CASE WHEN e.amount_fen > 0 THEN e.amount_fen ELSE 0 END) AS raised_fen
    FROM orders_ledgertransaction t
    JOIN orders_billdifference d ON CONCAT(d.id, '') = NAMED(t.event_key, 12)
    JOIN orders_ledgerentry e ON e.transaction_id = t.id AND e.account LIKE 'platform:%%'
    WHERE t.event_key LIKE 'difference:%%' GROUP BY d.channel, d.payment_number"""
_MACRO = re.compile(rf"\b({'|'.join(MACROS)}|CONCAT)\(([^()]*)\)")
_MOMENT = re.compile(r"%\((ago|ahead)_(\d+)_(minutes|hours|days)\)s")


def render(sql: str, vendor: str) -> str:
    """Write a rule's SQL as this database understands it."""

    def replace(found: re.Match[str]) -> str:
        name, arguments = found[1], found[2].split(", ")
        if name == "CONCAT":
            return found[0] if vendor != "sqlite" else f"({' || '.join(arguments)})"
        return MACROS[name][vendor].format(*arguments)

    return _MACRO.sub(replace, sql)


def moments(sql: str, now: datetime) -> dict[str, Any]:
    """Return the parameters that a rule's SQL names."""
    adapt = connection.ops.adapt_datetimefield_value
    found: dict[str, Any] = {"unpaid_until": adapt(now + settings.UNPAID_ORDER_LIFETIME)}
    for direction, count, unit in _MOMENT.findall(sql):
        distance = timedelta(**{unit: int(count)})
        moment = now - distance if direction == "ago" else now + distance
        found[f"{direction}_{count}_{unit}"] = adapt(moment)
    for count in re.findall(r"%\(day_(\d+)_ago\)s", sql):
        found[f"day_{count}_ago"] = timezone.localdate(now) - timedelta(days=int(count))
    return found


def try_rule(rule: Rule, cursor: Any, now: datetime) -> Failure | None:
    """Try one rule on whatever ``cursor`` sees."""
    # Also without parameters a "%%" must become "%".
    cursor.execute(render(rule.sql, connection.vendor), moments(rule.sql, now))
    columns = [column[0] for column in cursor.description]
    rows: list[tuple[Any, ...]] = []
    while batch := cursor.fetchmany(FETCHED if rule.is_wrong else SHOWN):
        rows += [row for row in batch if rule.is_wrong is None or rule.is_wrong(row)]
        if len(rows) >= SHOWN:
            break
    return Failure(rule, columns, rows[:SHOWN]) if rows else None
