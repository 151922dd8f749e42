"""The payment platforms: who serves an account, where they tell us what happened, who waits for them."""

from typing import Final

from django.conf import settings

from miniback.core.models import Lane
from miniback.core.providers import payment_provider
from miniback.platforms.contract import PaymentProvider
from orders.models import Channel, Payment

LANES: Final = {Channel.WECHAT: Lane.WECHATPAY, Channel.ALIPAY: Lane.ALIPAY}
CALLBACKS = {Channel.WECHAT: "wechatpay", Channel.ALIPAY: "alipay"}


def notify_url(channel: str) -> str:
    return f"{settings.PUBLIC_URL}/api/v1/callbacks/{CALLBACKS[Channel(channel)]}/"


def provider_of(payment: Payment) -> PaymentProvider:
    """Return the client of the account that took the money. Raises Misconfigured (ACCOUNT_GONE)."""
    return payment_provider(payment.channel, app_id=payment.app_id, merchant_id=payment.merchant_id)
