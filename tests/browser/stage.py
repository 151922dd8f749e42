"""What the browser tests stand on: a page that counts what its user does, and where the shop is."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.sandbox_process import ROOT

CHROMIUM = "/usr/bin/chromium"
PASSWORD = "browser-test-password"
# Set it to keep the pictures.
SCREENSHOTS = os.environ.get("SCREENSHOTS", "")


class Demo(NamedTuple):
    shop: str
    phone: str
    env: dict[str, str]

    def manage(self, *arguments: str) -> str:
        """What a command of the shop says; it knows the sandbox as the shop itself does."""
        lines = (Path(self.env["VAR_DIR"]) / "sandbox" / "shop.env").read_text().splitlines()
        env = {**self.env, **dict(line.split("=", 1) for line in lines)}
        command = [sys.executable, "manage.py", *arguments]
        ended = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, check=False
        )
        return ended.stdout + ended.stderr


class Page:
    """A page whose script errors fail the test, and its pictures."""

    def __init__(self, browser, width: int = 1280, height: int = 920, **more) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, locale="zh-CN", **more
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def shoot(self, name: str) -> None:
        if SCREENSHOTS:
            Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=f"{SCREENSHOTS}/{name}.png")
