"""Keys of the merchant and of the platform, made once; and `shop.env`, with which a backend connects."""

import base64
import secrets
import string
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings

from miniback.sandbox import alipay_certificates


class Merchant(NamedTuple):
    """An account at WeChat Pay."""

    mch_id: str
    serial: str
    api_v3_key: str
    public: rsa.RSAPublicKey


class AlipayApp(NamedTuple):
    app_id: str
    seller_id: str
    public: rsa.RSAPublicKey


class Keys(NamedTuple):
    app_id: str
    app_secret: str
    mch_id: str
    merchant_serial: str
    api_v3_key: str
    public_key_id: str
    alipay_app_id: str
    alipay_seller_id: str
    alipay_aes_key: str
    original_id: str
    push_token: str
    push_aes_key: str
    douyin_app_id: str
    douyin_secret: str
    merchant_public: rsa.RSAPublicKey
    platform_private: rsa.RSAPrivateKey
    alipay_app_public: rsa.RSAPublicKey
    alipay_private: rsa.RSAPrivateKey
    # A second merchant at each platform, who may not see what the first one has.
    other_mch_id: str
    other_merchant_serial: str
    other_api_v3_key: str
    other_alipay_app_id: str
    other_alipay_seller_id: str
    other_merchant_public: rsa.RSAPublicKey
    other_alipay_app_public: rsa.RSAPublicKey

    def merchant(self, mch_id: str) -> Merchant | None:
        for one in (
            Merchant(self.mch_id, self.merchant_serial, self.api_v3_key, self.merchant_public),
            Merchant(
                self.other_mch_id,
                self.other_merchant_serial,
                self.other_api_v3_key,
                self.other_merchant_public,
            ),
        ):
            if one.mch_id == mch_id:
                return one
        return None

    def alipay_app(self, app_id: str) -> AlipayApp | None:
        for one in (
            AlipayApp(self.alipay_app_id, self.alipay_seller_id, self.alipay_app_public),
            AlipayApp(
                self.other_alipay_app_id, self.other_alipay_seller_id, self.other_alipay_app_public
            ),
        ):
            if one.app_id == app_id:
                return one
        return None


# Whose private key the shop has, and whose public key; the other halves are the sandbox's.
SHOP_PAIRS = ("merchant", "alipay_app", "other_merchant", "other_alipay_app")
PLATFORM_PAIRS = ("platform", "alipay")


def make(directory: Path, *, url: str, shop_url: str) -> None:
    """Make what is missing in ``directory``, and write its `shop.env` for this address."""
    for owner in (*SHOP_PAIRS, *PLATFORM_PAIRS):
        if not (directory / f"{owner}_public.pem").exists():
            _write_pair(directory, owner)
    alipay_certificates.make(directory)
    kept = directory / "names.txt"
    names = _new_names() | (_read_names(directory) if kept.exists() else {})
    kept.write_text("".join(f"{name}={value}\n" for name, value in names.items()))
    values = _shop_env(directory, names, url, shop_url)
    _write_env(directory / "shop.env", values)
    _write_env(directory / "other.env", values | _other_accounts(directory, names))


def _new_names() -> dict[str, str]:
    return {
        "app_id": "wxsandbox" + secrets.token_hex(5)[:9],
        "app_secret": secrets.token_hex(16),
        "mch_id": "19" + _digits(8),
        "merchant_serial": secrets.token_hex(20).upper(),
        "api_v3_key": _api_v3_key(),
        "public_key_id": "PUB_KEY_ID_" + _digits(30),
        "alipay_app_id": "2021sandbox" + _digits(5),
        "alipay_seller_id": "2088" + _digits(12),
        "alipay_aes_key": base64.b64encode(secrets.token_bytes(16)).decode(),
        "original_id": "gh_" + secrets.token_hex(6),
        "push_token": secrets.token_hex(12),
        "push_aes_key": base64.b64encode(secrets.token_bytes(32)).decode().rstrip("="),
        "douyin_app_id": "ttsandbox" + secrets.token_hex(5)[:9],
        "douyin_secret": secrets.token_hex(20),
        "other_mch_id": "18" + _digits(8),
        "other_merchant_serial": secrets.token_hex(20).upper(),
        "other_api_v3_key": _api_v3_key(),
        "other_alipay_app_id": "2022sandbox" + _digits(5),
        "other_alipay_seller_id": "2088" + _digits(12),
    }


