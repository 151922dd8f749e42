"""Where the payment platforms tell us what happened."""

from django.conf import settings

from orders.models import Channel

CALLBACKS = {Channel.WECHAT: "wechatpay", Channel.ALIPAY: "alipay"}


def notify_url(channel: str) -> str:
    return f"{settings.PUBLIC_URL}/api/v1/callbacks/{CALLBACKS[Channel(channel)]}/"
