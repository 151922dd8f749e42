"""What the benches stand on: a database of their own, the sandbox, and the shop as in production.

SQLite unless DATABASE_URL says otherwise; the database is the tests', made anew and dropped.
"""

import os
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

from tests.sandbox_process import SandboxProcess  # noqa: E402


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


def say(text: str = "") -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
