"""Alipay's open platform: login, payment, refunds, notices, in key mode and in certificate mode.

Follows the documents of the mini-program payment product (PLATFORMS C1-C5). Amounts are whole fen
here and yuan on the wire.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from miniback.platforms import http
from miniback.platforms.alipay_bills import read_alipay_bill
from miniback.platforms.bills import fen
from miniback.platforms.contract import (
    BEIJING,
    BillRow,
    Login,
    Notice,
    PlatformRefund,
    PlatformRefundStatus,
    RefundedSum,
    Trade,
    TradeState,
)
from miniback.platforms.errors import (
    BillNotReady,
    LoginAgain,
    Misconfigured,
    NoBill,
    NoSuchTrade,
    NoticeRejected,
    PlatformError,
    Refused,
    TryAgain,
)
from miniback.platforms.text import refund_reason, safe_text

SERVICE = "alipay"
STATES = {
    "WAIT_BUYER_PAY": TradeState.WAITING,
    "TRADE_SUCCESS": TradeState.PAID,
    "TRADE_FINISHED": TradeState.PAID,
    # Timed out, closed by us, or wholly refunded.
    "TRADE_CLOSED": TradeState.CLOSED,
}
KINDS: dict[type[PlatformError], set[str]] = {
    TryAgain: {"ACQ.SYSTEM_ERROR", "AOP.ACQ.SYSTEM_ERROR", "ISP.UNKNOW-ERROR", "20000", "10003"},
    NoSuchTrade: {"ACQ.TRADE_NOT_EXIST"},
    LoginAgain: {"ISV.CODE-INVALID"},
    Misconfigured: {
        "ISV.INVALID-SIGNATURE", "ISV.INVALID-APP-ID", "ISV.MISSING-SIGNATURE",
        "ISV.INVALID-SIGNATURE-TYPE", "ISV.INVALID-ENCRYPT", "ISV.INSUFFICIENT-ISV-PERMISSIONS",
        "20001", "40006",
    },
}  # fmt: skip
NO_BILL, BILL_IS_WRITTEN = {"isp.bill_not_exist"}, {"isp.bill_not_ready"}
CHARSETS = {"utf-8": "utf-8", "gbk": "gb18030", "gb2312": "gb18030", "gb18030": "gb18030"}
# What users of one kind are called; newer apps give open ids.
USER_ID = re.compile(r"2088[0-9]{12}")


class AlipayClient:
    def __init__(
        self,
        *,
        app_id: str,
        seller_id: str,
        private_key_pem: bytes,
        public_key_pem: bytes,
        app_certificate_pem: bytes = b"",
        root_certificate_pem: bytes = b"",
        aes_key: str = "",
        base_url: str,
    ) -> None:
        """``public_key_pem`` is Alipay's key, or in certificate mode its certificate.

        Certificate mode is chosen by giving both certificates. Raises Misconfigured for a key that
        cannot be one.
        """
        self.app_id, self.merchant_id = app_id, seller_id
        self._base_url, self._aes_key = base_url, aes_key
        self._serials: dict[str, str] = {}
        try:
            private_key = load_pem_private_key(private_key_pem, password=None)
            if app_certificate_pem or root_certificate_pem:
                self._serials = {
                    "app_cert_sn": certificate_sn(app_certificate_pem),
                    "alipay_root_cert_sn": root_certificate_sn(root_certificate_pem),
                }
                certificate = x509.load_pem_x509_certificate(public_key_pem)
                public_key: Any = certificate.public_key()
            else:
                public_key = load_pem_public_key(public_key_pem)
        except (ValueError, TypeError) as error:
            raise Misconfigured("BAD_KEY", str(error)) from error
        if not isinstance(private_key, RSAPrivateKey) or not isinstance(public_key, RSAPublicKey):
            raise Misconfigured("BAD_KEY", "not RSA")
        self._private_key, self._public_key = private_key, public_key

    def log_in(self, code: str) -> Login:
        """Exchange the auth code of ``my.getAuthCode``. (alipay.system.oauth.token)

        Raises LoginAgain, TryAgain, Misconfigured. A success has no code 10000.
        """
        given = {"grant_type": "authorization_code", "code": code}
        answer = self._call("alipay.system.oauth.token", given)
        openid = answer.get("open_id") or answer.get("user_id")
        if not answer.get("access_token") or not isinstance(openid, str) or not openid:
            raise TryAgain("NO_OPENID")
        return Login(openid, str(answer.get("union_id") or ""))

    def phone_number(self, response: str, sign: str) -> str:
        """The number in what ``my.getPhoneNumber`` gave. (C6)

        Raises LoginAgain for what is not signed by Alipay or not for us; Misconfigured.
        """
        is_plain = response.startswith("{")
        # Encrypted, it is signed with the quotes that it has in its JSON.
        text = response if is_plain else f'"{response}"'
        if not self._is_signed(text.encode(), sign):
            raise LoginAgain("BAD_SIGNATURE")
        if not is_plain and not self._aes_key:
            raise Misconfigured("NO_AES_KEY")
        try:
            content = json.loads(response if is_plain else self._decrypt(response))
            code, phone = content["code"], content.get("mobile")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LoginAgain("BAD_RESPONSE") from error
        if code != "10000":
            raise Misconfigured(str(content.get("subCode") or code), str(content.get("subMsg")))
        if not isinstance(phone, str) or not phone.isdigit():
            raise LoginAgain("BAD_RESPONSE")
        return phone

    def _decrypt(self, sealed: str) -> str:
        """AES-CBC with zeros for an IV, under the console's key. Raises ValueError."""
        cipher = Cipher(algorithms.AES(base64.b64decode(self._aes_key)), modes.CBC(bytes(16)))
        decryptor = cipher.decryptor()
        padded = decryptor.update(base64.b64decode(sealed)) + decryptor.finalize()
        unpadder = PKCS7(128).unpadder()
        return (unpadder.update(padded) + unpadder.finalize()).decode()

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
        """Return the trade_no for ``my.tradePay``. (alipay.trade.create)"""
        by = "buyer_id" if USER_ID.fullmatch(payer) else "buyer_open_id"
        answer = self._trade_call(
            "alipay.trade.create",
            {
                "out_trade_no": number,
                "total_amount": yuan(amount_fen),
                "subject": (re.sub(r"[/=&]", " ", safe_text(description)) or number)[:256],
                "product_code": "JSAPI_PAY",
                "op_app_id": self.app_id,
                by: payer,
                "time_expire": _local(expires_at),
            },
            notify_url=notify_url,
        )
        return _text(answer, "trade_no")

    def client_params(self, handle: str) -> dict[str, str]:
        """The argument of ``my.tradePay``. Its result code proves nothing."""
        return {"tradeNO": handle}

    def query(self, number: str) -> Trade:
        """Raises NoSuchTrade, TryAgain. (alipay.trade.query)"""
        answer = self._trade_call("alipay.trade.query", {"out_trade_no": number})
        # The answer to our own app: it names neither app nor seller.
        return self._trade(answer | {"app_id": self.app_id, "seller_id": self.merchant_id})

    def close(self, number: str) -> None:
        """Raises NoSuchTrade; Refused (ACQ.TRADE_STATUS_ERROR) if it is paid. (alipay.trade.close)"""
        try:
            self._trade_call("alipay.trade.close", {"out_trade_no": number})
        except Refused as error:
            if error.code != "ACQ.TRADE_HAS_CLOSE":
                raise

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
        """Code 10000 is no proof: only ``fund_change`` Y is; else the query says. (alipay.trade.refund)"""
        content = {
            "out_trade_no": payment_number,
            "refund_amount": yuan(amount_fen),
            "out_request_no": number,
        }
        if why := refund_reason(reason):
            content["refund_reason"] = why
        answer = self._trade_call("alipay.trade.refund", content)
        is_done = answer.get("fund_change") == "Y"
        status = PlatformRefundStatus.SUCCESS if is_done else PlatformRefundStatus.PROCESSING
        return PlatformRefund(number, payment_number, number, status, amount_fen, "CNY")

    def query_refund(self, number: str, payment_number: str) -> PlatformRefund:
        """Raises NoSuchTrade for one that did not happen. (alipay.trade.fastpay.refund.query)"""
        answer = self._trade_call(
            "alipay.trade.fastpay.refund.query",
            {"out_trade_no": payment_number, "out_request_no": number},
        )
        if not answer.get("refund_status"):
            raise NoSuchTrade("NO_SUCH_REFUND")
        is_done = answer["refund_status"] == "REFUND_SUCCESS"
        return PlatformRefund(
            number=_text(answer, "out_request_no"),
            payment_number=_text(answer, "out_trade_no"),
            platform_id=number,
            status=PlatformRefundStatus.SUCCESS if is_done else PlatformRefundStatus.PROCESSING,
            amount_fen=fen(_text(answer, "refund_amount")),
            currency="CNY",
        )

    def bill(self, day: date) -> list[BillRow]:
        """Raises BillNotReady, NoBill, BadBill. (bill.downloadurl.query)"""
        content = {"bill_type": "trade", "bill_date": day.isoformat()}
        try:
            answer = self._trade_call("alipay.data.dataservice.bill.downloadurl.query", content)
        except Refused as error:
            if error.code in NO_BILL:
                raise NoBill(error.code) from error
            if error.code in BILL_IS_WRITTEN:
                raise BillNotReady(error.code) from error
            raise
        url = _text(answer, "bill_download_url")
        file = http.call(
            "GET", url, service=SERVICE, seconds=http.FILE_SECONDS, max_bytes=http.FILE_BYTES
        )
        if file.status != 200:
            raise TryAgain(f"HTTP_{file.status}", "bill")
        return read_alipay_bill(file.body)

    # Notices

    def parse_notice(self, headers: Mapping[str, str], body: bytes) -> Notice:
        """A form, signed over all of its fields but two (C4).

        A refund's notice carries the sum of all refunds of the payment, not the refund's amount.
        """
        given = self._verified_form(body)
        try:
            refunded_fen = fen(given.get("refund_fee") or "0")
            if refunded_fen < 0:
                raise NoticeRejected("BAD_RESOURCE", "refund_fee")
            is_refund = bool(given.get("out_biz_no") or given.get("gmt_refund") or refunded_fen)
            return Notice(
                id=_text(given, "notify_id"),
                event_type="refund" if is_refund else _text(given, "trade_status"),
                trade=None if is_refund else self._trade(given),
                refund=None,
                merchant_id=given.get("seller_id", ""),
                refunded=_refunded_sum(given, refunded_fen) if refunded_fen else None,
            )
        except TryAgain as error:
            raise NoticeRejected("BAD_RESOURCE", error.code) from error

    def _verified_form(self, body: bytes) -> dict[str, str]:
        try:
            charset = dict(parse_qsl(body.decode("ascii"))).get("charset", "utf-8").lower()
            fields = parse_qsl(
                body.decode("ascii"),
                keep_blank_values=True,
                strict_parsing=True,
                encoding=CHARSETS[charset],
                errors="strict",
                max_num_fields=100,
            )
        except (ValueError, KeyError) as error:
            raise NoticeRejected("BAD_FORM") from error
        given = dict(fields)
        if len(given) != len(fields):
            # Which of the two was signed, and which would we believe?
            raise NoticeRejected("FIELD_TWICE")
        signature, kind = given.pop("sign", ""), given.pop("sign_type", "")
        if kind != "RSA2":
            raise NoticeRejected("BAD_SIGNATURE_TYPE")
        message = "&".join(f"{name}={value}" for name, value in sorted(given.items()))
        if not self._is_signed(message.encode(CHARSETS[charset]), signature):
            raise NoticeRejected("BAD_SIGNATURE")
        return given

    # Calls

    def _trade_call(self, method: str, content: dict[str, str], **more: str) -> dict[str, Any]:
        packed = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        answer = self._call(method, {"biz_content": packed, **more})
        if answer.get("code") != "10000":
            raise _error(answer)
        return answer

    def _call(self, method: str, given: dict[str, str]) -> dict[str, Any]:
        fields = {
            "app_id": self.app_id,
            "method": method,
            "format": "JSON",
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": _local(datetime.now(BEIJING)),
            "version": "1.0",
            **self._serials,
            **given,
        }
        message = "&".join(f"{name}={value}" for name, value in sorted(fields.items()) if value)
        signed = self._private_key.sign(message.encode(), PKCS1v15(), SHA256())
        fields["sign"] = base64.b64encode(signed).decode()
        answer = http.call(
            "POST",
            f"{self._base_url}/gateway.do",
            service=SERVICE,
            body=urlencode(fields).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"},
        )
        if answer.status != 200:
            raise TryAgain(f"HTTP_{answer.status}")
        return self._read(answer.body, f"{method.replace('.', '_')}_response")

    def _read(self, body: bytes, key: str) -> dict[str, Any]:
        """The inner object, if its very bytes are signed. Errors may come unsigned."""
        try:
            text, encoding = _decode(body)
            whole = json.loads(text)
            content = whole.get(key) or whole.get("error_response")
        except (ValueError, AttributeError, RecursionError) as error:
            raise TryAgain("NOT_JSON") from error
        if not isinstance(content, dict):
            raise TryAgain("BAD_ANSWER")
        if "error_response" in whole or ("code" in content and content["code"] != "10000"):
            raise _error(content)
        if not self._is_signed(inner_text(text, key).encode(encoding), str(whole.get("sign", ""))):
            # A success without a good signature is forged, or cut off on its way.
            raise TryAgain("UNVERIFIED_ANSWER")
        return content

    def _is_signed(self, message: bytes, signature: str) -> bool:
        try:
            raw = base64.b64decode(signature, validate=True)
            self._public_key.verify(raw, message, PKCS1v15(), SHA256())
        except (ValueError, InvalidSignature):
            return False
        return True

    def _trade(self, content: Mapping[str, Any]) -> Trade:
        state = _text(content, "trade_status")
        paid_at = content.get("gmt_payment") or content.get("send_pay_date")
        return Trade(
            number=_text(content, "out_trade_no"),
            state=STATES.get(state, TradeState.WAITING),
            platform_state=state,
            transaction_id=_text(content, "trade_no"),
            amount_fen=fen(_text(content, "total_amount")),
            currency="CNY",
            app_id=_text(content, "app_id"),
            merchant_id=_text(content, "seller_id"),
            paid_at=_moment(paid_at) if paid_at else None,
            # Paid and closed: all of it went back.
            refund_started=state == "TRADE_CLOSED" and bool(paid_at),
        )


