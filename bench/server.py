"""One server on one core: where it runs, and what it costs."""

import os
import time

from tests.races.conftest import Shop


def workers(shop: Shop) -> list[int]:
    server = shop.processes[0].pid
    with open(f"/proc/{server}/task/{server}/children") as file:
        return [server, *map(int, file.read().split())]


def pin(shop: Shop) -> None:
    """The server has one core, everybody else the others."""
    for pid in workers(shop):
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(thread), {0})
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, set(range(1, os.cpu_count() or 2)))


def settle(shop: Shop) -> None:
    """Wait until it rests: what the last clients left unanswered must not be the next ones' burden."""
    before = cpu_seconds(shop)
    while True:
        time.sleep(0.3)
        now = cpu_seconds(shop)
        if now - before < 0.03:
            return
        before = now


def cpu_seconds(shop: Shop) -> float:
    ticks = 0
    for pid in workers(shop):
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
