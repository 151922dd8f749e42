"""api.mch.weixin.qq.com: refunds (PLATFORMS B7)."""

import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, Sum
from django.http import HttpRequest, HttpResponse, JsonResponse

from miniback.sandbox import faults
from miniback.sandbox.clock import iso, now
from miniback.sandbox.faults import faulty
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
from miniback.sandbox.models import Balance, Refund, Trade
from miniback.sandbox.notices import notify
from miniback.sandbox.signing import unseal
from miniback.sandbox.wechatpay import find

REFUND_SECONDS = 3.0
MAX_REFUNDS = 50
MAX_REASON_BYTES = 80
REFUND_LIFETIME = timedelta(days=365)
# What a fault makes of a refund.
OUTCOMES = {"abnormal": "ABNORMAL", "closed": "CLOSED"}
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
    reason = given.get("reason", "")
    need(isinstance(reason, str) and len(reason.encode()) <= MAX_REASON_BYTES, "reason")
    merchant_id = merchant_of(request).mch_id
    trade = find(merchant_id, **by)
    known = _find_refund(merchant_id, given["out_refund_no"])
    if known:
        if known.request != given:
            raise PayError(400, "INVALID_REQUEST", "re-entry with other parameters")
        return JsonResponse(_describe_refund(known, "status"))
    _check_refund(trade, amount)
    made = start_refund(
        trade, given["out_refund_no"], amount["refund"], given.get("notify_url", ""), given
    )
    return JsonResponse(_describe_refund(made, "status"))


def start_refund(
    trade: Trade, number: str, amount_fen: int, notify_url: str, asked: dict[str, Any]
) -> Refund:
    """Accept a refund; the bank decides what becomes of it, or a fault does."""
    fault = faults.take("wechatpay.refund", set(OUTCOMES))
    made = Refund.objects.create(
        out_refund_no=number,
        trade=trade,
        request=asked,
        refund_id=now().strftime("50%Y%m%d") + secrets.token_hex(8),
        amount_fen=amount_fen,
        notify_url=notify_url,
        outcome=OUTCOMES[fault.fault] if fault else "SUCCESS",
        settles_at=now() + timedelta(seconds=REFUND_SECONDS / settings.NOTICE_SPEED),
        made_at=now(),
    )
    Trade.objects.filter(pk=trade.pk).update(state="REFUND")
    return made


def _check_refund(trade: Trade, amount: dict[str, Any]) -> None:
    if trade.state not in {"SUCCESS", "REFUND"}:
        raise PayError(400, "INVALID_REQUEST", "the order is not paid")
    if trade.paid_at and now() - trade.paid_at > REFUND_LIFETIME:
        # The code is a guess: the documents name the rule only.
        raise PayError(400, "INVALID_REQUEST", "订单已经超过可退款的最大期限")
    need(amount.get("total") == trade.amount_fen, "amount.total")
    need(amount.get("currency") == "CNY", "amount.currency")
    earlier = trade.refunds.exclude(status="CLOSED")
    if amount["refund"] > refundable_fen(trade) or earlier.count() >= MAX_REFUNDS:
        raise PayError(400, "INVALID_REQUEST", "more than was paid, or too many refunds")


def refundable_fen(trade: Trade) -> int:
    """What is left: a refund that was closed gave nothing back."""
    earlier = trade.refunds.exclude(status="CLOSED")
    return trade.amount_fen - (earlier.aggregate(sum=Sum("amount_fen"))["sum"] or 0)


@faulty("wechatpay.refund_query")
@merchant_only("GET")
def query_refund(request: HttpRequest, out_refund_no: str) -> HttpResponse:
    """GET /v3/refund/domestic/refunds/{out_refund_no}."""
    known = _find_refund(merchant_of(request).mch_id, out_refund_no)
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
    mine = Refund.objects.filter(trade__merchant_id=merchant_of(request).mch_id)
    known = mine.filter(refund_id=refund_id).first()
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
    known.received_by = "商户基本账户"
    if given["type"] == "USER_BANK_CARD":
        known.received_by = f"{given['bank_type']}{str(account)[-4:]}"
    known.status, known.outcome = "PROCESSING", "SUCCESS"
    known.settles_at = now() + timedelta(seconds=REFUND_SECONDS / settings.NOTICE_SPEED)
    known.save(update_fields=["status", "outcome", "settles_at", "received_by"])
    return JsonResponse(_describe_refund(known, "status"))


def _find_refund(merchant_id: str, number: str) -> Refund | None:
    """The number is the merchant's, whatever the trade."""
    mine = Refund.objects.filter(trade__platform="wechat", trade__merchant_id=merchant_id)
    return mine.filter(out_refund_no=number).first()


def settle_refunds() -> None:
    """The bank is done with what is due; the shop is told."""
    moment = now()
    for due in Refund.objects.filter(status="PROCESSING", settles_at__lte=moment):
        outcome = due.outcome
        if outcome == "SUCCESS" and not draw("wechat", due.amount_fen):
            # Days later, in life: until then it is PROCESSING.
            outcome = "CLOSED"
        succeeded_at = moment if outcome == "SUCCESS" else None
        mine = Refund.objects.filter(pk=due.pk, status="PROCESSING")
        if mine.update(status=outcome, succeeded_at=succeeded_at) and due.notify_url:
            due.refresh_from_db()
            body = _describe_refund(due, "refund_status")
            notify(due.notify_url, f"REFUND.{outcome}", body)


def draw(platform: str, amount_fen: int) -> bool:
    """Take a refund out of the merchant's balance, if one was set; whether it was enough."""
    balance = Balance.objects.filter(platform=platform)
    enough = balance.filter(amount_fen__gte=amount_fen)
    return not balance.exists() or bool(enough.update(amount_fen=F("amount_fen") - amount_fen))


def _describe_refund(made: Refund, status_key: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "refund_id": made.refund_id,
        "out_refund_no": made.out_refund_no,
        "transaction_id": made.trade.transaction_id,
        "out_trade_no": made.trade.out_trade_no,
        "user_received_account": made.received_by,
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
        body["mchid"] = made.trade.merchant_id
    return body
