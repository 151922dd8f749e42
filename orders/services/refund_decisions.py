"""Staff decide on refunds: agree, in part too, reject, take goods back; or give back by themselves."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.models import StockMovementKind
from catalog.services.stock import give_back_stock
from miniback.core.errors import InvalidFields
from miniback.core.transactions import atomic
from orders.models import Order, Refund
from orders.services.after_sales import Request, agree_to_less, give_up, open_refund
from orders.services.life import OrderStatusConflict
from orders.services.owed_refunds import decide_amount, owe_refund, refund_pieces
from orders.services.refund_approvals import SecondApproval as SecondApproval
from orders.services.refund_approvals import agree
from orders.services.refund_claims import OverRefund, claimed_pieces, freight_claimed
from orders.services.refund_life import RefundStatusConflict, lock_refund, move_refund, order_of
from orders.status import Actor, OrderStatus, RefundKind, RefundStatus

PAID = (
    OrderStatus.PAID, OrderStatus.PARTLY_SHIPPED, OrderStatus.SHIPPED, OrderStatus.COMPLETED,
)  # fmt: skip


@atomic
def approve_refund(
    refund: Refund, *, user: Any, amount_fen: int | None = None, decision: str = ""
) -> Refund:
    """Agree, to all or to a part. Money goes back at once, or, for a return, when the goods are here.

    How much all is, is decided now: the refund that releases the last pieces of an order of which
    nothing was shipped brings its freight. From REFUND_SECOND_APPROVAL_FEN up (counted as `is_large`
    does) it only notes who agreed; it goes on when somebody else agrees too. Raises
    RefundStatusConflict, InvalidFields (an amount that is nothing, or more than would go back),
    SecondApproval (the same person again).
    """
    now = timezone.now()
    refund = lock_refund(refund)
    if refund.status != RefundStatus.REQUESTED:
        raise RefundStatusConflict(status=refund.status)
    before_fen = int(refund.amount_fen)
    decide_amount(refund)
    if amount_fen is not None:
        agree_to_less(refund, amount_fen)
    if not agree(refund, user, before_fen=before_fen, now=now):
        return refund
    refund.decided_by, refund.decided_at, refund.decision = user, now, decision
    if refund.kind == RefundKind.RETURN:
        return move_refund(refund, RefundStatus.RETURNING, actor=Actor.STAFF)
    return owe_refund(refund, now=now)


@atomic
def refund_order(
    order: Order,
    *,
    quantities: Mapping[int, int],
    freight_fen: int | None,
    kind: RefundKind,
    reason: str,
    user: Any,
    amount_fen: int | None = None,
    is_shipped: bool | None = None,
) -> Refund:
    """Give back pieces (line id -> count), freight, or both, of any paid order, unasked and at any time.

    ``freight_fen`` None leaves it to the rule; a number is taken as it is. ``amount_fen`` is less than
    that would be. Where some pieces of a line were shipped and some not, ``is_shipped`` says which are
    meant. A refund as a customer's follows, to which this member agrees. Raises OrderStatusConflict,
    InvalidFields, and as `request_refund` and `approve_refund`.
    """
    order = Order.objects.lock(order.pk)
    if order.status not in PAID:
        raise OrderStatusConflict(status=order.status)
    if freight_fen is not None:
        _check_freight(order, freight_fen)
    if not quantities and not freight_fen:
        raise InvalidFields(quantities=_("Choose pieces, or give freight back."))
    if not quantities and kind == RefundKind.RETURN:
        raise InvalidFields(kind=_("No goods come back without pieces."))
    refund = open_refund(
        order,
        Request(
            quantities,
            kind,
            reason,
            is_shipped=is_shipped,
            freight_fen=freight_fen,
            amount_fen=amount_fen,
            opened_by=user,
        ),
    )
    return approve_refund(refund, user=user)


def _check_freight(order: Order, freight_fen: int) -> None:
    left = order.freight_paid_fen - freight_claimed(order)
    if not 0 <= freight_fen <= left:
        raise InvalidFields(freight_fen=_("Give back no more freight than was paid and is left."))


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
    quantities = {line_id: count for line_id, count in left.items() if count}
    if order.status in PAID and not quantities:
        raise OverRefund
    return refund_order(
        order,
        quantities=quantities,
        freight_fen=None,
        kind=RefundKind.REFUND_ONLY,
        reason=reason,
        user=user,
    )


@atomic
def receive_return(refund: Refund, *, user: Any, is_restocked: bool) -> Refund:
    """The goods are back: on the shelf again, or written off. The money goes back."""
    now = timezone.now()
    refund = lock_refund(refund)
    if refund.status != RefundStatus.RETURNING:
        raise RefundStatusConflict(status=refund.status)
    refund.decided_by, refund.decided_at = user, now
    decide_amount(refund)
    refund = owe_refund(refund, now=now)
    if is_restocked:
        give_back_stock(
            refund_pieces(refund),
            reference=order_of(refund).number,
            occasion=refund.number,
            kind=StockMovementKind.RETURN,
        )
    return refund


@atomic
def reject_refund(refund: Refund, *, user: Any, decision: str) -> Refund:
    """Refuse, with a reason the customer sees; what was claimed is free again."""
    refund.decided_by, refund.decided_at, refund.decision = user, timezone.now(), decision
    return give_up(refund, RefundStatus.REJECTED, actor=Actor.STAFF)
