"""The side no platform has: the customer's phone, the ledger, faults, the clock."""

import json
import mimetypes
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Sum
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse

from miniback.sandbox import alipay_trades, certificates, clock, faults, models, notices, shipping
from miniback.sandbox.keys import keys
from miniback.sandbox.signing import merchant_signed
from miniback.sandbox.user_data import alipay_phone, encrypt_user_data
from miniback.sandbox.wechat_api import phone_info
from miniback.sandbox.wechatpay import collect

HERE = Path(__file__).resolve().parent
PAGES = {
    "index.html": HERE / "phone",
    "phone.css": HERE / "phone",
    "phone.js": HERE / "phone",
    "panel.js": HERE / "phone",
    "wx.js": HERE / "phone",
    "my.js": HERE / "phone",
    "miniback.js": HERE.parent.parent / "docs" / "client",
}
PLATFORMS = ("wechat", "alipay", "douyin")
PASSWORD = "123456"  # noqa: S105  (everybody's, as the page says)


def given(request: HttpRequest) -> dict[str, Any]:
    try:
        body = json.loads(request.body or b"{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def refuse(message: str, status: int = 400) -> JsonResponse:
    return JsonResponse({"error": message}, status=status)


def page(request: HttpRequest, name: str = "index.html") -> HttpResponse:
    if name not in PAGES:
        raise Http404
    content_type = mimetypes.guess_type(name)[0] or "text/plain"
    text = (PAGES[name] / name).read_text()
    answer = HttpResponse(text, content_type=f"{content_type}; charset=utf-8")
    answer["Cache-Control"] = "no-cache"
    return answer


def config(request: HttpRequest) -> HttpResponse:
    """GET /phone/config/: what the page must know."""
    return JsonResponse(
        {
            "shop_url": settings.SHOP_URL,
            "targets": sorted(faults.TARGETS),
            "faults": sorted(faults.ALL),
        }
    )


def people(request: HttpRequest, platform: str) -> HttpResponse:
    """GET /phone/{platform}/people/: who has a phone here."""
    rows = models.Person.objects.filter(platform=platform).order_by("id")
    return JsonResponse({"people": list(rows.values("openid", "unionid", "name")[:200])})


def log_in(request: HttpRequest, platform: str) -> HttpResponse:
    """POST /phone/{platform}/login/ {openid?, unionid?, name?} -> {code, openid}; makes the person."""
    if platform not in PLATFORMS:
        raise Http404
    body = given(request)
    openid = str(body.get("openid") or "o" + secrets.token_urlsafe(20))[:128]
    person, _new = models.Person.objects.get_or_create(
        platform=platform,
        openid=openid,
        defaults={"unionid": str(body.get("unionid") or ""), "name": str(body.get("name") or "")},
    )
    code = secrets.token_urlsafe(24)
    models.LoginCode.objects.create(code=code, person=person, made_at=clock.now())
    return JsonResponse({"code": code, "openid": openid})


def phone_number(request: HttpRequest) -> HttpResponse:
    """POST /phone/wechat/phone-number/ {openid, phone, country?}: what the phone button gives.

    Both ways at once: ``code`` for the server API, and the older ``encryptedData`` with ``iv``.
    """
    body = given(request)
    person = _wechat_person(body)
    made = models.PhoneCode.objects.create(
        code=secrets.token_urlsafe(24),
        person=person,
        phone=str(body.get("phone", "13800138000")),
        country=str(body.get("country", "86")),
        made_at=clock.now(),
    )
    content = phone_info(made.phone, made.country)
    return JsonResponse({"code": made.code, **encrypt_user_data(content, person.session_key)})


def phone_number_by_alipay(request: HttpRequest) -> HttpResponse:
    """POST /phone/alipay/phone-number/ {phone}: what ``my.getPhoneNumber`` gives."""
    return JsonResponse(alipay_phone(str(given(request).get("phone", "13800138000"))))


def _wechat_person(body: dict[str, Any]) -> models.Person:
    person = models.Person.objects.filter(platform="wechat", openid=body.get("openid", "")).first()
    if person is None:
        raise Http404
    return person


def consent(request: HttpRequest) -> HttpResponse:
    """POST /phone/wechat/consents/ {openid, template_ids}: "allow", once, for each template."""
    body = given(request)
    person = _wechat_person(body)
    for template in body.get("template_ids") or []:
        row, _new = models.Consent.objects.get_or_create(
            openid=person.openid, template_id=str(template)
        )
        models.Consent.objects.filter(pk=row.pk).update(count=F("count") + 1)
    return JsonResponse({"errMsg": "requestSubscribeMessage:ok"})


def messages(request: HttpRequest) -> HttpResponse:
    """GET /phone/wechat/messages/?openid=: what reached the phone, newest first."""
    rows = models.Message.objects.filter(openid=request.GET.get("openid", "")).order_by("-id")
    columns = ("template_id", "page", "data", "sent_at")
    return JsonResponse({"messages": list(rows.values(*columns)[:100])})


def parcels(request: HttpRequest) -> HttpResponse:
    """GET /phone/wechat/parcels/?openid=: the platform's orders, as `get_order` shows them."""
    paid = models.Trade.objects.filter(platform="wechat", openid=request.GET.get("openid", ""))
    rows = paid.exclude(paid_at=None).order_by("-id")[:100]
    return JsonResponse({"orders": [shipping.describe(row) for row in rows]})


def confirm_receipt(request: HttpRequest) -> HttpResponse:
    """POST /phone/wechat/confirm-receipt/ {transaction_id}: in WeChat's own order page."""
    number = str(given(request).get("transaction_id", ""))
    known = models.Shipping.objects.filter(trade__transaction_id=number, is_finished=True).first()
    if known is None:
        return refuse("还没有发货")
    if models.Shipping.objects.filter(pk=known.pk, confirmed_at=None).update(
        confirmed_at=clock.now()
    ):
        known.refresh_from_db()
        trade = known.trade
        notices.push("trade_manage_order_settlement", trade.openid, shipping.settlement(trade))
    return JsonResponse({"confirmed": True})


def pay(request: HttpRequest) -> HttpResponse:
    """POST /phone/wechat/pay/ {openid, password?, + the five fields}; checks paySign before money moves."""
    body = given(request)
    fields = [str(body.get(name, "")) for name in ("timeStamp", "nonceStr", "package")]
    prepay_id = fields[2].removeprefix("prepay_id=")
    prepay = models.Prepay.objects.select_related("trade").filter(prepay_id=prepay_id).first()
    if prepay is None or prepay.ends_at <= clock.now():
        return refuse("支付单已过期")
    merchant = keys().merchant(prepay.trade.merchant_id)
    message = "".join(f"{line}\n" for line in [keys().app_id, *fields]).encode()
    is_signed = merchant and merchant_signed(merchant, message, str(body.get("paySign")))
    if body.get("signType") != "RSA" or not is_signed:
        return refuse("支付签名验证失败")
    if prepay.trade.openid != body.get("openid"):
        return refuse("不是下单人的支付单")
    if body.get("password", PASSWORD) != PASSWORD:
        return refuse("支付密码错误", status=403)
    if not collect(prepay.trade):
        return refuse("订单已支付或已关闭")
    return JsonResponse({"errMsg": "requestPayment:ok"})


def pay_by_alipay(request: HttpRequest) -> HttpResponse:
    """POST /phone/alipay/pay/ {openid, password?, trade_no}: ``my.tradePay``; answers its result code."""
    body = given(request)
    trades = models.Trade.objects.filter(platform="alipay")
    trade = trades.filter(transaction_id=str(body.get("trade_no", ""))).first()
    if trade is None or trade.openid != body.get("openid"):
        return refuse("交易不存在")
    if body.get("password", PASSWORD) != PASSWORD:
        return refuse("支付密码错误", status=403)
    if not alipay_trades.collect(trade):
        return refuse("订单已支付或已关闭")
    return JsonResponse({"resultCode": "9000"})


def bill(request: HttpRequest) -> HttpResponse:
    """GET /phone/wechat/bill/?package=: what the payment sheet shows."""
    prepay_id = request.GET.get("package", "").removeprefix("prepay_id=")
    prepay = models.Prepay.objects.select_related("trade").filter(prepay_id=prepay_id).first()
    if prepay is None:
        raise Http404
    trade = prepay.trade
    return JsonResponse(
        {"amount_fen": trade.amount_fen, "description": trade.request["description"]}
    )


def bill_by_alipay(request: HttpRequest) -> HttpResponse:
    """GET /phone/alipay/bill/?trade_no=: what the payment sheet shows."""
    trades = models.Trade.objects.filter(platform="alipay")
    trade = trades.filter(transaction_id=request.GET.get("trade_no", "")).first()
    if trade is None:
        raise Http404
    return JsonResponse({"amount_fen": trade.amount_fen, "description": trade.request["subject"]})


def ledger(request: HttpRequest) -> HttpResponse:
    """GET /ledger/: every payment and refund, and their sums in fen."""
    paid = models.Trade.objects.exclude(paid_at=None).order_by("id")
    refunds = models.Refund.objects.select_related("trade").order_by("id")
    paid_fen = paid.aggregate(sum=Sum("amount_fen"))["sum"] or 0
    back_fen = refunds.exclude(status="CLOSED").aggregate(sum=Sum("amount_fen"))["sum"] or 0
    columns = ("platform", "out_trade_no", "transaction_id", "openid", "amount_fen", "state")
    return JsonResponse(
        {
            "payments": list(paid.values(*columns)),
            "refunds": [
                {
                    "platform": row.trade.platform,
                    "out_refund_no": row.out_refund_no,
                    "out_trade_no": row.trade.out_trade_no,
                    "amount_fen": row.amount_fen,
                    "status": row.status,
                }
                for row in refunds
            ],
            "totals": {"paid_fen": paid_fen, "refunded_fen": back_fen},
        }
    )


def notifications(request: HttpRequest) -> HttpResponse:
    """GET /notifications/: what was sent to the shop, newest first."""
    columns = ("id", "url", "event_type", "attempts", "answers", "due_at", "delivered_at")
    rows = models.Notification.objects.order_by("-made_at").values(*columns, "resource")[:200]
    return JsonResponse({"notifications": list(rows)})


def resend(request: HttpRequest, notification_id: str) -> HttpResponse:
    """POST /notifications/{id}/resend/."""
    row = models.Notification.objects.filter(pk=notification_id).first()
    if row is None:
        raise Http404
    notices.resend(row)
    return JsonResponse({"sent": True})


def manage_faults(request: HttpRequest) -> HttpResponse:
    """GET lists, POST {target, fault, times, ...options} adds, DELETE ends all /faults/."""
    if request.method == "DELETE":
        models.Fault.objects.all().delete()
    if request.method == "POST":
        body = given(request)
        target, fault = body.pop("target", None), body.pop("fault", None)
        times = body.pop("times", 1)
        times = faults.ALWAYS if times == "always" else times
        if target not in faults.TARGETS or fault not in faults.ALL or not isinstance(times, int):
            return refuse(f"targets: {sorted(faults.TARGETS)}; faults: {sorted(faults.ALL)}")
        models.Fault.objects.create(target=target, fault=fault, times=times, options=body)
    rows = models.Fault.objects.filter(times__gt=0).values("target", "fault", "times", "options")
    return JsonResponse({"faults": list(rows)})


def move_clock(request: HttpRequest) -> HttpResponse:
    """POST /clock/ {advance_seconds}."""
    seconds = given(request).get("advance_seconds", 0)
    if not isinstance(seconds, int | float):
        return refuse("advance_seconds is a number")
    clock.advance(seconds)
    return JsonResponse({"now": clock.iso(clock.now())})


def rotate_certificate(request: HttpRequest) -> HttpResponse:
    """POST /certificates/rotate/: a new platform certificate signs from now on."""
    return JsonResponse({"serial": certificates.rotate().serial})


def reset(request: HttpRequest) -> HttpResponse:
    """POST /reset/: empty books, and nothing on its way any more. Keys stay."""
    with transaction.atomic():
        for table in (
            models.Notification, models.Refund, models.Prepay, models.Shipping, models.PhoneCode,
            models.Consent, models.Message, models.Trade, models.Balance, models.LoginCode,
            models.StableToken, models.BillFile, models.Person, models.Fault, models.Clock,
        ):  # fmt: skip
            table.objects.all().delete()
    notices.wait_until_landed()
    return JsonResponse({"reset": True})


View = Callable[..., HttpResponse]


def posting(view: View) -> View:
    """Refuse anything but POST."""

    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method != "POST":
            return refuse("POST only", status=405)
        return view(request, *args, **kwargs)

    return wrapper
