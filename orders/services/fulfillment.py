"""After the money: shipping and receiving."""

from typing import Any

from django.utils import timezone

from miniback.core.transactions import atomic
from orders.models import Carrier, Order, Shipment
from orders.services.life import move_order
from orders.status import Actor, OrderStatus


@atomic
def ship_order(order: Order, *, carrier: Carrier, tracking_number: str, user: Any) -> Shipment:
    """Send the whole order in one parcel. Raises OrderStatusConflict unless it is paid."""
    now = timezone.now()
    order = Order.objects.lock(order.pk)
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


@atomic
def confirm_receipt(order: Order, *, actor: Actor, user: Any = None) -> Order:
    """The customer has it. Confirming again changes nothing. Raises OrderStatusConflict."""
    now = timezone.now()
    order = Order.objects.lock(order.pk)
    if order.status != OrderStatus.COMPLETED:
        move_order(order, OrderStatus.COMPLETED, actor=actor, now=now, user=user, completed_at=now)
    return order
