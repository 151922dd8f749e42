"""Compares a day's bill with our books, now."""

import sys
from datetime import date, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from miniback.core.money import format_yuan
from miniback.core.providers import is_offered
from miniback.platforms.errors import PlatformError
from orders.models import Bill, Channel
from orders.services.reconciliation import reconcile


class Command(BaseCommand):
    help = (
        "Fetch the platforms' bill of a day and compare it with our payments and refunds. "
        "Exit status 1 and a line for each open difference."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--date", type=date.fromisoformat, help="of Shanghai; yesterday")
        parser.add_argument("--channel", choices=Channel.values, help="all that are set up")

    def handle(self, *args: Any, **options: Any) -> None:
        day = options["date"] or timezone.localdate() - timedelta(days=1)
        channels = [options["channel"]] if options["channel"] else filter(is_offered, Channel)
        is_clean = True
        for channel in map(Channel, channels):
            try:
                bill = reconcile(channel, day)
            except PlatformError as error:
                raise CommandError(f"{channel.label}: {error}") from error
            is_clean = self.print(bill) and is_clean
        if not is_clean:
            sys.exit(1)

    def print(self, bill: Bill) -> bool:
        self.stdout.write(
            f"{bill}: {bill.row_count} rows, {format_yuan(bill.paid_fen)} yuan in, "
            f"{format_yuan(bill.refunded_fen)} yuan back"
        )
        differences = bill.differences.filter(status="open").order_by("id")
        for row in differences:
            what = "refund" if row.is_refund else "payment"
            amounts = f"theirs {_yuan(row.theirs_fen)}, ours {_yuan(row.ours_fen)}"
            self.stdout.write(f"    {row.kind} {what} {row.number}: {amounts}")
        return not differences


def _yuan(fen: int | None) -> str:
    return "-" if fen is None else format_yuan(fen)
