"""Telling WeChat what was shipped: until it knows, the customer's money stays frozen (PLATFORMS A8)."""

from typing import Any

from django.conf import settings
from django.utils import timezone

from miniback.core import outbox, providers
from miniback.core.models import Lane
from miniback.platforms.errors import AlreadyDone, Refused
from miniback.platforms.wechat import Parcel
from orders.models import Channel, Order, OrderEvent, Payment, Shipment
from orders.status import OrderStatus

UPLOAD_SHIPPING = "shipping.upload"
# More the platform does not take.
MAX_PARCELS = 10


def tell_shipped(order: Order) -> None:
    """Leave word, in the transaction that shipped or that decided that nothing more will be."""
    paid_by_wechat = Payment.objects.filter(order=order, is_applied=True, channel=Channel.WECHAT)
    if not settings.WECHAT_UPLOAD_SHIPPING or not paid_by_wechat.exists():
        return
    parcels = Shipment.objects.filter(order=order).count()
    outbox.post(
        topic=UPLOAD_SHIPPING,
        event_key=f"{UPLOAD_SHIPPING}:{order.number}:{parcels}:{order.status}",
        payload={"number": order.number},
        lane=Lane.WECHAT,
    )


def upload_shipping(payload: dict[str, Any]) -> None:
    """Outbox handler of ``shipping.upload``: ``{"number": ...}``. Tells of all parcels there are now.

    So messages may come twice, late, or in another order. Raises outbox.Undeliverable when the
    platform will never take it.
    """
    order = Order.objects.get(number=payload["number"])
    payment = Payment.objects.select_related("payer").get(order=order, is_applied=True)
    openid = _openid(payment, order)
    is_partly = OrderEvent.objects.filter(order=order, to_status=OrderStatus.PARTLY_SHIPPED)
    shipments = Shipment.objects.filter(order=order).select_related("carrier").order_by("id")
    try:
        providers.wechat().upload_shipping(
            mch_id=payment.merchant_id or settings.WECHATPAY_MCH_ID,
            payment_number=payment.number,
            openid=openid,
            parcels=[_parcel(order, shipment) for shipment in shipments[:MAX_PARCELS]],
            is_split=is_partly.exists(),
            is_all=order.status != OrderStatus.PARTLY_SHIPPED,
            at=timezone.now(),
        )
    except AlreadyDone:
        pass
    except Refused as error:
        raise outbox.Undeliverable(str(error)) from error


def _openid(payment: Payment, order: Order) -> str:
    """Of the payer; of money that staff booked to the order nobody knows them, so its customer's."""
    known = payment.payer or order.user.identities.filter(platform=Channel.WECHAT).first()
    if known is None:
        raise outbox.Undeliverable("nobody knows the openid of the payer")
    return known.openid


def _parcel(order: Order, shipment: Shipment) -> Parcel:
    lines = shipment.lines.select_related("line").order_by("id")
    return Parcel(
        carrier=shipment.carrier.code,
        tracking_number=shipment.tracking_number,
        item="；".join(f"{row.line.name} x{row.quantity}" for row in lines)[:120],
        phone_mask=f"{order.phone[:3]}****{order.phone[-4:]}",
    )
