"""Alipay's trades: placed, paid, closed, refunded, told (PLATFORMS C3-C5)."""

import re
import secrets
import string
from datetime import datetime, timedelta

from django.db.models import Sum

from miniback.sandbox import faults
from miniback.sandbox.alipay_content import (
    GOOD,
    Failure,
    Fields,
    content_of,
    fen,
    local,
    need,
    read_local,
    yuan,
)
from miniback.sandbox.clock import now
from miniback.sandbox.keys import keys
from miniback.sandbox.models import Person, Refund, Trade
from miniback.sandbox.notices import notify
from miniback.sandbox.refunds import draw

ORDER_LIFETIME = timedelta(days=15)
PATTERNS = {"out_trade_no": r"[0-9A-Za-z_]{1,64}", "subject": r"[^/=&]{1,256}"}


def create(given: Fields) -> Fields:
    """alipay.trade.create: the same number with other parameters is refused."""
    content = content_of(given)
    amount_fen = _check_create(content, given["app_id"])
    number, buyer = content["out_trade_no"], content.get("buyer_open_id") or content["buyer_id"]
    seller_id = seller_of(given)
    mine = Trade.objects.filter(platform="alipay", merchant_id=seller_id)
    trade = mine.filter(out_trade_no=number).first()
    if trade is None:
        trade = Trade.objects.create(
            platform="alipay",
            merchant_id=seller_id,
            out_trade_no=number,
            request=content,
            amount_fen=amount_fen,
            openid=buyer,
            notify_url=given.get("notify_url", ""),
            expires_at=_expiry(content),
            transaction_id=now().strftime("%Y%m%d22") + _digits(18),
            made_at=now(),
        )
    if trade.request != content:
        raise Failure("ACQ.CONTEXT_INCONSISTENT", "交易信息被篡改")
    if trade.paid_at:
        raise Failure("ACQ.TRADE_HAS_SUCCESS", "交易已被支付")
    if _status(trade) == "TRADE_CLOSED":
        raise Failure("ACQ.TRADE_HAS_CLOSE", "交易已经关闭")
    return {**GOOD, "out_trade_no": trade.out_trade_no, "trade_no": trade.transaction_id}


def seller_of(given: Fields) -> str:
    """The seller whose app has signed the request."""
    app = keys().alipay_app(given["app_id"])
    return app.seller_id if app else ""


def _check_create(content: Fields, app_id: str) -> int:
    """The amount in fen."""
    for name, pattern in PATTERNS.items():
        need(re.fullmatch(pattern, str(content.get(name, ""))) is not None, name)
    need(content.get("product_code") == "JSAPI_PAY", "product_code")
    need(content.get("op_app_id") == app_id, "op_app_id")
    amount_fen = fen(content.get("total_amount"), "total_amount")
    need(amount_fen >= 1, "total_amount")
    buyer = content.get("buyer_open_id") or content.get("buyer_id")
    if not Person.objects.filter(platform="alipay", openid=buyer or "").exists():
        raise Failure("ACQ.BUYER_NOT_EXIST", "买家不存在")
    return amount_fen


def _digits(count: int) -> str:
    return "".join(secrets.choice(string.digits) for _ in range(count))


def _expiry(content: Fields) -> datetime:
    if "time_expire" not in content:
        return now() + ORDER_LIFETIME
    try:
        expires_at = read_local(content["time_expire"])
    except (TypeError, ValueError) as error:
        raise Failure("ACQ.INVALID_PARAMETER", "time_expire") from error
    need(expires_at > now(), "time_expire")
    return expires_at


def _find(given: Fields) -> Trade:
    """Nobody may touch what another seller was paid."""
    content = content_of(given)
    by = {"out_trade_no": content.get("out_trade_no"), "transaction_id": content.get("trade_no")}
    wanted = {name: value for name, value in by.items() if value}
    mine = Trade.objects.filter(platform="alipay", merchant_id=seller_of(given))
    trade = mine.filter(**wanted).first() if wanted else None
    if trade is None:
        raise Failure("ACQ.TRADE_NOT_EXIST", "交易不存在")
    return trade


def _status(trade: Trade) -> str:
    if trade.paid_at:
        # Wholly refunded, a trade is closed.
        if _refunded(trade) == trade.amount_fen:
            return "TRADE_CLOSED"
        return "TRADE_FINISHED" if trade.state == "FINISHED" else "TRADE_SUCCESS"
    if trade.state == "CLOSED" or trade.expires_at <= now():
        return "TRADE_CLOSED"
    return "WAIT_BUYER_PAY"


def _refunded(trade: Trade) -> int:
    return trade.refunds.aggregate(sum=Sum("amount_fen"))["sum"] or 0


def query(given: Fields) -> Fields:
    trade = _find(given)
    answer = {
        **GOOD,
        "out_trade_no": trade.out_trade_no,
        "trade_no": trade.transaction_id,
        "trade_status": _status(trade),
        "total_amount": yuan(trade.amount_fen),
        "buyer_open_id": trade.openid,
    }
    if trade.paid_at:
        answer["send_pay_date"] = local(trade.paid_at)
    return answer


