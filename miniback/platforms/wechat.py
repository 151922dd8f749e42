"""WeChat mini-program server API: login, access token, phone, content, messages, codes, shipping.

Follows the documents of each call, named with it (PLATFORMS A1-A10).
"""

import json
import re
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeVar

from miniback.platforms import http
from miniback.platforms.contract import BEIJING, Login
from miniback.platforms.errors import (
    AlreadyDone,
    CustomerBlocked,
    LoginAgain,
    Misconfigured,
    NoConsent,
    PlatformError,
    Refused,
    TokenExpired,
    TryAgain,
)

T = TypeVar("T")

SERVICE = "wechat"

KINDS: dict[type[PlatformError], set[int]] = {
    # 10060001: a payment takes up to a minute to be known to the shipping service.
    TryAgain: {-1, 45009, 45011, 44990, 10060001, 10060012, 10060019},
    NoConsent: {43101},
    AlreadyDone: {10060002, 10060023},
    TokenExpired: {40001, 40014, 42001},
    LoginAgain: {40029, 40163},
    CustomerBlocked: {40226},
    Misconfigured: {40013, 40125, 40164, 48001, 61004, 40037, 41030, 40002},
}
BUSY_ATTEMPTS = 3
# The overlap of an old and a new token is five minutes.
TOKEN_MARGIN_SECONDS = 300
TOKEN_LOCK_SECONDS = 10


# The openid was not here for two hours: what it wrote cannot be judged by the platform.
NOT_HERE_LATELY = 61010


class Verdict(NamedTuple):
    """What the platform thinks of a text: ``suggest`` is pass, review or risky."""

    suggest: str
    label: str


class Parcel(NamedTuple):
    carrier: str  # WeChat's code, such as SF
    tracking_number: str
    item: str  # what is inside, at most 120 characters
    phone_mask: str  # of the recipient, such as 138****5678; SF wants it


class Cache(Protocol):
    """The part of Django's cache that keeps the token for all processes."""

    def get(self, key: str) -> Any: ...
    def set(self, key: str, value: Any, timeout: float) -> Any: ...
    def add(self, key: str, value: Any, timeout: float) -> bool: ...
    def delete(self, key: str) -> Any: ...


