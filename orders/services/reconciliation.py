"""The platform's daily bill against our books: every row of one must stand in the other, to the fen."""

import logging
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from miniback.core.errors import Conflict
from miniback.core.providers import is_offered, payment_provider
from miniback.core.transactions import assert_no_transaction, atomic
from miniback.platforms.contract import BillRow
from miniback.platforms.errors import BillNotReady, NoBill, PlatformError
from orders.models import (
    Bill,
    BillDifference,
    Channel,
    DifferenceKind,
    DifferenceStatus,
    Payment,
    Refund,
)
from orders.services.settlement import Mismatch, check_payment
from orders.status import PaymentStatus, RefundStatus

logger = logging.getLogger(__name__)

# Bills of yesterday are there from ten in the morning; one that was missed is fetched for a week.
READY_AT = time(10, 0)
LOOK_BACK_DAYS = 7
BATCH = 500


class AlreadyResolved(Conflict):
    code = "already_resolved"
    detail = _("This difference is resolved already.")


class Found(NamedTuple):
    """A disagreement; an amount is None where there is no such row."""

    kind: DifferenceKind
    is_refund: bool
    number: str
    transaction_id: str
    theirs_fen: int | None
    ours_fen: int | None


def reconcile(channel: Channel, day: date) -> Bill:
    """Fetch a day's bill and compare it; may be repeated, and then forgets what has become right.

    Calls the platform, also about every payment in the bill that we do not know to be paid: money
    that arrived unheard is found here at the latest. Raises BillNotReady, PlatformError.
    """
    assert_no_transaction()
    try:
        rows = payment_provider(channel).bill(day)
    except NoBill:
        rows = []
    _settle(channel, rows)
    return _compare(channel, day, rows)


def _settle(channel: Channel, rows: list[BillRow]) -> None:
    for numbers in _batches(row.payment_number for row in rows if not row.is_refund):
        unpaid = Payment.objects.filter(channel=channel, number__in=numbers)
        for payment in unpaid.exclude(status=PaymentStatus.PAID).select_related("order"):
            try:
                check_payment(payment)
            except (PlatformError, Mismatch) as error:
                logger.warning("payment %s: %s", payment.number, error)
    for numbers in _batches(row.refund_number for row in rows if row.refund_number):
        unsettled = Refund.objects.filter(payment__channel=channel, number__in=numbers)
        unsettled.filter(due_at__isnull=False).update(due_at=timezone.now())


@atomic
def _compare(channel: Channel, day: date, rows: list[BillRow]) -> Bill:
    paid = {row.payment_number: row for row in rows if not row.is_refund}
    back = {row.refund_number: row for row in rows if row.refund_number}
    bill, _new = Bill.objects.update_or_create(
        channel=channel,
        day=day,
        defaults={
            "row_count": len(rows),
            "paid_fen": sum(row.amount_fen for row in paid.values()),
            "refunded_fen": sum(row.amount_fen for row in back.values()),
            "compared_at": timezone.now(),
        },
    )
    payments = Payment.objects.filter(channel=channel)
    refunds = Refund.objects.filter(payment__channel=channel)
    found = [
        *_differences(paid, payments, PaymentStatus.PAID, "paid_at", day),
        *_differences(back, refunds, RefundStatus.SUCCEEDED, "succeeded_at", day),
    ]
    _keep(bill, found)
    _forget_late_ones(bill, [*paid, *back])
    return bill


def _differences(
    rows: dict[str, BillRow], ours: QuerySet[Any], settled: str, moment: str, day: date
) -> Iterator[Found]:
    is_refund = ours.model is Refund
    known: dict[str, Any] = {}
    for numbers in _batches(rows):
        known |= {row.number: row for row in ours.filter(number__in=numbers)}
        ours.filter(number__in=numbers).update(billed_on=day)
    for number, theirs in rows.items():
        mine = known.get(number)
        # A refund may still be on its way with us; a payment has just been asked about.
        is_ours = mine is not None and (is_refund or mine.status == settled)
        if mine is None or not is_ours or mine.amount_fen != theirs.amount_fen:
            kind = DifferenceKind.AMOUNT if is_ours else DifferenceKind.NOT_OURS
            ours_fen = mine.amount_fen if mine is not None and is_ours else None
            yield Found(kind, is_refund, number, theirs.transaction_id, theirs.amount_fen, ours_fen)
    start = timezone.make_aware(datetime.combine(day, time.min))
    span = (start, start + timedelta(days=1) - timedelta(microseconds=1))
    left = ours.filter(status=settled, billed_on=None, **{f"{moment}__range": span})
    for mine in left.order_by("id"):
        transaction = mine.platform_id if is_refund else mine.transaction_id
        yield Found(
            DifferenceKind.NOT_THEIRS, is_refund, mine.number, transaction, None, mine.amount_fen
        )


def _batches(numbers: Iterable[str]) -> Iterator[list[str]]:
    every = list(numbers)
    for start in range(0, len(every), BATCH):
        yield every[start : start + BATCH]


def _keep(bill: Bill, found: list[Found]) -> None:
    """Write what is new; what is not there any more has become right by itself."""
    before = {(row.kind, row.number): row for row in bill.differences.all()}
    now = {(one.kind, one.number): one for one in found}
    for key in now.keys() - before.keys():
        logger.error("bill %s: %s %s", bill, *key)
        BillDifference.objects.create(bill=bill, **now[key]._asdict())
    gone = [before[key].pk for key in before.keys() - now.keys()]
    _resolve_by_itself(bill.differences.filter(pk__in=gone), "再次核对时已一致")


def _forget_late_ones(bill: Bill, numbers: list[str]) -> None:
    """What was missing from the bill of the day before stands in this one: midnight lay between."""
    for batch in _batches(numbers):
        earlier = BillDifference.objects.filter(
            bill__channel=bill.channel, kind=DifferenceKind.NOT_THEIRS, number__in=batch
        )
        _resolve_by_itself(earlier, f"在{bill.day}的账单中")


def _resolve_by_itself(differences: QuerySet[BillDifference], note: str) -> None:
    differences.filter(status=DifferenceStatus.OPEN).update(
        status=DifferenceStatus.RESOLVED, resolved_at=timezone.now(), note=note
    )


@atomic
def resolve_difference(difference: BillDifference, *, user: Any, note: str) -> None:
    """Staff have found out why, and say so. Raises AlreadyResolved."""
    still_open = BillDifference.objects.filter(pk=difference.pk, status=DifferenceStatus.OPEN)
    if not still_open.update(
        status=DifferenceStatus.RESOLVED, resolved_at=timezone.now(), resolved_by=user, note=note
    ):
        raise AlreadyResolved


# The job


def reconcile_due_days() -> None:
    """Compare yesterday's bills, and those of the last week that were not there yet."""
    now = timezone.localtime()
    yesterday = now.date() - timedelta(days=1 if now.time() >= READY_AT else 2)
    days = [yesterday - timedelta(days=back) for back in range(LOOK_BACK_DAYS)]
    for channel in Channel:
        first = Payment.objects.filter(channel=channel).order_by("id").first()
        if first is None or not is_offered(channel):
            continue
        begin = timezone.localdate(first.created_at)
        done = set(Bill.objects.filter(channel=channel).values_list("day", flat=True))
        for day in days:
            if day >= begin and day not in done:
                _try(channel, day)


def _try(channel: Channel, day: date) -> None:
    try:
        reconcile(channel, day)
    except BillNotReady:
        logger.info("the bill of %s for %s is not there yet", channel, day)
    except PlatformError as error:
        logger.warning("bill of %s for %s: %s", channel, day, error)
