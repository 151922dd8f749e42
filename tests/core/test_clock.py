"""The database's clock, which every machine shares."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from miniback.core.clock import clock_offset, database_now, is_clock_off

pytestmark = pytest.mark.django_db


def test_database_now_is_an_aware_moment_of_utc() -> None:
    before = timezone.now()
    seen = database_now()
    assert seen.tzinfo == UTC
    assert abs(seen - before) < timedelta(seconds=2)


def test_database_now_moves_inside_a_transaction() -> None:
    first = database_now()
    assert database_now() >= first
    assert any(database_now() > first for _ in range(1000))


@pytest.mark.parametrize("days", [-1, 1])
def test_clock_offset_is_how_far_this_machine_is_ahead(monkeypatch: Any, days: int) -> None:
    wrong = timedelta(days=days)
    monkeypatch.setattr(timezone, "now", lambda: datetime.now(UTC) + wrong)
    assert abs(clock_offset() - wrong) < timedelta(seconds=2)
    assert is_clock_off(clock_offset())


def test_clock_offset_of_half_a_minute_is_let_pass() -> None:
    assert not is_clock_off(timedelta(seconds=30))
    assert is_clock_off(timedelta(seconds=-30, microseconds=-1))
