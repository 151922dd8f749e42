"""api.weixin.qq.com/wxa/sec/order: shipping information; without it the money stays frozen (A8)."""

import re
from datetime import datetime, timedelta
from typing import Any

from miniback.sandbox.clock import iso, now
from miniback.sandbox.keys import keys
from miniback.sandbox.models import Shipping, Trade
from miniback.sandbox.notices import push
from miniback.sandbox.wechat_api import Fields, Refusal, with_token

UNIFIED, SPLIT = 1, 2
MOST_PARCELS = 10
# A payment is known here a little after it was made.
INDEXED_AFTER = timedelta(seconds=0)


@with_token("wechat.shipping")
def upload(given: Fields) -> None:
    """POST /wxa/sec/order/upload_shipping_info."""
    trade = _find(given.get("order_key"))
    if trade.openid != (given.get("payer") or {}).get("openid"):
        raise Refusal(10060031, "the payment is not of that openid")
    if trade.state == "REFUND" and _refunded(trade) >= trade.amount_fen:
        raise Refusal(10060004, "not in a state to be shipped")
    mode, parcels = given.get("delivery_mode"), given.get("shipping_list")
    if given.get("logistics_type") != 1 or mode not in {UNIFIED, SPLIT}:
        raise Refusal(268485194, "wrong enum")
    if not isinstance(parcels, list) or not parcels:
        raise Refusal(268485224, "no shipping_list")
    if mode == UNIFIED and len(parcels) != 1:
        raise Refusal(268485228, "unified delivery has one package")
    if mode == SPLIT and not isinstance(given.get("is_all_delivered"), bool):
        raise Refusal(10060007, "is_all_delivered is missing")
    if len(parcels) > MOST_PARCELS:
        raise Refusal(10060024, "too many packages")
    for parcel in parcels:
        _check_parcel(parcel)
    _check_time(given.get("upload_time"))
    _record(trade, mode, parcels, is_finished=mode == UNIFIED or given["is_all_delivered"])


def _find(key: Any) -> Trade:
    key = key if isinstance(key, dict) else {}
    by: Fields = {}
    if key.get("order_number_type") == 1:
        by = {"out_trade_no": key.get("out_trade_no"), "merchant_id": key.get("mchid")}
    elif key.get("order_number_type") == 2:
        by = {"transaction_id": key.get("transaction_id")}
    paid = Trade.objects.filter(platform="wechat", paid_at__lte=now() - INDEXED_AFTER)
    trade = paid.filter(**by).first() if by else None
    if trade is None:
        raise Refusal(10060001, "the payment does not exist")
    return trade


def _refunded(trade: Trade) -> int:
    return sum(trade.refunds.filter(status="SUCCESS").values_list("amount_fen", flat=True))


def _check_parcel(parcel: Any) -> None:
    parcel = parcel if isinstance(parcel, dict) else {}
    item = parcel.get("item_desc")
    if not item:
        raise Refusal(10060020, "item_desc is missing")
    if len(item) > 120:
        raise Refusal(10060009, "item_desc is too long")
    if not parcel.get("tracking_no") or not parcel.get("express_company"):
        raise Refusal(268485226, "tracking_no and express_company are needed")
    contact = (parcel.get("contact") or {}).get("receiver_contact", "")
    if parcel["express_company"] == "SF" and not re.fullmatch(r"\+?[0-9 ]*\*+[0-9]{4}", contact):
        raise Refusal(268485227, "SF needs a masked contact")


def _check_time(text: Any) -> None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise Refusal(268485216, "upload_time is not RFC 3339") from error
    if moment.tzinfo is None or text.endswith("Z"):
        raise Refusal(268485216, "upload_time is not RFC 3339")


def _record(trade: Trade, mode: int, parcels: list[Fields], *, is_finished: bool) -> None:
    """Repeating a part adds to it; after the end, or in another mode, it is the one re-shipping."""
    known = Shipping.objects.filter(trade=trade).first()
    if known is None:
        known = Shipping(trade=trade, mode=mode)
    elif known.is_finished or known.mode != mode:
        if known.parcels == parcels and known.mode == mode:
            raise Refusal(10060023, "nothing has changed")
        if known.reships:
            raise Refusal(10060003, "shipped again before")
        known.reships, known.parcels, known.mode = 1, [], mode
    numbers = {parcel["tracking_no"] for parcel in parcels}
    kept = [parcel for parcel in known.parcels if parcel["tracking_no"] not in numbers]
    known.parcels, known.is_finished, known.uploaded_at = [*kept, *parcels], is_finished, now()
    known.save()
    if is_finished:
        push("trade_manage_order_settlement", trade.openid, settlement(trade))


