"""What follows when staff have agreed to a refund: the money is owed, pieces are free, an order may end."""

from datetime import datetime
from typing import Any

from django.db.models import F

from catalog.services.stock import give_back_stock
from orders.models import Order, OrderLine, Payment, Refund, RefundLine, new_number
from orders.pricing import spread
from orders.services.books import post_refund_due
from orders.services.coupons import give_back_coupon
from orders.services.life import move_order
from orders.services.refund_claims import (
    claim_pieces,
    freight_due,
    left_to_agree,
    next_refund_number,
)
from orders.services.refund_life import move_refund, order_of, payment_of
from orders.services.shipping import tell_shipped
from orders.status import OWED, Actor, OrderStatus, RefundKind, RefundStatus

BACK = [RefundStatus.SUCCEEDED, RefundStatus.WRITTEN_OFF]
ALL_IS_BACK, BACK_OUTSIDE = "已全额退款", "款项已在店外退回"


def decide_amount(refund: Refund) -> None:
    """Set what a locked refund gives back, by what holds now, and not by what held when it was asked.

    Freight is added or taken away, and nothing goes back that others were agreed to get. What staff
    have set by hand stays, as far as it is left.
    """
    lines = list(refund.lines.all())
    if not refund.is_amount_fixed:
        pieces = {} if refund.is_shipped else {line.line_id: line.quantity for line in lines}
        refund.freight_fen = freight_due(order_of(refund), pieces, besides=refund.pk)
        for line in lines:
            line.amount_fen = line.claimed_fen
        RefundLine.objects.bulk_update(lines, ["amount_fen"])
    refund.amount_fen = sum(int(line.amount_fen) for line in lines) + int(refund.freight_fen)
    left = left_to_agree(refund)
    if left < refund.amount_fen:
        lower_refund(refund, left)


def lower_refund(refund: Refund, amount_fen: int) -> None:
    """Make it less: freight goes first, then every line by its share."""
    lines = list(refund.lines.order_by("line_id"))
    asked = sum(int(line.claimed_fen) for line in lines)
    # A late payment's refund is of neither.
    refund.freight_fen = min(max(amount_fen - asked, 0), int(refund.freight_fen))
    parts = spread(amount_fen - refund.freight_fen, [int(line.claimed_fen) for line in lines])
    for line, part in zip(lines, parts, strict=True):
        line.amount_fen = part
    RefundLine.objects.bulk_update(lines, ["amount_fen"])
    refund.amount_fen = amount_fen


def owe_refund(refund: Refund, *, now: datetime) -> Refund:
    """From here on the money is the customer's; a job sends it. Where there is none, it has succeeded.

    Call it under the order's lock.
    """
    refund = _owe(refund, now)
    if not refund.amount_fen:
        cancel_if_all_is_back(order_of(refund), now=now)
    return refund


def _owe(refund: Refund, now: datetime) -> Refund:
    order = order_of(refund)
    if refund.amount_fen:
        refund.due_at, refund.out_refund_no = now, next_refund_number(payment_of(refund))
    # Posted before the move: what was agreed before it is what counts for its share of discounts.
    post_refund_due(order, refund, now=now)
    refund = move_refund(refund, RefundStatus.APPROVED, actor=Actor.STAFF)
    if not refund.is_shipped:
        _release_pieces(order, refund, now)
    if not refund.amount_fen:
        refund.succeeded_at = now
        refund = move_refund(refund, RefundStatus.SUCCEEDED, actor=Actor.STAFF)
    return refund


def _release_pieces(order: Order, refund: Refund, now: datetime) -> None:
    """They need not be shipped any more; where nothing else is to be, the order is shipped."""
    pieces = refund_pieces(refund)
    for line in refund.lines.all():
        OrderLine.objects.filter(pk=line.line_id).update(
            released_quantity=F("released_quantity") + line.quantity
        )
    if pieces:
        give_back_stock(pieces, reference=order.number, occasion=refund.number)
    if order.status == OrderStatus.PARTLY_SHIPPED and not any(
        line.to_ship for line in order.lines.all()
    ):
        who: Any = {"actor": Actor.STAFF, "user": refund.decided_by, "now": now}
        move_order(order, OrderStatus.SHIPPED, note=refund.number, shipped_at=now, **who)
        tell_shipped(order)


def refund_pieces(refund: Refund) -> dict[int, int]:
    """SKU id -> pieces."""
    return dict(refund.lines.values_list("line__sku_id", "quantity"))


def cancel_if_all_is_back(order: Order, *, now: datetime) -> None:
    """Cancel a locked order of which nothing is left to ship and whose money has gone back.

    If its whole payment was given back outside the shop, its pieces are released first.
    """
    if order.status != OrderStatus.PAID:
        return
    if _is_back_outside(order):
        _release_the_rest(order, now)
    if order.lines.filter(released_quantity__lt=F("quantity")).exists():
        return
    if Refund.objects.filter(order=order, status__in=OWED).exists():
        return
    give_back_coupon(order)
    move_order(
        order,
        OrderStatus.CANCELLED,
        actor=Actor.PLATFORM,
        now=now,
        note=ALL_IS_BACK,
        cancelled_at=now,
        cancel_reason=ALL_IS_BACK,
    )


def _is_back_outside(order: Order) -> bool:
    payment = Payment.objects.filter(order=order, is_applied=True).first()
    if payment is None:
        return False
    back = list(Refund.objects.filter(payment=payment, status__in=BACK))
    is_outside = any(refund.kind == RefundKind.EXTERNAL for refund in back)
    return is_outside and sum(int(refund.amount_fen) for refund in back) >= payment.amount_fen


def _release_the_rest(order: Order, now: datetime) -> None:
    """Agree to what was asked for, and to the rest: of no money, since none is left."""
    for refund in Refund.objects.filter(order=order, status=RefundStatus.REQUESTED).order_by("pk"):
        refund.order, refund.decided_at = order, now
        decide_amount(refund)
        _owe(refund, now)
    lines = [line for line in order.lines.order_by("pk") if line.refunded_quantity < line.quantity]
    if not lines:
        return
    rest = Refund.objects.create(
        order=order,
        payment=Payment.objects.get(order=order, is_applied=True),
        number=new_number("R"),
        kind=RefundKind.REFUND_ONLY,
        reason=BACK_OUTSIDE,
        amount_fen=0,
        created_at=now,
        decided_at=now,
    )
    save_claims(
        rest,
        [claim_pieces(order, line.pk, line.quantity - line.refunded_quantity) for line in lines],
    )
    decide_amount(rest)
    _owe(rest, now)


def save_claims(refund: Refund, claims: list[RefundLine]) -> None:
    for claim in claims:
        claim.refund = refund
    RefundLine.objects.bulk_create(claims)
