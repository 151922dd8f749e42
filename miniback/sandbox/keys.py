"""Keys of the merchant and of the platform, made once; and `shop.env`, with which a backend connects."""

import secrets
import string
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings


class Keys(NamedTuple):
    app_id: str
    app_secret: str
    mch_id: str
    merchant_serial: str
    api_v3_key: str
    public_key_id: str
    merchant_public: rsa.RSAPublicKey
    platform_private: rsa.RSAPrivateKey


def make(directory: Path, *, url: str, shop_url: str) -> None:
    """Make what is missing in ``directory``, and write its `shop.env` for this address."""
    names = directory / "names.txt"
    if not names.exists():
        for owner in ("merchant", "platform"):
            _write_pair(directory, owner)
        made = {
            "app_id": "wxsandbox" + secrets.token_hex(5)[:9],
            "app_secret": secrets.token_hex(16),
            "mch_id": "19" + "".join(secrets.choice(string.digits) for _ in range(8)),
            "merchant_serial": secrets.token_hex(20).upper(),
            "api_v3_key": "".join(
                secrets.choice(string.ascii_letters + string.digits) for _ in range(32)
            ),
            "public_key_id": "PUB_KEY_ID_"
            + "".join(secrets.choice(string.digits) for _ in range(30)),
        }
        # Last, so that a start that was killed half-way begins anew.
        names.write_text("".join(f"{name}={value}\n" for name, value in made.items()))
    _write_shop_env(directory, _read_names(directory), url, shop_url)


@lru_cache(maxsize=1)
def keys() -> Keys:
    directory: Path = settings.SANDBOX_DIR
    public = serialization.load_pem_public_key((directory / "merchant_public.pem").read_bytes())
    private = serialization.load_pem_private_key(
        (directory / "platform_private.pem").read_bytes(), password=None
    )
    if not isinstance(public, rsa.RSAPublicKey) or not isinstance(private, rsa.RSAPrivateKey):
        raise TypeError("The sandbox's keys are RSA keys.")
    return Keys(**_read_names(directory), merchant_public=public, platform_private=private)


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
    (directory / f"{owner}_private.pem").write_bytes(private)
    (directory / f"{owner}_public.pem").write_bytes(public)


def _write_shop_env(directory: Path, names: dict[str, str], url: str, shop_url: str) -> None:
    values = {
        "WECHAT_BASE_URL": url,
        "WECHAT_APP_ID": names["app_id"],
        "WECHAT_APP_SECRET": names["app_secret"],
        "WECHATPAY_BASE_URL": url,
        "WECHATPAY_MCH_ID": names["mch_id"],
        "WECHATPAY_API_V3_KEY": names["api_v3_key"],
        "WECHATPAY_SERIAL": names["merchant_serial"],
        "WECHATPAY_PRIVATE_KEY_FILE": directory / "merchant_private.pem",
        "WECHATPAY_PUBLIC_KEY_ID": names["public_key_id"],
        "WECHATPAY_PUBLIC_KEY_FILE": directory / "platform_public.pem",
        "PUBLIC_URL": shop_url,
        "CORS_ALLOWED_ORIGINS": f"{url},{url.replace('127.0.0.1', 'localhost')}",
    }
    text = "".join(f"{name}={value}\n" for name, value in values.items())
    (directory / "shop.env").write_text(text)
