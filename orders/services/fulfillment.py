"""After the money: shipping and receiving."""

import logging
from typing import Any

from django.conf import settings
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from miniback.core.errors import Conflict
from miniback.core.transactions import atomic
from orders.models import Carrier, Order, Refund, Shipment
from orders.services.life import OrderStatusConflict, move_order
from orders.status import Actor, OrderStatus, RefundStatus

logger = logging.getLogger(__name__)

BATCH = 500


class RefundOpen(Conflict):
    code = "refund_open"
    detail = _("Decide on the refund first; what was refunded is not shipped.")


@atomic
def ship_order(order: Order, *, carrier: Carrier, tracking_number: str, user: Any) -> Shipment:
    """Send the whole order in one parcel. Raises OrderStatusConflict unless it is paid."""
    now = timezone.now()
    order = Order.objects.lock(order.pk)
    _refuse_while_refunding(order)
    move_order(
        order,
        OrderStatus.SHIPPED,
        actor=Actor.STAFF,
        now=now,
        user=user,
        note=f"{carrier.name} {tracking_number}",
        shipped_at=now,
    )
    return Shipment.objects.create(
        order=order, carrier=carrier, tracking_number=tracking_number, shipped_at=now
    )


def _refuse_while_refunding(order: Order) -> None:
    """What a customer wants back is decided before it is sent; what is refunded is not sent."""
    refunds = Refund.objects.filter(payment__order=order, status=RefundStatus.REQUESTED)
    left = order.lines.filter(released_quantity__lt=F("quantity"))
    if refunds.exists() or not left.exists():
        raise RefundOpen


@atomic
def confirm_receipt(order: Order, *, actor: Actor, user: Any = None) -> Order:
    """The customer has it. Confirming again changes nothing. Raises OrderStatusConflict."""
    now = timezone.now()
    order = Order.objects.lock(order.pk)
    if order.status != OrderStatus.COMPLETED:
        move_order(order, OrderStatus.COMPLETED, actor=actor, now=now, user=user, completed_at=now)
    return order


def confirm_old_shipments() -> None:
    """Complete orders whose customer has said nothing for ORDER_RECEIVE_TIME."""
    old = Order.objects.filter(
        status=OrderStatus.SHIPPED, shipped_at__lt=timezone.now() - settings.ORDER_RECEIVE_TIME
    )
    for order in old.order_by("id")[:BATCH]:
        try:
            confirm_receipt(order, actor=Actor.JOB)
        except OrderStatusConflict:
            logger.info("order %s was moved by somebody else", order)


@atomic
def hide_order(order: Order) -> None:
    """Take an order that has ended out of its customer's list. Raises OrderStatusConflict."""
    order = Order.objects.lock(order.pk)
    if "delete" not in order.actions:
        raise OrderStatusConflict(status=order.status)
    Order.objects.filter(pk=order.pk, hidden_at=None).update(hidden_at=timezone.now())
