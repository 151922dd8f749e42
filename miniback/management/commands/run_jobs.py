"""Runs the background jobs of miniback/jobs.py."""

import signal
import threading
import time
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from miniback.core.clock import clock_offset, is_clock_off
from miniback.core.leases import Job, run_due
from miniback.jobs import jobs_by_lane

PAUSE_SECONDS = 1.0
STOP_SECONDS = 5.0


class Command(BaseCommand):
    help = (
        "Run the background jobs until told to stop: a thread for each of their lanes. "
        "Several may run at once, on one machine or many."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="run what is due now, and stop")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            self.run_once()
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_signal: stop.set())
        lanes = [
            threading.Thread(target=self.run_until, args=(stop, jobs), daemon=True)
            for jobs in jobs_by_lane().values()
        ]
        for lane in lanes:
            lane.start()
        stop.wait()
        # What is not done by then is cut off, and begun again by whoever runs next.
        deadline = time.monotonic() + STOP_SECONDS
        for lane in lanes:
            lane.join(max(deadline - time.monotonic(), 0))

    def run_once(self) -> None:
        offset = clock_offset()
        if is_clock_off(offset):
            raise CommandError(
                f"No jobs run here: this machine's clock is off by {offset.total_seconds():.0f} s."
            )
        counts: list[int] = []

        def run(jobs: Iterable[Job]) -> None:
            try:
                counts.append(run_due(jobs))
            finally:
                connection.close()

        threads = [threading.Thread(target=run, args=(jobs,)) for jobs in jobs_by_lane().values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.stdout.write(f"{sum(counts)} jobs ran")
        if len(counts) < len(threads):
            raise CommandError("Some jobs could not be begun; see the log.")

    def run_until(self, stop: threading.Event, jobs: Iterable[Job]) -> None:
        while not stop.is_set():
            self.run_due(jobs)
            stop.wait(PAUSE_SECONDS)

    def run_due(self, jobs: Iterable[Job]) -> None:
        """Outlive a database that is restarted."""
        try:
            run_due(jobs)
        except Exception as error:
            self.stderr.write(f"jobs will be tried again: {error}")
        connection.close_if_unusable_or_obsolete()
