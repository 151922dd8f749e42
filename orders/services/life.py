"""The one way an order changes its status: under its lock, by the table, with an event."""

from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from miniback.core.errors import Conflict
from miniback.core.queries import insert
from orders.models import Order, OrderEvent, OrderEventKind
from orders.status import Actor, OrderStatus, may_move


class OrderStatusConflict(Conflict):
    code = "order_status"
    detail = _("The order is in a state that does not allow this.")


def move_order(
    order: Order,
    to: OrderStatus,
    *,
    actor: Actor,
    now: datetime,
    user: Any = None,
    note: str = "",
    **columns: Any,
) -> None:
    """Move a locked order and write its event. Raises OrderStatusConflict with the status it has.

    ``columns`` are written with the status, by one UPDATE that counts only if nobody was faster.
    """
    start = OrderStatus(order.status)
    if not may_move(start, to, actor):
        raise OrderStatusConflict(status=start)
    moved = Order.objects.filter(pk=order.pk, status=start).update(status=to, **columns)
    if not moved:
        raise OrderStatusConflict(status=start)
    for name, value in {"status": to, **columns}.items():
        setattr(order, name, value)
    record_event(order, actor=actor, now=now, start=start, user=user, note=note)


def record_event(
    order: Order,
    *,
    actor: Actor,
    now: datetime,
    start: OrderStatus | None = None,
    user: Any = None,
    note: str = "",
) -> OrderEvent:
    """Write that ``order`` has come to its status; each status is entered once."""
    event = OrderEvent(
        order=order,
        event_key=f"{order.number}:{order.status}",
        from_status=start or "",
        to_status=order.status,
        actor=actor,
        user=user,
        note=note[:200],
        created_at=now,
    )
    return insert(event)[0]


def note_event(
    order: Order, kind: OrderEventKind, *, actor: Actor, now: datetime, note: str, user: Any = None
) -> None:
    """Write something that left the status as it was."""
    OrderEvent.objects.create(
        order=order,
        event_key=f"{order.number}:{kind}:{now.isoformat()}",
        kind=kind,
        from_status=order.status,
        to_status=order.status,
        actor=actor,
        user=user,
        note=note[:200],
        created_at=now,
    )
