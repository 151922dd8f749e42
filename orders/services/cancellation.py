"""An unpaid order ends: by its customer, by staff, or by time."""

import logging
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from catalog.services.stock import give_back_stock
from miniback.core.transactions import atomic
from miniback.platforms.errors import PlatformError, TryAgain
from orders.models import MessageKind, Order, OrderEventKind, Payment, Refund
from orders.services.after_sales import give_up
from orders.services.books import post_free_sale_undone
from orders.services.coupons import give_back_coupon
from orders.services.life import OrderStatusConflict, move_order, note_event
from orders.services.messages import tell_customer
from orders.services.settlement import Mismatch, close_open_payments, close_payment
from orders.status import Actor, OrderStatus, RefundStatus

logger = logging.getLogger(__name__)

BATCH = 1000
# A notice that is on its way when the time ends still finds the order open.
GRACE = timedelta(seconds=5)
REMIND_BEFORE = timedelta(minutes=10)


@atomic
def cancel_order(order: Order, *, actor: Actor, user: Any = None, reason: str = "") -> Order:
    """Cancel an order for which nothing was paid; its coupon and stock come back, payments are closed.

    So are refunds of its pieces that were asked for; what was agreed back is back already.

    Cancelling it again changes nothing. Raises OrderStatusConflict when it is past cancelling;
    money that arrives afterwards is refunded by itself. What was paid goes back by a refund.
    """
    now = timezone.now()
    order = Order.objects.lock(order.pk)
    if order.status == OrderStatus.CANCELLED:
        return order
    if order.status == OrderStatus.PAID:
        _undo_free_sale(order, now)
    move_order(
        order,
        OrderStatus.CANCELLED,
        actor=actor,
        now=now,
        user=user,
        note=reason,
        cancelled_at=now,
        cancel_reason=reason,
    )
    give_back_coupon(order)
    kept = {line.sku_id: line.to_ship for line in order.lines.all() if line.to_ship}
    if kept:
        give_back_stock(kept, reference=order.number)
    close_open_payments(order)
    return order


def _undo_free_sale(order: Order, now: datetime) -> None:
    if order.payable_fen:
        raise OrderStatusConflict(status=order.status)
    for refund in Refund.objects.filter(order=order, status=RefundStatus.REQUESTED):
        give_up(refund, RefundStatus.WITHDRAWN, actor=Actor.CUSTOMER)
    post_free_sale_undone(order, now=now)


def close_unpaid_orders() -> None:
    """Cancel orders whose time to pay has ended, after asking the platform whether they were paid.

    While the platform does not answer, orders that it may have been paid for wait; others do not.
    """
    overdue = Order.objects.filter(
        status=OrderStatus.PENDING_PAYMENT, pay_before__lt=timezone.now() - GRACE
    )
    platform_answers = True
    for order in overdue.order_by("pay_before")[:BATCH]:
        payments = list(Payment.objects.filter(order=order).open())
        if payments and not platform_answers:
            continue
        try:
            for payment in payments:
                close_payment(payment)
            cancel_order(order, actor=Actor.JOB, reason="超时未支付")
        except OrderStatusConflict:
            logger.info("order %s was paid at the last moment", order)
        except (PlatformError, Mismatch) as error:
            logger.warning("order %s cannot be closed yet: %s", order, error)
            platform_answers = not isinstance(error, TryAgain)


def remind_unpaid_orders() -> None:
    """Write, once an order, that its time to pay ends soon, and tell the customer."""
    now = timezone.now()
    soon = Order.objects.filter(
        status=OrderStatus.PENDING_PAYMENT,
        pay_before__range=(now, now + REMIND_BEFORE),
        reminded_at=None,
    )
    for order in soon.order_by("pay_before")[:BATCH]:
        _remind(order, now)


@atomic
def _remind(order: Order, now: datetime) -> None:
    waiting = Order.objects.filter(
        pk=order.pk, status=OrderStatus.PENDING_PAYMENT, reminded_at=None
    )
    if waiting.update(reminded_at=now):
        note_event(order, OrderEventKind.REMINDER, actor=Actor.JOB, now=now, note="")
        tell_customer(order, MessageKind.CLOSING_SOON)
