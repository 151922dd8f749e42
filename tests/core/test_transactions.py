import contextlib

import pytest
from django.db import InterfaceError, OperationalError, connection, transaction

from catalog.models import Brand, Sku
from catalog.services.stock import adjust_stock
from miniback.core.handlers import exception_handler
from miniback.core.idempotency import run_once
from miniback.core.transactions import (
    InsideTransaction,
    OutcomeUnknown,
    assert_no_transaction,
    atomic,
    retry,
)
from tests.factories import make_customer, make_sku


class PostgresError(Exception):
    def __init__(self, sqlstate: str | None) -> None:
        self.sqlstate = sqlstate


def postgres(message: str, sqlstate: str | None) -> OperationalError:
    error = OperationalError(message)
    error.__cause__ = PostgresError(sqlstate)
    return error


def busy() -> OperationalError:
    return postgres("deadlock detected", "40P01")


# How each database says that the connection is gone.
LOST = [
    OperationalError(2006, "Server has gone away"),
    OperationalError(2013, "Lost connection to server during query"),
    OperationalError(1053, "Server shutdown in progress"),
    OperationalError(1927, "Connection was killed"),
    postgres("terminating connection due to administrator command", "57P01"),
    postgres("server closed the connection unexpectedly", None),
    postgres("connection failure", "08006"),
    InterfaceError("connection already closed"),
]


class LosesCommit:
    """A transaction that is committed, after which the error comes; ``times`` times."""

    def __init__(self, error: Exception, times: int = 1) -> None:
        self.error, self.times, self.attempts = error, times, 0

    def __call__(self) -> Brand:
        self.attempts += 1
        if self.attempts <= self.times:
            # Runs where COMMIT does, after it.
            transaction.on_commit(self.fail)
        return Brand.objects.create(name=f"attempt {self.attempts}")

    def fail(self) -> None:
        raise self.error


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
    with transaction.atomic(), pytest.raises(InsideTransaction):
        assert_no_transaction()
    assert not connection.in_atomic_block


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", LOST, ids=str)
def test_a_lost_commit_is_not_run_again(error: Exception) -> None:
    """It may have happened: whoever asked decides."""
    act = LosesCommit(error)

    with pytest.raises(OutcomeUnknown) as caught:
        retry(act)

    assert (act.attempts, Brand.objects.count()) == (1, 1)
    answer = exception_handler(caught.value, {})
    assert answer is not None
    assert (answer.status_code, answer["Retry-After"]) == (503, "1")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", LOST, ids=str)
def test_a_connection_lost_before_commit_is_tried_again(error: Exception) -> None:
    attempts = []

    def act() -> None:
        attempts.append(1)
        Brand.objects.create(name=f"attempt {len(attempts)}")
        if len(attempts) == 1:
            raise error

    retry(act)

    assert [brand.name for brand in Brand.objects.all()] == ["attempt 2"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "error",
    [
        busy(), postgres("could not serialize", "40001"), OperationalError(1213, "Deadlock found"),
        OperationalError(1205, "Lock wait"), OperationalError("database is locked"),
    ],
    ids=str,
)  # fmt: skip
def test_a_commit_that_was_rolled_back_is_tried_again(error: OperationalError) -> None:
    act = LosesCommit(error)
    retry(act)
    assert act.attempts == 2


@pytest.mark.django_db(transaction=True)
def test_an_unknown_error_of_commit_is_not_run_again() -> None:
    act = LosesCommit(OperationalError(1180, "Got error 5 during COMMIT"))
    with pytest.raises(OutcomeUnknown):
        retry(act)
    assert act.attempts == 1


@pytest.mark.django_db(transaction=True)
def test_a_service_is_not_doubled_by_a_lost_commit() -> None:
    sku = make_sku(stock=100)

    @atomic
    def count_again(sku: Sku) -> None:
        transaction.on_commit(LosesCommit(LOST[1]).fail)
        adjust_stock(sku, delta=10, note="counted")

    with pytest.raises(OutcomeUnknown):
        count_again(sku)

    assert Sku.objects.get().stock == 110
    assert sku.movements.filter(note="counted").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_keyed_request_finds_what_a_lost_commit_made() -> None:
    act = LosesCommit(LOST[1])

    outcome = run_once(user=make_customer(), key="key-00000001", body={}, act=act)

    assert outcome.made == Brand.objects.get()
    assert act.attempts == 1
