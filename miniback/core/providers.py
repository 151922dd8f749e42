"""The platforms this shop is connected to: their clients, made from the settings."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from miniback.core.models import PlatformCertificate
from miniback.platforms.alipay import AlipayClient
from miniback.platforms.contract import LoginProvider, PaymentProvider
from miniback.platforms.douyin import DouyinClient
from miniback.platforms.errors import Misconfigured
from miniback.platforms.wechat import WeChatClient
from miniback.platforms.wechat_crypto import MessagePush
from miniback.platforms.wechatpay import WeChatPayClient


def login_provider(platform: str) -> LoginProvider:
    """Whoever exchanges ``platform``'s login codes. Raises Misconfigured."""
    return _LOGIN[platform]()


def payment_provider(channel: str) -> PaymentProvider:
    """Whoever takes money by ``channel``. Raises Misconfigured, for a key that is missing or bad."""
    return _PAYMENT[channel]()


def is_offered(platform: str) -> bool:
    """Whether this shop has a mini program there."""
    return bool(getattr(settings, f"{platform.upper()}_APP_ID"))


def wechat() -> WeChatClient:
    return WeChatClient(
        app_id=settings.WECHAT_APP_ID,
        secret=settings.WECHAT_APP_SECRET,
        base_url=settings.WECHAT_BASE_URL,
        cache=cache,
    )


def douyin() -> DouyinClient:
    return DouyinClient(
        app_id=settings.DOUYIN_APP_ID,
        secret=settings.DOUYIN_APP_SECRET,
        base_url=settings.DOUYIN_BASE_URL,
    )


def wechat_push() -> MessagePush:
    """Raises Misconfigured."""
    return MessagePush(
        token=settings.WECHAT_PUSH_TOKEN,
        aes_key=settings.WECHAT_PUSH_AES_KEY,
        app_id=settings.WECHAT_APP_ID,
    )


def wechatpay() -> WeChatPayClient:
    return _with_keys(
        WeChatPayClient,
        app_id=settings.WECHAT_APP_ID,
        mch_id=settings.WECHATPAY_MCH_ID,
        api_v3_key=settings.WECHATPAY_API_V3_KEY,
        serial=settings.WECHATPAY_SERIAL,
        private_key_pem=Path(settings.WECHATPAY_PRIVATE_KEY_FILE),
        public_key_id=settings.WECHATPAY_PUBLIC_KEY_ID,
        public_key_pem=Path(settings.WECHATPAY_PUBLIC_KEY_FILE),
        find_certificate=_find_certificate,
        base_url=settings.WECHATPAY_BASE_URL,
    )


def _find_certificate(serial: str) -> bytes | None:
    """One that is good now; the newest for ""."""
    now = timezone.now()
    good = PlatformCertificate.objects.filter(begins_at__lte=now, ends_at__gt=now)
    wanted = good.filter(serial=serial) if serial else good.order_by("-begins_at")
    row = wanted.first()
    return row.pem.encode() if row else None


def refresh_certificates() -> None:
    """Fetch WeChat Pay's certificates, where the shop may need them. Raises PlatformError.

    A shop in public-key mode needs them only while its merchant is being switched.
    """
    if not settings.WECHATPAY_MCH_ID or not settings.WECHATPAY_CERTIFICATES:
        return
    for one in wechatpay().certificates():
        values = {"pem": one.pem.decode(), "begins_at": one.begins_at, "ends_at": one.ends_at}
        PlatformCertificate.objects.update_or_create(serial=one.serial, defaults=values)


def alipay() -> AlipayClient:
    return _with_keys(
        AlipayClient,
        app_id=settings.ALIPAY_APP_ID,
        seller_id=settings.ALIPAY_SELLER_ID,
        private_key_pem=Path(settings.ALIPAY_PRIVATE_KEY_FILE),
        public_key_pem=Path(settings.ALIPAY_PUBLIC_KEY_FILE),
        app_certificate_pem=Path(settings.ALIPAY_APP_CERT_FILE),
        root_certificate_pem=Path(settings.ALIPAY_ROOT_CERT_FILE),
        aes_key=settings.ALIPAY_AES_KEY,
        base_url=settings.ALIPAY_BASE_URL,
    )


@lru_cache(maxsize=8)
def _with_keys(kind: Callable[..., Any], **options: Any) -> Any:
    """A client, its key files read once; an unset file (``Path()``) is no bytes."""
    try:
        read = {
            name: (value.read_bytes() if value != Path() else b"")
            for name, value in options.items()
            if isinstance(value, Path)
        }
    except OSError as error:
        raise Misconfigured("NO_KEY_FILE", str(error)) from error
    return kind(**options | read)


_LOGIN: dict[str, Callable[[], LoginProvider]] = {
    "wechat": wechat,
    "alipay": alipay,
    "douyin": douyin,
}
_PAYMENT: dict[str, Callable[[], PaymentProvider]] = {"wechat": wechatpay, "alipay": alipay}
