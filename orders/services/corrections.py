"""How staff resolve a difference: by booking what happened, or by saying why nothing is to be booked.

What moved money is an entry in the ledger; a note alone is enough only where no money is missing.
Each correction fits some differences, and is refused for the others.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from miniback.core.errors import Conflict, DomainError
from miniback.core.transactions import atomic, savepoint
from orders.models import (
    Bill,
    BillDifference,
    DifferenceKind,
    DifferenceStatus,
    Order,
    Payment,
    Resolution,
)
from orders.services.books import post_amount_difference
from orders.services.difference_rows import NOT_APPROVED, booked_fen, opened_again
from orders.status import PaymentStatus

logger = logging.getLogger(__name__)

# What a difference may be about is compared again with the bill, while the platform has it.
KEPT_DAYS = 85
# Of a payment of ours; another system's number may be longer.
MAX_PAYMENT_NUMBER = 32


class AlreadyResolved(Conflict):
    code = "already_resolved"
    detail = _("This difference is resolved already.")


class CorrectionDoesNotFit(Conflict):
    code = "correction_does_not_fit"
    detail = _("This difference is resolved in another way.")


class Correction(models.TextChoices):
    """What can be done about a difference; the values are the addresses of its buttons."""

    BOOK_REFUND = "book-refund", _("Book the refund")
    EXPLAIN = "explain", _("Explain")
    REVERSE_REFUND = "reverse-refund", _("Reverse the refund")
    VOID_PAYMENT = "void-payment", _("Void the payment")
    BOOK_PAYMENT = "book-payment", _("Book the payment to its order")
    BOOK_TO_ORDER = "book-to-order", _("Book to an order")
    GIVE_BACK = "give-back", _("Give back to the payer")
    KEEP = "keep", _("Keep as income")
    FOREIGN = "foreign", _("Belongs to another system")
    BOOK_AMOUNT = "book-amount", _("Book the amount")
    OPEN_AGAIN = "open-again", _("Open again")


_C, _K = Correction, DifferenceKind
# They are a word, and no entry: whoever was wrong can take it back.
SAID = {Resolution.EXPLAINED, Resolution.FOREIGN}
STRAY = {_C.BOOK_TO_ORDER, _C.GIVE_BACK, _C.KEEP, _C.FOREIGN}


def fitting(difference: BillDifference) -> set[Correction]:
    """Return what may be done about a difference."""
    if difference.status != DifferenceStatus.OPEN:
        return {_C.OPEN_AGAIN} if difference.resolution in SAID else set()
    payment = payment_of(difference)
    if difference.kind == _K.TWICE:
        if payment is None:
            return {_C.EXPLAIN, _C.FOREIGN}
        # A note takes nothing back.
        return {_C.BOOK_AMOUNT} if booked_fen(difference) else {_C.EXPLAIN, _C.BOOK_AMOUNT}
    if difference.kind == _K.TRANSACTION:
        return {_C.EXPLAIN}
    if difference.is_refund:
        return _fitting_refund(difference, payment)
    return _fitting_payment(difference, payment)


def _fitting_refund(difference: BillDifference, payment: Payment | None) -> set[Correction]:
    if difference.kind == _K.NOT_THEIRS:
        return {_C.REVERSE_REFUND}
    if payment is not None and payment.status == PaymentStatus.VOIDED:
        # Nothing can have gone back of what never came. Should it come, the platform tells it again.
        return {_C.BOOK_AMOUNT} if booked_fen(difference) else {_C.EXPLAIN}
    if payment is None or payment.status != PaymentStatus.PAID:
        # First the payment is booked, or it is another system's as well.
        return {_C.FOREIGN} if payment is None else set()
    if difference.kind == _K.AMOUNT:
        return {_C.BOOK_AMOUNT}
    # Nobody has named a sum: there may have been none.
    return {_C.BOOK_REFUND} if difference.theirs_fen else {_C.BOOK_REFUND, _C.EXPLAIN}


def _fitting_payment(difference: BillDifference, payment: Payment | None) -> set[Correction]:
    if difference.kind == _K.NOT_THEIRS:
        return {_C.VOID_PAYMENT}
    if (difference.theirs_fen or 0) <= 0:
        return {_C.EXPLAIN}
    if payment is None:
        return STRAY if _may_be_written(difference) else {_C.FOREIGN}
    if payment.status == PaymentStatus.PAID:
        # What was unknown is settled by now: it agrees when it is compared again.
        return {_C.BOOK_AMOUNT} if difference.kind == _K.AMOUNT else {_C.EXPLAIN}
    return {_C.BOOK_PAYMENT}


def _may_be_written(difference: BillDifference) -> bool:
    """Say whether no payment stands in the way, of another account or under another number."""
    same = Q(number=difference.number)
    if difference.transaction_id:
        same |= Q(channel=difference.channel, transaction_id=difference.transaction_id)
    fits = len(difference.number) <= MAX_PAYMENT_NUMBER
    return fits and not Payment.objects.filter(same).exists()


def payment_of(difference: BillDifference) -> Payment | None:
    """Return the payment of ours that it is about, also one that was booked since."""
    rows = Payment.objects.filter(channel=difference.channel)
    if difference.payment_id:
        return rows.filter(pk=difference.payment_id).first()
    account = {"app_id": difference.app_id, "merchant_id": difference.merchant_id}
    if not difference.app_id:
        # A notice of a refund names the merchant only.
        del account["app_id"]
    return rows.filter(number=difference.payment_number, **account).first()


def begin_correction(
    difference: BillDifference, correction: Correction
) -> tuple[BillDifference, Payment | None, Order | None]:
    """Lock what a correction changes: the order first, as always, or a payment that has none.

    Raises AlreadyResolved, CorrectionDoesNotFit.
    """
    payment = payment_of(difference)
    order = None
    if payment is not None and payment.order_id:
        order = Order.objects.lock(payment.order_id)
    if payment is not None:
        payment = Payment.objects.select_for_update().get(pk=payment.pk)
    fresh = BillDifference.objects.select_for_update().get(pk=difference.pk)
    if fresh.status != DifferenceStatus.OPEN:
        raise AlreadyResolved
    if correction not in fitting(fresh):
        raise CorrectionDoesNotFit
    return fresh, payment, order


def finish_correction(
    difference: BillDifference, resolution: Resolution, *, user: Any, note: str, now: datetime
) -> BillDifference:
    """Write how it ended; its bill is compared again, so that the entry proves right.

    Raises AlreadyResolved.
    """
    columns: dict[str, Any] = {
        "status": DifferenceStatus.RESOLVED,
        "resolution": resolution,
        "resolved_at": now,
        "resolved_by": user,
        "note": note[:200],
        **NOT_APPROVED,
    }
    still_open = BillDifference.objects.filter(pk=difference.pk, status=DifferenceStatus.OPEN)
    if not still_open.update(**columns):
        raise AlreadyResolved
    for name, value in columns.items():
        setattr(difference, name, value)
    if difference.bill is not None:
        _compare_again(difference.bill, now)
    return difference


def _compare_again(bill: Bill, now: datetime) -> None:
    if (timezone.localdate(now) - bill.day).days < KEPT_DAYS:
        Bill.objects.filter(pk=bill.pk).update(due_at=now, attempts=0)
    elif not bill.differences.filter(status=DifferenceStatus.OPEN).exists():
        Bill.objects.filter(pk=bill.pk).update(agreed_at=now, due_at=None)


@atomic
def explain_difference(difference: BillDifference, *, user: Any, note: str) -> BillDifference:
    """Say why no money is missing. Raises AlreadyResolved, CorrectionDoesNotFit."""
    difference, _payment, _order = begin_correction(difference, Correction.EXPLAIN)
    return finish_correction(
        difference, Resolution.EXPLAINED, user=user, note=note, now=timezone.now()
    )


@atomic
def mark_foreign(difference: BillDifference, *, user: Any, note: str) -> BillDifference:
    """The money is that of another system at the same merchant: nothing of it is booked here.

    Raises AlreadyResolved, CorrectionDoesNotFit.
    """
    difference, _payment, _order = begin_correction(difference, Correction.FOREIGN)
    return finish_correction(
        difference, Resolution.FOREIGN, user=user, note=note, now=timezone.now()
    )


@atomic
def book_amount(difference: BillDifference, *, user: Any, note: str) -> BillDifference:
    """Book what the platform holds more, or less, than the books say, to corrections.

    What was booked for it before counts: booked is the difference to that.

    Raises AlreadyResolved, CorrectionDoesNotFit.
    """
    now = timezone.now()
    difference, payment, _order = begin_correction(difference, Correction.BOOK_AMOUNT)
    if payment is None:
        raise CorrectionDoesNotFit
    more = int(difference.theirs_fen or 0) - int(difference.ours_fen or 0)
    fen = (-more if difference.is_refund else more) - booked_fen(difference)
    key = f"{difference.pk}:{now:%y%m%d%H%M%S%f}"
    post_amount_difference(payment, event_key=key, fen=fen, now=now)
    return finish_correction(difference, Resolution.AMOUNT_BOOKED, user=user, note=note, now=now)


@atomic
def open_again(difference: BillDifference, *, user: Any) -> BillDifference:
    """Take back that a difference was explained, or another system's. Raises CorrectionDoesNotFit."""
    difference = BillDifference.objects.select_for_update().get(pk=difference.pk)
    if Correction.OPEN_AGAIN not in fitting(difference):
        raise CorrectionDoesNotFit
    logger.info("difference %s is opened again by %s", difference.pk, user)
    for name, value in opened_again().items():
        setattr(difference, name, value)
    difference.save()
    Bill.objects.filter(pk=difference.bill_id).update(agreed_at=None)
    if difference.bill is not None:
        _compare_again(difference.bill, timezone.now())
    return difference


def correct_each(
    differences: Iterable[BillDifference],
    correct: Callable[..., BillDifference],
    *,
    user: Any,
    note: str,
) -> list[tuple[BillDifference, DomainError]]:
    """Resolve many in one way; return those that refused. One that refuses keeps no other from it."""
    refused = []
    for difference in differences:
        try:
            with savepoint():
                correct(difference, user=user, note=note)
        except DomainError as error:
            refused.append((difference, error))
    return refused
