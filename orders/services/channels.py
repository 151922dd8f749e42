"""The payment platforms: where they tell us what happened, and in which lane they are asked."""

from typing import Final

from django.conf import settings

from miniback.core.models import Lane
from orders.models import Channel

LANES: Final = {Channel.WECHAT: Lane.WECHATPAY, Channel.ALIPAY: Lane.ALIPAY}
CALLBACKS = {Channel.WECHAT: "wechatpay", Channel.ALIPAY: "alipay"}


def notify_url(channel: str) -> str:
    return f"{settings.PUBLIC_URL}/api/v1/callbacks/{CALLBACKS[Channel(channel)]}/"
