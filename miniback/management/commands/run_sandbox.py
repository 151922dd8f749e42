"""Starts the stand-in of the platforms, a program of its own."""

import os
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Run the local stand-in of WeChat and WeChat Pay, with a phone to play the customer."
    # It works before there is a database.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", default="9000")
        parser.add_argument("--dir", default=str(settings.VAR_DIR / "sandbox"))
        parser.add_argument("--shop-url", default=settings.PUBLIC_URL)
        parser.add_argument("--notice-speed", default="1")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.WECHAT_APP_ID and not settings.WECHAT_APP_ID.startswith("wxsandbox"):
            raise CommandError("WECHAT_APP_ID is a real one: the sandbox has no place here.")
        command = [sys.executable, "-m", "miniback.sandbox"]
        for name in ("port", "dir", "shop_url", "notice_speed"):
            command += ["--" + name.replace("_", "-"), str(options[name])]
        os.chdir(Path(settings.BASE_DIR))
        os.execv(sys.executable, command)  # noqa: S606
