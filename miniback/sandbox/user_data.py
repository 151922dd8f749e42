"""What WeChat and Alipay encrypt for the shop and hand to the client: AES-128-CBC (A3, C6)."""

import base64
import json
import secrets
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from miniback.sandbox.keys import keys
from miniback.sandbox.rsa2 import signed


def encrypt_user_data(content: dict[str, Any], session_key: str) -> dict[str, str]:
    """Somebody who never logged in has no key, and gets nothing."""
    if not session_key:
        return {}
    iv = secrets.token_bytes(16)
    sealed = _seal(json.dumps(content).encode(), base64.b64decode(session_key), iv)
    return {"encryptedData": sealed, "iv": base64.b64encode(iv).decode()}


def alipay_phone(phone: str) -> dict[str, str]:
    """What ``my.getPhoneNumber`` gives: signed with the quotes around it (C6)."""
    plain = json.dumps({"code": "10000", "msg": "Success", "mobile": phone}).encode()
    sealed = _seal(plain, base64.b64decode(keys().alipay_aes_key), bytes(16))
    return {"response": sealed, "sign": signed(f'"{sealed}"')}


def _seal(plain: bytes, key: bytes, iv: bytes) -> str:
    padder = PKCS7(128).padder()
    padded = padder.update(plain) + padder.finalize()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()
