"""Daily totals, computed anew from the ledger until their day is over."""

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import Count, F, Min, Q, Sum
from django.db.models.functions import ExtractHour
from django.utils import timezone

from miniback.core.clock import database_now
from miniback.core.due import within_budget
from miniback.core.transactions import atomic
from orders.models import (
    Account,
    DailyProduct,
    DailyTotal,
    LedgerEntry,
    LedgerTransaction,
    Order,
    OrderLine,
)
from orders.services.books import EXTERNAL_REFUND, EXTERNAL_REFUND_VOID, INCOME

logger = logging.getLogger(__name__)

# What is posted at the last moment of a day may be committed a little after it.
SETTLED_AFTER = timedelta(minutes=10)
SALE = "sale:"


def refresh_daily_totals() -> None:
    """Job: today, and every earlier day that was not computed after it was over."""
    now = database_now()
    for day in within_budget(_open_days(now)):
        try:
            compute_day(day)
        except Exception:
            # The days after it are computed all the same.
            logger.exception("the totals of %s failed", day)


def rebuild_daily_totals(first: date | None = None, last: date | None = None) -> int:
    """Compute the totals of these days anew, by default of all. Return how many days."""
    today = timezone.localdate(database_now())
    begin = first or _first_day() or today
    count = 0
    for day in _days(begin, min(last or today, today)):
        compute_day(day)
        count += 1
    return count


def _open_days(now: datetime) -> Iterator[date]:
    """Today first: whoever looks at the start page looks at it."""
    today = timezone.localdate(now)
    yield today
    # A total from the future was computed by a wrong clock.
    done = {
        day
        for day, computed_at in DailyTotal.objects.values_list("day", "computed_at")
        if _end_of(day) + SETTLED_AFTER <= computed_at <= now
    }
    yield from (day for day in _days(_first_day() or today, today) if day not in done | {today})


def _first_day() -> date | None:
    """Of a new shop the first on which anything happened."""
    first: date | None = Order.objects.aggregate(day=Min("placed_on"))["day"]
    return first


def _days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range((last - first).days + 1))


def _end_of(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day + timedelta(days=1), time()))


@atomic
def compute_day(day: date) -> DailyTotal:
    """Write a day's rows from the ledger; computing it again gives the same."""
    now = database_now()
    DailyTotal.objects.get_or_create(day=day, defaults={"computed_at": now})
    total = DailyTotal.objects.select_for_update().get(day=day)
    sales = LedgerTransaction.objects.filter(posted_on=day, event_key__startswith=SALE)
    income = LedgerEntry.objects.filter(transaction__posted_on=day, account__in=INCOME)
    is_sale = Q(transaction__event_key__startswith=SALE)
    sums = income.aggregate(sold=Sum("amount_fen", filter=is_sale), all=Sum("amount_fen"))
    # Income is negative in the ledger: what it came for.
    total.sale_fen = -(sums["sold"] or 0)
    total.back_fen = total.sale_fen + (sums["all"] or 0) + _back_outside(day)
    counts = sales.aggregate(sales=Count("id"), payers=Count("order__user", distinct=True))
    total.sale_count, total.payer_count = counts["sales"], counts["payers"]
    total.placed_count = Order.objects.filter(placed_on=day).count()
    total.hours = _hours(sales)
    total.computed_at = now
    total.save()
    _compute_products(day, sales)
    return total


def _back_outside(day: date) -> int:
    """What was given back outside the shop is no income taken back, and yet it is given back."""
    # Less what turned out not to have been given back.
    outside = Q(transaction__event_key__startswith=EXTERNAL_REFUND) | Q(
        transaction__event_key__startswith=EXTERNAL_REFUND_VOID
    )
    booked = LedgerEntry.objects.filter(
        outside, transaction__posted_on=day, account=Account.CORRECTIONS
    )
    return booked.aggregate(sum=Sum("amount_fen"))["sum"] or 0


def _hours(sales: Any) -> list[int]:
    """Sales of each Shanghai hour. The database counts in UTC: it may know no other time zone."""
    due = Sum("entries__amount_fen", filter=Q(entries__account=Account.RECEIVABLE))
    by_hour = sales.annotate(hour=ExtractHour("posted_at", tzinfo=UTC)).values("hour")
    hours = [0] * 24
    for hour, fen in by_hour.annotate(fen=due).order_by("hour").values_list("hour", "fen"):
        hours[(hour + 8) % 24] = fen or 0
    return hours


def _compute_products(day: date, sales: Any) -> None:
    lines = OrderLine.objects.filter(order__ledger__in=sales).values("product")
    sold = lines.annotate(pieces=Sum("quantity"), fen=Sum(F("quantity") * F("unit_fen")))
    DailyProduct.objects.filter(day=day).delete()
    DailyProduct.objects.bulk_create(
        DailyProduct(day=day, product_id=row["product"], pieces=row["pieces"], goods_fen=row["fen"])
        for row in sold.order_by("product")
    )
