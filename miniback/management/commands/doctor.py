"""Looks over the credentials of the platforms and says what to mend."""

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError

from miniback.core.doctor import Finding, ask, examine
from orders.services.left_accounts import examine_accounts
from orders.services.messages import ask_about_templates, examine_templates


class Command(BaseCommand):
    help = (
        "Check every credential and key of the platforms. Exit status 1 when something is wrong. "
        "With --ask the platforms are asked too, and the shop's own callbacks are called."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--ask", action="store_true", help="ask the platforms")

    def handle(self, *args: Any, **options: Any) -> None:
        found = [*examine(), *examine_templates()]
        found += self.accounts()
        if options["ask"]:
            found += [*ask(), *ask_about_templates()]
        for finding in found:
            self.stdout.write(f"{finding.setting} {finding.problem}\n    {finding.remedy}")
        if found:
            sys.exit(1)
        names = ("WECHAT_APP_ID", "WECHATPAY_MCH_ID", "ALIPAY_APP_ID", "DOUYIN_APP_ID")
        seen = ", ".join(name for name in names if getattr(settings, name))
        self.stdout.write(f"Nothing to mend. Looked at what belongs to {seen}.")

    def accounts(self) -> list[Finding]:
        """Works without a database too, as on a machine that is being set up."""
        try:
            return list(examine_accounts())
        except DatabaseError:
            return []
