"""Computes the daily totals anew."""

from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from orders.services.daily import rebuild_daily_totals


class Command(BaseCommand):
    help = "Compute the totals of days anew from the ledger; may be repeated."

    def add_arguments(self, parser: CommandParser) -> None:
        day = date.fromisoformat
        parser.add_argument("--from", dest="first", type=day, help="by default the first order's")
        parser.add_argument("--to", dest="last", type=day, help="by default today")

    def handle(self, *args: Any, **options: Any) -> None:
        count = rebuild_daily_totals(options["first"], options["last"])
        self.stdout.write(f"{count} days computed")
