"""WeChat mini-program server API: login and the access token.

Follows the documents of code2Session and getStableAccessToken (PLATFORMS A1, A2).
"""

import json
import secrets
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from miniback.platforms import http
from miniback.platforms.contract import Login
from miniback.platforms.errors import (
    CustomerBlocked,
    LoginAgain,
    Misconfigured,
    PlatformError,
    Refused,
    TokenExpired,
    TryAgain,
)

T = TypeVar("T")

KINDS: dict[type[PlatformError], set[int]] = {
    TryAgain: {-1, 45009, 45011, 44990},
    TokenExpired: {40001, 40014, 42001},
    LoginAgain: {40029, 40163},
    CustomerBlocked: {40226},
    Misconfigured: {40013, 40125, 40164, 48001, 61004, 40037, 41030, 40002},
}
BUSY_ATTEMPTS = 3
# The overlap of an old and a new token is five minutes.
TOKEN_MARGIN_SECONDS = 300
TOKEN_LOCK_SECONDS = 10


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

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        payload: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """HTTP 200 says nothing: it failed if and only if ``errcode`` is there and not 0."""
        body = None if payload is None else json.dumps(payload, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"} if body else None
        answer = http.call(method, self._base_url + path, body=body, headers=headers, params=params)
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
