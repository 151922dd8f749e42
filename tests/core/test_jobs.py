"""Leases and the outbox: nothing is lost, nothing is done twice at once."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from miniback.core import outbox
from miniback.core.leases import Job, are_silent, run_due
from miniback.core.models import JobLease, OutboxMessage
from miniback.jobs import JOBS, LONG_JOBS

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
    claimed = list(JobLease.objects.claim(lease=timedelta(minutes=10)))

    assert len(claimed) == 1
    assert run_due(jobs) == 0
    time_machine.move_to(timezone.now() + timedelta(minutes=11), tick=False)
    assert run_due(jobs) == 1


def test_a_job_that_raises_is_noted_and_runs_again() -> None:
    def fail() -> None:
        raise ValueError("no")

    jobs = [Job("one", fail, every_seconds=0)]
    run_due(jobs)

    assert JobLease.objects.get().last_error == "ValueError: no"
    assert run_due(jobs) == 1


def test_jobs_that_nobody_runs_are_noticed(time_machine: Any) -> None:
    assert are_silent()
    run_due([Job("one", lambda: None, every_seconds=60)])
    assert not are_silent()
    time_machine.move_to(timezone.now() + timedelta(minutes=3), tick=False)
    assert are_silent()


def test_the_command_runs_every_job_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("run_jobs", "--once")

    assert capsys.readouterr().out == f"{len(JOBS) + len(LONG_JOBS)} jobs ran\n"
    assert set(JobLease.objects.values_list("name", "last_error")) == {
        (job.name, "") for job in (*JOBS, *LONG_JOBS)
    }


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
