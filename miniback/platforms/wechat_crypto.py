"""What WeChat encrypts and signs for us by way of others: user data by the client, pushed messages.

Follows "开放数据校验与解密" and "消息推送" (PLATFORMS A3, A9). Calls nobody.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from miniback.platforms.errors import LoginAgain, Misconfigured, NoticeRejected


def decrypt_user_data(
    encrypted_data: str, iv: str, *, session_key: str, app_id: str
) -> dict[str, Any]:
    """AES-128-CBC. Raises LoginAgain: the session key is stale, or the data is another app's."""
    try:
        key, vector, sealed = (base64.b64decode(text) for text in (session_key, iv, encrypted_data))
        content = json.loads(_decrypt(key, vector, sealed, block=16).decode())
        is_ours = content["watermark"]["appid"] == app_id
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LoginAgain("STALE_SESSION_KEY") from error
    if not is_ours:
        raise LoginAgain("OTHER_APP")
    return dict(content)


def raw_data_is_signed(raw_data: str, signature: str, *, session_key: str) -> bool:
    """SHA-1 over the text and the session key as the base64 text that it is."""
    expected = hashlib.sha1((raw_data + session_key).encode()).hexdigest()  # noqa: S324
    return hmac.compare_digest(expected, signature)


class MessagePush:
    """Pushed messages, plain or in secure mode; JSON."""

    def __init__(self, *, token: str, aes_key: str, app_id: str) -> None:
        """``aes_key`` is the 43 characters of the console, empty for plain mode only."""
        self._token, self._app_id = token, app_id
        try:
            self._key = base64.b64decode(aes_key + "=", validate=True) if aes_key else b""
        except ValueError as error:
            raise Misconfigured("BAD_KEY", "EncodingAESKey") from error
        if not token or (self._key and len(self._key) != 32):
            raise Misconfigured("BAD_KEY", "Token or EncodingAESKey")

    def check(self, query: Mapping[str, str]) -> str:
        """The ``echostr`` that proves to the console that this address is ours. Raises NoticeRejected."""
        self._verify(query.get("signature", ""), query)
        return query.get("echostr", "")

    def read(self, query: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """The event. Raises NoticeRejected; where a key is set, a plain message is none of ours."""
        try:
            content = json.loads(body.decode())
            if not isinstance(content, dict):
                raise NoticeRejected("BAD_RESOURCE")
            if not self._key:
                self._verify(query.get("signature", ""), query)
                return content
            sealed = content.get("Encrypt")
            if not isinstance(sealed, str):
                raise NoticeRejected("BAD_RESOURCE")
            self._verify(query.get("msg_signature", ""), query, sealed)
            return dict(json.loads(self._open(sealed).decode()))
        except (ValueError, TypeError, RecursionError) as error:
            raise NoticeRejected("BAD_RESOURCE") from error

    def _verify(self, signature: str, query: Mapping[str, str], *more: str) -> None:
        parts = [self._token, query.get("timestamp", ""), query.get("nonce", ""), *more]
        expected = hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()  # noqa: S324
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise NoticeRejected("BAD_SIGNATURE")

    def _open(self, sealed: str) -> bytes:
        """16 random bytes, the length, the message, the app it is for. Raises ValueError."""
        plain = _decrypt(self._key, self._key[:16], base64.b64decode(sealed), block=32)
        length = int.from_bytes(plain[16:20], "big")
        message, app_id = plain[20 : 20 + length], plain[20 + length :]
        if app_id.decode() != self._app_id:
            raise ValueError("for another app")
        return message


def _decrypt(key: bytes, iv: bytes, sealed: bytes, *, block: int) -> bytes:
    """CBC and PKCS#7. Raises ValueError."""
    decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    padded = decryptor.update(sealed) + decryptor.finalize()
    unpadder = PKCS7(block * 8).unpadder()
    return unpadder.update(padded) + unpadder.finalize()
