"""What the benches stand on: a database of their own, the sandbox, and the shop as in production.

SQLite unless DATABASE_URL says otherwise; the database is the tests', made anew and dropped.
"""

import os
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.db import connection  # noqa: E402
from django.test.utils import setup_databases, teardown_databases  # noqa: E402

from tests.races.crowd import broken_rules  # noqa: E402
from tests.races.proxy import CommitProxy  # noqa: E402
from tests.sandbox_process import SandboxProcess  # noqa: E402

# Of the shop's COMMITs one in so many is carried out and not answered.
ONE_COMMIT_IN = 200


@contextmanager
def stage() -> Iterator[tuple[SandboxProcess, Path]]:
    """Yield the platform, and a folder for logs."""
    if connection.vendor == "mysql":
        # Rows are copied by the half million in one statement.
        connection.settings_dict["OPTIONS"]["read_timeout"] = 3600
    config = setup_databases(verbosity=0, interactive=False)
    with tempfile.TemporaryDirectory() as folder:
        sandbox = SandboxProcess(Path(folder) / "sandbox")
        try:
            yield sandbox, Path(folder)
        finally:
            sandbox.stop()
            connection.close()
            teardown_databases(config, verbosity=0)


@contextmanager
def commit_proxy() -> Iterator[CommitProxy | None]:
    """Yield a proxy before the shop's database; the bench itself, which judges, goes past it.

    None on SQLite: there is no connection to lose.
    """
    if connection.vendor == "sqlite":
        yield None
        return
    proxy = CommitProxy()
    try:
        yield proxy
    finally:
        proxy.stop()


def lose_commits(proxy: CommitProxy | None, seed: int) -> None:
    if proxy:
        proxy.lose_some(random.Random(seed), one_in=ONE_COMMIT_IN)


def end_losses(proxy: CommitProxy | None) -> None:
    """From now on every COMMIT is answered; say how many were not."""
    if proxy:
        say(f"  {proxy.lost:6}  COMMITs lost, of {proxy.commits}")
        proxy.watch()


def count_broken_rules() -> int:
    """Run the audit; say which rules are broken, and by what."""
    broken = broken_rules()
    for name, rows in broken.items():
        say(f"  {name}: {rows}")
    return len(broken)


def say(text: str = "") -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
