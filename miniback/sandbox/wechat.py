"""api.weixin.qq.com: login and the stable token (PLATFORMS A1, A2)."""

import base64
import json
import secrets
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse

from miniback.sandbox.clock import now
from miniback.sandbox.faults import faulty
from miniback.sandbox.keys import keys
from miniback.sandbox.models import LoginCode, StableToken

CODE_LIFETIME = timedelta(minutes=5)
TOKEN_SECONDS = 7200
OVERLAP = timedelta(minutes=5)


def failure(errcode: int, message: str) -> JsonResponse:
    """HTTP 200, as the platform does."""
    rid = "-".join(secrets.token_hex(4) for _ in range(3))
    return JsonResponse({"errcode": errcode, "errmsg": f"{message}, rid: {rid}"})


def _refuse_app(given: Any) -> JsonResponse | None:
    if given.get("appid") != keys().app_id:
        return failure(40013, "invalid appid")
    if given.get("secret") != keys().app_secret:
        return failure(40125, "invalid appsecret")
    return None


@faulty("wechat.login")
def jscode2session(request: HttpRequest) -> HttpResponse:
    """GET /sns/jscode2session. A success has no errcode."""
    if refused := _refuse_app(request.GET):
        return refused
    if request.GET.get("grant_type") != "authorization_code":
        return failure(40002, "invalid grant_type")
    with transaction.atomic():
        code = LoginCode.objects.filter(
            person__platform="wechat", code=request.GET.get("js_code", "")
        ).first()
        if code is None or now() - code.made_at > CODE_LIFETIME:
            return failure(40029, "invalid code")
        if not LoginCode.objects.filter(pk=code.pk, used_at=None).update(used_at=now()):
            return failure(40163, "code been used")
    person = code.person
    person.session_key = base64.b64encode(secrets.token_bytes(16)).decode()
    person.seen_at = now()
    person.save(update_fields=["session_key", "seen_at"])
    body = {"openid": person.openid, "session_key": person.session_key}
    if person.unionid:
        body["unionid"] = person.unionid
    return JsonResponse(body)


@faulty("wechat.token")
def stable_token(request: HttpRequest) -> HttpResponse:
    """POST /cgi-bin/stable_token. The same token until its last five minutes."""
    try:
        given = json.loads(request.body)
    except ValueError:
        return failure(47001, "data format error")
    if not isinstance(given, dict):
        return failure(47001, "data format error")
    if refused := _refuse_app(given):
        return refused
    if given.get("grant_type") != "client_credential":
        return failure(40002, "invalid grant_type")
    with transaction.atomic():
        stable = StableToken.objects.filter(is_plain=False)
        if given.get("force_refresh"):
            stable.delete()
        token = stable.filter(ends_at__gt=now() + OVERLAP).order_by("-id").first() or _mint()
    return _give(token)


@faulty("wechat.token")
def plain_token(request: HttpRequest) -> HttpResponse:
    """GET /cgi-bin/token. A new one each time; the one before is good for five minutes more."""
    if refused := _refuse_app(request.GET):
        return refused
    if request.GET.get("grant_type") != "client_credential":
        return failure(40002, "invalid grant_type")
    with transaction.atomic():
        older = StableToken.objects.filter(is_plain=True)
        older.filter(ends_at__gt=now() + OVERLAP).update(ends_at=now() + OVERLAP)
        token = _mint(is_plain=True)
    return _give(token)


def _mint(*, is_plain: bool = False) -> StableToken:
    return StableToken.objects.create(
        is_plain=is_plain,
        token=secrets.token_urlsafe(120),
        made_at=now(),
        ends_at=now() + timedelta(seconds=TOKEN_SECONDS),
    )


def _give(token: StableToken) -> HttpResponse:
    left = int((token.ends_at - now()).total_seconds())
    return JsonResponse({"access_token": token.token, "expires_in": left})
