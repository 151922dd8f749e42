"""developer.toutiao.com: login (PLATFORMS D)."""

import base64
import json
import secrets
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse

from miniback.sandbox.clock import now
from miniback.sandbox.faults import faulty
from miniback.sandbox.keys import keys
from miniback.sandbox.models import LoginCode
from miniback.sandbox.wechat import CODE_LIFETIME


def _answer(err_no: int, err_tips: str = "success", **data: Any) -> JsonResponse:
    return JsonResponse({"err_no": err_no, "err_tips": err_tips, "data": data})


@faulty("douyin.login")
def jscode2session(request: HttpRequest) -> HttpResponse:
    """POST /api/apps/v2/jscode2session."""
    try:
        given = json.loads(request.body)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        return _answer(40014, "bad parameters")
    if given.get("appid") != keys().douyin_app_id:
        return _answer(40015, "bad appid")
    if given.get("secret") != keys().douyin_secret:
        return _answer(40017, "bad secret")
    with transaction.atomic():
        codes = LoginCode.objects.filter(person__platform="douyin", code=given.get("code", ""))
        code = codes.select_related("person").first()
        if code is None or now() - code.made_at > CODE_LIFETIME:
            return _answer(40018, "bad code")
        if not codes.filter(used_at=None).update(used_at=now()):
            return _answer(40018, "bad code")
    session_key = base64.b64encode(secrets.token_bytes(16)).decode()
    person = code.person
    return _answer(
        0,
        session_key=session_key,
        openid=person.openid,
        unionid=person.unionid,
        anonymous_openid="",
    )
