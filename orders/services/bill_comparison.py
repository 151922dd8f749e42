"""The rows of a bill against our payments and refunds: what differs, to the fen."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from miniback.platforms.contract import BillRow
from orders.models import DifferenceKind, LedgerTransaction, Payment, Refund
from orders.services.books import REFUND_TO_SHOP
from orders.services.difference_rows import KNOWN_BEFORE, Account, Discrepancy
from orders.status import PaymentStatus, RefundMethod, RefundStatus

BATCH = 500
# With the platform, or back already; what the shop paid out or wrote off the platform still has.
WITH_PLATFORM = [
    RefundStatus.APPROVED,
    RefundStatus.PROCESSING,
    RefundStatus.SUCCEEDED,
    RefundStatus.FAILED,
    RefundStatus.TO_PAY_OUT,
]
# Of what the platform sent to the shop's own account.
AT_SHOP = [RefundStatus.TO_PAY_OUT, RefundStatus.SUCCEEDED, RefundStatus.WRITTEN_OFF]
# Rows under one number; the first is compared, more than one is a difference.
Rows = dict[str, list[BillRow]]


def payments_of(account: Account) -> QuerySet[Payment]:
    rows: QuerySet[Payment] = Payment.objects.filter(**account._asdict())
    return rows


def refunds_of(account: Account) -> QuerySet[Refund]:
    named = {f"payment__{name}": value for name, value in account._asdict().items()}
    rows: QuerySet[Refund] = Refund.objects.filter(**named).select_related("payment")
    return rows


def paid_on(account: Account, day: date) -> QuerySet[Payment]:
    """What came in that day and stands in no other day's bill."""
    of_day = payments_of(account).filter(status=PaymentStatus.PAID, paid_at__range=_span(day))
    return of_day.filter(Q(billed_on__isnull=True) | Q(billed_on=day))


def refunded_on(account: Account, day: date) -> QuerySet[Refund]:
    """What left the platform that day, to its payer or to the shop, and stands in no other day's bill."""
    to_payer = Q(
        status=RefundStatus.SUCCEEDED,
        method=RefundMethod.PLATFORM,
        succeeded_at__range=_span(day),
    )
    # Their own moment of success is that of the shop's paying out.
    to_shop = Q(status__in=AT_SHOP, is_to_shop=True, out_refund_no__in=_to_shop_on(day))
    of_day = refunds_of(account).filter(to_payer | to_shop)
    return of_day.filter(Q(billed_on__isnull=True) | Q(billed_on=day))


def _to_shop_on(day: date) -> list[str]:
    """Return the numbers of refunds that a platform sent to the shop's own account that day."""
    posted = LedgerTransaction.objects.filter(
        posted_on=day, event_key__startswith=REFUND_TO_SHOP
    ).values_list("event_key", flat=True)
    return [key.removeprefix(REFUND_TO_SHOP) for key in posted]


def _span(day: date) -> tuple[datetime, datetime]:
    start = timezone.make_aware(datetime.combine(day, time.min))
    return start, start + timedelta(days=1) - timedelta(microseconds=1)


def payment_rows(rows: Iterable[BillRow]) -> Rows:
    found: Rows = defaultdict(list)
    for row in rows:
        if not row.is_refund:
            found[row.payment_number].append(row)
    return found


def refund_rows(account: Account, rows: Iterable[BillRow]) -> Rows:
    """By our number at the platform. A row without one is of the only refund that it can be."""
    found: Rows = defaultdict(list)
    unnamed = []
    for row in rows:
        if row.is_refund and row.refund_number:
            found[row.refund_number].append(row)
        elif row.is_refund:
            unnamed.append(row)
    for row in unnamed:
        found[_name_refund(account, row, found)].append(row)
    return found


def _name_refund(account: Account, row: BillRow, named: Rows) -> str:
    """The same in every comparison, whether or not there is such a refund of ours."""
    made_up = f"{row.payment_number}@{row.at:%y%m%d%H%M%S}"
    fitting = refunds_of(account).filter(
        payment__number=row.payment_number,
        amount_fen=row.amount_fen,
        status__in=WITH_PLATFORM,
        out_refund_no__isnull=False,
    )
    numbers = {refund.out_refund_no or "" for refund in fitting} - named.keys()
    return numbers.pop() if len(numbers) == 1 and made_up not in numbers else made_up


def compare_payments(account: Account, day: date, rows: Rows) -> Iterator[Discrepancy]:
    known = _mark(Payment.objects.filter(channel=account.channel), "number", rows, day)
    for number, (row, *more) in rows.items():
        mine = known.get(number)
        kind = _kind_of_payment(mine, row)
        if kind:
            yield _payment(kind, row, mine)
        if more:
            twice = row._replace(amount_fen=sum(each.amount_fen for each in more))
            yield _payment(DifferenceKind.TWICE, twice, mine)
    for missing in _missing(paid_on(account, day), "number", rows):
        yield Discrepancy(
            kind=DifferenceKind.NOT_THEIRS,
            is_refund=False,
            number=missing.number,
            payment_number=missing.number,
            transaction_id=missing.transaction_id or "",
            theirs_fen=None,
            ours_fen=int(missing.amount_fen),
            payment=missing,
        )


