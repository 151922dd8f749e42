"""The one clock that all machines share: the database's. Leases and deadlines go by it."""

from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import connection
from django.utils import timezone

# A machine that differs by more runs no jobs.
MAX_CLOCK_OFFSET: Final = timedelta(seconds=30)
_NOW: Final = {
    "mysql": "SELECT UTC_TIMESTAMP(6)",
    # Not now(): that is when the transaction began.
    "postgresql": "SELECT clock_timestamp()",
    "sqlite": "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')",
}


def database_now() -> datetime:
    """Return the database's time in UTC."""
    moment = ask_database()
    if isinstance(moment, str):
        # SQLite counts milliseconds. Rounded up: what was written in this one is due in it.
        moment = datetime.fromisoformat(moment) + timedelta(microseconds=999)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def ask_database() -> datetime | str:
    """Return its time as its driver gives it."""
    with connection.cursor() as cursor:
        cursor.execute(_NOW[connection.vendor])
        moment: datetime | str = cursor.fetchone()[0]
    return moment


def clock_offset() -> timedelta:
    """Return how far this machine's clock is ahead of the database's (negative: behind)."""
    before = timezone.now()
    shared = database_now()
    return before + (timezone.now() - before) / 2 - shared


def is_clock_off(offset: timedelta) -> bool:
    """Say whether a machine with this offset must leave the jobs to others."""
    return abs(offset) > MAX_CLOCK_OFFSET
