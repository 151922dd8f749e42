"""An unpaid order ends: by its customer, by staff, or by time."""

import logging
from datetime import timedelta
from typing import Any

from django.utils import timezone

from catalog.services import give_back_stock
from miniback.core import outbox
from miniback.core.transactions import atomic
from miniback.platforms.errors import PlatformError, TryAgain
from orders.models import Order, Payment
from orders.services.life import OrderStatusConflict, move_order
from orders.services.payment import Mismatch, close_payment
from orders.status import Actor, OrderStatus

logger = logging.getLogger(__name__)

CLOSE_PAYMENT = "payment.close"
BATCH = 1000
# A notice that is on its way when the time ends still finds the order open.
GRACE = timedelta(seconds=5)


@atomic
def cancel_order(order: Order, *, actor: Actor, user: Any = None, reason: str = "") -> Order:
    """Cancel an unpaid order, give its stock back, and have its payments closed.

    Cancelling it again changes nothing. Raises OrderStatusConflict when it is past cancelling;
    money that arrives afterwards is refunded by itself.
    """
    now = timezone.now()
    order = Order.objects.lock(order.pk)
    if order.status == OrderStatus.CANCELLED:
        return order
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
    taken = order.lines.values_list("sku_id", "quantity")
    give_back_stock(dict(taken), reference=order.number)
    for number in Payment.objects.filter(order=order).open().values_list("number", flat=True):
        outbox.post(
            topic=CLOSE_PAYMENT, event_key=f"{CLOSE_PAYMENT}:{number}", payload={"number": number}
        )
    return order


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
