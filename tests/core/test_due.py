"""The loops of jobs: what fails waits and says why, and the others go on."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import Model
from django.utils import timezone

from accounts.models import User
from miniback.core import due, outbox
from miniback.core.clock import database_now
from miniback.core.due import in_batches, try_due, try_each
from miniback.core.idempotency import KEY_LIFETIME, forget_old_keys
from miniback.core.models import IdempotencyKey, JobLease, OutboxMessage
from miniback.platforms.errors import HostDown, TryAgain

pytestmark = pytest.mark.django_db
LEASE = timedelta(minutes=1)


def post(*keys: str) -> None:
    for key in keys:
        outbox.post(topic="greet", event_key=key, payload={})


def settle(message: OutboxMessage) -> None:
    OutboxMessage.objects.filter(pk=message.pk).update(due_at=None)


def seconds_until(message: OutboxMessage) -> float:
    assert message.due_at is not None
    return (message.due_at - timezone.now()).total_seconds()


@pytest.mark.parametrize("error", [KeyError("trade"), TypeError("no"), RecursionError("deep")])
def test_a_row_that_raises_anything_waits_and_the_next_follows(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    post("bad", "good")

    def act(message: OutboxMessage) -> None:
        if message.event_key == "bad":
            raise error
        settle(message)

    try_due(OutboxMessage.objects.all(), act, lease=LEASE)

    bad, good = OutboxMessage.objects.order_by("id")
    assert good.due_at is None
    assert bad.last_error == f"{type(error).__name__}: {error}"
    assert 13 < seconds_until(bad) < 15.1
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 15), (2, 30), (5, 240), (9, 3600)])
def test_a_row_that_fails_again_waits_longer(attempts: int, seconds: int) -> None:
    post("bad")
    OutboxMessage.objects.update(attempts=attempts - 1)

    def act(message: OutboxMessage) -> None:
        raise TryAgain("NO_ANSWER", "ReadTimeout")

    try_due(OutboxMessage.objects.all(), act, lease=LEASE)

    message = OutboxMessage.objects.get()
    assert (message.attempts, message.last_error) == (attempts, "NO_ANSWER ReadTimeout")
    assert seconds - 2 < seconds_until(message) < seconds + 0.1


def test_a_platform_that_fails_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    post("one")

    def act(message: OutboxMessage) -> None:
        raise TryAgain("NO_ANSWER")

    try_due(OutboxMessage.objects.all(), act, lease=LEASE)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_host_that_is_down_counts_as_no_attempt() -> None:
    post("one")

    def act(message: OutboxMessage) -> None:
        raise HostDown(12)

    try_due(OutboxMessage.objects.all(), act, lease=LEASE)

    message = OutboxMessage.objects.get()
    assert message.attempts == 0
    assert 10 < seconds_until(message) < 12.1


def test_a_row_that_was_settled_before_it_raised_stays_settled() -> None:
    post("one")

    def act(message: OutboxMessage) -> None:
        settle(message)
        raise ValueError("afterwards")

    try_due(OutboxMessage.objects.all(), act, lease=LEASE)
    assert OutboxMessage.objects.get().due_at is None


def test_a_row_that_another_runner_has_by_now_is_left_to_it() -> None:
    """Of a runner that was stopped for longer than its lease."""
    post("one")
    theirs = timezone.now() + timedelta(seconds=40)

    def act(message: OutboxMessage) -> None:
        OutboxMessage.objects.update(due_at=theirs, attempts=7)
        raise ValueError("late")

    try_due(OutboxMessage.objects.all(), act, lease=LEASE)
    message = OutboxMessage.objects.get()
    assert (message.due_at, message.attempts, message.last_error) == (theirs, 7, "")


def test_a_run_ends_when_its_time_is_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does not get to is not claimed: it is due for the next run at once."""
    monkeypatch.setattr(due, "BUDGET_SECONDS", 0.0)
    post("one", "two", "three")

    try_due(OutboxMessage.objects.all(), settle, lease=LEASE)

    left = OutboxMessage.objects.exclude(due_at=None)
    assert left.count() == 2
    assert not left.filter(due_at__gt=database_now()).exists()
    assert set(left.values_list("attempts", flat=True)) == {0}


def test_rows_without_a_due_time_go_on_after_one_that_raises() -> None:
    seen: list[str] = []

    def act(row: Model) -> None:
        seen.append(str(row))
        if str(row) == "one":
            raise ValueError("no")

    for name in ("one", "two"):
        JobLease.objects.create(name=name, due_at=timezone.now())
    try_each(JobLease.objects.order_by("name"), act)
    assert seen == ["one", "two"]


def test_a_host_that_is_down_ends_a_run_over_rows_without_a_due_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A thousand orders are not a thousand warnings."""
    seen: list[str] = []

    def act(row: Model) -> None:
        seen.append(str(row))
        raise HostDown(12)

    for name in ("one", "two"):
        JobLease.objects.create(name=name, due_at=timezone.now())
    try_each(JobLease.objects.order_by("name"), act)
    assert seen == ["one"]
    assert len(caplog.records) == 1


def test_claims_go_by_the_databases_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine a day ahead finds nothing due, and what it claims is not away for a day."""
    wrong = timedelta(days=1)
    post("due")
    outbox.post(topic="greet", event_key="later", payload={})
    OutboxMessage.objects.filter(event_key="later").update(
        due_at=timezone.now() + timedelta(hours=1)
    )
    monkeypatch.setattr(timezone, "now", lambda: datetime.now(UTC) + wrong)

    [message] = OutboxMessage.objects.claim(lease=LEASE)

    assert message.event_key == "due"
    assert message.due_at < database_now() + LEASE + timedelta(seconds=1)


def test_many_rows_are_deleted_in_batches(customer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due, "MAX_BATCH_SIZE", 3)
    keys = [IdempotencyKey(user=customer, key=f"key-{n:08d}") for n in range(8)]
    IdempotencyKey.objects.bulk_create(keys)
    long_ago = database_now() - KEY_LIFETIME - timedelta(seconds=1)
    IdempotencyKey.objects.exclude(key="key-00000000").update(created_at=long_ago)

    sizes = []
    for batch in in_batches(IdempotencyKey.objects.filter(created_at=long_ago)):
        sizes.append(batch.delete()[0])
    assert sizes == [3, 3, 1]
    assert IdempotencyKey.objects.get().key == "key-00000000"


def test_old_keys_are_forgotten_by_the_databases_clock(
    customer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, age in (("old-00001", KEY_LIFETIME), ("young-001", KEY_LIFETIME / 2)):
        row = IdempotencyKey.objects.create(user=customer, key=key)
        IdempotencyKey.objects.filter(pk=row.pk).update(created_at=timezone.now() - age)
    monkeypatch.setattr(timezone, "now", lambda: datetime.now(UTC) + timedelta(days=30))
    forget_old_keys()
    assert IdempotencyKey.objects.get().key == "young-001"
