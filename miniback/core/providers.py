"""The platforms this shop is connected to: their clients, made from the settings."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from miniback.core.models import PlatformCertificate
from miniback.core.payment_accounts import (
    Account,
    AlipayAccount,
    WeChatPayAccount,
    current_account,
    find_account,
    former_accounts,
)
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


def payment_provider(channel: str, *, app_id: str = "", merchant_id: str = "") -> PaymentProvider:
    """Return the client of the account that a payment or refund names; without ids of the current one.

    Raises Misconfigured: for a key that is missing or bad, and with ACCOUNT_GONE for an account that
    is neither in the settings nor among the former ones.
    """
    return _client(find_account(channel, app_id=app_id, merchant_id=merchant_id))


def payment_providers(channel: str) -> list[PaymentProvider]:
    """Return a client for each account: the current one first, if it is set, then the former ones.

    Their bills are all to be read, and a notice may be for any of them. Raises Misconfigured.
    """
    current = current_account(channel)
    clients = [_client(current)] if current.merchant_id else []
    return clients + former_payment_providers(channel)


def former_payment_providers(channel: str) -> list[PaymentProvider]:
    """Raises Misconfigured."""
    return [_client(account) for account in former_accounts(channel)]


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


def wechatpay(*, app_id: str = "", merchant_id: str = "") -> WeChatPayClient:
    """As ``payment_provider``, with what only WeChat Pay has."""
    account = find_account("wechat", app_id=app_id, merchant_id=merchant_id)
    if not isinstance(account, WeChatPayAccount):
        raise TypeError(account)
    return _wechatpay(account)


def _wechatpay(account: WeChatPayAccount) -> WeChatPayClient:
    return _with_keys(
        WeChatPayClient,
        app_id=account.app_id,
        mch_id=account.mch_id,
        api_v3_key=account.api_v3_key,
        serial=account.serial,
        private_key_pem=account.private_key_file,
        public_key_id=account.public_key_id,
        public_key_pem=account.public_key_file,
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
    accounts = [one for one in former_accounts("wechat") if isinstance(one, WeChatPayAccount)]
    clients = [_wechatpay(account) for account in accounts if not account.public_key_id]
    if settings.WECHATPAY_MCH_ID and settings.WECHATPAY_CERTIFICATES:
        clients.insert(0, wechatpay())
    for client in clients:
        for one in client.certificates():
            values = {"pem": one.pem.decode(), "begins_at": one.begins_at, "ends_at": one.ends_at}
            PlatformCertificate.objects.update_or_create(serial=one.serial, defaults=values)


def alipay() -> AlipayClient:
    """The current app's, for logins and phone numbers too."""
    account = current_account("alipay")
    if not isinstance(account, AlipayAccount):
        raise TypeError(account)
    return _alipay(account)


def _alipay(account: AlipayAccount) -> AlipayClient:
    return _with_keys(
        AlipayClient,
        app_id=account.app_id,
        seller_id=account.seller_id,
        private_key_pem=account.private_key_file,
        public_key_pem=account.public_key_file,
        app_certificate_pem=account.app_cert_file,
        root_certificate_pem=account.root_cert_file,
        aes_key=account.aes_key,
        base_url=settings.ALIPAY_BASE_URL,
    )


def _client(account: Account) -> PaymentProvider:
    if isinstance(account, AlipayAccount):
        return _alipay(account)
    return _wechatpay(account)


@lru_cache(maxsize=32)
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
