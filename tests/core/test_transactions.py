import contextlib

import pytest
from django.db import OperationalError, connection, transaction

from catalog.models import Brand
from miniback.core.handlers import exception_handler
from miniback.core.transactions import assert_no_transaction, atomic, retry


class Deadlock(Exception):
    sqlstate = "40P01"


def busy() -> OperationalError:
    error = OperationalError("deadlock detected")
    error.__cause__ = Deadlock()
    return error


@pytest.mark.parametrize(
    "error",
    [
        busy(), OperationalError(1213, "Deadlock found"), OperationalError(1205, "Lock wait"),
        OperationalError("database is locked"),
    ],
)  # fmt: skip
def test_a_collision_is_tried_again(db: None, error: OperationalError) -> None:
    """F9."""
    attempts = []

    def act() -> str:
        attempts.append(1)
        if len(attempts) < 3:
            raise error
        return "done"

    assert retry(act) == "done"
    assert len(attempts) == 3


def test_it_gives_up_after_five_and_answers_503(db: None) -> None:
    attempts = []

    def act() -> None:
        attempts.append(1)
        raise busy()

    with pytest.raises(OperationalError) as caught:
        retry(act)
    answer = exception_handler(caught.value, {})

    assert len(attempts) == 5
    assert (answer.status_code, answer.data["code"]) == (503, "busy")
    assert answer["Retry-After"] == "1"


def test_other_errors_are_not_tried_again(db: None) -> None:
    attempts = []

    def act() -> None:
        attempts.append(1)
        raise OperationalError("no such table")

    with pytest.raises(OperationalError):
        retry(act)
    assert len(attempts) == 1


@pytest.mark.django_db(transaction=True)
def test_a_part_that_fails_fails_the_whole() -> None:
    @atomic
    def part() -> None:
        Brand.objects.create(name="part")
        raise ValueError

    @atomic
    def whole() -> None:
        Brand.objects.create(name="whole")
        # Swallowing the failure does not save the rest.
        with contextlib.suppress(ValueError):
            part()

    whole()
    assert not Brand.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_platforms_are_not_called_inside_a_transaction() -> None:
    assert_no_transaction()
    with transaction.atomic(), pytest.raises(RuntimeError):
        assert_no_transaction()
    assert not connection.in_atomic_block
