"""Real server processes on the test's own database, the jobs beside them, and many customers."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import pytest
import requests
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from accounts.models import Identity, User
from tests.factories import ADDRESS, make_staff
from tests.races.proxy import CommitProxy
from tests.sandbox_process import ROOT, SandboxProcess, free_pair, until

T = TypeVar("T")
WORKERS, THREADS = 4, 4


def database_url(proxy: CommitProxy | None = None) -> str:
    """The address of the test database, for another process; through ``proxy`` if there is one."""
    name = str(settings.DATABASES["default"]["NAME"])
    given = os.environ.get("DATABASE_URL", "")
    if not given or given.startswith("sqlite"):
        return f"sqlite:///{name}"
    url = urlsplit(given)._replace(path=f"/{name}")
    if proxy:
        credentials = url.netloc.rpartition("@")[0]
        url = url._replace(netloc=f"{credentials}@127.0.0.1:{proxy.port}")
    return urlunsplit(url)


class Shop:
    """Server processes and a job runner; `application` may be the control."""

    def __init__(
        self,
        sandbox: SandboxProcess,
        log: Path,
        application: str = "miniback.wsgi:application",
        *,
        jobs: bool,
        settings: str = "miniback.settings",
        workers: int = WORKERS,
        threads: int = THREADS,
        proxy: CommitProxy | None = None,
    ) -> None:
        self.port = free_pair()
        self.url = f"http://127.0.0.1:{self.port}"
        env = {**os.environ, **sandbox.env, "PUBLIC_URL": self.url}
        env |= {"DATABASE_URL": database_url(proxy)}
        env |= {"WORKERS": str(workers), "BLOCKING_THREADS": str(threads), "LOG_LEVEL": "ERROR"}
        env |= {"PYTHONWARNINGS": "ignore", "DJANGO_SETTINGS_MODULE": settings}
        self.env, self.log, self.proxy = env, log.open("w"), proxy
        self.application = application
        self.processes = [self.start_server()]
        if jobs:
            self.processes.append(self.start("run_jobs"))
        until(self.is_ready, seconds=90)

    def start_server(self) -> subprocess.Popen[bytes]:
        return self.start("run_server", "--port", str(self.port), "--application", self.application)

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        arguments = [sys.executable, "manage.py", *command]
        # A session of its own: whatever it has started can be ended with it.
        return subprocess.Popen(
            arguments,
            cwd=ROOT,
            env=self.env,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def kill_worker(self, chance: random.Random) -> bool:
        """Kill one of the server's processes with -9; the server starts another."""
        server = self.processes[0].pid
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, IndexError):
            children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
            os.kill(int(chance.choice(children)), signal.SIGKILL)
            return True
        return False

    def supervise(self) -> bool:
        """Start the server again if it has ended, as systemd does; say whether it had.

        granian gives up when one worker dies twice within five seconds.
        """
        if self.processes[0].poll() is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.processes[0].pid, signal.SIGKILL)
        self.processes[0] = self.start_server()
        return True

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=2).ok
        except requests.RequestException:
            return False

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                # Longer it would only wait for connections that its clients keep open.
                process.wait(1)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.log.close()


class Buyer:
    """A customer who logged in over HTTP."""

    def __init__(
        self, shop: Shop, sandbox: SandboxProcess, openid: str, platform: str = "wechat"
    ) -> None:
        self.shop, self.sandbox, self.openid, self.platform = shop, sandbox, openid, platform
        self.http = requests.Session()
        self.http.trust_env = False
        # While processes start, the platform may seem to hang, and is then left alone for 30 seconds.
        answer = until(self.log_in, seconds=90)
        self.http.headers["Authorization"] = f"Bearer {answer.json()['access']}"
        self.address: int | None = None

    def log_in(self) -> requests.Response:
        code = self.sandbox.code(self.openid, platform=self.platform)
        return self.call("POST", "auth/login/", {"platform": self.platform, "code": code})

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        return self.http.request(
            method, f"{self.shop.url}/api/v1/{path}", json=body, headers=headers, timeout=60
        )

    def user(self) -> User:
        return Identity.objects.get(openid=self.openid).user

    def settle(self) -> "Buyer":
        """Have an address."""
        self.address = self.call("POST", "addresses/", ADDRESS).json()["id"]
        return self

    def place(self, key: str, payable_fen: int, **what: Any) -> requests.Response:
        body = {"address": self.address, "payable_fen": payable_fen, **what}
        return self.call("POST", "orders/", body, **{"Idempotency-Key": key})

    def ask_refund(self, number: str, body: Any, key: str = "") -> requests.Response:
        """Each with a key of its own, unless told."""
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        return self.call("POST", f"orders/{number}/refunds/", body, **headers)


class Clerk:
    """A member of staff in the back office, over HTTP."""

    def __init__(self, shop: Shop, username: str) -> None:
        staff = make_staff(username=username)
        # The shop does not know the tests' fast hashes.
        staff.password = PBKDF2PasswordHasher().encode("password", "salt", iterations=1)
        staff.save(update_fields=["password"])
        self.url = f"{shop.url}/admin/"
        self.http = requests.Session()
        self.http.trust_env = False
        answer = self.post("login/", username=username, password="password")
        assert "sessionid" in self.http.cookies, answer.text

    def post(self, path: str, **form: Any) -> requests.Response:
        """Fill in the form of a page and send it."""
        self.http.get(self.url + path, timeout=60)
        form["csrfmiddlewaretoken"] = self.http.cookies["csrftoken"]
        return self.http.post(self.url + path, data=form, timeout=60)


@pytest.fixture(scope="session")
def static_files() -> None:
    """The back office of a shop without DEBUG asks for its manifest."""
    command = [sys.executable, "manage.py", "collectstatic", "--noinput", "-v0"]
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "miniback.settings"}
    subprocess.run(command, cwd=ROOT, env=env, check=True)


@pytest.fixture(scope="session")
def race_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    process = SandboxProcess(tmp_path_factory.mktemp("race-sandbox"))
    yield process
    process.stop()


@pytest.fixture
def platform(race_sandbox: SandboxProcess) -> SandboxProcess:
    race_sandbox.reset()
    return race_sandbox


@pytest.fixture
def open_shop(
    transactional_db: None, static_files: None, platform: SandboxProcess, tmp_path: Path
) -> Iterator[Callable[..., Shop]]:
    opened: list[Shop] = []

    def open_one(application: str = "miniback.wsgi:application", jobs: bool = False) -> Shop:
        opened.append(Shop(platform, tmp_path / "server.log", application, jobs=jobs))
        return opened[-1]

    yield open_one
    for shop in opened:
        shop.stop()


def together(acts: Iterable[Callable[[], T]]) -> list[T]:
    """Run every act in a thread of its own, all starting at the same instant."""
    acts = list(acts)
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], T]) -> T:
        start.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def in_turns(acts: Iterable[Callable[[], T]], width: int = 16) -> list[T]:
    """Run acts a few at a time."""
    with ThreadPoolExecutor(width) as pool:
        return [future.result() for future in [pool.submit(act) for act in acts]]
