"""Leases and the outbox: nothing is lost, nothing is done twice at once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from miniback.core import leases, outbox
from miniback.core.checks import JOB_LANES
from miniback.core.leases import LEASE, Job, are_silent, run_due
from miniback.core.models import JobLease, Lane, OutboxMessage
from miniback.jobs import JOBS, jobs_by_lane

pytestmark = pytest.mark.django_db


def test_a_job_runs_when_it_is_due_and_not_before() -> None:
    ran = []
    jobs = [Job("one", lambda: ran.append(1), every_seconds=60)]

    assert [run_due(jobs), run_due(jobs)] == [1, 0]
    JobLease.objects.update(due_at=timezone.now())
    assert run_due(jobs) == 1
    assert len(ran) == 2


def test_a_job_that_runs_elsewhere_is_left_alone() -> None:
    inner = []

    def run() -> None:
        inner.append(run_due(jobs))

    jobs = [Job("one", run, every_seconds=60)]
    run_due(jobs)
    assert inner == [0]


def test_a_runner_that_died_is_replaced_after_its_lease(time_machine: Any) -> None:
    """F5: the lease ends and the job is due again."""
    jobs = [Job("one", lambda: None, every_seconds=1)]
    run_due(jobs)
    time_machine.move_to(timezone.now() + timedelta(seconds=2), tick=False)
    claimed = list(JobLease.objects.claim(lease=LEASE))

    assert len(claimed) == 1
    assert run_due(jobs) == 0
    time_machine.move_to(timezone.now() + LEASE, tick=False)
    assert run_due(jobs) == 1


def test_a_job_that_raises_is_noted_and_runs_again() -> None:
    def fail() -> None:
        raise ValueError("no")

    jobs = [Job("one", fail, every_seconds=0)]
    run_due(jobs)

    assert JobLease.objects.get().last_error == "ValueError: no"
    assert run_due(jobs) == 1


def test_a_job_that_raises_does_not_wait_for_half_a_day() -> None:
    def fail() -> None:
        raise ValueError("no")

    run_due([Job("one", fail, every_seconds=12 * 3600)])
    lease = JobLease.objects.get()
    assert lease.due_at - lease.finished_at == timedelta(minutes=1)


def test_jobs_that_nobody_runs_are_noticed(time_machine: Any) -> None:
    assert are_silent()
    run_due([Job("one", lambda: None, every_seconds=60)])
    assert not are_silent()
    time_machine.move_to(timezone.now() + timedelta(minutes=3), tick=False)
    assert are_silent()


@pytest.fixture
def a_day_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this machine's clock alone: the database's is right."""
    monkeypatch.setattr(timezone, "now", lambda: datetime.now(UTC) + timedelta(days=1))
    monkeypatch.setattr(leases, "_complained", {})


def test_a_machine_whose_clock_is_off_runs_nothing_and_says_why(
    a_day_ahead: None, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[int] = []
    jobs = [Job("one", lambda: ran.append(1), every_seconds=60)]
    assert [run_due(jobs), run_due(jobs), ran] == [0, 0, []]
    assert not JobLease.objects.exists()
    assert [record.getMessage() for record in caplog.records] == [
        "no jobs run here: this machine's clock is off by 86400 s"
    ]


def test_the_command_refuses_on_a_machine_whose_clock_is_off(a_day_ahead: None) -> None:
    with pytest.raises(CommandError, match="off by 86400 s"):
        call_command("run_jobs", "--once")
    assert not JobLease.objects.exists()


@pytest.mark.parametrize(("ahead", "ran"), [(60 + 59, 0), (60 + 61, 1), (24 * 3600, 1)])
def test_a_due_time_that_no_right_clock_wrote_is_pulled_back(ahead: int, ran: int) -> None:
    """A job's own interval and a lease lie ahead at most."""
    due_at = timezone.now() + timedelta(seconds=ahead)
    JobLease.objects.create(name="one", due_at=due_at)
    assert run_due([Job("one", lambda: None, every_seconds=60)]) == ran


def test_a_runner_that_was_stopped_does_not_overwrite_its_successor() -> None:
    theirs = timezone.now() + timedelta(seconds=40)

    def run() -> None:
        JobLease.objects.update(due_at=theirs)

    run_due([Job("one", run, every_seconds=3600)])
    assert JobLease.objects.get().due_at == theirs


def test_the_check_of_connections_counts_every_lane() -> None:
    assert len(jobs_by_lane()) == JOB_LANES


def test_every_job_of_the_table_has_a_name_of_its_own() -> None:
    assert len({job.name for job in JOBS}) == len(JOBS)


@pytest.mark.django_db(transaction=True)
def test_the_command_runs_every_job_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("run_jobs", "--once")

    assert capsys.readouterr().out == f"{len(JOBS)} jobs ran\n"
    assert set(JobLease.objects.values_list("name", "last_error")) == {
        (job.name, "") for job in JOBS
    }


def test_each_lane_delivers_its_own_messages() -> None:
    seen: list[dict[str, Any]] = []
    outbox.post(topic="greet", event_key="1", payload={"to": "wechat"}, lane=Lane.WECHAT)
    outbox.post(topic="greet", event_key="2", payload={"to": "shop"})

    outbox.deliver({"greet": seen.append}, [Lane.SHOP])
    assert seen == [{"to": "shop"}]
    outbox.deliver({"greet": seen.append}, [Lane.WECHAT])
    assert seen == [{"to": "shop"}, {"to": "wechat"}]


def test_a_message_is_delivered_once() -> None:
    seen: list[dict[str, Any]] = []
    outbox.post(topic="greet", event_key="greet:1", payload={"name": "李明"})

    outbox.deliver({"greet": seen.append})
    outbox.deliver({"greet": seen.append})

    assert seen == [{"name": "李明"}]
    assert OutboxMessage.objects.get().done_at


def test_a_message_that_fails_is_kept_and_tried_later(time_machine: Any) -> None:
    """F4: what was decided is not lost."""
    seen: list[dict[str, Any]] = []

    def fail(payload: dict[str, Any]) -> None:
        raise ConnectionError("down")

    outbox.post(topic="greet", event_key="greet:1", payload={})
    outbox.deliver({"greet": fail})
    message = OutboxMessage.objects.get()
    assert message.last_error == "ConnectionError: down"
    outbox.deliver({"greet": seen.append})
    assert seen == []

    time_machine.move_to(timezone.now() + timedelta(seconds=16))
    outbox.deliver({"greet": seen.append})
    assert seen == [{}]


def test_what_another_has_claimed_is_left_alone() -> None:
    """F6: both have seen the row, one has it."""
    for name in ("one", "two"):
        JobLease.objects.create(name=name, due_at=timezone.now())
    first, second = (JobLease.objects.claim(lease=timedelta(minutes=1)) for _ in range(2))
    assert next(first).name == "one"
    assert next(second).name == "two"
    assert list(first) == []
    assert list(second) == []
