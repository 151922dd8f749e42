"""Alipay's signatures, from the platform's side (PLATFORMS C1, C4): RSA2 over text."""

import base64
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from miniback.sandbox.keys import AlipayApp, keys


def signed(text: str, charset: str = "utf-8") -> str:
    """Alipay's own signature of a text."""
    raw = keys().alipay_private.sign(text.encode(charset), padding.PKCS1v15(), hashes.SHA256())
    return base64.b64encode(raw).decode()


def is_signed_by_app(app: AlipayApp, given: Mapping[str, str]) -> bool:
    """A request: every field that is not empty, but ``sign``; ``sign_type`` included."""
    rest = sorted((name, value) for name, value in given.items() if name != "sign" and value)
    text = "&".join(f"{name}={value}" for name, value in rest)
    try:
        signature = base64.b64decode(given.get("sign", ""))
        app.public.verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def signed_form(fields: Mapping[str, str]) -> dict[str, str]:
    """A notice: neither ``sign`` nor ``sign_type`` is part of what is signed."""
    text = "&".join(f"{name}={value}" for name, value in sorted(fields.items()))
    return {**fields, "sign": signed(text), "sign_type": "RSA2"}
