"""Spoil one column of one row at a time, and say which rule of the audit notices it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.apps import apps
from django.db import IntegrityError, connection, models, transaction
from django.db.utils import DataError
from django.utils import timezone

from orders.services.audit import RULES
from orders.services.audit.rules import Rule, try_rule

CONSTRAINT = "a constraint"
LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.get_default_timezone())
# Of how many rows of a table each column is spoiled.
ROWS = 3
# Rows that differ in one of these are looked at apart.
STATES = ("status", "outcome", "moderation", "resolution")


@dataclass
class Outcome:
    """What became of one column."""

    table: str
    column: str
    noticed: dict[str, int] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    @property
    def tries(self) -> int:
        return sum(self.noticed.values()) + len(self.missed)

    @property
    def is_noticed(self) -> bool:
        """Whether every way in which it was spoiled was noticed of one row at least."""
        return bool(self.noticed) and not self.ways_missed

    @property
    def ways_missed(self) -> set[str]:
        return {way for way in self.missed if way not in self.seen}


def audited_models() -> Iterator[type[models.Model]]:
    """Return the tables of the shop: every one of its own apps."""
    for app in ("orders", "catalog", "accounts", "core"):
        for model in apps.get_app_config(app).get_models(include_auto_created=True):
            if not model._meta.proxy:
                yield model


def columns_of(model: type[models.Model]) -> list[Any]:
    """Return what a service may write: every column but the key that the database gives."""
    fields = model._meta.concrete_fields
    return [column for column in fields if not isinstance(column, models.AutoField)]


def spoil_table(
    model: type[models.Model], columns: set[str], *, rows: int = ROWS, most_ways: int = 9
) -> Iterator[Outcome]:
    """Spoil each of these columns of a few rows in every way, and undo it."""
    table = model._meta.db_table
    rules = [rule for rule in RULES if table in rule.tables]
    every = list(models.QuerySet(model).order_by("pk"))
    for column in columns_of(model):
        if column.column not in columns:
            continue
        outcome = Outcome(table, column.column)
        for row in _sample(every, column, rows):
            other = _other(every, row, column)
            for name, values in list(_ways(column, row, other))[:most_ways]:
                rule = _notice(model, rules, values)
                if rule:
                    outcome.noticed[rule] = outcome.noticed.get(rule, 0) + 1
                    outcome.seen.add(name)
                else:
                    outcome.missed.append(name)
        yield outcome


def _sample(every: list[Any], column: Any, count: int) -> list[Any]:
    """Choose rows of different states, with and without a value in the column."""
    chosen: dict[Any, Any] = {}
    for row in every:
        states = (getattr(row, name, None) for name in STATES)
        chosen.setdefault((*states, getattr(row, column.attname) is None), row)
    picked = list(chosen.values())
    more = [row for row in reversed(every) if row not in picked]
    return (picked + more)[: max(count, len(picked))] if count > 1 else picked[:1]


def _other(every: list[Any], row: Any, column: Any) -> Any:
    """Return a row with another value, of the same state if there is one."""
    value = getattr(row, column.attname)
    others = [one for one in reversed(every) if getattr(one, column.attname) != value]
    alike = [one for one in others if all(getattr(one, n, 0) == getattr(row, n, 0) for n in STATES)]
    return next(iter(alike or others), None)


Way = tuple[str, dict[Any, dict[str, Any]]]


def _ways(column: Any, row: Any, other: Any) -> Iterator[Way]:
    name, value = column.attname, getattr(row, column.attname)
    for label, changed in _values(column, value):
        if changed != value:
            yield label, {row.pk: {name: changed}}
    if column.null and value is not None:
        yield "NULL", {row.pk: {name: None}}
    if other is not None:
        yield "swap", {row.pk: {name: getattr(other, name)}, other.pk: {name: value}}


def _values(column: Any, value: Any) -> Iterator[tuple[str, Any]]:
    """Return other values of the column's type."""
    if isinstance(column, models.BooleanField):
        yield "flip", not value
    elif isinstance(column, models.ForeignKey):
        yield "nobody", _nobody(column)
        yield "another", _another(column, value)
    elif isinstance(column, models.DateTimeField):
        yield "long ago", LONG_AGO
        yield "in three days", timezone.now() + timedelta(days=3)
    elif isinstance(column, models.DateField):
        yield "long ago", date(2020, 1, 1)
        yield "tomorrow", timezone.localdate() + timedelta(days=1)
    elif isinstance(column, models.IntegerField):
        yield "one more", (value or 0) + 1
        yield "one less", (value or 0) - 1
        yield "many", (value or 0) + 1000
    elif isinstance(column, models.JSONField):
        yield "empty", type(value)()
        yield "other", ["x"] if isinstance(value, list) else {"x": 1}
    elif column.choices:
        for choice, _label in column.flatchoices:
            yield str(choice), choice
    elif isinstance(column, models.CharField | models.TextField | models.FileField):
        yield "other", "x"
        yield "empty", ""
        yield "longer", f"{value}1"
    elif isinstance(column, models.UUIDField):
        yield "another", "00000000-0000-4000-8000-000000000000"


def _nobody(column: Any) -> Any:
    target = column.target_field
    return "x" * 22 if isinstance(target, models.CharField) else 10**9


def _another(column: Any, value: Any) -> Any:
    rows = models.QuerySet(column.related_model).exclude(pk=value).order_by("-pk")
    return rows.values_list("pk", flat=True).first()


def _notice(model: type[models.Model], rules: list[Rule], values: dict[Any, dict[str, Any]]) -> str:
    """Return the rule that notices a change, "" if none does; the change is undone."""
    now = timezone.now()
    try:
        with transaction.atomic():
            for pk, columns in values.items():
                models.QuerySet(model).filter(pk=pk).update(**columns)
            with connection.cursor() as cursor:
                found = next((rule for rule in rules if try_rule(rule, cursor, now)), None)
            if found is None:
                # A reference that leads nowhere is refused at the end of a transaction at the latest.
                connection.check_constraints([model._meta.db_table])
            raise _Undo(found.name if found else "")
    except _Undo as undo:
        return undo.rule
    except (IntegrityError, DataError, OverflowError):
        return CONSTRAINT


class _Undo(Exception):
    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule
