"""api.mch.weixin.qq.com: JSAPI orders and refunds (PLATFORMS B1-B7, B9)."""

import functools
import json
import re
import secrets
import string
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse, JsonResponse

from miniback.sandbox import faults
from miniback.sandbox.clock import iso, now
from miniback.sandbox.faults import faulty
from miniback.sandbox.keys import keys
from miniback.sandbox.models import Person, Prepay, Refund, Trade
from miniback.sandbox.notices import notify, pause
from miniback.sandbox.signing import SignatureRefused, sign_response, verify_request

View = Callable[..., HttpResponse]

PREPAY_LIFETIME = timedelta(hours=2)
ORDER_LIFETIME = timedelta(days=7)
REFUND_SECONDS = 3.0
MAX_REFUNDS = 50
ORDER_FIELDS = {
    "appid", "mchid", "description", "out_trade_no", "notify_url", "amount", "payer",
    "time_expire", "attach", "goods_tag", "support_fapiao", "detail", "scene_info", "settle_info",
}  # fmt: skip
REFUND_FIELDS = {
    "transaction_id", "out_trade_no", "out_refund_no", "reason", "notify_url", "funds_account",
    "amount", "goods_detail",
}  # fmt: skip


class PayError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        self.status, self.code, self.message = status, code, message


def merchant_only(method: str) -> Callable[[View], View]:
    """Verify the request's signature; sign the answer, or say what is wrong."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                if request.method != method:
                    raise PayError(405, "INVALID_REQUEST", "method not allowed")
                verify_request(request)
                with transaction.atomic():
                    answer = view(request, *args, **kwargs)
            except SignatureRefused as error:
                return JsonResponse({"code": "SIGN_ERROR", "message": str(error)}, status=401)
            except PayError as error:
                body = {"code": error.code, "message": error.message}
                return JsonResponse(body, status=error.status)
            return sign_response(answer)

        return wrapper

    return decorate


# Orders


@faulty("wechatpay.order")
@merchant_only("POST")
def place(request: HttpRequest) -> HttpResponse:
    """POST /v3/pay/transactions/jsapi."""
    given = _object(request.body, ORDER_FIELDS)
    _check_order(given)
    trade = Trade.objects.filter(out_trade_no=given["out_trade_no"]).first()
    if trade is None:
        trade = Trade.objects.create(
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


def _check_order(given: dict[str, Any]) -> None:
    _need(given.get("appid") == keys().app_id, "appid")
    _need(given.get("mchid") == keys().mch_id, "mchid")
    _need(_is_text(given.get("description"), 127), "description")
    _need(_matches(given.get("out_trade_no"), r"[0-9A-Za-z_\-|*]{6,32}"), "out_trade_no")
    _need(_matches(given.get("notify_url"), r"https?://[^?#]{1,240}"), "notify_url")
    amount, payer = _part(given, "amount"), _part(given, "payer")
    _need(_is_fen(amount.get("total")), "amount.total")
    _need(amount.get("currency", "CNY") == "CNY", "amount.currency")
    _need(_is_text(payer.get("openid"), 128), "payer.openid")
    if not Person.objects.filter(openid=payer["openid"]).exists():
        raise PayError(500, "OPENID_MISMATCH", "the openid does not belong to this appid")
    if not Trade.objects.filter(out_trade_no=given["out_trade_no"]).exists():
        left = _expiry(given) - now()
        _need(timedelta(seconds=60) <= left <= timedelta(days=90), "time_expire")


def _expiry(given: dict[str, Any]) -> datetime:
    if "time_expire" not in given:
        return now() + ORDER_LIFETIME
    try:
        moment = datetime.fromisoformat(given["time_expire"])
    except (TypeError, ValueError) as error:
        raise PayError(400, "PARAM_ERROR", "time_expire") from error
    _need(moment.tzinfo is not None, "time_expire")
    return moment


@faulty("wechatpay.query")
@merchant_only("GET")
def query(request: HttpRequest, **by: str) -> HttpResponse:
    """GET /v3/pay/transactions/out-trade-no/{no} and /id/{transaction_id}, ?mchid=."""
    _need(request.GET.get("mchid") == keys().mch_id, "mchid")
    return JsonResponse(describe(_find(**by)))


@faulty("wechatpay.close")
@merchant_only("POST")
def close(request: HttpRequest, out_trade_no: str) -> HttpResponse:
    """POST .../out-trade-no/{no}/close. 204; may be repeated."""
    _need(_object(request.body, {"mchid"}).get("mchid") == keys().mch_id, "mchid")
    trade = _find(out_trade_no=out_trade_no)
    if trade.state in {"SUCCESS", "REFUND"}:
        raise PayError(400, "ORDERPAID", "the order is paid")
    Trade.objects.filter(pk=trade.pk, state="NOTPAY").update(state="CLOSED")
    return HttpResponse(status=204)


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


def _find(**by: str) -> Trade:
    trade = Trade.objects.filter(**by).first()
    if trade is None:
        raise PayError(404, "ORDER_NOT_EXIST", "no such order")
    return trade


# Refunds


@faulty("wechatpay.refund")
@merchant_only("POST")
def refund(request: HttpRequest) -> HttpResponse:
    """POST /v3/refund/domestic/refunds. The same out_refund_no refunds once."""
    given = _object(request.body, REFUND_FIELDS)
    _need(_matches(given.get("out_refund_no"), r"[0-9A-Za-z_\-|*@]{1,64}"), "out_refund_no")
    by = {name: given[name] for name in ("transaction_id", "out_trade_no") if name in given}
    _need(bool(by), "out_trade_no")
    amount = _part(given, "amount")
    _need(_is_fen(amount.get("refund")), "amount.refund")
    trade = _find(**by)
    known = Refund.objects.filter(out_refund_no=given["out_refund_no"]).first()
    if known:
        if known.request != given:
            raise PayError(400, "INVALID_REQUEST", "re-entry with other parameters")
        return JsonResponse(_describe_refund(known, "status"))
    _check_refund(trade, amount)
    fault = faults.take("wechatpay.refund", {"abnormal"})
    made = Refund.objects.create(
        out_refund_no=given["out_refund_no"],
        trade=trade,
        request=given,
        refund_id=now().strftime("50%Y%m%d") + secrets.token_hex(8),
        amount_fen=amount["refund"],
        notify_url=given.get("notify_url", ""),
        outcome="ABNORMAL" if fault else "SUCCESS",
        settles_at=now() + timedelta(seconds=REFUND_SECONDS / settings.NOTICE_SPEED),
        made_at=now(),
    )
    Trade.objects.filter(pk=trade.pk).update(state="REFUND")
    return JsonResponse(_describe_refund(made, "status"))


def _check_refund(trade: Trade, amount: dict[str, Any]) -> None:
    if trade.state not in {"SUCCESS", "REFUND"}:
        raise PayError(400, "INVALID_REQUEST", "the order is not paid")
    _need(amount.get("total") == trade.amount_fen, "amount.total")
    _need(amount.get("currency") == "CNY", "amount.currency")
    earlier = trade.refunds.exclude(status="CLOSED")
    back = earlier.aggregate(sum=Sum("amount_fen"))["sum"] or 0
    if back + amount["refund"] > trade.amount_fen or earlier.count() >= MAX_REFUNDS:
        raise PayError(400, "INVALID_REQUEST", "more than was paid, or too many refunds")


@faulty("wechatpay.refund_query")
@merchant_only("GET")
def query_refund(request: HttpRequest, out_refund_no: str) -> HttpResponse:
    """GET /v3/refund/domestic/refunds/{out_refund_no}."""
    known = Refund.objects.filter(out_refund_no=out_refund_no).first()
    if known is None:
        raise PayError(404, "RESOURCE_NOT_EXISTS", "no such refund")
    return JsonResponse(_describe_refund(known, "status"))


def settle_refunds() -> None:
    """The bank is done with what is due; the shop is told."""
    moment = now()
    for due in Refund.objects.filter(status="PROCESSING", settles_at__lte=moment):
        succeeded_at = moment if due.outcome == "SUCCESS" else None
        mine = Refund.objects.filter(pk=due.pk, status="PROCESSING")
        if mine.update(status=due.outcome, succeeded_at=succeeded_at) and due.notify_url:
            due.refresh_from_db()
            body = _describe_refund(due, "refund_status")
            notify(due.notify_url, f"REFUND.{due.outcome}", body)


def _describe_refund(made: Refund, status_key: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "refund_id": made.refund_id,
        "out_refund_no": made.out_refund_no,
        "transaction_id": made.trade.transaction_id,
        "out_trade_no": made.trade.out_trade_no,
        "user_received_account": "支付用户零钱",
        "create_time": iso(made.made_at),
        status_key: made.status,
        "amount": {
            "total": made.trade.amount_fen,
            "refund": made.amount_fen,
            "payer_total": made.trade.amount_fen,
            "payer_refund": made.amount_fen,
        },
    }
    if made.succeeded_at:
        body["success_time"] = iso(made.succeeded_at)
    if status_key == "status":
        body["channel"] = "ORIGINAL"
        body["amount"]["currency"] = "CNY"
    else:
        body["mchid"] = keys().mch_id
    return body


# Reading requests


def _object(body: bytes, allowed: set[str]) -> dict[str, Any]:
    try:
        given = json.loads(body)
    except ValueError as error:
        raise PayError(400, "PARAM_ERROR", "the body is not JSON") from error
    if not isinstance(given, dict):
        raise PayError(400, "PARAM_ERROR", "the body is not an object")
    if extra := given.keys() - allowed:
        raise PayError(400, "PARAM_ERROR", f"illegal extra parameter {sorted(extra)[0]}")
    if None in given.values():
        raise PayError(400, "PARAM_ERROR", "null is not a value")
    return given


def _part(given: dict[str, Any], name: str) -> dict[str, Any]:
    part = given.get(name)
    if not isinstance(part, dict):
        raise PayError(400, "PARAM_ERROR", name)
    return part


def _need(is_good: bool, name: str) -> None:
    if not is_good:
        raise PayError(400, "PARAM_ERROR", name)


def _is_text(value: Any, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest


def _is_fen(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _matches(value: Any, pattern: str) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None
