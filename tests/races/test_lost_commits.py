"""A COMMIT whose answer is lost: whatever was called is done once, and not forgotten.

A proxy stands before the database, carries a COMMIT out and hangs up. Whoever called repeats: a
client with its key, staff with their form, a job at its next run.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from django.db import OperationalError, connection

from catalog.models import Sku, StockMovement
from catalog.services.stock import adjust_stock
from miniback.core import transactions
from miniback.core.transactions import OutcomeUnknown
from tests.factories import make_sku
from tests.races.books import added, books
from tests.races.correction_writers import CORRECTIONS, resolve_open_differences
from tests.races.crowd import broken_rules, report
from tests.races.proxy import CommitProxy
from tests.races.writers import WRITERS, Situation, insist
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.races

ALL = [*WRITERS, *CORRECTIONS]
T = TypeVar("T")


@pytest.fixture
def proxy(transactional_db: None) -> Iterator[CommitProxy]:
    """Every connection to the database leads through it."""
    if connection.vendor == "sqlite":
        pytest.skip("no connection to lose")
    settings = connection.settings_dict
    direct = {name: settings[name] for name in ("HOST", "PORT")}
    made = CommitProxy()
    connection.close()
    settings.update(HOST="127.0.0.1", PORT=made.port)
    yield made
    connection.close()
    settings.update(direct)
    made.stop()


def run(situation: Situation, sandbox: SandboxProcess, proxy: CommitProxy, lose: int | None) -> Any:
    """What one call adds to the books, with the n-th of its COMMITs unanswered."""
    proxy.watch()
    act = situation(sandbox)
    before = books()
    proxy.watch(lose=lose)
    answer = insist(act)
    commits, lost = proxy.commits, proxy.lost
    proxy.watch()
    status = getattr(answer, "status_code", 200)
    return added(before, books()), commits, lost, status


def compare(right: dict[str, int], got: dict[str, int]) -> dict[str, tuple[int, int]]:
    """What differs. Of what staff do, each try may be logged."""
    pairs = {key: (right.get(key, 0), got.get(key, 0)) for key in right | got}
    return {
        key: (ours, theirs)
        for key, (ours, theirs) in pairs.items()
        if (theirs < ours if key.startswith("LogEntry.") else theirs != ours)
    }


def test_a_lost_commit_neither_doubles_nor_forgets(
    proxy: CommitProxy, sandbox: SandboxProcess
) -> None:
    """Each service that writes, each COMMIT of a call of it."""
    wrong: dict[str, Any] = {}
    began, tried = time.monotonic(), 0
    for situation in ALL:
        name = situation.__name__
        right, commits, _lost, status = run(situation, sandbox, proxy, None)
        assert commits, f"{name} commits nothing"
        assert status < 400, f"{name} is refused: {status}"
        for place in range(1, commits + 1):
            got, _commits, lost, _status = run(situation, sandbox, proxy, place)
            # A job that asks again until it is answered may need one COMMIT less.
            assert lost or place > 1, name
            tried += lost
            if wrong_sums := compare(right, got):
                wrong[f"{name} {place}/{commits}"] = wrong_sums
    report(services=len(ALL), lost=tried, seconds=round(time.monotonic() - began))
    assert wrong == {}
    resolve_open_differences()
    broken = broken_rules()
    assert broken == {}, broken


def retry_without_looking(act: Callable[[], T], **_more: Any) -> T:
    """Any lost connection is taken for a collision."""
    for _attempt in range(5):
        try:
            with transactions.transaction.atomic():
                return act()
        except OperationalError:
            connection.close_if_unusable_or_obsolete()
    raise AssertionError("unreachable")


def test_without_that_care_stock_is_doubled(
    proxy: CommitProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: the proxy does what it says."""
    monkeypatch.setattr(transactions, "retry", retry_without_looking)
    sku = make_sku(stock=100)
    proxy.watch(lose=1)
    adjust_stock(sku, delta=10, note="x")
    assert Sku.objects.get().stock == 120


def test_a_service_says_that_nobody_knows(proxy: CommitProxy) -> None:
    sku = make_sku(stock=100)
    proxy.watch(lose=1)
    with pytest.raises(OutcomeUnknown):
        adjust_stock(sku, delta=10, note="x")
    assert (Sku.objects.get().stock, StockMovement.objects.filter(note="x").count()) == (110, 1)