def _kind_of_payment(mine: Payment | None, row: BillRow) -> DifferenceKind | None:
    if mine is None:
        return DifferenceKind.NOT_OURS
    if mine.amount_fen != row.amount_fen:
        return DifferenceKind.AMOUNT
    if mine.status != PaymentStatus.PAID:
        return DifferenceKind.NOT_OURS
    if row.transaction_id and row.transaction_id != mine.transaction_id:
        return DifferenceKind.TRANSACTION
    return None


def _payment(kind: DifferenceKind, row: BillRow, mine: Payment | None) -> Discrepancy:
    has_it = mine is not None and kind in {DifferenceKind.AMOUNT, DifferenceKind.TRANSACTION}
    return Discrepancy(
        kind=kind,
        is_refund=False,
        number=row.payment_number,
        payment_number=row.payment_number,
        transaction_id=row.transaction_id,
        theirs_fen=row.amount_fen,
        ours_fen=int(mine.amount_fen) if mine and has_it else None,
        payment=mine,
    )


def compare_refunds(account: Account, day: date, rows: Rows) -> Iterator[Discrepancy]:
    refunds = Refund.objects.filter(payment__channel=account.channel).select_related("payment")
    # What was written off the platform still has, unless it went to the shop's account.
    to_shop = Q(status=RefundStatus.WRITTEN_OFF, is_to_shop=True)
    agreed = refunds.filter(Q(status__in=WITH_PLATFORM) | to_shop)
    known = _mark(agreed.exclude(platform_status=KNOWN_BEFORE), "out_refund_no", rows, day)
    payments = _payments_of_rows(account, rows)
    for number, (row, *more) in rows.items():
        mine = known.get(number)
        if mine and mine.payment and mine.payment.number != row.payment_number:
            mine = None
        kind = _kind_of_refund(mine, row)
        if kind:
            yield _refund(kind, number, row, mine, payments)
        if more:
            twice = row._replace(amount_fen=sum(each.amount_fen for each in more))
            yield _refund(DifferenceKind.TWICE, number, twice, mine, payments)
    for missing in _missing(refunded_on(account, day), "out_refund_no", rows):
        yield Discrepancy(
            kind=DifferenceKind.NOT_THEIRS,
            is_refund=True,
            number=missing.out_refund_no or missing.number,
            payment_number=missing.payment.number if missing.payment else "",
            transaction_id=missing.platform_id,
            theirs_fen=None,
            ours_fen=int(missing.amount_fen),
            payment=missing.payment,
        )


def _payments_of_rows(account: Account, rows: Rows) -> dict[str, Payment]:
    found: dict[str, Payment] = {}
    for numbers in _batches(row.payment_number for (row, *_more) in rows.values()):
        of_these = Payment.objects.filter(channel=account.channel, number__in=numbers)
        found |= {payment.number: payment for payment in of_these}
    return found


def _kind_of_refund(mine: Refund | None, row: BillRow) -> DifferenceKind | None:
    if mine is None:
        return DifferenceKind.NOT_OURS
    if mine.amount_fen != row.amount_fen:
        return DifferenceKind.AMOUNT
    if mine.platform_id and row.platform_refund_id not in {"", mine.platform_id}:
        return DifferenceKind.TRANSACTION
    return None


def _refund(
    kind: DifferenceKind,
    number: str,
    row: BillRow,
    mine: Refund | None,
    payments: dict[str, Payment],
) -> Discrepancy:
    has_it = kind in {DifferenceKind.AMOUNT, DifferenceKind.TRANSACTION}
    return Discrepancy(
        kind=kind,
        is_refund=True,
        number=number,
        payment_number=row.payment_number,
        transaction_id=row.platform_refund_id or number[:64],
        theirs_fen=row.amount_fen,
        ours_fen=int(mine.amount_fen) if mine and has_it else None,
        payment=payments.get(row.payment_number),
    )


def _mark(ours: QuerySet[Any], column: str, rows: Rows, day: date) -> dict[str, Any]:
    """Find ours by the bill's numbers, and write on those that are settled in which bill they stand."""
    known: dict[str, Any] = {}
    for numbers in _batches(rows):
        found = {getattr(mine, column): mine for mine in ours.filter(**{f"{column}__in": numbers})}
        known |= found
        if ours.model is Payment:
            ids = [mine.pk for mine in found.values() if mine.status == PaymentStatus.PAID]
        else:
            ids = [mine.pk for mine in found.values()]
        elsewhere = Q(billed_on__isnull=True) | ~Q(billed_on=day)
        ours.model._default_manager.filter(elsewhere, pk__in=ids).update(billed_on=day)
    return known


def _missing(ours: QuerySet[Any], column: str, rows: Rows) -> Iterator[Any]:
    """Those of that day which the bill does not name, or not any more."""
    for mine in ours.order_by("id").iterator(chunk_size=BATCH):
        if getattr(mine, column) in rows:
            continue
        if mine.billed_on:
            type(mine)._default_manager.filter(pk=mine.pk).update(billed_on=None)
        yield mine


def _batches(numbers: Iterable[str]) -> Iterator[list[str]]:
    every = list(numbers)
    for start in range(0, len(every), BATCH):
        yield every[start : start + BATCH]
