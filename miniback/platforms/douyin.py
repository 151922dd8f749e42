"""Douyin mini-program server API: login (PLATFORMS D). Its trade system is not spoken here."""

import json

from miniback.platforms import http
from miniback.platforms.contract import Login
from miniback.platforms.errors import LoginAgain, Misconfigured, Refused, TryAgain

SERVICE = "douyin"
MISCONFIGURED = {40015, 40017}
USED_UP = {40018, 40019}


class DouyinClient:
    def __init__(self, *, app_id: str, secret: str, base_url: str) -> None:
        self.app_id = app_id
        self._secret = secret
        self._base_url = base_url

    def log_in(self, code: str) -> Login:
        """Exchange a ``tt.login`` code. Raises LoginAgain, TryAgain, Misconfigured. (jscode2session)"""
        payload = {"appid": self.app_id, "secret": self._secret, "code": code}
        answer = http.call(
            "POST",
            f"{self._base_url}/api/apps/v2/jscode2session",
            service=SERVICE,
            body=json.dumps(payload).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            content = json.loads(answer.body.decode())
            number, data = content["err_no"], content.get("data") or {}
            if number == 0:
                openid, unionid = data["openid"], data.get("unionid") or ""
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise TryAgain(f"HTTP_{answer.status}", "not an answer") from error
        if number in USED_UP:
            raise LoginAgain(str(number))
        if number in MISCONFIGURED:
            raise Misconfigured(str(number), str(content.get("err_tips")))
        if number == -1 or answer.status != 200:
            raise TryAgain(str(number))
        if number != 0:
            raise Refused(str(number), str(content.get("err_tips")))
        if not isinstance(openid, str) or not openid or not isinstance(unionid, str):
            raise TryAgain("NO_OPENID")
        return Login(openid, unionid, str(data.get("session_key", "")))
