"""How WeChat pushes an event to the shop: JSON in secure mode (PLATFORMS A9)."""

import base64
import hashlib
import json
import secrets
import time
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from miniback.sandbox.keys import keys


def sealed(resource: dict[str, Any]) -> tuple[str, bytes]:
    """The query and the body of a message on its way."""
    plain = json.dumps(resource, ensure_ascii=False).encode()
    key = base64.b64decode(keys().push_aes_key + "=")
    whole = secrets.token_bytes(16) + len(plain).to_bytes(4, "big") + plain + keys().app_id.encode()
    padder = PKCS7(256).padder()
    padded = padder.update(whole) + padder.finalize()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    encrypted = base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()
    stamp, nonce = str(int(time.time())), secrets.token_hex(5)
    query = {
        "signature": sign(stamp, nonce),
        "timestamp": stamp,
        "nonce": nonce,
        "encrypt_type": "aes",
        "msg_signature": sign(stamp, nonce, encrypted),
    }
    body = {"ToUserName": keys().original_id, "Encrypt": encrypted}
    return urlencode(query), json.dumps(body).encode()


def sign(*parts: str) -> str:
    joined = "".join(sorted([keys().push_token, *parts]))
    return hashlib.sha1(joined.encode()).hexdigest()  # noqa: S324