def settlement(trade: Trade) -> Fields:
    """Pushed twice: when shipped, and when the money is let go."""
    shipping = trade.shipping
    told: Fields = {
        "transaction_id": trade.transaction_id,
        "merchant_id": trade.merchant_id,
        "merchant_trade_no": trade.out_trade_no,
        "pay_time": int(trade.paid_at.timestamp()) if trade.paid_at else 0,
        "shipped_time": int(shipping.uploaded_at.timestamp()),
    }
    if shipping.confirmed_at:
        moment = int(shipping.confirmed_at.timestamp())
        return told | {"confirm_receive_time": moment, "settlement_time": moment}
    return told | {"estimated_settlement_time": int((now() + timedelta(days=10)).timestamp())}


@with_token("wechat.shipping_query")
def get_order(given: Fields) -> Fields:
    """POST /wxa/sec/order/get_order {transaction_id} or {merchant_id, merchant_trade_no}."""
    by = {
        "transaction_id": given.get("transaction_id"),
        "out_trade_no": given.get("merchant_trade_no"),
    }
    wanted = {name: value for name, value in by.items() if value}
    paid = Trade.objects.filter(platform="wechat").exclude(paid_at=None)
    trade = paid.filter(**wanted).first() if wanted else None
    if trade is None:
        raise Refusal(10060001, "the payment does not exist")
    return {"order": describe(trade)}


@with_token("wechat.shipping_query")
def get_order_list(given: Fields) -> Fields:
    """POST /wxa/sec/order/get_order_list {order_state?, openid?, last_index?, page_size?}."""
    paid = Trade.objects.filter(platform="wechat").exclude(paid_at=None).order_by("-id")
    if given.get("openid"):
        paid = paid.filter(openid=given["openid"])
    size, last = given.get("page_size", 100), given.get("last_index") or None
    if not isinstance(size, int) or not 1 <= size <= 100:
        raise Refusal(268485194, "page_size")
    if last is not None:
        if not str(last).isdigit():
            raise Refusal(268485194, "last_index")
        paid = paid.filter(id__lt=int(last))
    rows = list(paid[: size + 1])
    described = [describe(trade) for trade in rows[:size]]
    wanted = given.get("order_state")
    return {
        "order_list": [one for one in described if wanted in (None, one["order_state"])],
        "has_more": len(rows) > size,
        "last_index": str(rows[:size][-1].pk) if rows else "",
    }


@with_token("wechat.shipping_query")
def remind_to_confirm(given: Fields) -> None:
    """POST /wxa/sec/order/notify_confirm_receive: once.

    ``{"transaction_id" or "merchant_trade_no", "received_time"}``
    """
    by = {
        "transaction_id": given.get("transaction_id"),
        "out_trade_no": given.get("merchant_trade_no"),
    }
    wanted = {f"trade__{name}": value for name, value in by.items() if value}
    known = Shipping.objects.filter(is_finished=True, **wanted).first() if wanted else None
    if known is None:
        raise Refusal(10060004, "not in a state to be confirmed")
    if not isinstance(given.get("received_time"), int):
        raise Refusal(268485216, "received_time")
    if not Shipping.objects.filter(pk=known.pk, is_reminded=False).update(is_reminded=True):
        raise Refusal(10060023, "the customer was reminded before")


def describe(trade: Trade) -> Fields:
    shipping = Shipping.objects.filter(trade=trade).first()
    state = 1
    if shipping and shipping.is_finished:
        state = 3 if shipping.confirmed_at else 2
    if _refunded(trade) >= trade.amount_fen:
        state = 5
    return {
        "transaction_id": trade.transaction_id,
        "merchant_id": trade.merchant_id,
        "merchant_trade_no": trade.out_trade_no,
        "openid": trade.openid,
        "paid_amount": trade.amount_fen,
        "order_state": state,
        "in_complaint": False,
        "shipping": {
            "delivery_mode": shipping.mode if shipping else 0,
            "finish_shipping": bool(shipping and shipping.is_finished),
            "finish_shipping_count": shipping.reships + 1 if shipping else 0,
            "shipping_list": shipping.parcels if shipping else [],
            "upload_time": iso(shipping.uploaded_at) if shipping else "",
        },
    }


@with_token("wechat.shipping_query")
def is_managed(given: Fields) -> Fields:
    """POST /wxa/sec/order/is_trade_managed {appid}."""
    return {"is_trade_managed": given.get("appid") == keys().app_id}
