"""Compares the bills of a day, or of several, with our books, now."""

import sys
from datetime import date, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from miniback.core.money import format_yuan
from miniback.core.providers import is_offered
from miniback.platforms.errors import PlatformError
from orders.models import Bill, Channel, Payment
from orders.services.reconciliation import bills_of, note_failure, reconcile


class Command(BaseCommand):
    help = (
        "Fetch the platforms' bills of a day and compare them with our payments and refunds. "
        "Exit status 1 and a line for each open difference."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--date", type=date.fromisoformat, help="of Shanghai; yesterday")
        parser.add_argument("--to", type=date.fromisoformat, help="and all days up to this one")
        parser.add_argument("--channel", choices=Channel.values, help="all that are set up")

    def handle(self, *args: Any, **options: Any) -> None:
        first = options["date"] or timezone.localdate() - timedelta(days=1)
        last = options["to"] or first
        channels = [options["channel"]] if options["channel"] else list(filter(_is_used, Channel))
        is_clean = True
        failures = []
        for offset in range((last - first).days + 1):
            for channel in channels:
                for bill in bills_of(channel, first + timedelta(days=offset)):
                    try:
                        is_clean = self.print(reconcile(bill)) and is_clean
                    except PlatformError as error:
                        note_failure(bill, error)
                        failures.append(f"{_name(bill)}: {error}")
        if failures:
            raise CommandError("\n".join(failures))
        if not is_clean:
            sys.exit(1)

    def print(self, bill: Bill) -> bool:
        others = f", {bill.other_count} rows of other apps" if bill.other_count else ""
        self.stdout.write(
            f"{_name(bill)}: {bill.row_count} rows, {format_yuan(bill.paid_fen)} yuan in, "
            f"{format_yuan(bill.refunded_fen)} yuan back{others}"
        )
        differences = bill.differences.filter(status="open").order_by("id")
        for row in differences:
            what = "refund" if row.is_refund else "payment"
            amounts = f"theirs {_yuan(row.theirs_fen)}, ours {_yuan(row.ours_fen)}"
            self.stdout.write(f"    {row.kind} {what} {row.number}: {amounts}")
        return not differences


def _is_used(channel: Channel) -> bool:
    return is_offered(channel) or Payment.objects.filter(channel=channel).exists()


def _name(bill: Bill) -> str:
    return f"{bill} ({bill.merchant_id})"


def _yuan(fen: int | None) -> str:
    return "-" if fen is None else format_yuan(fen)
