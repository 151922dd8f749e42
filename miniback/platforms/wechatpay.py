"""WeChat Pay API v3, by its public key or its certificates: orders, refunds, bills, notices.

Follows the merchant documents of JSAPI payment (PLATFORMS B1-B9). Amounts are whole fen.
"""

import base64
import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from miniback.platforms import http
from miniback.platforms.contract import (
    BillRow,
    Notice,
    PlatformRefund,
    PlatformRefundStatus,
    Trade,
    TradeState,
)
from miniback.platforms.errors import (
    BillNotReady,
    Misconfigured,
    NoBill,
    NoSuchTrade,
    NoticeRejected,
    PlatformError,
    Refused,
    TryAgain,
)
from miniback.platforms.text import refund_reason, safe_text
from miniback.platforms.wechatpay_bills import read_wechatpay_bill

SERVICE = "wechatpay"
MAX_SKEW_SECONDS = 300
SIGNATURE_SCHEME = "WECHATPAY2-SHA256-RSA2048"
EMPTY: Mapping[str, bytes] = MappingProxyType({})
SERIAL = re.compile(r"[0-9A-F]{8,64}")
# Spelled without underscores: the platform writes them both ways.
TRY_AGAIN = {"SYSTEMERROR", "BANKERROR", "FREQUENCYLIMITED", "RATELIMITEXCEEDED"}
NO_SUCH_TRADE = {"ORDERNOTEXIST", "RESOURCENOTEXISTS"}
MISCONFIGURED = {
    "SIGNERROR", "NOAUTH", "APPIDMCHIDNOTMATCH", "MCHNOTEXISTS", "PARAMERROR", "OPENIDMISMATCH",
}  # fmt: skip
# REFUND: the money came in, and a refund was started.
STATES = {
    "SUCCESS": TradeState.PAID,
    "REFUND": TradeState.PAID,
    "CLOSED": TradeState.CLOSED,
    "REVOKED": TradeState.CLOSED,
    "PAYERROR": TradeState.CLOSED,
}


class PlatformCertificate(NamedTuple):
    serial: str  # upper hex
    pem: bytes
    begins_at: datetime
    ends_at: datetime


class BankCard(NamedTuple):
    """Of a customer, for money that cannot go back the way it came."""

    bank_type: str  # WeChat Pay's code, such as ICBC_DEBIT
    account: str
    holder: str


# The platform's choice; as a cipher's padding SHA-1 is not broken.
OAEP_SHA1 = OAEP(MGF1(SHA1()), SHA1(), None)  # noqa: S303


