"""What WeChat pushes: verdicts on pictures, and receipts that were confirmed in WeChat (PLATFORMS A5, A8)."""

import logging
from typing import Any

from catalog.services.moderation import record_picture_verdict
from orders.models import Channel, Payment
from orders.services.fulfillment import confirm_receipt
from orders.services.life import OrderStatusConflict
from orders.status import Actor

logger = logging.getLogger(__name__)


def receive_event(event: dict[str, Any]) -> None:
    """Take one verified event; a repeat changes nothing, and what we do not know is let pass."""
    match event.get("Event"):
        case "wxa_media_check":
            record_picture_verdict(event)
        case "trade_manage_order_settlement":
            _settle(event)
        case kind:
            logger.info("WeChat pushed %s", str(kind)[:60])


def _settle(event: dict[str, Any]) -> None:
    """It is pushed at shipping too; only the second has a time of receipt."""
    if not event.get("confirm_receive_time"):
        return
    number = str(event.get("merchant_trade_no", ""))
    payment = Payment.objects.filter(channel=Channel.WECHAT, number=number, is_applied=True)
    found = payment.select_related("order").first()
    if found is None or found.order is None:
        logger.warning("WeChat confirmed a receipt of %s, which is no payment of ours", number[:40])
        return
    try:
        confirm_receipt(found.order, actor=Actor.CUSTOMER)
    except OrderStatusConflict:
        logger.info("order %s is past being received", found.order)
