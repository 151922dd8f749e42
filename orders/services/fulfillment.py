"""After the money: shipping and receiving."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from django.conf import settings
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from miniback.core.clock import database_now
from miniback.core.due import try_each
from miniback.core.errors import Conflict, NotFound
from miniback.core.transactions import atomic
from orders.models import (
    Carrier,
    MessageKind,
    Order,
    OrderEventKind,
    OrderLine,
    Payment,
    Refund,
    Shipment,
    ShipmentLine,
)
from orders.services.life import OrderStatusConflict, move_order, note_event
from orders.services.messages import tell_customer
from orders.services.refund_claims import refuse_unknown_refunds
from orders.services.shipping import tell_shipped
from orders.status import Actor, OrderStatus, RefundStatus, may_move

BATCH = 500


class RefundOpen(Conflict):
    code = "refund_open"
    detail = _("Decide on the refund first; what was refunded is not shipped.")


class TooManyToShip(Conflict):
    code = "too_many_to_ship"
    detail = _("There are fewer pieces left to ship.")


class ParcelExists(Conflict):
    code = "parcel_exists"
    detail = _("A parcel of this order has this tracking number already.")


@atomic
def ship_order(
    order: Order,
    *,
    carrier: Carrier,
    tracking_number: str,
    user: Any,
    quantities: Mapping[int, int] | None = None,
) -> Shipment:
    """Send a parcel with pieces of lines (line id -> pieces), or with everything that is left (None).

    Raises OrderStatusConflict unless it is paid, RefundOpen, RefundUnknown (the platform gave money
    back that we do not know of), ParcelExists, TooManyToShip, NotFound (line).
    """
    now = timezone.now()
    order = Order.objects.lock(order.pk)
    if not may_move(OrderStatus(order.status), OrderStatus.SHIPPED, Actor.STAFF):
        raise OrderStatusConflict(status=order.status)
    lines = {line.pk: line for line in order.lines.all()}
    _refuse_while_refunding(order, lines.values())
    refuse_unknown_refunds(Payment.objects.filter(order=order, is_applied=True).first())
    quantities = _pieces_to_ship(lines, quantities)
    shipment = Shipment(
        order=order, carrier=carrier, tracking_number=tracking_number, shipped_at=now
    )
    _refuse_same_parcel(shipment)
    _move_shipped(order, lines, quantities, shipment, user)
    shipment.save(force_insert=True)
    ShipmentLine.objects.bulk_create(
        ShipmentLine(shipment=shipment, line_id=line_id, quantity=count)
        for line_id, count in sorted(quantities.items())
    )
    tell_shipped(order)
    tell_customer(order, MessageKind.SHIPPED, shipment=shipment)
    return shipment


def _pieces_to_ship(
    lines: Mapping[int, OrderLine], quantities: Mapping[int, int] | None
) -> Mapping[int, int]:
    if quantities is None:
        quantities = {pk: line.to_ship for pk, line in lines.items() if line.to_ship}
    if not quantities or not quantities.keys() <= lines.keys():
        raise NotFound(_("The order has no such line."))
    return quantities


def _refuse_same_parcel(shipment: Shipment) -> None:
    """A form that is sent twice is no second parcel."""
    same = Shipment.objects.filter(
        order=shipment.order,
        carrier=shipment.carrier,
        tracking_number=shipment.tracking_number,
    )
    if same.exists():
        raise ParcelExists


def _move_shipped(
    order: Order,
    lines: Mapping[int, OrderLine],
    quantities: Mapping[int, int],
    shipment: Shipment,
    user: Any,
) -> None:
    for line_id, count in sorted(quantities.items()):
        left = F("quantity") - F("released_quantity") - F("shipped_quantity")
        enough = OrderLine.objects.alias(left=left).filter(pk=line_id, left__gte=count)
        if count < 1 or not enough.update(shipped_quantity=F("shipped_quantity") + count):
            raise TooManyToShip(line=line_id)
    is_last = all(line.to_ship == quantities.get(pk, 0) for pk, line in lines.items())
    to = OrderStatus.SHIPPED if is_last else OrderStatus.PARTLY_SHIPPED
    who: Any = {"actor": Actor.STAFF, "now": shipment.shipped_at, "user": user}
    note = f"{shipment.carrier.name} {shipment.tracking_number}"
    if order.status == to == OrderStatus.PARTLY_SHIPPED:
        note_event(order, OrderEventKind.PARCEL, note=note, **who)
    else:
        if is_last:
            who["shipped_at"] = shipment.shipped_at
        move_order(order, to, note=note, **who)


def _refuse_while_refunding(order: Order, lines: Iterable[OrderLine]) -> None:
    """What a customer wants back unsent is decided before it is sent; what is refunded is not sent."""
    refunds = Refund.objects.filter(order=order, status=RefundStatus.REQUESTED, is_shipped=False)
    if refunds.exists() or not any(line.to_ship for line in lines):
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
        status=OrderStatus.SHIPPED, shipped_at__lt=database_now() - settings.ORDER_RECEIVE_TIME
    )
    confirm = partial(confirm_receipt, actor=Actor.JOB)
    try_each(old.order_by("?")[:BATCH], confirm, expected=(OrderStatusConflict,))


@atomic
def hide_order(order: Order) -> None:
    """Take an order that has ended out of its customer's list. Raises OrderStatusConflict."""
    order = Order.objects.lock(order.pk)
    if "delete" not in order.actions:
        raise OrderStatusConflict(status=order.status)
    Order.objects.filter(pk=order.pk, hidden_at=None).update(hidden_at=timezone.now())
