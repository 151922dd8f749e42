"""api.mch.weixin.qq.com: JSAPI orders (PLATFORMS B3-B6)."""

import secrets
import string
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse

from miniback.sandbox import certificates, faults
from miniback.sandbox.clock import iso, now
from miniback.sandbox.faults import faulty
from miniback.sandbox.keys import keys
from miniback.sandbox.merchant import (
    PayError,
    is_fen,
    is_text,
    matches,
    merchant_of,
    merchant_only,
    need,
    part,
    read_object,
)
from miniback.sandbox.models import Certificate, Person, Prepay, Trade
from miniback.sandbox.notices import notify, pause
from miniback.sandbox.signing import seal

PREPAY_LIFETIME = timedelta(hours=2)
ORDER_LIFETIME = timedelta(days=7)
ORDER_FIELDS = {
    "appid", "mchid", "description", "out_trade_no", "notify_url", "amount", "payer",
    "time_expire", "attach", "goods_tag", "support_fapiao", "detail", "scene_info", "settle_info",
}  # fmt: skip


@faulty("wechatpay.order")
@merchant_only("POST")
def place(request: HttpRequest) -> HttpResponse:
    """POST /v3/pay/transactions/jsapi."""
    given = read_object(request.body, ORDER_FIELDS)
    merchant_id = merchant_of(request).mch_id
    _check_order(given, merchant_id)
    mine = Trade.objects.filter(platform="wechat", merchant_id=merchant_id)
    trade = mine.filter(out_trade_no=given["out_trade_no"]).first()
    if trade is None:
        trade = Trade.objects.create(
            merchant_id=merchant_id,
            out_trade_no=given["out_trade_no"],
            request=given,
            amount_fen=given["amount"]["total"],
            openid=given["payer"]["openid"],
            notify_url=given["notify_url"],
            expires_at=_expiry(given),
            made_at=now(),
        )
    if trade.request != given:
        raise PayError(400, "INVALID_REQUEST", "re-entry with other parameters")
    if trade.state in {"SUCCESS", "REFUND"}:
        raise PayError(400, "ORDERPAID", "the order is paid")
    if _state(trade) == "CLOSED":
        raise PayError(400, "ORDER_CLOSED", "the order is closed")
    prepay = Prepay.objects.create(
        prepay_id="wx" + "".join(secrets.choice(string.digits) for _ in range(34)),
        trade=trade,
        ends_at=now() + PREPAY_LIFETIME,
    )
    if fault := faults.take("wechatpay.order", {"notice_first"}):
        transaction.on_commit(lambda: _pay_before_answering(trade, fault.options))
    return JsonResponse({"prepay_id": prepay.prepay_id})


def _pay_before_answering(trade: Trade, options: dict[str, Any]) -> None:
    collect(trade)
    pause(options.get("seconds", 2.0))


def _check_order(given: dict[str, Any], merchant_id: str) -> None:
    need(given.get("appid") == keys().app_id, "appid")
    need(given.get("mchid") == merchant_id, "mchid")
    need(is_text(given.get("description"), 127), "description")
    need(matches(given.get("out_trade_no"), r"[0-9A-Za-z_\-|*]{6,32}"), "out_trade_no")
    need(matches(given.get("notify_url"), r"https?://[^?#]{1,240}"), "notify_url")
    amount, payer = part(given, "amount"), part(given, "payer")
    need(is_fen(amount.get("total")), "amount.total")
    need(amount.get("currency", "CNY") == "CNY", "amount.currency")
    need(is_text(payer.get("openid"), 128), "payer.openid")
    if not Person.objects.filter(platform="wechat", openid=payer["openid"]).exists():
        raise PayError(500, "OPENID_MISMATCH", "the openid does not belong to this appid")
    mine = Trade.objects.filter(platform="wechat", merchant_id=merchant_id)
    if not mine.filter(out_trade_no=given["out_trade_no"]).exists():
        left = _expiry(given) - now()
        need(timedelta(seconds=60) <= left <= timedelta(days=90), "time_expire")


