"""What people do in the platforms' merchant consoles, and what time does to a trade."""

import secrets
from datetime import timedelta

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse

from miniback.sandbox import alipay_trades, refunds
from miniback.sandbox.alipay_content import Failure
from miniback.sandbox.models import Balance, Refund, Trade
from miniback.sandbox.phone import given, refuse


def _paid_trade(platform: str, number: object) -> Trade:
    paid = Trade.objects.filter(platform=platform).exclude(paid_at=None)
    trade = paid.filter(out_trade_no=str(number)).first()
    if trade is None:
        raise Http404
    return trade


@transaction.atomic
def refund(request: HttpRequest, platform: str) -> HttpResponse:
    """POST /console/{platform}/refunds/ {out_trade_no, amount_fen?, out_refund_no?, notify?}.

    Gives money back under a number of the console's own; without an amount all that is left. The
    shop is told, unless ``notify`` is false.
    """
    body = given(request)
    trade = _paid_trade(platform, body.get("out_trade_no"))
    number = str(body.get("out_refund_no") or "50" + secrets.token_hex(13))
    amount_fen = body.get("amount_fen", refunds.refundable_fen(trade))
    if not isinstance(amount_fen, int) or not 0 < amount_fen <= refunds.refundable_fen(trade):
        return refuse("more than is left, or nothing")
    if not body.get("notify", True):
        trade.notify_url = ""
    try:
        made = _start(trade, number, amount_fen)
    except Failure as failure:
        return refuse(failure.content["sub_code"])
    return JsonResponse({"out_refund_no": made.out_refund_no, "refund_id": made.refund_id})


def _start(trade: Trade, number: str, amount_fen: int) -> Refund:
    asked = {"from": "console"}
    if trade.platform == "alipay":
        return alipay_trades.start_refund(trade, number, amount_fen, asked)
    return refunds.start_refund(trade, number, amount_fen, trade.notify_url, asked)


def set_balance(request: HttpRequest, platform: str) -> HttpResponse:
    """POST /console/{platform}/balance/ {amount_fen}: what refunds are paid from; null: enough.

    What it cannot pay ends CLOSED at WeChat Pay, and is refused by Alipay.
    """
    amount_fen = given(request).get("amount_fen")
    if amount_fen is None:
        Balance.objects.filter(platform=platform).delete()
    elif isinstance(amount_fen, int):
        Balance.objects.update_or_create(platform=platform, defaults={"amount_fen": amount_fen})
    else:
        return refuse("amount_fen is a whole number")
    return JsonResponse({"amount_fen": amount_fen})


def age_trade(request: HttpRequest, platform: str) -> HttpResponse:
    """POST /console/{platform}/age/ {out_trade_no, days}: it was paid so many days earlier."""
    body = given(request)
    days = body.get("days")
    if not isinstance(days, int):
        return refuse("days is a whole number")
    trade = _paid_trade(platform, body.get("out_trade_no"))
    trade.made_at -= timedelta(days=days)
    trade.paid_at = trade.paid_at and trade.paid_at - timedelta(days=days)
    trade.save(update_fields=["made_at", "paid_at"])
    return JsonResponse({"aged": True})


def finish_trade(request: HttpRequest) -> HttpResponse:
    """POST /console/alipay/finish/ {out_trade_no}: TRADE_FINISHED, nothing can go back any more."""
    trade = _paid_trade("alipay", given(request).get("out_trade_no"))
    Trade.objects.filter(pk=trade.pk).update(state="FINISHED")
    return JsonResponse({"finished": True})
