"""Refunds on request: asked for by customers, decided by staff.

Before shipment the pieces are not sent and their stock comes back at once; after it the goods may
have to come back first. Freight goes back with the last piece of an order of which nothing was
shipped, and otherwise stays.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.models import StockMovementKind
from catalog.services import give_back_stock
from miniback.core.errors import Conflict, InvalidFields, NotFound
from miniback.core.models import Upload, UploadPurpose
from miniback.core.transactions import atomic
from orders.models import Order, OrderLine, Payment, Refund, RefundLine, new_number
from orders.pricing import refundable, spread
from orders.services.books import post_refund_due
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
    _check_own(images, order)
    refund = Refund(
        payment=Payment.objects.get(order=order, is_applied=True),
        number=new_number("R"),
        kind=kind,
        status=RefundStatus.REQUESTED,
        reason=reason,
        images=list(images),
        is_shipped=order.status != OrderStatus.PAID,
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


def _check_own(images: Sequence[str], order: Order) -> None:
    own = Upload.objects.filter(pk__in=images, user=order.user_id, purpose=UploadPurpose.REFUND)
    if own.count() != len(set(images)):
        raise NotFound(_("There is no such upload."))


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
    if refund.is_shipped:
        return 0
    if order.lines.filter(refunded_quantity__lt=F("quantity")).exists():
        return 0
    claimed = _claiming(refund.payment).aggregate(sum=Sum("freight_fen"))
    return int(order.freight_fen) - (claimed["sum"] or 0)


@atomic
def withdraw_refund(refund: Refund) -> Refund:
    """The customer thinks better of it. Withdrawing again changes nothing."""
    if refund.status == RefundStatus.WITHDRAWN:
        return refund
    return _give_up(refund, RefundStatus.WITHDRAWN, actor=Actor.CUSTOMER)


@atomic
def register_return(refund: Refund, *, carrier: str, tracking_number: str) -> Refund:
    """The customer has sent the goods back. Raises RefundStatusConflict."""
    refund = _lock(refund)
    if refund.status != RefundStatus.RETURNING:
        raise RefundStatusConflict(status=refund.status)
    refund.return_carrier, refund.return_tracking = carrier, tracking_number
    refund.save(update_fields=["return_carrier", "return_tracking"])
    return refund


@atomic
def approve_refund(
    refund: Refund, *, user: Any, amount_fen: int | None = None, decision: str = ""
) -> Refund:
    """Agree, to all or to a part. Money goes back at once, or, for a return, when the goods are here.

    Raises RefundStatusConflict, InvalidFields (an amount that is nothing, or more than was asked).
    """
    now = timezone.now()
    refund = _lock(refund)
    if refund.status != RefundStatus.REQUESTED:
        raise RefundStatusConflict(status=refund.status)
    if amount_fen is not None and amount_fen != refund.amount_fen:
        _lower(refund, amount_fen)
    refund.decided_by, refund.decided_at, refund.decision = user, now, decision
    if refund.kind == RefundKind.RETURN:
        return _move(refund, RefundStatus.RETURNING, actor=Actor.STAFF)
    return _owe(refund, now)


@atomic
def receive_return(refund: Refund, *, user: Any, is_restocked: bool) -> Refund:
    """The goods are back: on the shelf again, or written off. The money goes back."""
    now = timezone.now()
    refund = _lock(refund)
    if refund.status != RefundStatus.RETURNING:
        raise RefundStatusConflict(status=refund.status)
    refund.decided_by, refund.decided_at = user, now
    refund = _owe(refund, now)
    if is_restocked:
        give_back_stock(
            _pieces(refund),
            reference=refund.payment.order.number,
            occasion=refund.number,
            kind=StockMovementKind.RETURN,
        )
    return refund


@atomic
def reject_refund(refund: Refund, *, user: Any, decision: str) -> Refund:
    """Refuse, with a reason the customer sees; what was claimed is free again."""
    refund.decided_by, refund.decided_at, refund.decision = user, timezone.now(), decision
    return _give_up(refund, RefundStatus.REJECTED, actor=Actor.STAFF)


def _lock(refund: Refund) -> Refund:
    """The order first, as always; then the refund as it is now."""
    order = Order.objects.lock(refund.payment.order_id)
    refund = Refund.objects.select_related("payment").get(pk=refund.pk)
    refund.payment.order = order
    return refund


def _move(refund: Refund, to: RefundStatus, *, actor: Actor) -> Refund:
    start = RefundStatus(refund.status)
    if actor not in REFUND_MOVES.get((start, to), frozenset()):
        raise RefundStatusConflict(status=start)
    refund.status = to
    refund.save(update_fields=CHANGED_BY_A_DECISION)
    return refund


def _owe(refund: Refund, now: datetime) -> Refund:
    """From here on the money is the customer's; a job sends it under the refund's number."""
    refund.due_at = now
    refund = _move(refund, RefundStatus.APPROVED, actor=Actor.STAFF)
    post_refund_due(refund, now=now)
    if not refund.is_shipped:
        for line in refund.lines.all():
            OrderLine.objects.filter(pk=line.line_id).update(
                released_quantity=F("released_quantity") + line.quantity
            )
        give_back_stock(
            _pieces(refund), reference=refund.payment.order.number, occasion=refund.number
        )
    return refund


def _give_up(refund: Refund, to: RefundStatus, *, actor: Actor) -> Refund:
    decided = (refund.decided_by, refund.decided_at, refund.decision)
    refund = _lock(refund)
    refund.decided_by, refund.decided_at, refund.decision = decided
    refund = _move(refund, to, actor=actor)
    for line in refund.lines.order_by("line_id"):
        OrderLine.objects.filter(pk=line.line_id).update(
            refunded_quantity=F("refunded_quantity") - line.quantity,
            refunded_fen=F("refunded_fen") - line.claimed_fen,
        )
    return refund


def _lower(refund: Refund, amount_fen: int) -> None:
    """Agree to less: freight goes first, then every line by its share."""
    if not 0 < amount_fen < refund.amount_fen:
        raise InvalidFields(amount_fen=_("Agree to something, and not to more than was asked."))
    lines = list(refund.lines.order_by("line_id"))
    asked = sum(int(line.claimed_fen) for line in lines)
    refund.freight_fen = max(amount_fen - asked, 0)
    parts = spread(amount_fen - refund.freight_fen, [int(line.claimed_fen) for line in lines])
    for line, part in zip(lines, parts, strict=True):
        line.amount_fen = part
    RefundLine.objects.bulk_update(lines, ["amount_fen"])
    refund.amount_fen = amount_fen


def _pieces(refund: Refund) -> dict[int, int]:
    return dict(refund.lines.values_list("line__sku_id", "quantity"))
