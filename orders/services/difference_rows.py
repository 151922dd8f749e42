"""What a platform says and we do not know, or know otherwise: kept, one row each, until it is resolved."""

import logging
from collections.abc import Iterable
from itertools import islice
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from miniback.core.transactions import atomic
from orders.models import (
    Bill,
    BillDifference,
    DifferenceKind,
    DifferenceStatus,
    LedgerEntry,
    Notice,
    Payment,
    Resolution,
)

logger = logging.getLogger(__name__)

BATCH = 500
# What the columns hold; another system's numbers may be longer.
MAX_NUMBER = 100
MAX_PAYMENT_NUMBER = 64
# By the platform's own refusal: this shop did not send it, although the platform knows its number.
KNOWN_BEFORE = "KNOWN_BEFORE"


AMOUNTS = {"theirs_fen", "ours_fen"}
# What opens a resolved difference again when it changes.
CHANGES = {
    **dict.fromkeys(DifferenceKind, AMOUNTS),
    DifferenceKind.TRANSACTION: AMOUNTS | {"transaction_id"},
}

# What may have been booked by its amount.
BOOKABLE = [DifferenceKind.AMOUNT, DifferenceKind.TWICE]
NOT_APPROVED = {"first_approved_by": None, "first_approved_for": ""}

# After these it differs as before; after any other resolution it would not, had it held.
STANDING = {Resolution.EXPLAINED, Resolution.FOREIGN, Resolution.AMOUNT_BOOKED}


class Account(NamedTuple):
    """Of the shop at a platform."""

    channel: str
    app_id: str
    merchant_id: str


class Discrepancy(NamedTuple):
    """A disagreement about one payment or refund; an amount is None where nobody names one."""

    kind: DifferenceKind
    is_refund: bool
    number: str
    payment_number: str
    transaction_id: str
    theirs_fen: int | None
    ours_fen: int | None
    payment: Payment | None = None

    @property
    def key(self) -> tuple[str, bool, str]:
        return (self.kind, self.is_refund, self.number)

    @property
    def says(self) -> dict[str, Any]:
        return {
            "payment_number": self.payment_number,
            "transaction_id": self.transaction_id,
            "theirs_fen": self.theirs_fen,
            "ours_fen": self.ours_fen,
        }


def record_discrepancies(
    account: Account,
    discrepancies: Iterable[Discrepancy],
    *,
    bill: Bill | None = None,
    notice: Notice | None = None,
) -> list[BillDifference]:
    """Write what differs, in short transactions; return the rows, whatever their status.

    A difference that staff explained stays resolved while it is the same. One whose amounts changed, or
    that an entry or time had made agree, is open again.
    """
    remaining, rows = iter(discrepancies), []
    while batch := list(islice(remaining, BATCH)):
        rows += _record_batch(account, batch, {"bill": bill, "notice": notice})
    return rows


@atomic
def _record_batch(
    account: Account, batch: list[Discrepancy], sources: dict[str, Any]
) -> list[BillDifference]:
    now = timezone.now()
    sources = {name: source for name, source in sources.items() if source is not None}
    existing = _find(account, batch)
    new = {one.key: one for one in batch if one.key not in existing}
    for one in islice(new.values(), 3):
        logger.error(
            "%s: %s %s, one of %d new differences",
            account.channel, one.kind, one.number, len(new),
        )  # fmt: skip
    BillDifference.objects.bulk_create(
        (
            BillDifference(
                kind=one.kind,
                is_refund=one.is_refund,
                number=one.number,
                payment=one.payment,
                found_at=now,
                **account._asdict(),
                **one.says,
                **sources,
            )
            for one in new.values()
        ),
        # Another comparison may have been faster.
        ignore_conflicts=True,
    )
    for one in batch:
        if one.key in existing:
            _update(existing[one.key], one, sources)
    return list(_find(account, batch).values())


def _find(account: Account, batch: list[Discrepancy]) -> dict[Any, BillDifference]:
    rows = BillDifference.objects.filter(
        channel=account.channel, number__in={one.number for one in batch}
    )
    keys = {one.key for one in batch}
    found = {(row.kind, row.is_refund, row.number): row for row in rows.select_related("payment")}
    return {key: row for key, row in found.items() if key in keys}


def _update(row: BillDifference, one: Discrepancy, sources: dict[str, Any]) -> None:
    columns = {**one.says, **sources}
    if one.theirs_fen is None:
        # Somebody else may have named the amount.
        del columns["theirs_fen"]
    if one.payment is not None:
        columns["payment"] = one.payment
    columns = {name: value for name, value in columns.items() if getattr(row, name) != value}
    changes = bool(columns.keys() & CHANGES[one.kind])
    returns = changes or row.resolution not in STANDING
    if changes and row.first_approved_by_id:
        # They agreed to something else.
        columns |= NOT_APPROVED
    if row.status == DifferenceStatus.RESOLVED and returns:
        logger.error("%s: %s %s is open again", row.channel, one.kind, one.number)
        columns |= opened_again()
    if columns:
        BillDifference.objects.filter(pk=row.pk).update(**columns)


def opened_again() -> dict[str, Any]:
    """Return what is written on a resolved difference that staff must resolve once more."""
    return {
        "status": DifferenceStatus.OPEN,
        "resolution": "",
        "note": "",
        "resolved_at": None,
        "resolved_by": None,
        "found_at": timezone.now(),
        **NOT_APPROVED,
    }


def resolve_by_itself(differences: QuerySet[BillDifference], note: str) -> None:
    """Nothing differs any longer; where an amount is booked, staff must take that back."""
    booked = differences.filter(kind__in=BOOKABLE).filter(
        Q(status=DifferenceStatus.OPEN) | Q(resolution=Resolution.AMOUNT_BOOKED)
    )
    kept = [row.pk for row in booked if booked_fen(row)]
    for row in booked.filter(pk__in=kept):
        _open_to_take_back(row)
    differences.filter(status=DifferenceStatus.OPEN).exclude(pk__in=kept).update(
        status=DifferenceStatus.RESOLVED,
        resolution=Resolution.AGREES,
        resolved_at=timezone.now(),
        note=note[:200],
    )


@atomic
def _open_to_take_back(row: BillDifference) -> None:
    """The platform agrees with us after all: booking its amount again takes the difference back."""
    row = BillDifference.objects.select_for_update().get(pk=row.pk)
    columns: dict[str, Any] = {}
    if row.status == DifferenceStatus.RESOLVED:
        logger.error("%s: %s %s agrees, and an amount is booked", row.channel, row.kind, row.number)
        columns = opened_again()
    theirs = row.ours_fen if row.kind == DifferenceKind.AMOUNT else 0
    BillDifference.objects.filter(pk=row.pk).update(**columns, theirs_fen=theirs)


def booked_fen(difference: BillDifference) -> int:
    """Return how much more (less, if negative) is booked at the platform for a difference."""
    booked = LedgerEntry.objects.filter(
        transaction__event_key__startswith=f"difference:{difference.pk}:",
        account=f"platform:{difference.channel}",
    )
    return int(booked.aggregate(sum=Sum("amount_fen"))["sum"] or 0)


def account_of(payment: Payment) -> Account:
    return Account(payment.channel, payment.app_id, payment.merchant_id)
