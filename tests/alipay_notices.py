"""Alipay's notices made by hand, with the platform's key."""

import base64
import secrets
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from django.utils import timezone

from orders.models import Payment
from tests.sandbox_process import SandboxProcess


def form(sandbox: SandboxProcess, payment: Payment, **changes: str) -> dict[str, str]:
    """What a TRADE_SUCCESS about ``payment`` contains."""
    yuan = f"{payment.amount_fen // 100}.{payment.amount_fen % 100:02d}"
    return {
        "notify_id": secrets.token_hex(17),
        "notify_time": "2026-11-23 10:00:01",
        "notify_type": "trade_status_sync",
        "app_id": sandbox.env["ALIPAY_APP_ID"],
        "charset": "utf-8",
        "version": "1.0",
        "trade_no": payment.prepay_id,
        "out_trade_no": payment.number,
        "seller_id": sandbox.env["ALIPAY_SELLER_ID"],
        "trade_status": "TRADE_SUCCESS",
        "total_amount": yuan,
        "gmt_payment": f"{timezone.localtime():%Y-%m-%d %H:%M:%S}",
        **changes,
    }


def signed(
    sandbox: SandboxProcess, fields: dict[str, str], *, encoding: str = "utf-8", **changes: Any
) -> dict[str, str]:
    """With ``sign`` and ``sign_type``, which are not part of what is signed."""
    pem = (sandbox.directory / "alipay_private.pem").read_bytes()
    key: Any = serialization.load_pem_private_key(pem, password=None)
    text = "&".join(f"{name}={value}" for name, value in sorted(fields.items()))
    signature = key.sign(text.encode(encoding), padding.PKCS1v15(), hashes.SHA256())
    more = {"sign": base64.b64encode(signature).decode(), "sign_type": "RSA2", **changes}
    return {**fields, **{name: value for name, value in more.items() if value is not None}}
