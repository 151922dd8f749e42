"""Staff decide on refunds: agree, in part too, reject, take goods back; or give back by themselves."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.models import StockMovementKind
from catalog.services.stock import give_back_stock
from miniback.core.errors import Conflict, InvalidFields
from miniback.core.transactions import atomic
from orders.models import Order, OrderLine, Refund, RefundLine
from orders.pricing import spread
from orders.services.after_sales import (
    RefundStatusConflict,
    claimed_pieces,
    give_up,
    lock_refund,
    move_refund,
    request_refund,
)
from orders.services.books import post_refund_due
from orders.services.life import move_order
from orders.services.shipping import tell_shipped
from orders.status import Actor, OrderStatus, RefundKind, RefundStatus


class SecondApproval(Conflict):
    code = "second_approval"
    detail = _("So large a refund needs a second member of staff.")


@atomic
def approve_refund(
    refund: Refund, *, user: Any, amount_fen: int | None = None, decision: str = ""
) -> Refund:
    """Agree, to all or to a part. Money goes back at once, or, for a return, when the goods are here.

    From REFUND_SECOND_APPROVAL_FEN up it only notes who agreed; it goes on when somebody else agrees
    too. Raises RefundStatusConflict, InvalidFields (an amount that is nothing, or more than was asked),
    SecondApproval (the same person again).
    """
    now = timezone.now()
    refund = lock_refund(refund)
    if refund.status != RefundStatus.REQUESTED:
        raise RefundStatusConflict(status=refund.status)
    if amount_fen is not None and amount_fen != refund.amount_fen:
        _lower(refund, amount_fen)
    if not _is_agreed(refund, user):
        return refund
    refund.decided_by, refund.decided_at, refund.decision = user, now, decision
    if refund.kind == RefundKind.RETURN:
        return move_refund(refund, RefundStatus.RETURNING, actor=Actor.STAFF)
    return _owe(refund, now)


def _is_agreed(refund: Refund, user: Any) -> bool:
    """Say whether enough people agree; the first of two is written down."""
    limit = settings.REFUND_SECOND_APPROVAL_FEN
    if not limit or refund.amount_fen < limit:
        return True
    if refund.first_approved_by_id is None:
        refund.first_approved_by = user
        refund.save(update_fields=["first_approved_by", "amount_fen", "freight_fen"])
        return False
    if refund.first_approved_by_id == user.pk:
        raise SecondApproval
    return True


@atomic
def refund_unshipped(order: Order, *, reason: str, user: Any) -> Refund:
    """Give back everything that is not on its way and not asked back already, without being asked.

    Of an order of which nothing was shipped that cancels it, once the money is back. Raises
    OrderStatusConflict, OverRefund (nothing is left), and SecondApproval as ``approve_refund``.
    """
    order = Order.objects.lock(order.pk)
    unsent = claimed_pieces(order, is_shipped=False)
    left = {
        line.pk: line.quantity - line.shipped_quantity - unsent.get(line.pk, 0)
        for line in order.lines.all()
    }
    refund = request_refund(
        order,
        quantities={line_id: count for line_id, count in left.items() if count},
        kind=RefundKind.REFUND_ONLY,
        reason=reason,
    )
    return approve_refund(refund, user=user)


@atomic
def receive_return(refund: Refund, *, user: Any, is_restocked: bool) -> Refund:
    """The goods are back: on the shelf again, or written off. The money goes back."""
    now = timezone.now()
    refund = lock_refund(refund)
    if refund.status != RefundStatus.RETURNING:
        raise RefundStatusConflict(status=refund.status)
    refund.decided_by, refund.decided_at = user, now
    refund = _owe(refund, now)
    if is_restocked:
        give_back_stock(
            _pieces(refund),
            reference=refund.order.number,
            occasion=refund.number,
            kind=StockMovementKind.RETURN,
        )
    return refund


@atomic
def reject_refund(refund: Refund, *, user: Any, decision: str) -> Refund:
    """Refuse, with a reason the customer sees; what was claimed is free again."""
    refund.decided_by, refund.decided_at, refund.decision = user, timezone.now(), decision
    return give_up(refund, RefundStatus.REJECTED, actor=Actor.STAFF)


def _owe(refund: Refund, now: datetime) -> Refund:
    """From here on the money is the customer's; a job sends it under the refund's number."""
    refund.due_at, refund.out_refund_no = now, refund.number
    refund = move_refund(refund, RefundStatus.APPROVED, actor=Actor.STAFF)
    post_refund_due(refund, now=now)
    if not refund.is_shipped:
        for line in refund.lines.all():
            OrderLine.objects.filter(pk=line.line_id).update(
                released_quantity=F("released_quantity") + line.quantity
            )
        give_back_stock(_pieces(refund), reference=refund.order.number, occasion=refund.number)
        _finish_partly_shipped(refund, now)
    return refund


def _finish_partly_shipped(refund: Refund, now: datetime) -> None:
    """Nothing is left to ship: the rest was refunded, so the order is shipped."""
    order = refund.order
    if order.status == OrderStatus.PARTLY_SHIPPED and not any(
        line.to_ship for line in order.lines.all()
    ):
        who: Any = {"actor": Actor.STAFF, "user": refund.decided_by, "now": now}
        move_order(order, OrderStatus.SHIPPED, note=refund.number, shipped_at=now, **who)
        tell_shipped(order)


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
