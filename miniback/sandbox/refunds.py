"""api.mch.weixin.qq.com: refunds (PLATFORMS B7)."""

import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse, JsonResponse

from miniback.sandbox import faults
from miniback.sandbox.clock import iso, now
from miniback.sandbox.faults import faulty
from miniback.sandbox.keys import keys
from miniback.sandbox.merchant import (
    PayError,
    is_fen,
    is_text,
    matches,
    merchant_only,
    need,
    part,
    read_object,
)
from miniback.sandbox.models import Refund, Trade
from miniback.sandbox.notices import notify
from miniback.sandbox.signing import unseal
from miniback.sandbox.wechatpay import find

REFUND_SECONDS = 3.0
MAX_REFUNDS = 50
REFUND_FIELDS = {
    "transaction_id", "out_trade_no", "out_refund_no", "reason", "notify_url", "funds_account",
    "amount", "goods_detail",
}  # fmt: skip


@faulty("wechatpay.refund")
@merchant_only("POST")
def refund(request: HttpRequest) -> HttpResponse:
    """POST /v3/refund/domestic/refunds. The same out_refund_no refunds once."""
    given = read_object(request.body, REFUND_FIELDS)
    need(matches(given.get("out_refund_no"), r"[0-9A-Za-z_\-|*@]{1,64}"), "out_refund_no")
    by = {name: given[name] for name in ("transaction_id", "out_trade_no") if name in given}
    need(bool(by), "out_trade_no")
    amount = part(given, "amount")
    need(is_fen(amount.get("refund")), "amount.refund")
    trade = find(**by)
    known = _find_refund(given["out_refund_no"])
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
    need(amount.get("total") == trade.amount_fen, "amount.total")
    need(amount.get("currency") == "CNY", "amount.currency")
    earlier = trade.refunds.exclude(status="CLOSED")
    back = earlier.aggregate(sum=Sum("amount_fen"))["sum"] or 0
    if back + amount["refund"] > trade.amount_fen or earlier.count() >= MAX_REFUNDS:
        raise PayError(400, "INVALID_REQUEST", "more than was paid, or too many refunds")


@faulty("wechatpay.refund_query")
@merchant_only("GET")
def query_refund(request: HttpRequest, out_refund_no: str) -> HttpResponse:
    """GET /v3/refund/domestic/refunds/{out_refund_no}."""
    known = _find_refund(out_refund_no)
    if known is None:
        raise PayError(404, "RESOURCE_NOT_EXISTS", "no such refund")
    return JsonResponse(_describe_refund(known, "status"))


@faulty("wechatpay.abnormal_refund")
@merchant_only("POST")
def redirect_refund(request: HttpRequest, refund_id: str) -> HttpResponse:
    """POST /v3/refund/domestic/refunds/{refund_id}/apply-abnormal-refund."""
    given = read_object(
        request.body, {"out_refund_no", "type", "bank_type", "bank_account", "real_name"}
    )
    known = Refund.objects.filter(refund_id=refund_id).first()
    if known is None or known.out_refund_no != given.get("out_refund_no"):
        raise PayError(404, "RESOURCE_NOT_EXISTS", "no such refund")
    if known.status != "ABNORMAL":
        raise PayError(400, "INVALID_REQUEST", "the refund is not abnormal")
    need(given.get("type") in {"USER_BANK_CARD", "MERCHANT_BANK_CARD"}, "type")
    if given["type"] == "USER_BANK_CARD":
        serial = request.headers.get("Wechatpay-Serial", "")
        need(matches(given.get("bank_type"), r"[A-Z]{2,16}_(DEBIT|CREDIT)"), "bank_type")
        account, name = (
            unseal(given.get(field), serial) for field in ("bank_account", "real_name")
        )
        need(matches(account, r"[0-9]{12,22}"), "bank_account")
        need(is_text(name, 50), "real_name")
    known.status, known.outcome = "PROCESSING", "SUCCESS"
    known.settles_at = now() + timedelta(seconds=REFUND_SECONDS / settings.NOTICE_SPEED)
    known.save(update_fields=["status", "outcome", "settles_at"])
    return JsonResponse(_describe_refund(known, "status"))


def _find_refund(number: str) -> Refund | None:
    """The number is the merchant's, whatever the trade."""
    return Refund.objects.filter(trade__platform="wechat", out_refund_no=number).first()


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