def _expiry(given: dict[str, Any]) -> datetime:
    if "time_expire" not in given:
        return now() + ORDER_LIFETIME
    try:
        moment = datetime.fromisoformat(given["time_expire"])
    except (TypeError, ValueError) as error:
        raise PayError(400, "PARAM_ERROR", "time_expire") from error
    need(moment.tzinfo is not None, "time_expire")
    return moment


@faulty("wechatpay.query")
@merchant_only("GET")
def query(request: HttpRequest, **by: str) -> HttpResponse:
    """GET /v3/pay/transactions/out-trade-no/{no} and /id/{transaction_id}, ?mchid=."""
    merchant_id = merchant_of(request).mch_id
    need(request.GET.get("mchid") == merchant_id, "mchid")
    return JsonResponse(describe(find(merchant_id, **by)))


@faulty("wechatpay.close")
@merchant_only("POST")
def close(request: HttpRequest, out_trade_no: str) -> HttpResponse:
    """POST .../out-trade-no/{no}/close. 204; may be repeated."""
    merchant_id = merchant_of(request).mch_id
    need(read_object(request.body, {"mchid"}).get("mchid") == merchant_id, "mchid")
    trade = find(merchant_id, out_trade_no=out_trade_no)
    if trade.state in {"SUCCESS", "REFUND"}:
        raise PayError(400, "ORDERPAID", "the order is paid")
    Trade.objects.filter(pk=trade.pk, state="NOTPAY").update(state="CLOSED")
    return HttpResponse(status=204)


@faulty("wechatpay.certificates")
@merchant_only("GET")
def list_certificates(request: HttpRequest) -> HttpResponse:
    """GET /v3/certificates: all that are good, the newest first."""
    certificates.newest()
    rows = Certificate.objects.order_by("-id")
    key = merchant_of(request).api_v3_key
    return JsonResponse(
        {
            "data": [
                {
                    "serial_no": row.serial,
                    "effective_time": iso(row.begins_at),
                    "expire_time": iso(row.ends_at),
                    "encrypt_certificate": seal(row.pem.encode(), "certificate", key=key),
                }
                for row in rows
            ]
        }
    )


def collect(trade: Trade) -> bool:
    """Move the customer's money, once, and tell the shop."""
    moment = now()
    number = moment.strftime("42%Y%m%d") + "".join(secrets.choice(string.digits) for _ in range(18))
    waiting = Trade.objects.filter(pk=trade.pk, state="NOTPAY", expires_at__gt=moment)
    if not waiting.update(state="SUCCESS", transaction_id=number, paid_at=moment):
        return False
    trade.refresh_from_db()
    notify(trade.notify_url, "TRANSACTION.SUCCESS", describe(trade))
    return True


def describe(trade: Trade) -> dict[str, Any]:
    """A trade as query and notice show it."""
    state = _state(trade)
    body: dict[str, Any] = {
        "appid": trade.request["appid"],
        "mchid": trade.request["mchid"],
        "out_trade_no": trade.out_trade_no,
        "trade_state": state,
        "trade_state_desc": state,
        "payer": {"openid": trade.openid},
        "amount": {"total": trade.amount_fen, "currency": "CNY"},
    }
    if "attach" in trade.request:
        body["attach"] = trade.request["attach"]
    if trade.paid_at:
        body["transaction_id"] = trade.transaction_id
        body["trade_type"] = "JSAPI"
        body["bank_type"] = "OTHERS"
        body["success_time"] = iso(trade.paid_at)
        body["amount"] |= {"payer_total": trade.amount_fen, "payer_currency": "CNY"}
    return body


def _state(trade: Trade) -> str:
    if trade.state == "NOTPAY" and trade.expires_at <= now():
        return "CLOSED"
    return trade.state


def find(merchant_id: str, **by: str) -> Trade:
    """Nobody may touch what another merchant was paid."""
    mine = Trade.objects.filter(platform="wechat", merchant_id=merchant_id)
    trade = mine.filter(**by).first()
    if trade is None:
        raise PayError(404, "ORDER_NOT_EXIST", "no such order")
    return trade