class WeChatPayClient:
    def __init__(
        self,
        *,
        app_id: str,
        mch_id: str,
        api_v3_key: str,
        serial: str,
        private_key_pem: bytes,
        public_key_id: str = "",
        public_key_pem: bytes = b"",
        find_certificate: Callable[[str], bytes | None] = lambda serial: None,
        base_url: str,
    ) -> None:
        """Raises Misconfigured for a key that cannot be one.

        With a public key its id asks for answers that are signed by it. ``find_certificate`` gives
        the PEM of a platform certificate that is known by its serial (of the newest one for ""), and
        asks nobody: during the switch from certificates to the key both sign.
        """
        self.app_id, self.merchant_id = app_id, mch_id
        self._serial, self._public_key_id = serial, public_key_id
        self._find_certificate = find_certificate
        self._base_url = base_url
        try:
            private_key = load_pem_private_key(private_key_pem, password=None)
            public_key = load_pem_public_key(public_key_pem) if public_key_id else None
            self._cipher = AESGCM(api_v3_key.encode())
        except (ValueError, TypeError) as error:
            raise Misconfigured("BAD_KEY", str(error)) from error
        if not isinstance(private_key, RSAPrivateKey) or not isinstance(
            public_key, RSAPublicKey | None
        ):
            raise Misconfigured("BAD_KEY", "not RSA")
        self._private_key, self._public_key = private_key, public_key

    # Orders

    def create(
        self,
        *,
        number: str,
        amount_fen: int,
        description: str,
        payer: str,
        notify_url: str,
        expires_at: datetime,
    ) -> str:
        """Place a JSAPI order and return its prepay_id, good for two hours.

        The same number with the same parameters gives a fresh prepay_id. Raises Refused
        (ORDERPAID, ...), Misconfigured, or TryAgain when the outcome is unknown.
        """
        answer = self._call(
            "POST",
            "/v3/pay/transactions/jsapi",
            {
                "appid": self.app_id,
                "mchid": self.merchant_id,
                # A comma and a backtick end a value in the bill.
                "description": (safe_text(description).replace("`", "'") or number)[:127],
                "out_trade_no": number,
                "time_expire": expires_at.isoformat(timespec="seconds"),
                "notify_url": notify_url,
                "amount": {"total": amount_fen, "currency": "CNY"},
                "payer": {"openid": payer},
            },
        )
        return _text(answer, "prepay_id")

    def client_params(self, handle: str) -> dict[str, str]:
        """The five fields of ``wx.requestPayment``. Its success callback proves nothing."""
        timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
        package = f"prepay_id={handle}"
        return {
            "timeStamp": timestamp,
            "nonceStr": nonce,
            "package": package,
            "signType": "RSA",
            "paySign": self._sign(self.app_id, timestamp, nonce, package),
        }

    def query(self, number: str) -> Trade:
        """Raises NoSuchTrade, TryAgain."""
        path = f"/v3/pay/transactions/out-trade-no/{number}?mchid={self.merchant_id}"
        return self._trade(self._call("GET", path))

    def close(self, number: str) -> None:
        """Make the order unpayable; may be repeated. Raises Refused with ORDERPAID if it is paid."""
        path = f"/v3/pay/transactions/out-trade-no/{number}/close"
        self._call("POST", path, {"mchid": self.merchant_id})

    # Refunds

    def refund(
        self,
        *,
        number: str,
        payment_number: str,
        amount_fen: int,
        total_fen: int,
        reason: str,
        notify_url: str,
    ) -> PlatformRefund:
        """Ask for a refund. The answer is only acceptance; repeat with the same number, never a new one.

        Raises Refused (NOTENOUGH, ...), or TryAgain when the outcome is unknown.
        """
        payload = {
            "out_trade_no": payment_number,
            "out_refund_no": number,
            "notify_url": notify_url,
            "amount": {"refund": amount_fen, "total": total_fen, "currency": "CNY"},
        }
        if why := refund_reason(reason):
            payload["reason"] = why
        answer = self._call("POST", "/v3/refund/domestic/refunds", payload)
        return _refund(answer, status_key="status")

    def query_refund(self, number: str, payment_number: str) -> PlatformRefund:
        """Raises NoSuchTrade, TryAgain."""
        answer = self._call("GET", f"/v3/refund/domestic/refunds/{number}")
        return _refund(answer, status_key="status")

    def redirect_refund(
        self, platform_id: str, number: str, *, card: BankCard | None
    ) -> PlatformRefund:
        """Send a refund that is ABNORMAL (the card it was paid from is gone) another way.

        To a card of the customer, or to the merchant's own account (None). Raises Refused, TryAgain.
        (apply-abnormal-refund)
        """
        payload = {"out_refund_no": number, "type": "MERCHANT_BANK_CARD"}
        if card:
            payload |= {
                "type": "USER_BANK_CARD",
                "bank_type": card.bank_type,
                "bank_account": self._seal(card.account),
                "real_name": self._seal(card.holder),
            }
        path = f"/v3/refund/domestic/refunds/{platform_id}/apply-abnormal-refund"
        return _refund(self._call("POST", path, payload), status_key="status")

    def bill(self, day: date) -> list[BillRow]:
        """Raises BillNotReady, NoBill, BadBill. (tradebill, billdownload)"""
        try:
            answer = self._call("GET", f"/v3/bill/tradebill?bill_date={day}&bill_type=ALL")
        except Refused as error:
            if error.code == "NOSTATEMENTEXIST":
                raise NoBill(error.code) from error
            if error.code == "STATEMENTCREATING":
                raise BillNotReady(error.code) from error
            raise
        url = urlsplit(_text(answer, "download_url"))
        file = self._send(
            "GET", f"{url.path}?{url.query}", seconds=http.FILE_SECONDS, max_bytes=http.FILE_BYTES
        )
        # The one answer that is not signed: its hash is, in the answer before.
        if file.status != 200 or hashlib.sha1(file.body).hexdigest() != _text(answer, "hash_value"):  # noqa: S324
            raise TryAgain("BAD_ANSWER", "bill")
        return read_wechatpay_bill(file.body)

    # Notices

    def parse_notice(self, headers: Mapping[str, str], body: bytes) -> Notice:
        """Verify and decrypt. Raises NoticeRejected and calls nobody: anyone can post here.

        Whether number, amount, app and merchant are ours is for the caller to check.
        """
        self._verify(headers, body)
        try:
            message = json.loads(body.decode())
            content = json.loads(self._open(message["resource"]).decode())
            is_refund = message["event_type"].startswith("REFUND.")
            return Notice(
                id=_text(message, "id"),
                event_type=message["event_type"],
                trade=None if is_refund else self._trade(content),
                refund=_refund(content, status_key="refund_status") if is_refund else None,
                merchant_id=_text(content, "mchid"),
            )
        except (
            InvalidTag,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            raise NoticeRejected("BAD_RESOURCE", type(error).__name__) from error
        except TryAgain as error:
            raise NoticeRejected("BAD_RESOURCE", error.code) from error

    # Signatures

    def _sign(self, *lines: str) -> str:
        message = "".join(f"{line}\n" for line in lines).encode()
        return base64.b64encode(self._private_key.sign(message, PKCS1v15(), SHA256())).decode()

    def _verify(
        self, headers: Mapping[str, str], body: bytes, certificates: Mapping[str, bytes] = EMPTY
    ) -> None:
        """The key is chosen by the message's own serial; the clock bounds replays."""
        serial = headers.get("Wechatpay-Serial", "")
        timestamp = headers.get("Wechatpay-Timestamp", "")
        nonce = headers.get("Wechatpay-Nonce", "")
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
            raise NoticeRejected("BAD_TIMESTAMP")
        if abs(time.time() - int(timestamp)) >= MAX_SKEW_SECONDS:
            raise NoticeRejected("STALE_TIMESTAMP")
        public_key = self._key_of(serial, certificates)
        message = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
        try:
            # A probe (WECHATPAY/SIGNTEST/...) is not valid base64 of a signature and ends here.
            signature = base64.b64decode(headers.get("Wechatpay-Signature", ""), validate=True)
            public_key.verify(signature, message, PKCS1v15(), SHA256())
        except (ValueError, InvalidSignature) as error:
            raise NoticeRejected("BAD_SIGNATURE") from error

    def _key_of(self, serial: str, certificates: Mapping[str, bytes]) -> RSAPublicKey:
        if self._public_key is not None and serial == self._public_key_id:
            return self._public_key
        if not SERIAL.fullmatch(serial):
            raise NoticeRejected("UNKNOWN_SERIAL")
        pem = certificates.get(serial) or self._find_certificate(serial)
        key = load_pem_x509_certificate(pem).public_key() if pem else None
        if not isinstance(key, RSAPublicKey):
            raise NoticeRejected("UNKNOWN_SERIAL")
        return key

    def _answer_signed_by(self) -> str:
        """The serial that our requests ask for; in certificate mode the newest one we know."""
        if self._public_key_id:
            return self._public_key_id
        pem = self._find_certificate("")
        return f"{load_pem_x509_certificate(pem).serial_number:X}" if pem else ""

    def certificates(self) -> list[PlatformCertificate]:
        """The platform's certificates that are good now. Raises TryAgain. (GET /v3/certificates)

        Only WeChat Pay can have sealed them with our API v3 key; the answer's signature is checked
        against them.
        """
        answer = self._send("GET", "/v3/certificates")
        if answer.status != 200:
            raise _error(answer)
        try:
            rows = _object(answer.body)["data"]
            found = [self._open_certificate(row["encrypt_certificate"]) for row in rows]
            self._verify(answer.headers, answer.body, {one.serial: one.pem for one in found})
        except (KeyError, TypeError, AttributeError, ValueError, InvalidTag) as error:
            raise TryAgain("BAD_ANSWER", "certificates") from error
        except NoticeRejected as error:
            raise TryAgain("UNVERIFIED_ANSWER", error.code) from error
        return found

    def _open_certificate(self, sealed: dict[str, str]) -> PlatformCertificate:
        pem = self._open(sealed)
        certificate = load_pem_x509_certificate(pem)
        return PlatformCertificate(
            serial=f"{certificate.serial_number:X}",
            pem=pem,
            begins_at=certificate.not_valid_before_utc,
            ends_at=certificate.not_valid_after_utc,
        )

    def _open(self, sealed: dict[str, str]) -> bytes:
        """AEAD_AES_256_GCM under the API v3 key. Raises InvalidTag, ValueError and what a bad dict does."""
        return self._cipher.decrypt(
            sealed["nonce"].encode(),
            base64.b64decode(sealed["ciphertext"], validate=True),
            sealed.get("associated_data", "").encode(),
        )

    def _seal(self, text: str) -> str:
        """What only the platform may read: RSAES-OAEP by the key that ``Wechatpay-Serial`` names."""
        sealed = self._key_of(self._answer_signed_by(), EMPTY).encrypt(text.encode(), OAEP_SHA1)
        return base64.b64encode(sealed).decode()

    # HTTP

    def _call(
        self, method: str, path: str, payload: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        answer = self._send(method, path, payload)
        if not 200 <= answer.status < 300:
            raise _error(answer)
        try:
            self._verify(answer.headers, answer.body)
            return _object(answer.body) if answer.body else {}
        except NoticeRejected as error:
            # A 2xx without a good signature is forged, or cut off on its way.
            raise TryAgain("UNVERIFIED_ANSWER", error.code) from error

    def _send(
        self, method: str, path: str, payload: dict[str, Any] | None = None, **limits: Any
    ) -> http.Answer:
        body = "" if payload is None else json.dumps(payload, ensure_ascii=False)
        timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
        signature = self._sign(method, path, timestamp, nonce, body)
        fields = {
            "mchid": self.merchant_id,
            "nonce_str": nonce,
            "timestamp": timestamp,
            "serial_no": self._serial,
            "signature": signature,
        }
        listed = ",".join(f'{name}="{value}"' for name, value in fields.items())
        return http.call(
            method,
            self._base_url + path,
            service=SERVICE,
            body=body.encode() or None,
            headers={
                "Authorization": f"{SIGNATURE_SCHEME} {listed}",
                "Accept": "application/json",
                "Content-Type": "application/json",
                "User-Agent": "miniback",
                "Wechatpay-Serial": self._answer_signed_by(),
            },
            **limits,
        )

    def _trade(self, content: dict[str, Any]) -> Trade:
        # An unpaid order may come without an amount.
        amount = content.get("amount") or {}
        state = _text(content, "trade_state")
        return Trade(
            number=_text(content, "out_trade_no"),
            state=STATES.get(state, TradeState.WAITING),
            platform_state=state,
            transaction_id=str(content.get("transaction_id") or ""),
            amount_fen=_fen(amount.get("total", 0)),
            currency=str(amount.get("currency", "CNY")),
            app_id=_text(content, "appid"),
            merchant_id=_text(content, "mchid"),
            paid_at=_moment(content.get("success_time")),
            refund_started=state == "REFUND",
        )


def _error(answer: http.Answer) -> PlatformError:
    """An error's body is unsigned: it may end a try, it never says that money moved."""
    try:
        content = _object(answer.body)
    except TryAgain:
        return TryAgain(f"HTTP_{answer.status}")
    code, message = str(content.get("code", "")), str(content.get("message", ""))
    plain = code.upper().replace("_", "")
    if plain in NO_SUCH_TRADE:
        return NoSuchTrade(plain, message)
    if plain in MISCONFIGURED:
        return Misconfigured(plain, message)
    if plain in TRY_AGAIN or not plain or answer.status >= 500 or answer.status == 429:
        return TryAgain(plain or f"HTTP_{answer.status}", message)
    return Refused(plain, message) if answer.status >= 400 else TryAgain(f"HTTP_{answer.status}")


def _refund(content: dict[str, Any], *, status_key: str) -> PlatformRefund:
    amount = content.get("amount") or {}
    # Such as 支付用户零钱, 商户基本账户, or a bank with the last digits of a card.
    received = content.get("user_received_account")
    return PlatformRefund(
        number=_text(content, "out_refund_no"),
        payment_number=_text(content, "out_trade_no"),
        platform_id=_text(content, "refund_id"),
        status=_refund_status(content, status_key),
        amount_fen=_fen(amount.get("refund")),
        currency=str(amount.get("currency", "CNY")),
        is_to_shop=str(received).startswith("商户") if received else None,
    )


def _refund_status(content: dict[str, Any], key: str) -> PlatformRefundStatus:
    try:
        return PlatformRefundStatus(_text(content, key))
    except ValueError as error:
        raise TryAgain("BAD_ANSWER", key) from error


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body.decode())
    except (ValueError, RecursionError) as error:
        raise TryAgain("NOT_JSON") from error
    if not isinstance(content, dict):
        raise TryAgain("NOT_JSON")
    return content


def _text(content: dict[str, Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str) or not value:
        raise TryAgain("BAD_ANSWER", f"no {name}")
    return value


def _fen(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TryAgain("BAD_ANSWER", "amount")
    return value


def _moment(value: Any) -> datetime | None:
    if not value:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise TryAgain("BAD_ANSWER", "success_time") from error
    if moment.tzinfo is None:
        raise TryAgain("BAD_ANSWER", "success_time")
    return moment
