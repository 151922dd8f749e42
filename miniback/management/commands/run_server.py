"""Runs the shop as in production: granian with the flags that were measured, in one place."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = "Serve the shop. WORKERS and BLOCKING_THREADS of the environment set its size."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", default="8000")
        parser.add_argument("--application", default="miniback.wsgi:application")

    def handle(self, *args: Any, **options: Any) -> None:
        flags = {
            "--interface": "wsgi",
            "--host": options["host"],
            "--port": options["port"],
            "--workers": settings.WORKERS,
            # Few: each holds a database connection, and more only wait for the interpreter.
            "--blocking-threads": settings.BLOCKING_THREADS,
            # Connections beyond these wait in the kernel. Each worker takes its share, and an idle
            # keep-alive connection counts: a small number would starve other customers for 30 s.
            "--backlog": 2048,
            "--backpressure": max(2048 // settings.WORKERS, 64),
            "--workers-kill-timeout": 10,
            "--log-level": "warning",
        }
        command = [sys.executable, "-m", "granian"]
        # Without it one worker that is killed ends the server. With it the server ends all the same
        # when a worker dies twice within five seconds: run it under something that restarts it.
        command += ["--respawn-failed-workers", "--no-ws"]
        command += [str(word) for pair in flags.items() for word in pair]
        folder: Path = settings.VAR_DIR / "metrics" / str(options["port"])
        # Processes of an earlier server have left their counts there.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
        os.execv(sys.executable, [*command, options["application"]])  # noqa: S606
