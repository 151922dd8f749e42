"""What is left to refund: pieces of an order's lines, and money of its payment."""

import itertools
from collections.abc import Mapping

from django.db.models import F, Q, QuerySet, Sum
from django.utils.translation import gettext_lazy as _

from miniback.core.errors import Conflict, NotFound
from miniback.platforms.contract import PlatformRefundStatus
from orders.models import (
    BillDifference,
    DifferenceKind,
    DifferenceStatus,
    Order,
    OrderLine,
    Payment,
    Refund,
    RefundAttempt,
    RefundLine,
)
from orders.pricing import refundable
from orders.services.difference_rows import booked_fen
from orders.status import (
    NOT_AGREED,
    NOT_CLAIMING,
    OrderStatus,
    PaymentStatus,
    RefundMethod,
    RefundStatus,
)

# Whose amount staff book.
BOOKED_KINDS = [DifferenceKind.AMOUNT, DifferenceKind.TWICE]


class OverRefund(Conflict):
    code = "over_refund"
    detail = _("There is less left to refund.")


class RefundUnknown(Conflict):
    code = "refund_unknown"
    detail = _("The platform tells of a refund that this shop does not know: resolve that first.")


# Pieces


def claim_pieces(order: Order, line_id: int, quantity: int) -> RefundLine:
    """Take pieces from what is left of a line, by one conditional UPDATE. Raises NotFound, OverRefund."""
    line = OrderLine.objects.filter(order=order, pk=line_id).first()
    if line is None:
        raise NotFound(_("The order has no such line."))
    back = line.refunded_quantity + quantity
    if back > line.quantity:
        raise OverRefund(line=line_id)
    fen = refundable(
        line.payable_fen, pieces=line.quantity, back=back, back_fen=int(line.refunded_fen)
    )
    unchanged = OrderLine.objects.filter(pk=line.pk, refunded_quantity=line.refunded_quantity)
    if not unchanged.update(refunded_quantity=back, refunded_fen=F("refunded_fen") + fen):
        raise OverRefund(line=line_id)
    return RefundLine(line=line, quantity=quantity, claimed_fen=fen, amount_fen=fen)


def release_claims(refund: Refund) -> None:
    """Give back what a refund that is given up has taken from the lines."""
    for line in refund.lines.order_by("line_id"):
        OrderLine.objects.filter(pk=line.line_id).update(
            refunded_quantity=F("refunded_quantity") - line.quantity,
            refunded_fen=F("refunded_fen") - line.claimed_fen,
        )


def claimed_pieces(order: Order, *, is_shipped: bool) -> dict[int, int]:
    """Pieces of each line in refunds that count: line id -> pieces."""
    parts = RefundLine.objects.filter(refund__order=order, refund__is_shipped=is_shipped)
    parts = parts.exclude(refund__status__in=NOT_CLAIMING)
    return dict(parts.values_list("line_id").annotate(Sum("quantity")))


def freight_due(order: Order, pieces: Mapping[int, int], *, besides: int = 0) -> int:
    """Return the freight that goes back with pieces (line id -> count) of a locked order.

    All that is left of it, if with them all pieces are agreed back and none was shipped; else
    nothing. What is merely asked for does not count: it may be withdrawn. ``besides`` is the id of
    the refund that is being decided.
    """
    if order.status != OrderStatus.PAID:
        return 0
    if any(line.released_quantity + pieces.get(line.pk, 0) < line.quantity
           for line in order.lines.all()):  # fmt: skip
        return 0
    return max(order.freight_paid_fen - freight_agreed(order, besides=besides), 0)


def freight_agreed(order: Order, *, besides: int = 0) -> int:
    agreed = Refund.objects.filter(order=order).exclude(status__in=NOT_AGREED).exclude(pk=besides)
    return _sum(agreed, "freight_fen")


def freight_claimed(order: Order) -> int:
    """Return the freight in refunds that count, asked for or agreed."""
    return _sum(Refund.objects.filter(order=order).exclude(status__in=NOT_CLAIMING), "freight_fen")


# Money


def claiming(payment: Payment) -> QuerySet[Refund]:
    """Refunds that count against what is left of a payment."""
    refunds: QuerySet[Refund] = Refund.objects.filter(payment=payment)
    return refunds.exclude(status__in=NOT_CLAIMING)


def left_of(payment: Payment) -> int:
    """Return the fen of a payment that no refund claims, made here or elsewhere; never negative.

    Of a payment that the platform never got nothing is left.
    """
    if payment.status == PaymentStatus.VOIDED:
        return 0
    left = int(payment.amount_fen) + _booked_less(payment)
    return max(left - _sum(claiming(payment), "amount_fen"), 0)


def left_to_agree(refund: Refund) -> int:
    """Return how much of its payment a refund may have: what no other one was agreed to get."""
    if refund.payment is None or refund.payment.status == PaymentStatus.VOIDED:
        return 0
    others = claiming(refund.payment).exclude(status__in=NOT_AGREED).exclude(pk=refund.pk)
    left = int(refund.payment.amount_fen) + _booked_less(refund.payment)
    return max(left - _sum(others, "amount_fen"), 0)


def left_at_platform(payment: Payment) -> int:
    """Return the fen of a payment that the platform may still give back to anybody.

    Apart from what it gave back it holds what the shop paid out by itself, what was written off, and
    what is agreed and that it has not taken on: never sent, or failed otherwise than on its way.
    """
    stays = (
        Q(status=RefundStatus.WRITTEN_OFF, is_to_shop=False)
        | Q(status=RefundStatus.SUCCEEDED, method=RefundMethod.SHOP, is_to_shop=False)
        | Q(status=RefundStatus.APPROVED, sent_at=None)
        | (Q(status=RefundStatus.FAILED) & ~Q(platform_status=PlatformRefundStatus.ABNORMAL))
        | Q(status__in=NOT_AGREED)
        | Q(status=RefundStatus.RETURNING)
    )
    held = int(payment.amount_fen) + _booked_fen(payment)
    return held - _sum(claiming(payment).exclude(stays), "amount_fen")


def _booked_less(payment: Payment) -> int:
    """What the platform has less of a payment, or gave back more, as staff have booked; never positive."""
    return min(_booked_fen(payment), 0)


def _booked_fen(payment: Payment) -> int:
    differences = BillDifference.objects.filter(payment=payment, kind__in=BOOKED_KINDS)
    return sum(booked_fen(difference) for difference in differences)


def _sum(refunds: QuerySet[Refund], column: str) -> int:
    return int(refunds.aggregate(sum=Sum(column))["sum"] or 0)


# Numbers


def next_refund_number(payment: Payment) -> str:
    """Return the first number that no refund of a payment has had; call it under the order's lock.

    In a shop that was restored from a backup it is the number of the first refund that was
    forgotten, so that the platform knows it.
    """
    refunds = Refund.objects.filter(payment=payment, out_refund_no__isnull=False)
    attempts = RefundAttempt.objects.filter(refund__payment=payment)
    known = {
        *refunds.values_list("out_refund_no", flat=True),
        *attempts.values_list("out_refund_no", flat=True),
    }
    numbers = (f"{payment.number}R{n}" for n in itertools.count(1))
    return next(number for number in numbers if number not in known)


def refuse_unknown_refunds(payment: Payment | None) -> None:
    """Raise RefundUnknown while a refund is in doubt that only the platform knows of."""
    if payment is None:
        return
    doubts = BillDifference.objects.filter(payment=payment, is_refund=True)
    if doubts.filter(status=DifferenceStatus.OPEN).exists():
        raise RefundUnknown
