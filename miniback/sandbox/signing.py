"""WeChat Pay's signatures and encryption, from the platform's side (PLATFORMS B1, B2, B4, B5)."""

import base64
import json
import re
import secrets
import string
import threading
import time
from collections import OrderedDict
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.http import HttpRequest, HttpResponse

from miniback.sandbox import certificates
from miniback.sandbox.keys import Merchant, keys

MAX_SKEW_SECONDS = 300
_SCHEME = "WECHATPAY2-SHA256-RSA2048 "
_FIELD = re.compile(r'([a-z_]+)="([^"]*)"')
_nonces: "OrderedDict[str, None]" = OrderedDict()
_nonces_lock = threading.Lock()


class SignatureRefused(Exception):
    """Why a request's signature does not count."""


def verify_request(request: HttpRequest) -> Merchant:
    """Return the merchant who signed exactly these bytes, just now, once. Raises SignatureRefused."""
    header = request.headers.get("Authorization", "")
    if not header.startswith(_SCHEME):
        raise SignatureRefused("no WECHATPAY2-SHA256-RSA2048 signature")
    fields = dict(_FIELD.findall(header))
    merchant = keys().merchant(fields.get("mchid", ""))
    if merchant is None or fields.get("serial_no") != merchant.serial:
        raise SignatureRefused("unknown merchant or serial")
    timestamp, nonce = fields.get("timestamp", ""), fields.get("nonce_str", "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > MAX_SKEW_SECONDS:
        raise SignatureRefused("timestamp is off")
    message = f"{request.method}\n{request.get_full_path()}\n{timestamp}\n{nonce}\n".encode()
    if not merchant_signed(merchant, message + request.body + b"\n", fields.get("signature", "")):
        raise SignatureRefused("wrong signature")
    with _nonces_lock:
        if nonce in _nonces:
            raise SignatureRefused("nonce was used before")
        _nonces[nonce] = None
        if len(_nonces) > 100_000:
            _nonces.popitem(last=False)
    return merchant


def merchant_signed(merchant: Merchant, message: bytes, signature: str) -> bool:
    try:
        merchant.public.verify(
            base64.b64decode(signature), message, padding.PKCS1v15(), hashes.SHA256()
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def platform_headers(
    body: bytes, *, timestamp: int | None = None, serial: str = ""
) -> dict[str, str]:
    """The five headers over exactly ``body``, by the public key or by the certificate of ``serial``."""
    signer = certificates.signer(serial)
    stamp, nonce = str(timestamp or int(time.time())), secrets.token_hex(16)
    message = f"{stamp}\n{nonce}\n".encode() + body + b"\n"
    signature = signer.key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    return {
        "Wechatpay-Timestamp": stamp,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Signature": base64.b64encode(signature).decode(),
        "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
        "Wechatpay-Serial": signer.serial,
    }


def sign_response(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Sign a 2xx, also an empty 204, by the key that the request asks for."""
    serial = request.headers.get("Wechatpay-Serial", "")
    if not serial.startswith("PUB_KEY_ID_"):
        serial = certificates.newest().serial
    for name, value in platform_headers(response.content, serial=serial).items():
        response[name] = value
    response["Request-Id"] = f"{secrets.token_hex(12).upper()}-0"
    return response


def encrypt_resource(content: dict[str, Any], original_type: str) -> dict[str, str]:
    """AEAD_AES_256_GCM under the APIv3 key of the merchant whom it is about, as notices carry it."""
    plain = json.dumps(content, ensure_ascii=False).encode()
    merchant = keys().merchant(content.get("mchid", ""))
    key = merchant.api_v3_key if merchant else ""
    return {"original_type": original_type, **seal(plain, original_type, key=key)}


def seal(plain: bytes, associated_data: str, *, key: str = "") -> dict[str, str]:
    """Under the first merchant's APIv3 key, or another one."""
    nonce = "".join(secrets.choice(string.ascii_letters) for _ in range(12))
    sealed = AESGCM((key or keys().api_v3_key).encode()).encrypt(
        nonce.encode(), plain, associated_data.encode()
    )
    return {
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": base64.b64encode(sealed).decode(),
        "associated_data": associated_data,
        "nonce": nonce,
    }


def unseal(sealed: Any, serial: str) -> str | None:
    """A field that the merchant encrypted (RSAES-OAEP, SHA-1) by the key of ``serial``; None: it did not."""
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303
    try:
        return certificates.signer(serial).key.decrypt(base64.b64decode(sealed), oaep).decode()
    except (ValueError, TypeError):
        return None
