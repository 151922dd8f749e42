"""Notices made by hand, with the platform's key: genuine ones, and ones with a single fault."""

import base64
import json
import secrets
import time
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.utils import timezone

from orders.models import Payment
from tests.sandbox_process import SandboxProcess


def transaction(sandbox: SandboxProcess, payment: Payment, **changes: Any) -> dict[str, Any]:
    """What a TRANSACTION.SUCCESS about ``payment`` contains."""
    amount = {"total": payment.amount_fen, "payer_total": payment.amount_fen, "currency": "CNY"}
    return {
        "appid": sandbox.env["WECHAT_APP_ID"],
        "mchid": sandbox.env["WECHATPAY_MCH_ID"],
        "out_trade_no": payment.number,
        "transaction_id": "42" + "0" * 26,
        "trade_type": "JSAPI",
        "trade_state": "SUCCESS",
        "success_time": timezone.localtime().isoformat(timespec="seconds"),
        "payer": {"openid": "o-customer"},
        "amount": amount,
        **changes,
    }


def message(
    sandbox: SandboxProcess,
    content: dict[str, Any],
    *,
    event: str = "TRANSACTION.SUCCESS",
    notice_id: str | None = None,
    **resource: Any,
) -> bytes:
    key = sandbox.env["WECHATPAY_API_V3_KEY"].encode()
    nonce = secrets.token_hex(6)
    sealed = AESGCM(key).encrypt(nonce.encode(), json.dumps(content).encode(), b"transaction")
    body = {
        "id": notice_id or secrets.token_hex(16),
        "create_time": "2026-11-23T10:00:00+08:00",
        "resource_type": "encrypt-resource",
        "event_type": event,
        "summary": "支付成功",
        "resource": {
            "original_type": "transaction",
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": base64.b64encode(sealed).decode(),
            "associated_data": "transaction",
            "nonce": nonce,
            **resource,
        },
    }
    return json.dumps(body).encode()


def headers(
    sandbox: SandboxProcess, body: bytes, *, timestamp: Any = None, key: Any = None, **changes: str
) -> dict[str, str]:
    """With the platform's key, or another."""
    pem = (sandbox.directory / "platform_private.pem").read_bytes()
    key = key or serialization.load_pem_private_key(pem, password=None)
    stamp = str(int(time.time())) if timestamp is None else str(timestamp)
    nonce = secrets.token_hex(16)
    signature = key.sign(
        f"{stamp}\n{nonce}\n".encode() + body + b"\n", padding.PKCS1v15(), hashes.SHA256()
    )
    made = {
        "Wechatpay-Timestamp": stamp,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Signature": base64.b64encode(signature).decode(),
        "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
        "Wechatpay-Serial": sandbox.env["WECHATPAY_PUBLIC_KEY_ID"],
    }
    return {name: value for name, value in {**made, **changes}.items() if value is not None}
