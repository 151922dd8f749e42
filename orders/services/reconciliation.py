"""The platforms' daily bills against our books: compared again and again until they agree.

Each account of the shop that has payments has a bill for each day. What differs is listed
(`discrepancies`), and resolves itself when it goes away; what stays is resolved by staff, who book
what happened (`corrections`).
"""

import logging
from collections.abc import Collection, Iterable, Iterator
from datetime import date, datetime, time, timedelta

from django.db.models import Min, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from miniback.core.clock import database_now
from miniback.core.due import try_due
from miniback.core.providers import is_offered, payment_provider
from miniback.core.transactions import assert_no_transaction
from miniback.platforms.contract import BillRow
from miniback.platforms.errors import HostDown, NoBill, PlatformError
from orders.models import (
    Bill,
    BillDifference,
    Channel,
    DifferenceKind,
    DifferenceStatus,
    Payment,
    Refund,
    Resolution,
)
from orders.services.bill_comparison import (
    BATCH,
    compare_payments,
    compare_refunds,
    paid_on,
    payment_rows,
    refund_rows,
    refunded_on,
)
from orders.services.difference_rows import (
    KNOWN_BEFORE,
    Account,
    record_discrepancies,
    resolve_by_itself,
)
from orders.services.settlement import Mismatch, check_payment
from orders.status import PaymentStatus, RefundStatus

logger = logging.getLogger(__name__)

# Bills of yesterday are there from ten in the morning, and can be had for three months.
READY_AT = time(10, 0)
MAX_AGE = timedelta(days=90)
# Longer than it takes to fetch a large bill and to ask about what it names.
COMPARE_LEASE = timedelta(minutes=10)
SHORTEST_PAUSE, LONGEST_PAUSE = timedelta(hours=1), timedelta(days=1)
# How long a bill is asked for that does not come, and one is compared that does not agree.
ASK_FOR = timedelta(days=7)
COMPARE_FOR = timedelta(days=14)


def reconcile(bill: Bill) -> Bill:
    """Fetch a bill and compare it with our books; may be repeated.

    Calls the platform, also about every payment in the bill that we do not know to be paid: money
    that arrived unheard is found here at the latest. Raises BillNotReady, NoBill (although we hold
    money of that day), BadBill and other PlatformErrors.
    """
    assert_no_transaction()
    account = Account(bill.channel, bill.app_id, bill.merchant_id)
    rows = _fetch(bill, account)
    ours = [row for row in rows if row.app_id in {"", bill.app_id}]
    is_sure = _ask_about(account, ours)
    payments, refunds = payment_rows(ours), refund_rows(account, ours)
    recorded = record_discrepancies(
        account, compare_payments(account, bill.day, payments), bill=bill
    )
    recorded += record_discrepancies(
        account, compare_refunds(account, bill.day, refunds), bill=bill
    )
    _resolve_what_agrees(bill, {row.pk for row in recorded})
    _resolve_late_ones(bill, payments, is_refund=False)
    _resolve_late_ones(bill, refunds, is_refund=True)
    _write_figures(bill, ours, [row for row in rows if row.app_id not in {"", bill.app_id}])
    _finish(bill, is_sure=is_sure)
    return bill


def _fetch(bill: Bill, account: Account) -> list[BillRow]:
    platform = payment_provider(
        bill.channel, app_id=account.app_id, merchant_id=account.merchant_id
    )
    try:
        return platform.bill(bill.day)
    except NoBill:
        # The platforms say so of a day on which nothing moved, and of a bill that is late.
        if paid_on(account, bill.day).exists() or refunded_on(account, bill.day).exists():
            raise
        return []


def _ask_about(account: Account, rows: list[BillRow]) -> bool:
    """Let the platform say what we do not know yet. Returns whether it answered about everything."""
    is_sure = True
    for numbers in _batches(row.payment_number for row in rows if not row.is_refund):
        unpaid = Payment.objects.filter(channel=account.channel, number__in=numbers)
        for payment in unpaid.exclude(status=PaymentStatus.PAID).select_related("order"):
            try:
                check_payment(payment)
            except (PlatformError, Mismatch) as error:
                logger.warning("payment %s: %s", payment.number, error)
                is_sure = is_sure and isinstance(error, Mismatch)
    for numbers in _batches(row.refund_number for row in rows if row.refund_number):
        unsettled = Refund.objects.filter(
            payment__channel=account.channel,
            out_refund_no__in=numbers,
            status__in=[RefundStatus.APPROVED, RefundStatus.PROCESSING, RefundStatus.FAILED],
        )
        unsettled.exclude(platform_status=KNOWN_BEFORE).update(due_at=database_now())
    return is_sure


def _batches(numbers: Iterable[str]) -> Iterator[list[str]]:
    every = list(numbers)
    for start in range(0, len(every), BATCH):
        yield every[start : start + BATCH]


