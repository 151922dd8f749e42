"""What WeChat encrypts for the shop and hands to the client: AES-128-CBC under the session key (A3)."""

import base64
import json
import secrets
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7


def encrypt_user_data(content: dict[str, Any], session_key: str) -> dict[str, str]:
    """Somebody who never logged in has no key, and gets nothing."""
    if not session_key:
        return {}
    iv = secrets.token_bytes(16)
    padder = PKCS7(128).padder()
    padded = padder.update(json.dumps(content).encode()) + padder.finalize()
    encryptor = Cipher(algorithms.AES(base64.b64decode(session_key)), modes.CBC(iv)).encryptor()
    sealed = encryptor.update(padded) + encryptor.finalize()
    return {
        "encryptedData": base64.b64encode(sealed).decode(),
        "iv": base64.b64encode(iv).decode(),
    }