class WeChatClient:
    def __init__(self, *, app_id: str, secret: str, base_url: str, cache: Cache) -> None:
        self.app_id = app_id
        self._secret = secret
        self._base_url = base_url
        self._cache = cache
        self._token_key = f"wechat:token:{app_id}"

    def log_in(self, code: str) -> Login:
        """Exchange a ``wx.login`` code, which works once, for the customer's ids.

        Raises LoginAgain, CustomerBlocked, TryAgain or Misconfigured. Busy (-1) is tried again
        here; a lost answer is not, because the code may be used up. (code2Session)
        """
        params = {
            "appid": self.app_id,
            "secret": self._secret,
            "js_code": code,
            "grant_type": "authorization_code",
        }
        for attempt in range(1, BUSY_ATTEMPTS + 1):
            try:
                answer = self._call("GET", "/sns/jscode2session", params=params)
                break
            except TryAgain as error:
                if error.code != "-1" or attempt == BUSY_ATTEMPTS:
                    raise
                time.sleep(0.1 * attempt)
        openid, unionid, session_key = (
            answer.get(name, "") for name in ("openid", "unionid", "session_key")
        )
        if not isinstance(openid, str) or not openid or not isinstance(unionid, str):
            raise TryAgain("NO_OPENID")
        return Login(openid, unionid, str(session_key))

    def phone_number(self, code: str, *, openid: str) -> str:
        """The number behind a ``getPhoneNumber`` code: 13812345678, or +852 51234567 from abroad.

        Raises LoginAgain for a code that is used, old, or not of this person. (getPhoneNumber)
        """
        payload = {"code": code, "openid": openid}
        answer = self._ask("/wxa/business/getuserphonenumber", payload)
        return read_phone(answer.get("phone_info"), app_id=self.app_id)

    # Content

    def check_text(self, text: str, *, openid: str, scene: int) -> Verdict:
        """``scene``: 1 profile, 2 comment. (msgSecCheck 2.0)

        Success only means that it was checked. Who was not here for two hours cannot be judged.
        """
        payload = {"version": 2, "openid": openid, "scene": scene, "content": text[:2500]}
        try:
            answer = self._ask("/wxa/msg_sec_check", payload)
        except Refused as error:
            if error.code == str(NOT_HERE_LATELY):
                return Verdict("review", error.code)
            raise
        result = answer.get("result")
        if not isinstance(result, dict) or result.get("suggest") not in {"pass", "review", "risky"}:
            raise TryAgain("BAD_ANSWER", "no verdict")
        return Verdict(result["suggest"], str(result.get("label", "")))

    def check_picture(self, url: str, *, openid: str, scene: int) -> str:
        """Return the trace id under which the verdict will be pushed. (mediaCheckAsync 2.0)"""
        payload = {
            "version": 2,
            "media_type": 2,
            "media_url": url,
            "openid": openid,
            "scene": scene,
        }
        trace_id = self._ask("/wxa/media_check_async", payload).get("trace_id")
        if not isinstance(trace_id, str) or not trace_id:
            raise TryAgain("BAD_ANSWER", "no trace_id")
        return trace_id

    # Messages and codes

    def send_message(
        self, *, openid: str, template_id: str, page: str, data: dict[str, str]
    ) -> None:
        """Spend one consent. Raises NoConsent; Refused 47003 names a bad field. (subscribeMessage.send)"""
        values = {key: {"value": fit_value(key, value)} for key, value in data.items()}
        payload = {"touser": openid, "template_id": template_id, "page": page, "data": values}
        self._ask("/cgi-bin/message/subscribe/send", payload)

    def message_templates(self) -> dict[str, set[str]]:
        """The account's templates: id -> the keys of its fields. (getMessageTemplateList)"""
        path = "/wxaapi/newtmpl/gettemplate"
        answer = self.with_token(
            lambda token: self._call("GET", path, params={"access_token": token})
        )
        try:
            return {
                row["priTmplId"]: set(re.findall(r"\{\{(\w+)\.DATA\}\}", row["content"]))
                for row in answer.get("data") or []
            }
        except (KeyError, TypeError) as error:
            raise TryAgain("BAD_ANSWER", "templates") from error

    def code_image(self, *, scene: str, page: str, width: int = 430) -> bytes:
        """A mini-program code as an image. (getUnlimitedQRCode)

        ``scene``: up to 32 characters that the page gets. Raises Refused for one it does not take.
        """
        payload = {"scene": scene, "page": page, "width": width, "check_path": False}

        def ask(token: str) -> bytes:
            return self._send("/wxa/getwxacodeunlimit", payload, token).body

        image = self.with_token(ask)
        if not image.startswith((b"\xff\xd8\xff", b"\x89PNG")):
            raise TryAgain("BAD_ANSWER", "not an image")
        return image

    # Shipping

    def upload_shipping(
        self,
        *,
        mch_id: str,
        payment_number: str,
        openid: str,
        parcels: Sequence[Parcel],
        is_split: bool,
        is_all: bool,
        at: datetime,
    ) -> None:
        """Tell of parcels, so that the money is let go. (uploadShippingInfo)

        Raises AlreadyDone, TryAgain (also while the payment is not known there yet), Refused.
        """
        payload = {
            "order_key": {
                "order_number_type": 1, "mchid": mch_id, "out_trade_no": payment_number,
            },
            "logistics_type": 1,
            "delivery_mode": 2 if is_split else 1,
            "shipping_list": [_shipping(parcel) for parcel in parcels],
            "upload_time": at.astimezone(BEIJING).isoformat(timespec="milliseconds"),
            "payer": {"openid": openid},
        }  # fmt: skip
        if is_split:
            payload["is_all_delivered"] = is_all
        self._ask("/wxa/sec/order/upload_shipping_info", payload)

    # Token and transport

    def with_token(self, act: Callable[[str], T]) -> T:
        """Run ``act(access_token)``; a token the platform no longer takes is replaced once."""
        try:
            return act(self.access_token())
        except TokenExpired:
            self._cache.delete(self._token_key)
            return act(self.access_token())

    def access_token(self) -> str:
        """Return the token all processes share; one of them fetches it. (getStableAccessToken)

        Normal mode: asking twice gives the same token, so losing the lock is harmless.
        """
        deadline = time.monotonic() + TOKEN_LOCK_SECONDS / 2
        while (token := self._cache.get(self._token_key)) is None:
            lock, mine = f"{self._token_key}:lock", secrets.token_hex(8)
            if self._cache.add(lock, mine, TOKEN_LOCK_SECONDS) or time.monotonic() > deadline:
                try:
                    return self._fetch_token()
                finally:
                    self._cache.delete(lock)
            time.sleep(0.05)
        return str(token)

    def _fetch_token(self) -> str:
        answer = self._call(
            "POST",
            "/cgi-bin/stable_token",
            payload={
                "grant_type": "client_credential",
                "appid": self.app_id,
                "secret": self._secret,
            },
        )
        token, seconds = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not isinstance(seconds, int):
            raise TryAgain("NO_TOKEN")
        self._cache.set(self._token_key, token, max(seconds - TOKEN_MARGIN_SECONDS, 1))
        return token

    def _ask(self, path: str, payload: dict[str, Any]) -> dict[str, Any]:
        """A call that needs the token."""
        return self.with_token(lambda token: _read(self._send(path, payload, token)))

    def _send(self, path: str, payload: dict[str, Any], token: str) -> http.Answer:
        """What it answers; an error of a call that answers bytes is JSON all the same."""
        answer = http.call(
            "POST",
            self._base_url + path,
            service=SERVICE,
            body=json.dumps(payload, ensure_ascii=False).encode(),
            headers={"Content-Type": "application/json"},
            params={"access_token": token},
        )
        if answer.body.startswith(b"{"):
            _read(answer)
        return answer

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        payload: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        body = None if payload is None else json.dumps(payload, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"} if body else None
        url = self._base_url + path
        return _read(
            http.call(method, url, service=SERVICE, body=body, headers=headers, params=params)
        )


def read_phone(info: Any, *, app_id: str) -> str:
    """Of a phone answer, new way or decrypted. Raises TryAgain for what is none of this app's."""
    try:
        number, country = info["purePhoneNumber"], str(info["countryCode"])
        is_ours = info["watermark"]["appid"] == app_id
    except (KeyError, TypeError) as error:
        raise TryAgain("BAD_ANSWER", "no phone") from error
    if not is_ours or not isinstance(number, str) or not number.isdigit():
        raise TryAgain("BAD_ANSWER", "not our phone")
    return number if country == "86" else f"+{country} {number}"


# What a field of a message template takes, by the letters its key begins with: pattern, longest.
FIELDS = {
    "thing": (r".+", 20),
    "name": (r".+", 10),
    "phrase": (r"[\u4e00-\u9fff]+", 5),
    "number": (r"-?[0-9]+(\.[0-9]+)?", 32),
    "letter": (r"[A-Za-z]+", 32),
    "symbol": (r"[^\w\s]+", 5),
    "character_string": (r"[\x21-\x7e]+", 32),
    "time": (r".+", 32),
    "date": (r".+", 32),
    "amount": (r"[^0-9]?[0-9]{1,10}(\.[0-9]{1,2})?元?", 16),
    "phone_number": (r"[0-9+\- ]+", 17),
}
CUT = {"thing", "name", "phrase", "character_string"}


def fit_value(key: str, value: str) -> str:
    """A value that its template field takes: words are cut to length. Raises Refused for the rest."""
    kind = key.rstrip("0123456789")
    pattern, longest = FIELDS.get(kind, (r".+", 32))
    value = " ".join(value.split())
    if kind in CUT and len(value) > longest:
        value = value[: longest - 1] + "…" if kind != "character_string" else value[:longest]
    if len(value) > longest or re.fullmatch(pattern, value) is None:
        raise Refused("47003", f"data.{key}.value invalid")
    return value


def _shipping(parcel: Parcel) -> dict[str, Any]:
    listed: dict[str, Any] = {
        "tracking_no": parcel.tracking_number,
        "express_company": parcel.carrier,
        "item_desc": parcel.item[:120],
    }
    if parcel.phone_mask:
        listed["contact"] = {"receiver_contact": parcel.phone_mask}
    return listed


def _read(answer: http.Answer) -> dict[str, Any]:
    """HTTP 200 says nothing: it failed if and only if ``errcode`` is there and not 0."""
    try:
        # From bytes: these endpoints name no charset.
        content = json.loads(answer.body.decode())
    except (ValueError, RecursionError) as error:
        raise TryAgain(f"HTTP_{answer.status}", "not JSON") from error
    if answer.status != 200 or not isinstance(content, dict):
        raise TryAgain(f"HTTP_{answer.status}")
    if code := content.get("errcode"):
        raise _error(code, content.get("errmsg"))
    return content


def _error(code: Any, message: Any) -> PlatformError:
    for kind, codes in KINDS.items():
        if code in codes:
            return kind(str(code), str(message))
    return Refused(str(code), str(message))
