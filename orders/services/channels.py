"""Our side of the payment platforms: clients from the settings, addresses they call."""

from functools import lru_cache
from pathlib import Path

from django.conf import settings

from miniback.platforms.errors import Misconfigured
from miniback.platforms.wechatpay import WeChatPayClient


def wechatpay_client() -> WeChatPayClient:
    """Raises Misconfigured when a key is missing or bad."""
    return _wechatpay_client(
        settings.WECHAT_APP_ID,
        settings.WECHATPAY_MCH_ID,
        settings.WECHATPAY_API_V3_KEY,
        settings.WECHATPAY_SERIAL,
        settings.WECHATPAY_PRIVATE_KEY_FILE,
        settings.WECHATPAY_PUBLIC_KEY_ID,
        settings.WECHATPAY_PUBLIC_KEY_FILE,
        settings.WECHATPAY_BASE_URL,
    )


@lru_cache(maxsize=4)
def _wechatpay_client(
    app_id: str,
    mch_id: str,
    api_v3_key: str,
    serial: str,
    private_key_file: str,
    public_key_id: str,
    public_key_file: str,
    base_url: str,
) -> WeChatPayClient:
    try:
        private_key_pem = Path(private_key_file).read_bytes()
        public_key_pem = Path(public_key_file).read_bytes()
    except OSError as error:
        raise Misconfigured("NO_KEY_FILE", str(error)) from error
    return WeChatPayClient(
        app_id=app_id,
        mch_id=mch_id,
        api_v3_key=api_v3_key,
        serial=serial,
        private_key_pem=private_key_pem,
        public_key_id=public_key_id,
        public_key_pem=public_key_pem,
        base_url=base_url,
    )


def wechatpay_notify_url() -> str:
    return f"{settings.PUBLIC_URL}/api/v1/callbacks/wechatpay/"
