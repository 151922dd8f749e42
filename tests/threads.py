"""Several things at the same instant, in one process."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

from django.db import connection


def together(acts: Iterable[Callable[[], Any]]) -> list[Any]:
    """What each act returned, or the error it raised, in no particular order."""
    acts = list(acts)
    start, outcomes = threading.Barrier(len(acts)), []

    def race(act: Callable[[], Any]) -> None:
        start.wait()
        try:
            outcomes.append(act())
        except Exception as error:
            outcomes.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=race, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
