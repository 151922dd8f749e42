"""An unpaid order ends: by its customer, by staff, or by time."""

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from catalog.services.stock import give_back_stock
from miniback.core.clock import database_now
from miniback.core.due import try_each
from miniback.core.transactions import atomic
from miniback.platforms.errors import PlatformError
from orders.models import Channel, MessageKind, Order, OrderEventKind, Payment, Refund
from orders.services.after_sales import give_up
from orders.services.books import post_free_sale_undone
from orders.services.coupons import give_back_coupon
from orders.services.life import OrderStatusConflict, move_order, note_event
from orders.services.messages import tell_customer
from orders.services.settlement import Mismatch, close_open_payments, close_payment
from orders.status import Actor, OrderStatus, RefundStatus

BATCH = 1000
# Of an order that no platform may have been paid for.
NO_CHANNEL: Final = ""
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


def close_unpaid_orders(channels: Collection[str] = (NO_CHANNEL, *Channel.values)) -> None:
    """Cancel orders whose time to pay has ended, after asking the platform whether they were paid.

    By channel of the payments that are open; NO_CHANNEL stands for orders without any, which wait
    for no platform.
    """
    for channel in channels:
        try_each(
            _overdue(channel).order_by("?")[:BATCH],
            partial(_close, channel=channel),
            expected=(PlatformError, Mismatch, OrderStatusConflict),
        )


def _overdue(channel: str) -> QuerySet[Order]:
    overdue = Order.objects.filter(
        status=OrderStatus.PENDING_PAYMENT, pay_before__lt=database_now() - GRACE
    )
    opened = Payment.objects.open().filter(order=OuterRef("pk"))
    if channel == NO_CHANNEL:
        return overdue.filter(~Exists(opened))
    return overdue.filter(Exists(opened.filter(channel=channel)))


def _close(order: Order, *, channel: str) -> None:
    opened = Payment.objects.filter(order=order).open()
    for payment in opened.filter(channel=channel).select_related("order"):
        close_payment(payment)
    # One of another channel: whoever closes the last one cancels the order.
    if not opened.exists():
        cancel_order(order, actor=Actor.JOB, reason="超时未支付")


def remind_unpaid_orders() -> None:
    """Write, once an order, that its time to pay ends soon, and tell the customer."""
    now = database_now()
    soon = Order.objects.filter(
        status=OrderStatus.PENDING_PAYMENT,
        pay_before__range=(now, now + REMIND_BEFORE),
        reminded_at=None,
    )
    try_each(soon.order_by("?")[:BATCH], partial(_remind, now=now))


@atomic
def _remind(order: Order, *, now: datetime) -> None:
    waiting = Order.objects.filter(
        pk=order.pk, status=OrderStatus.PENDING_PAYMENT, reminded_at=None
    )
    if waiting.update(reminded_at=now):
        note_event(order, OrderEventKind.REMINDER, actor=Actor.JOB, now=now, note="")
        tell_customer(order, MessageKind.CLOSING_SOON)
