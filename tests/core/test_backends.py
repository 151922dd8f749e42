"""A connection that the server ended: noticed by the next request, at the latest by the one after."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no connection to lose"),
]
OF_THIS = {"mysql": "SELECT CONNECTION_ID()", "postgresql": "SELECT pg_backend_pid()"}
END = {"mysql": "KILL %s", "postgresql": "SELECT pg_terminate_backend(%s)"}


@pytest.fixture
def lost() -> Iterator[Any]:
    """A connection that has just answered, and has been ended by the server since."""
    own = connection.copy()
    begin_request(own)
    with own.cursor() as cursor:
        cursor.execute(OF_THIS[own.vendor])
        number = cursor.fetchone()[0]
    begin_request(own)
    ask(own)
    with connection.cursor() as cursor:
        cursor.execute(END[own.vendor], [number])
    yield own
    own.close()


def begin_request(own: Any) -> None:
    own.close_if_unusable_or_obsolete()


def ask(own: Any) -> int:
    with own.cursor() as cursor:
        cursor.execute("SELECT 1")
        return int(cursor.fetchone()[0])


def test_after_a_second_it_is_asked_first(lost: Any) -> None:
    lost.answered_at -= 1.1
    begin_request(lost)
    assert ask(lost) == 1


def test_within_a_second_one_request_fails_and_no_more(lost: Any) -> None:
    begin_request(lost)
    with pytest.raises(OperationalError):
        ask(lost)
    begin_request(lost)
    assert ask(lost) == 1


def test_a_fresh_one_is_not_asked_at_every_request(
    lost: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(lost, "is_usable", lambda: asked.append(1))
    for _each in range(3):
        begin_request(lost)
        lost.close_if_health_check_failed()
    assert asked == []
