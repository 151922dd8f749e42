"""openapi.alipay.com/gateway.do: one address for every call (PLATFORMS C1, C2)."""

import json
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction
from django.http import HttpRequest, HttpResponse

from miniback.sandbox import alipay_trades as trades
from miniback.sandbox import bills, faults
from miniback.sandbox.alipay_certificates import ALIPAY, APP, ROOT, number
from miniback.sandbox.alipay_content import (
    BEIJING,
    GOOD,
    Failure,
    Fields,
    content_of,
    local,
    need,
    read_local,
)
from miniback.sandbox.clock import now
from miniback.sandbox.faults import faulty
from miniback.sandbox.keys import keys
from miniback.sandbox.models import LoginCode
from miniback.sandbox.rsa2 import is_signed_by_app, signed
from miniback.sandbox.wechat import CODE_LIFETIME

MAX_SKEW_SECONDS = 900


def gateway(request: HttpRequest) -> HttpResponse:
    """GET and POST: the fields may stand in the query, in the form, or in both."""
    given = {**request.GET.dict(), **request.POST.dict()}
    target, act = METHODS.get(str(given.get("method")), ("alipay.query", _no_such_method))

    @faulty(target)
    def view(request: HttpRequest) -> HttpResponse:
        try:
            _check_common(given)
            with transaction.atomic():
                content = act({**given, "request": request})
        except Failure as failure:
            content = failure.content
        return _answer(given, content, "gbk" if faults.take(target, {"gbk"}) else "utf-8")

    return view(request)


def _answer(given: Fields, content: Fields, charset: str) -> HttpResponse:
    """The signature is over the very bytes of the inner object, and stands behind it."""
    inner = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    key = str(given.get("method")).replace(".", "_") + "_response"
    by = f',"alipay_cert_sn":"{number(ALIPAY)}"' if "app_cert_sn" in given else ""
    text = f'{{"{key}":{inner},"sign":"{signed(inner, charset)}"{by}}}'
    # The header may say utf-8 all the same.
    return HttpResponse(text.encode(charset), content_type="text/html;charset=utf-8")


def _check_common(given: Fields) -> None:
    app = keys().alipay_app(given.get("app_id", ""))
    if app is None:
        raise Failure("isv.invalid-app-id", code="40002")
    if given.get("sign_type") != "RSA2":
        raise Failure("isv.invalid-signature-type", code="40002")
    if "app_cert_sn" in given or "alipay_root_cert_sn" in given:
        if given.get("app_cert_sn") != number(APP):
            raise Failure("isv.app-cert-sn-invalid", code="40002")
        if given.get("alipay_root_cert_sn") != number(ROOT):
            raise Failure("isv.alipay-root-cert-sn-invalid", code="40002")
    if not is_signed_by_app(app, given):
        raise Failure("isv.invalid-signature", code="40002")
    try:
        sent = read_local(given.get("timestamp", ""))
    except ValueError as error:
        raise Failure("isv.invalid-timestamp", code="40002") from error
    if abs((datetime.now(BEIJING) - sent).total_seconds()) > MAX_SKEW_SECONDS:
        raise Failure("isv.invalid-timestamp", "Beijing time is meant", code="40002")


def _no_such_method(given: Fields) -> Fields:
    raise Failure("isv.invalid-method", code="40002")


def _token(given: Fields) -> Fields:
    """alipay.system.oauth.token: a success has no code."""
    if given.get("grant_type") != "authorization_code":
        raise Failure("isv.grant-type-invalid", code="40002")
    codes = LoginCode.objects.filter(person__platform="alipay", code=given.get("code", ""))
    code = codes.select_related("person").first()
    is_old = code is None or now() - code.made_at > CODE_LIFETIME
    if code is None or is_old or not codes.filter(used_at=None).update(used_at=now()):
        raise Failure("isv.code-invalid", "授权码code无效", code="40002")
    made = {
        "open_id": code.person.openid,
        "union_id": code.person.unionid,
        "access_token": secrets.token_hex(20),
        "auth_start": local(now()),
        "expires_in": 1296000,
        "re_expires_in": 2592000,
        "refresh_token": secrets.token_hex(20),
    }
    return {name: value for name, value in made.items() if value}


def _bill(given: Fields) -> Fields:
    """alipay.data.dataservice.bill.downloadurl.query."""
    content = content_of(given)
    need(content.get("bill_type") == "trade", "bill_type")
    try:
        day = datetime.strptime(str(content.get("bill_date")), "%Y-%m-%d").replace(tzinfo=BEIJING)
    except ValueError as error:
        raise Failure("ACQ.INVALID_PARAMETER", "bill_date") from error
    if day + timedelta(days=1) > now():
        raise Failure("isp.bill_not_ready")
    seller_id = trades.seller_of(given)
    url = bills.alipay_bill(given["request"], content["bill_date"], seller_id)
    if url is None:
        raise Failure("isp.bill_not_exist", "账单不存在")
    return {**GOOD, "bill_download_url": url}


METHODS: dict[str, tuple[str, Callable[[Fields], Fields]]] = {
    "alipay.system.oauth.token": ("alipay.login", _token),
    "alipay.trade.create": ("alipay.create", trades.create),
    "alipay.trade.query": ("alipay.query", trades.query),
    "alipay.trade.close": ("alipay.close", trades.close),
    "alipay.trade.refund": ("alipay.refund", trades.refund),
    "alipay.data.dataservice.bill.downloadurl.query": ("alipay.bill", _bill),
    "alipay.trade.fastpay.refund.query": ("alipay.refund_query", trades.refund_query),
}