def _api_v3_key() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32))


def _digits(count: int) -> str:
    return "".join(secrets.choice(string.digits) for _ in range(count))


@lru_cache(maxsize=1)
def keys() -> Keys:
    directory: Path = settings.SANDBOX_DIR
    return Keys(
        **_read_names(directory),
        merchant_public=_public(directory, "merchant"),
        platform_private=_private(directory, "platform"),
        alipay_app_public=_public(directory, "alipay_app"),
        alipay_private=_private(directory, "alipay"),
        other_merchant_public=_public(directory, "other_merchant"),
        other_alipay_app_public=_public(directory, "other_alipay_app"),
    )


def _public(directory: Path, owner: str) -> rsa.RSAPublicKey:
    pem = (directory / f"{owner}_public.pem").read_bytes()
    return cast(rsa.RSAPublicKey, serialization.load_pem_public_key(pem))


def _private(directory: Path, owner: str) -> rsa.RSAPrivateKey:
    pem = (directory / f"{owner}_private.pem").read_bytes()
    return cast(rsa.RSAPrivateKey, serialization.load_pem_private_key(pem, password=None))


def _read_names(directory: Path) -> dict[str, str]:
    lines = (directory / "names.txt").read_text().split()
    return dict(line.split("=", 1) for line in lines)


def _write_pair(directory: Path, owner: str) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    file = directory / f"{owner}_private.pem"
    file.touch(mode=0o600)
    file.write_bytes(private)
    (directory / f"{owner}_public.pem").write_bytes(public)


def _shop_env(directory: Path, names: dict[str, str], url: str, shop_url: str) -> dict[str, Any]:
    return {
        "WECHAT_BASE_URL": url,
        "WECHAT_APP_ID": names["app_id"],
        "WECHAT_APP_SECRET": names["app_secret"],
        "WECHAT_PUSH_TOKEN": names["push_token"],
        "WECHAT_PUSH_AES_KEY": names["push_aes_key"],
        "WECHATPAY_BASE_URL": url,
        "WECHATPAY_MCH_ID": names["mch_id"],
        "WECHATPAY_API_V3_KEY": names["api_v3_key"],
        "WECHATPAY_SERIAL": names["merchant_serial"],
        "WECHATPAY_PRIVATE_KEY_FILE": directory / "merchant_private.pem",
        "WECHATPAY_PUBLIC_KEY_ID": names["public_key_id"],
        "WECHATPAY_PUBLIC_KEY_FILE": directory / "platform_public.pem",
        "ALIPAY_BASE_URL": url,
        "ALIPAY_APP_ID": names["alipay_app_id"],
        "ALIPAY_SELLER_ID": names["alipay_seller_id"],
        "ALIPAY_AES_KEY": names["alipay_aes_key"],
        "ALIPAY_PRIVATE_KEY_FILE": directory / "alipay_app_private.pem",
        "ALIPAY_PUBLIC_KEY_FILE": directory / "alipay_public.pem",
        "DOUYIN_BASE_URL": url,
        "DOUYIN_APP_ID": names["douyin_app_id"],
        "DOUYIN_APP_SECRET": names["douyin_secret"],
        "PUBLIC_URL": shop_url,
        "CORS_ALLOWED_ORIGINS": f"{url},{url.replace('127.0.0.1', 'localhost')}",
    }


def _other_accounts(directory: Path, names: dict[str, str]) -> dict[str, Any]:
    """The same shop with the second merchant: what changes."""
    return {
        "WECHATPAY_MCH_ID": names["other_mch_id"],
        "WECHATPAY_API_V3_KEY": names["other_api_v3_key"],
        "WECHATPAY_SERIAL": names["other_merchant_serial"],
        "WECHATPAY_PRIVATE_KEY_FILE": directory / "other_merchant_private.pem",
        "ALIPAY_APP_ID": names["other_alipay_app_id"],
        "ALIPAY_SELLER_ID": names["other_alipay_seller_id"],
        "ALIPAY_PRIVATE_KEY_FILE": directory / "other_alipay_app_private.pem",
    }


def _write_env(file: Path, values: dict[str, Any]) -> None:
    file.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
