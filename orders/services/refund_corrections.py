"""Refunds that the platform and the books disagree about: made elsewhere, or never made."""

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from miniback.core.errors import InvalidFields
from miniback.core.transactions import atomic
from orders.models import BillDifference, Order, Payment, Refund, Resolution, new_number
from orders.services.books import (
    post_external_refund,
    post_external_refund_reversed,
    post_refund_reversed,
)
from orders.services.corrections import (
    Correction,
    CorrectionDoesNotFit,
    begin_correction,
    finish_correction,
)
from orders.services.owed_refunds import BACK_OUTSIDE, cancel_if_all_is_back
from orders.services.refund_claims import OverRefund, left_at_platform
from orders.services.refunds import keep_attempt
from orders.status import OrderStatus, RefundKind, RefundMethod, RefundStatus

MAX_NUMBER = 64
# A number of theirs stands for nothing at the platform: the bill gives it to a refund made elsewhere.
GIVEN_UP = [
    RefundStatus.REQUESTED,
    RefundStatus.REJECTED,
    RefundStatus.WITHDRAWN,
    RefundStatus.WRITTEN_OFF,
]


@atomic
def book_external_refund(
    difference: BillDifference,
    *,
    user: Any,
    note: str,
    amount_fen: int | None = None,
    refund_number: str = "",
) -> BillDifference:
    """Book that money of our payment was given back outside the shop; the order follows.

    What can still be refunded is lowered by it. Amount and number are asked for where the platform has
    not named them. Raises AlreadyResolved, CorrectionDoesNotFit, InvalidFields, OverRefund (the
    platform cannot have given so much back).
    """
    now = timezone.now()
    difference, payment, order = begin_correction(difference, Correction.BOOK_REFUND)
    if payment is None:
        raise CorrectionDoesNotFit
    amount = _amount(difference, payment, amount_fen)
    number = (refund_number or difference.number)[:MAX_NUMBER]
    _free_number(number)
    refund = Refund.objects.create(
        order=order,
        payment=payment,
        number=new_number("R"),
        out_refund_no=number,
        amount_fen=amount,
        status=RefundStatus.SUCCEEDED,
        kind=RefundKind.EXTERNAL,
        # The customer reads it; the note stays with the difference.
        reason=BACK_OUTSIDE,
        platform_id=difference.transaction_id if difference.theirs_fen else "",
        opened_by=user,
        decided_by=user,
        decided_at=now,
        created_at=now,
        succeeded_at=now,
        billed_on=difference.bill.day if difference.bill else None,
    )
    post_external_refund(refund, now=now)
    if order is not None:
        cancel_if_all_is_back(order, now=now)
    return finish_correction(difference, Resolution.REFUND_BOOKED, user=user, note=note, now=now)


def _amount(difference: BillDifference, payment: Payment, amount_fen: int | None) -> int:
    left = left_at_platform(payment)
    if difference.theirs_fen:
        if difference.theirs_fen < 0:
            raise InvalidFields(amount_fen=_("A refund of less than nothing cannot be booked."))
        if difference.theirs_fen > left:
            raise OverRefund
        return int(difference.theirs_fen)
    if amount_fen is None or not 0 < amount_fen <= left:
        raise InvalidFields(amount_fen=_("Enter what was given back, and no more than is left."))
    return amount_fen


def _free_number(number: str) -> None:
    """A refund that was given up here may have been paid there under its number."""
    holder = Refund.objects.filter(out_refund_no=number).first()
    if holder is None:
        return
    if holder.status not in GIVEN_UP and holder.method != RefundMethod.SHOP:
        raise InvalidFields(refund_number=_("This number is that of another refund."))
    keep_attempt(holder, "PAID_ELSEWHERE", now=timezone.now())
    Refund.objects.filter(pk=holder.pk).update(out_refund_no=None)


@atomic
def reverse_refund(difference: BillDifference, *, user: Any, note: str) -> BillDifference:
    """Undo the booking of a refund that the platform never paid: it has failed, and is still owed.

    It can then be applied for again (which asks the platform first), or paid out. One that was only
    booked as made elsewhere is taken back, unless its order has ended with it. Raises AlreadyResolved,
    CorrectionDoesNotFit.
    """
    now = timezone.now()
    difference, payment, order = begin_correction(difference, Correction.REVERSE_REFUND)
    refund = Refund.objects.filter(payment=payment, out_refund_no=difference.number).first()
    if refund is None or refund.status != RefundStatus.SUCCEEDED:
        raise CorrectionDoesNotFit
    post_refund_reversed(refund, now=now)
    refund.status, refund.succeeded_at, refund.billed_on = RefundStatus.FAILED, None, None
    error = _("The platform's bill does not have it: %(note)s") % {"note": note}
    refund.last_error = error[:300]
    if refund.kind == RefundKind.EXTERNAL and not _has_ended(order):
        post_external_refund_reversed(refund, now=now)
        keep_attempt(refund, "NOT_PAID", now=now)
        refund.status, refund.out_refund_no = RefundStatus.REJECTED, None
    # It keeps its number: whoever applies again asks the platform for it first.
    refund.save(
        update_fields=["status", "succeeded_at", "billed_on", "last_error", "out_refund_no"]
    )
    return finish_correction(difference, Resolution.REFUND_REVERSED, user=user, note=note, now=now)


def _has_ended(order: Order | None) -> bool:
    return order is None or order.status == OrderStatus.CANCELLED
