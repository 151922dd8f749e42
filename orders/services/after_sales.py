"""Refunds on request: customers ask, and withdraw.

Pieces that were not shipped stay, and their stock comes back at once; of those that were, the goods
may have to come back first. A refund is of one or the other. Freight goes back with the last piece
of an order of which nothing was shipped, and otherwise stays.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db.models import F, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from miniback.core.errors import Conflict, InvalidFields, NotFound
from miniback.core.models import UploadPurpose
from miniback.core.transactions import atomic
from miniback.core.uploads import refuse_foreign_uploads
from orders.models import Order, OrderLine, Payment, Refund, RefundLine, new_number
from orders.pricing import refundable
from orders.services.life import OrderStatusConflict
from orders.status import (
    NOT_CLAIMING,
    REFUND_MOVES,
    Actor,
    OrderStatus,
    RefundKind,
    RefundStatus,
)

# How long after receipt a customer may ask.
REFUND_WINDOW = timedelta(days=15)
# WeChat Pay takes no more for one payment.
MAX_REFUNDS = 50
CHANGED_BY_A_DECISION = [
    "status",
    "out_refund_no",
    "amount_fen",
    "freight_fen",
    "due_at",
    "decision",
    "decided_at",
    "decided_by",
]


class OverRefund(Conflict):
    code = "over_refund"
    detail = _("There is less left to refund.")


class RefundStatusConflict(Conflict):
    code = "refund_status"
    detail = _("The refund is in a state that does not allow this.")


class RefundWindowOver(Conflict):
    code = "refund_window_over"
    detail = _("The time to ask for a refund has ended.")


@atomic
def request_refund(
    order: Order,
    *,
    quantities: Mapping[int, int],
    kind: RefundKind,
    reason: str,
    images: Sequence[str] = (),
) -> Refund:
    """Ask for pieces of an order's lines back; ``quantities`` maps line id to pieces.

    Raises OrderStatusConflict, RefundWindowOver, OverRefund, NotFound (a line or an upload that
    is not the order's), InvalidFields (a return of what was not shipped).
    """
    now = timezone.now()
    order = Order.objects.lock(order.pk)
    _check_may_ask(order, kind, now)
    refuse_foreign_uploads(images, user_id=order.user_id, purpose=UploadPurpose.REFUND)
    refund = Refund(
        order=order,
        payment=Payment.objects.get(order=order, is_applied=True),
        number=new_number("R"),
        kind=kind,
        status=RefundStatus.REQUESTED,
        reason=reason,
        images=list(images),
        is_shipped=_is_of_shipped(order, kind, quantities),
        created_at=now,
    )
    if _claiming(refund.payment).count() >= MAX_REFUNDS:
        raise OverRefund
    claims = [_claim(order, line_id, count) for line_id, count in sorted(quantities.items())]
    refund.freight_fen = _freight_left(order, refund)
    refund.amount_fen = refund.freight_fen + sum(claim.amount_fen for claim in claims)
    if not refund.amount_fen:
        raise OverRefund
    refund.save(force_insert=True)
    for claim in claims:
        claim.refund = refund
    RefundLine.objects.bulk_create(claims)
    return refund


def _check_may_ask(order: Order, kind: RefundKind, now: datetime) -> None:
    if "refund" not in order.actions:
        raise OrderStatusConflict(status=order.status)
    if order.completed_at and now - order.completed_at > REFUND_WINDOW:
        raise RefundWindowOver
    if kind == RefundKind.RETURN and order.status == OrderStatus.PAID:
        raise InvalidFields(kind=_("Nothing was shipped yet: ask for refund_only."))


def _is_of_shipped(order: Order, kind: RefundKind, quantities: Mapping[int, int]) -> bool:
    """Say which pieces are meant: of a partly shipped order those that are not, as far as they last."""
    if order.status != OrderStatus.PARTLY_SHIPPED:
        return order.status != OrderStatus.PAID
    unsent = claimed_pieces(order, is_shipped=False)
    sent = claimed_pieces(order, is_shipped=True)
    lines = {line.pk: line for line in order.lines.all()}
    left_unsent, left_sent = True, True
    for line_id, count in quantities.items():
        if line := lines.get(line_id):
            stay = line.quantity - line.shipped_quantity - unsent.get(line_id, 0)
            left_unsent &= count <= stay
            left_sent &= count <= line.shipped_quantity - sent.get(line_id, 0)
    if kind == RefundKind.REFUND_ONLY and left_unsent:
        return False
    if not left_sent:
        raise OverRefund(_("Ask for shipped pieces and for others apart."))
    return True


def claimed_pieces(order: Order, *, is_shipped: bool) -> dict[int, int]:
    """Pieces of each line in refunds that count: line id -> pieces."""
    parts = RefundLine.objects.filter(refund__order=order, refund__is_shipped=is_shipped)
    parts = parts.exclude(refund__status__in=NOT_CLAIMING)
    return dict(parts.values_list("line_id").annotate(Sum("quantity")))


def _claiming(payment: Payment) -> QuerySet[Refund]:
    """Refunds that count against what is left of a payment."""
    refunds: QuerySet[Refund] = Refund.objects.filter(payment=payment)
    return refunds.exclude(status__in=NOT_CLAIMING)


def _claim(order: Order, line_id: int, quantity: int) -> RefundLine:
    """Take pieces from what is left of a line, by one conditional UPDATE."""
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


def _freight_left(order: Order, refund: Refund) -> int:
    if order.status != OrderStatus.PAID:
        return 0
    if order.lines.filter(refunded_quantity__lt=F("quantity")).exists():
        return 0
    claimed = _claiming(refund.payment).aggregate(sum=Sum("freight_fen"))
    return order.freight_paid_fen - (claimed["sum"] or 0)


@atomic
def withdraw_refund(refund: Refund) -> Refund:
    """The customer thinks better of it. Withdrawing again changes nothing."""
    if refund.status == RefundStatus.WITHDRAWN:
        return refund
    return give_up(refund, RefundStatus.WITHDRAWN, actor=Actor.CUSTOMER)


@atomic
def register_return(refund: Refund, *, carrier: str, tracking_number: str) -> Refund:
    """The customer has sent the goods back. Raises RefundStatusConflict."""
    refund = lock_refund(refund)
    if refund.status != RefundStatus.RETURNING:
        raise RefundStatusConflict(status=refund.status)
    refund.return_carrier, refund.return_tracking = carrier, tracking_number
    refund.save(update_fields=["return_carrier", "return_tracking"])
    return refund


def lock_refund(refund: Refund) -> Refund:
    """The order first, as always; then the refund as it is now."""
    order = Order.objects.lock(refund.order_id)
    refund = Refund.objects.select_related("payment").get(pk=refund.pk)
    refund.order = order
    return refund


def move_refund(refund: Refund, to: RefundStatus, *, actor: Actor) -> Refund:
    start = RefundStatus(refund.status)
    if actor not in REFUND_MOVES.get((start, to), frozenset()):
        raise RefundStatusConflict(status=start)
    refund.status = to
    refund.save(update_fields=CHANGED_BY_A_DECISION)
    return refund


def give_up(refund: Refund, to: RefundStatus, *, actor: Actor) -> Refund:
    decided = (refund.decided_by, refund.decided_at, refund.decision)
    refund = lock_refund(refund)
    refund.decided_by, refund.decided_at, refund.decision = decided
    refund = move_refund(refund, to, actor=actor)
    for line in refund.lines.order_by("line_id"):
        OrderLine.objects.filter(pk=line.line_id).update(
            refunded_quantity=F("refunded_quantity") - line.quantity,
            refunded_fen=F("refunded_fen") - line.claimed_fen,
        )
    return refund
