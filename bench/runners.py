"""Two more runners of the jobs: one is stopped in the middle and continued, one's clock is an hour ahead."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

from tests.races.conftest import Shop
from tests.sandbox_process import ROOT

AHEAD_SECONDS = 3600
REFUSAL = f"this machine's clock is off by {AHEAD_SECONDS} s"


class Runners:
    """Both run from the start; `resume` ends the stops, `judge` says what they did wrong."""

    def __init__(self, shop: Shop, log: Path) -> None:
        self.log = log
        self.file = log.open("w")
        self.ahead = self.start(shop, "-m", "bench.ahead", "run_jobs")
        self.stopped = self.start(shop, "manage.py", "run_jobs")
        self.stops = 0
        self.end = threading.Event()
        self.thread = threading.Thread(target=self.stop_and_go)
        self.thread.start()

    def start(self, shop: Shop, *command: str) -> subprocess.Popen[bytes]:
        env = shop.env | {"CLOCK_AHEAD_SECONDS": str(AHEAD_SECONDS)}
        log = self.file if "bench.ahead" in command else shop.log
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip

    def stop_and_go(self) -> None:
        """For longer than any lease; on SQLite shorter, where it may hold the one lock there is."""
        seconds = 10 if connection.vendor == "sqlite" else 65
        while not self.end.wait(4):
            self.stopped.send_signal(signal.SIGSTOP)
            self.stops += 1
            self.end.wait(seconds)
            self.stopped.send_signal(signal.SIGCONT)

    def resume(self) -> None:
        self.end.set()
        self.thread.join()

    def judge(self) -> dict[str, int]:
        return {
            "runners with a wrong clock that did not say so": int(
                REFUSAL not in self.log.read_text()
            ),
            "runners that ended": sum(
                process.poll() is not None for process in (self.ahead, self.stopped)
            ),
        }

    def close(self) -> None:
        self.resume()
        for process in (self.ahead, self.stopped):
            process.kill()
            process.wait()
        self.file.close()


@contextmanager
def bad_runners(shop: Shop, folder: Path) -> Iterator[Runners]:
    """Let them run beside the shop's own."""
    runners = Runners(shop, folder / "ahead.log")
    try:
        yield runners
    finally:
        runners.close()