def _refunded_sum(given: Mapping[str, str], refunded_fen: int) -> RefundedSum:
    return RefundedSum(
        payment_number=_text(given, "out_trade_no"),
        refund_number=given.get("out_biz_no", ""),
        refunded_fen=refunded_fen,
        app_id=_text(given, "app_id"),
    )


def _decode(body: bytes) -> tuple[str, str]:
    """Return the text and its encoding: UTF-8 is asked for, GBK comes now and then all the same.

    What the header says of it is not to be relied on. Raises ValueError for neither, or for a text
    whose bytes, which are signed, it does not give back.
    """
    try:
        return body.decode(), "utf-8"
    except UnicodeDecodeError:
        text = body.decode("gb18030")
    if text.encode("gb18030") != body:
        raise ValueError("not GB18030")
    return text, "gb18030"


def inner_text(text: str, key: str) -> str:
    """The characters of the object under ``key``, from brace to brace, braces in strings apart.

    They are what is signed: written anew, the same JSON may differ. Raises TryAgain.
    """
    found = re.search(rf'"{re.escape(key)}"\s*:\s*(?={{)', text)
    if found is None:
        raise TryAgain("BAD_ANSWER", f"no {key}")
    depth, in_string, start = 0, False, found.end()
    characters = iter(range(start, len(text)))
    for place in characters:
        character = text[place]
        if in_string and character == "\\":
            next(characters, None)
        elif character == '"':
            in_string = not in_string
        elif not in_string and character in "{}":
            depth += 1 if character == "{" else -1
            if depth == 0:
                return text[start : place + 1]
    raise TryAgain("BAD_ANSWER", f"{key} does not end")


