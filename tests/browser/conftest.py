"""One shop as `make run` starts it, and one browser, for each file of tests."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.stage import CHROMIUM, PASSWORD, Demo
from tests.sandbox_process import ROOT, free_pair, until


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """What `make run` starts, in a folder of its own."""
    port = free_pair()
    var = tmp_path_factory.mktemp("demo")
    keep = {"PATH", "HOME", "LANG"}
    env = {name: value for name, value in os.environ.items() if name in keep}
    env |= {
        "DEBUG": "1",
        "VAR_DIR": str(var),
        "DEMO_ADMIN_PASSWORD": PASSWORD,
        "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        "ENV_FILE": os.devnull,
    }
    command = [sys.executable, "manage.py", "run_demo", "--port", str(port)]
    with (var / "demo.log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
    until(lambda: "Ctrl-C ends it" in (var / "demo.log").read_text(), seconds=180)
    yield Demo(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}", env)
    process.send_signal(signal.SIGINT)
    process.wait(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    if not Path(CHROMIUM).exists():
        pytest.skip("no chromium: apt-get install chromium fonts-noto-cjk")
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