def _resolve_what_agrees(bill: Bill, recorded: set[int]) -> None:
    # Also what staff have booked: the platform may have corrected its bill since.
    standing = bill.differences.filter(
        Q(status=DifferenceStatus.OPEN) | Q(resolution=Resolution.AMOUNT_BOOKED)
    )
    gone = set(standing.values_list("pk", flat=True)) - recorded
    resolve_by_itself(BillDifference.objects.filter(pk__in=gone), _("agreed when compared again"))


def _resolve_late_ones(bill: Bill, numbers: Iterable[str], *, is_refund: bool) -> None:
    """What was missing from the bill of the day before stands in this one: midnight lay between."""
    for batch in _batches(numbers):
        earlier = BillDifference.objects.filter(
            channel=bill.channel,
            is_refund=is_refund,
            kind=DifferenceKind.NOT_THEIRS,
            number__in=batch,
        )
        resolve_by_itself(earlier, _("stands in the bill of %(day)s") % {"day": bill.day})


def _write_figures(bill: Bill, ours: list[BillRow], others: list[BillRow]) -> None:
    bill.row_count = len(ours)
    bill.paid_fen = sum(row.amount_fen for row in ours if not row.is_refund)
    bill.refunded_fen = sum(row.amount_fen for row in ours if row.is_refund)
    bill.other_count = len(others)
    bill.other_fen = sum(-row.amount_fen if row.is_refund else row.amount_fen for row in others)


def _finish(bill: Bill, *, is_sure: bool) -> None:
    """Decide whether it agrees, or when it is compared again."""
    now = database_now()
    agrees = is_sure and not bill.differences.filter(status=DifferenceStatus.OPEN).exists()
    bill.compared_at, bill.last_error = now, ""
    bill.agreed_at = (bill.agreed_at or now) if agrees else None
    is_over = agrees or now - _ready_at(bill.day) > COMPARE_FOR
    bill.due_at = None if is_over else _next_comparison(bill, now)
    bill.save(
        update_fields=[
            "row_count",
            "paid_fen",
            "refunded_fen",
            "other_count",
            "other_fen",
            "compared_at",
            "agreed_at",
            "last_error",
            "due_at",
        ]
    )


def _next_comparison(bill: Bill, now: datetime) -> datetime:
    """In one, two, four hours ... a day, by the attempts made."""
    pause = SHORTEST_PAUSE * 2 ** min(max(bill.attempts - 1, 0), 5)
    return now + min(pause, LONGEST_PAUSE)


def _ready_at(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day + timedelta(days=1), READY_AT))


# Which bills there are


def bills_of(channel: str, day: date) -> list[Bill]:
    """Return the bill of a day of each account that has payments, or that is set up."""
    accounts = {account for account, _first in _accounts(channel)}
    if is_offered(channel):
        current = payment_provider(channel)
        accounts.add(Account(channel, current.app_id, current.merchant_id))
    defaults = {"due_at": database_now()}
    return [
        Bill.objects.get_or_create(**account._asdict(), day=day, defaults=defaults)[0]
        for account in sorted(accounts)
    ]


def open_bills(channel: str, *, now: datetime) -> None:
    """Write a bill to be compared for each day since an account's first payment, as far as it can be had."""
    last = timezone.localdate(now) - timedelta(days=1)
    if now < _ready_at(last):
        last -= timedelta(days=1)
    for account, first_at in _accounts(channel):
        known = set(Bill.objects.filter(**account._asdict()).values_list("day", flat=True))
        begin = max(timezone.localdate(first_at), last - MAX_AGE)
        days = (begin + timedelta(days=n) for n in range((last - begin).days + 1))
        Bill.objects.bulk_create(
            (Bill(**account._asdict(), day=day, due_at=now) for day in days if day not in known),
            ignore_conflicts=True,
        )


def _accounts(channel: str) -> Iterator[tuple[Account, datetime]]:
    """Each account with its first payment."""
    payments = Payment.objects.filter(channel=channel).exclude(merchant_id="")
    rows = payments.values_list("app_id", "merchant_id").annotate(first=Min("created_at"))
    for app_id, merchant_id, first in rows.order_by("app_id", "merchant_id"):
        yield Account(channel, app_id, merchant_id), first


# The job


def reconcile_due_days(channels: Collection[str] = Channel.values) -> None:
    """Compare the bills that are due: yesterday's, missed ones, and those that did not agree."""
    for channel in channels:
        open_bills(channel, now=database_now())
    try_due(Bill.objects.filter(channel__in=channels), _reconcile_due, lease=COMPARE_LEASE)


def _reconcile_due(bill: Bill) -> None:
    try:
        reconcile(bill)
    except HostDown:
        # Nobody was asked.
        raise
    except PlatformError as error:
        logger.warning("bill of %s: %s", bill, error)
        note_failure(bill, error)


def note_failure(bill: Bill, error: PlatformError) -> None:
    """Show staff why; ask again, as long as there is hope."""
    now = database_now()
    age = now - _ready_at(bill.day)
    is_over = age > (ASK_FOR if isinstance(error, NoBill) else MAX_AGE)
    due_at = None if is_over else _next_comparison(bill, now)
    Bill.objects.filter(pk=bill.pk).update(last_error=str(error)[:300], due_at=due_at)
