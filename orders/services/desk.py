"""What staff may change of an order, with a reason that is kept."""

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import phone_hashes
from miniback.core.errors import InvalidFields
from miniback.core.money import format_yuan
from miniback.core.transactions import atomic
from orders.models import Order, OrderEventKind, OrderLine
from orders.pricing import spread
from orders.services.cancellation import cancel_order
from orders.services.life import OrderStatusConflict, note_event
from orders.services.refund_decisions import refund_unshipped
from orders.services.settlement import close_open_payments, settle_free_order
from orders.status import Actor, OrderStatus

BEFORE_SHIPMENT = {OrderStatus.PENDING_PAYMENT, OrderStatus.PAID}
ADDRESS_COLUMNS = ("recipient", "phone", "province", "city", "district", "detail")


@atomic
def adjust_price(order: Order, *, discount_fen: int, reason: str, user: Any) -> Order:
    """Give an unpaid order another discount on its goods (fen, in all), spread over its lines.

    It replaces what a coupon took off the goods; what one took off the freight stays. Payments that
    are open with the old amount are closed; one that is made all the same goes back. An order that
    then costs nothing is paid. Raises OrderStatusConflict, InvalidFields.
    """
    now = timezone.now()
    order = Order.objects.lock(order.pk)
    if order.status != OrderStatus.PENDING_PAYMENT:
        raise OrderStatusConflict(status=order.status)
    if not 0 <= discount_fen <= order.goods_fen:
        raise InvalidFields(discount_fen=_("Take off no more than the goods cost."))
    old_fen, order.discount_fen = order.payable_fen, discount_fen + order.freight_discount_fen
    order.payable_fen = order.goods_fen + order.freight_fen - order.discount_fen
    order.save(update_fields=["discount_fen", "payable_fen"])
    lines = list(order.lines.order_by("id"))
    for line, part in zip(
        lines, spread(discount_fen, [line.total_fen for line in lines]), strict=True
    ):
        line.discount_fen = part
    OrderLine.objects.bulk_update(lines, ["discount_fen"])
    close_open_payments(order)
    change = f"¥{format_yuan(old_fen)} → ¥{format_yuan(order.payable_fen)} {reason}"
    note_event(order, OrderEventKind.PRICE, actor=Actor.STAFF, now=now, note=change, user=user)
    if not order.payable_fen:
        settle_free_order(order, now=now)
    return order


@atomic
def change_address(order: Order, *, reason: str, user: Any, **address: str) -> Order:
    """Send an order elsewhere, before it is shipped. Raises OrderStatusConflict."""
    now = timezone.now()
    order = Order.objects.lock(order.pk)
    if order.status not in BEFORE_SHIPMENT:
        raise OrderStatusConflict(status=order.status)
    columns = {name: address[name] for name in ADDRESS_COLUMNS}
    columns |= phone_hashes(address["phone"])
    for name, value in columns.items():
        setattr(order, name, value)
    order.save(update_fields=list(columns))
    # The reason only: where somebody lives stays encrypted.
    note_event(order, OrderEventKind.ADDRESS, actor=Actor.STAFF, now=now, note=reason, user=user)
    return order


@atomic
def write_note(order: Order, *, staff_note: str, is_flagged: bool, user: Any) -> Order:
    """Keep staff's note and flag, and what they were before; customers see none of it."""
    now = timezone.now()
    order = Order.objects.lock(order.pk)
    order.staff_note, order.is_flagged = staff_note, is_flagged
    order.save(update_fields=["staff_note", "is_flagged"])
    note_event(order, OrderEventKind.NOTE, actor=Actor.STAFF, now=now, note=staff_note, user=user)
    return order


@atomic
def call_off(order: Order, *, reason: str, user: Any) -> Order:
    """Cancel what nobody paid for; of anything else give back, and release, all that is not shipped.

    Raises OrderStatusConflict, OverRefund.
    """
    order = Order.objects.lock(order.pk)
    is_free = order.status == OrderStatus.PAID and not order.payable_fen
    if order.status == OrderStatus.PENDING_PAYMENT or is_free:
        return cancel_order(order, actor=Actor.STAFF, user=user, reason=reason)
    refund_unshipped(order, reason=reason, user=user)
    return order