def close(given: Fields) -> Fields:
    trade = _find(given)
    if trade.paid_at:
        raise Failure("ACQ.TRADE_STATUS_ERROR", "交易状态不合法")
    if _status(trade) == "TRADE_CLOSED":
        raise Failure("ACQ.TRADE_HAS_CLOSE", "交易已经关闭")
    Trade.objects.filter(pk=trade.pk, state="NOTPAY").update(state="CLOSED")
    return {**GOOD, "out_trade_no": trade.out_trade_no, "trade_no": trade.transaction_id}


def collect(trade: Trade) -> bool:
    """Move the customer's money, once, and tell the shop."""
    moment = now()
    waiting = Trade.objects.filter(pk=trade.pk, state="NOTPAY", expires_at__gt=moment)
    if not waiting.update(state="SUCCESS", paid_at=moment):
        return False
    trade.refresh_from_db()
    _tell(trade)
    return True


def _tell(trade: Trade, refund: Refund | None = None) -> None:
    """The form of a notice. After a refund the trade is told again, mostly as TRADE_SUCCESS."""
    if not trade.notify_url:
        return
    fields = {
        "notify_time": local(now()),
        "notify_type": "trade_status_sync",
        "app_id": trade.request["op_app_id"],
        "charset": "utf-8",
        "version": "1.0",
        "trade_no": trade.transaction_id,
        "out_trade_no": trade.out_trade_no,
        "buyer_open_id": trade.openid,
        "seller_id": trade.merchant_id,
        "trade_status": _status(trade),
        "total_amount": yuan(trade.amount_fen),
        "receipt_amount": yuan(trade.amount_fen),
        "buyer_pay_amount": yuan(trade.amount_fen),
        "subject": trade.request["subject"],
        "gmt_create": local(trade.made_at),
        "gmt_payment": local(trade.paid_at or now()),
    }
    if refund:
        fields["refund_fee"] = yuan(_refunded(trade))
        fields["gmt_refund"] = local(refund.made_at)
        fields["out_biz_no"] = refund.out_refund_no
    notify(trade.notify_url, fields["trade_status"], fields, platform="alipay")


# Refunds


def refund(given: Fields) -> Fields:
    content = content_of(given)
    trade = _find(given)
    amount_fen = fen(content.get("refund_amount"), "refund_amount")
    number = content.get("out_request_no") or trade.out_trade_no
    known = trade.refunds.filter(out_refund_no=number).first()
    if known and known.amount_fen != amount_fen:
        raise Failure("ACQ.DISCORDANT_REPEAT_REQUEST", "重复的请求参数不一致")
    is_new = known is None
    if is_new:
        if not trade.paid_at:
            raise Failure("ACQ.TRADE_STATUS_ERROR", "交易状态不合法")
        start_refund(trade, number, amount_fen, content)
    says_no_change = faults.take("alipay.refund", {"fund_change_n"}) is not None
    return {
        **GOOD,
        "out_trade_no": trade.out_trade_no,
        "trade_no": trade.transaction_id,
        "fund_change": "Y" if is_new and not says_no_change else "N",
        "refund_fee": yuan(_refunded(trade)),
    }


def start_refund(trade: Trade, number: str, amount_fen: int, asked: Fields) -> Refund:
    """Move the money back at once, and tell the shop. Raises Failure."""
    if trade.state == "FINISHED":
        raise Failure("ACQ.TRADE_HAS_FINISHED", "交易已完结")
    if amount_fen < 1 or _refunded(trade) + amount_fen > trade.amount_fen:
        raise Failure("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "退款金额超限")
    if not draw("alipay", amount_fen):
        raise Failure("ACQ.SELLER_BALANCE_NOT_ENOUGH", "商户的支付宝账户中无足够的资金进行撤销")
    made = Refund.objects.create(
        out_refund_no=number,
        trade=trade,
        request=asked,
        refund_id=secrets.token_hex(14),
        amount_fen=amount_fen,
        status="SUCCESS",
        settles_at=now(),
        succeeded_at=now(),
        made_at=now(),
    )
    Trade.objects.filter(pk=trade.pk).update(state="REFUND")
    _tell(trade, made)
    return made


def refund_query(given: Fields) -> Fields:
    """An unknown refund is a success without a status."""
    content = content_of(given)
    trade = _find(given)
    known = trade.refunds.filter(out_refund_no=content.get("out_request_no", "")).first()
    if known is None:
        return GOOD
    return {
        **GOOD,
        "out_trade_no": trade.out_trade_no,
        "trade_no": trade.transaction_id,
        "out_request_no": known.out_refund_no,
        "refund_amount": yuan(known.amount_fen),
        "total_amount": yuan(trade.amount_fen),
        "refund_status": "REFUND_SUCCESS",
    }