def yuan(amount_fen: int) -> str:
    return f"{amount_fen // 100}.{amount_fen % 100:02d}"


def certificate_sn(pem: bytes) -> str:
    """What Alipay calls a certificate's number: MD5 of its issuer and its serial. Raises ValueError."""
    return _sn(x509.load_pem_x509_certificate(pem))


def root_certificate_sn(pem: bytes) -> str:
    """The numbers of the root file's RSA certificates, joined by underscores. Raises ValueError."""
    chain = x509.load_pem_x509_certificates(pem)
    rsa = [
        one
        for one in chain
        if one.signature_algorithm_oid.dotted_string.startswith("1.2.840.113549.1.1")
    ]
    return "_".join(_sn(one) for one in rsa)


def _sn(certificate: x509.Certificate) -> str:
    issuer = certificate.issuer.rfc4514_string()
    return hashlib.md5(f"{issuer}{certificate.serial_number}".encode()).hexdigest()  # noqa: S324


def _error(content: Mapping[str, Any]) -> PlatformError:
    code, sub_code = str(content.get("code", "")), str(content.get("sub_code") or "")
    message = str(content.get("sub_msg") or content.get("msg") or "")
    for kind, codes in KINDS.items():
        if sub_code.upper() in codes or code in codes:
            return kind(sub_code or code, message)
    return Refused(sub_code or code, message)


def _text(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str) or not value:
        raise TryAgain("BAD_ANSWER", f"no {name}")
    return value


def _local(moment: datetime) -> str:
    return moment.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def _moment(value: Any) -> datetime:
    try:
        return datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING)
    except (TypeError, ValueError) as error:
        raise TryAgain("BAD_ANSWER", "time") from error
