"""Everything at once on one machine: `make run`."""

import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Staff

START_SECONDS = 30
STOP_SECONDS = 10


class Command(BaseCommand):
    help = "Run the shop, its jobs and the sandbox, with a demo shop inside. Ctrl-C ends all of it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="the sandbox takes the next one")

    def handle(self, *args: Any, **options: Any) -> None:
        port: int = options["port"]
        self.processes: list[subprocess.Popen[bytes]] = []
        # SIGINT too: a shell that starts us in the background has it ignored.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        try:
            env = self.start_sandbox(port) if self.wants_sandbox() else dict(os.environ)
            call_command("migrate", verbosity=0)
            call_command("seed_demo")
            password = self.make_staff()
            self.start(["run_jobs"], env)
            self.start(["run_server", "--port", str(port)], env)
            self.wait_until_ready(port)
            self.announce(port, password)
            self.watch()
        except KeyboardInterrupt:
            self.stdout.write("\nStopping.")
        finally:
            self.stop()

    def wants_sandbox(self) -> bool:
        """With an app id of the user's own the shop talks to WeChat itself."""
        return not settings.WECHAT_APP_ID or settings.WECHAT_APP_ID.startswith("wxsandbox")

    def start_sandbox(self, port: int) -> dict[str, str]:
        """Start it and return the environment that connects a shop to it."""
        shop_url = f"http://127.0.0.1:{port}"
        directory: Path = settings.VAR_DIR / "sandbox"
        arguments = ["--port", str(port + 1), "--dir", str(directory), "--shop-url", shop_url]
        self.start(["run_sandbox", *arguments], dict(os.environ))
        # It writes shop.env once it listens: not to read an old one, ask it.
        self.wait_for(f"http://127.0.0.1:{port + 1}/phone/config/")
        lines = (directory / "shop.env").read_text().splitlines()
        # It wins over a .env copied from the example, which names the real platforms.
        env = {**os.environ, **dict(line.split("=", 1) for line in lines)}
        env["CORS_ALLOWED_ORIGINS"] += "," + ",".join(settings.CORS_ALLOWED_ORIGINS)
        return env

    def make_staff(self) -> str:
        """The demo's staff login, made once; its password is kept in var/."""
        kept: Path = settings.VAR_DIR / "demo-admin-password"
        wanted = os.environ.get("DEMO_ADMIN_PASSWORD", "")
        password = wanted or (kept.read_text() if kept.exists() else secrets.token_urlsafe(9))
        staff = Staff.objects.filter(username="admin").first()
        if staff is None:
            staff = Staff(username="admin", is_staff=True, is_superuser=True)
        if not staff.check_password(password):
            staff.set_password(password)
            staff.save()
        kept.touch(mode=0o600)
        kept.write_text(password)
        return password

    def start(self, arguments: list[str], env: dict[str, str]) -> None:
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments]
        # A session of its own: Ctrl-C reaches us first, and we end the others in order.
        self.processes.append(subprocess.Popen(command, env=env, start_new_session=True))  # noqa: S603

    def wait_until_ready(self, port: int) -> None:
        self.wait_for(f"http://127.0.0.1:{port}/readyz")

    def wait_for(self, url: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self.check_alive()
            try:
                if requests.get(url, timeout=2).ok:
                    return
            except requests.ConnectionError:
                pass
            time.sleep(0.1)
        raise CommandError(f"{url} does not answer.")

    def check_alive(self) -> None:
        for process in self.processes:
            if process.poll() is not None:
                raise CommandError("A part has ended; see above. Is its port in use?")

    def announce(self, port: int, password: str) -> None:
        shop = f"http://127.0.0.1:{port}"
        rows = [("Shop", f"{shop}/"), ("Back office", f"{shop}/admin/   admin / {password}")]
        rows += [("API", f"{shop}/api/v1/docs/")]
        if self.wants_sandbox():
            rows.insert(0, ("Phone", f"http://127.0.0.1:{port + 1}/   play the customer here"))
        self.stdout.write("\nminiback is running. Ctrl-C ends it.\n")
        for name, value in rows:
            self.stdout.write(f"  {name:<12} {value}")
        self.stdout.flush()

    def watch(self) -> None:
        while True:
            time.sleep(1)
            self.check_alive()

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        # One time for all of them: each with its own would be half a minute.
        deadline = time.monotonic() + STOP_SECONDS
        for process in self.processes:
            try:
                process.wait(max(deadline - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                # With what it has started: a server's workers would live on without it.
                os.killpg(process.pid, signal.SIGKILL)
