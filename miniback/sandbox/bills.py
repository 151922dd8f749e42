"""The day's bill of both payment platforms, and ways to be wrong about it (PLATFORMS B8)."""

import csv
import hashlib
import io
import secrets
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse

from miniback.sandbox import faults
from miniback.sandbox.clock import now
from miniback.sandbox.faults import faulty
from miniback.sandbox.merchant import PayError, merchant_of, merchant_only, need
from miniback.sandbox.models import BillFile, Refund, Trade

BEIJING = ZoneInfo("Asia/Shanghai")
URL_LIFETIME = timedelta(minutes=5)
_WECHAT_HEADING = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,"
    "货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,"
    "商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
)
WECHAT_COLUMNS = _WECHAT_HEADING.split(",")
WECHAT_SUMMARY = (
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
)
_ALIPAY_HEADING = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,"
    "订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,"
    "券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)
ALIPAY_COLUMNS = _ALIPAY_HEADING.split(",")


class Move(NamedTuple):
    """Money in, or back (``refund`` is then there)."""

    at: datetime
    trade: Trade
    refund: Refund | None
    amount_fen: int
    app_id: str = ""  # if it is not the shop's


def _moves(platform: str, day: str, merchant_id: str) -> list[Move]:
    """What a merchant's money did on a day of Beijing, spoiled if a fault says so."""
    begin = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=BEIJING)
    span = (begin, begin + timedelta(days=1) - timedelta(microseconds=1))
    mine = Trade.objects.filter(platform=platform, merchant_id=merchant_id)
    trades = mine.filter(paid_at__range=span)
    refunds = Refund.objects.filter(trade__in=mine, succeeded_at__range=span)
    moves = [Move(row.paid_at or begin, row, None, row.amount_fen) for row in trades.order_by("id")]
    moves += [
        Move(row.succeeded_at or begin, row.trade, row, row.amount_fen)
        for row in refunds.select_related("trade").order_by("id")
    ]
    target = {"wechat": "wechatpay.bill", "alipay": "alipay.bill"}[platform]
    return list(_spoiled(target, moves))


def _spoiled(target: str, moves: list[Move]) -> Iterator[Move]:
    """`row_missing` leaves one out, `row_differs` adds a fen, `row_added` invents a payment.

    `row_of_other_app` invents one of another app of the same merchant.
    """
    missing, differs, added, foreign = (
        faults.take(target, {kind})
        for kind in ("row_missing", "row_differs", "row_added", "row_of_other_app")
    )
    for place, move in enumerate(moves):
        if missing and place == 0:
            continue
        yield move._replace(amount_fen=move.amount_fen + bool(differs and place == 1))
    if added and moves:
        yield _invented(moves[0])
    if foreign and moves:
        yield _invented(moves[0])._replace(app_id="wx" + secrets.token_hex(8))


def _invented(like: Move) -> Move:
    trade = Trade(
        merchant_id=like.trade.merchant_id,
        out_trade_no="X" + secrets.token_hex(10).upper(),
        transaction_id=secrets.token_hex(14),
        openid=like.trade.openid,
        request=like.trade.request,
        made_at=like.at,
    )
    return like._replace(trade=trade, refund=None)


def _yuan(amount_fen: int) -> str:
    return f"{amount_fen // 100}.{amount_fen % 100:02d}"


def _local(moment: datetime) -> str:
    return moment.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")


# WeChat Pay


@faulty("wechatpay.bill")
@merchant_only("GET")
def tradebill(request: HttpRequest) -> HttpResponse:
    """GET /v3/bill/tradebill?bill_date=&bill_type=ALL. The address is good for five minutes."""
    day = request.GET.get("bill_date", "")
    need(request.GET.get("bill_type", "ALL") == "ALL", "bill_type")
    _check_day(day)
    moves = _moves("wechat", day, merchant_of(request).mch_id)
    if not moves:
        raise PayError(400, "NO_STATEMENT_EXIST", "no trades on that day")
    content = _wechat_csv(moves)
    digest = hashlib.sha1(content).hexdigest()  # noqa: S324
    if faults.take("wechatpay.bill", {"wrong_hash"}):
        digest = digest[::-1]
    file = BillFile.objects.create(token=secrets.token_urlsafe(16), content=content, made_at=now())
    url = request.build_absolute_uri(f"/v3/billdownload/file?token={file.token}")
    return JsonResponse({"hash_type": "SHA1", "hash_value": digest, "download_url": url})


def _check_day(day: str) -> None:
    try:
        wanted = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=BEIJING)
    except ValueError as error:
        raise PayError(400, "PARAM_ERROR", "bill_date") from error
    # The day must be over; the platform itself is ready at nine.
    if wanted + timedelta(days=1) > now():
        raise PayError(400, "STATEMENT_CREATING", "come back later")


@merchant_only("GET")
def download(request: HttpRequest) -> HttpResponse:
    """GET /v3/billdownload/file?token=."""
    return HttpResponse(_file(request), content_type="application/octet-stream")


def _file(request: HttpRequest) -> bytes:
    files = BillFile.objects.filter(made_at__gt=now() - URL_LIFETIME)
    file = files.filter(token=request.GET.get("token", "")).first()
    if file is None:
        raise Http404
    return bytes(file.content)


def _wechat_csv(moves: list[Move]) -> bytes:
    """A backtick before each value and no quotes, whatever stands in a product's name."""
    lines = [",".join(WECHAT_COLUMNS)]
    for at, trade, refund, amount_fen, app_id in moves:
        row = {
            "交易时间": _local(at),
            "公众账号ID": app_id or trade.request["appid"],
            "商户号": trade.merchant_id,
            "特约商户号": "0",
            "微信订单号": trade.transaction_id,
            "商户订单号": trade.out_trade_no,
            "用户标识": trade.openid,
            "交易类型": "JSAPI",
            "交易状态": "REFUND" if refund else "SUCCESS",
            "付款银行": "OTHERS",
            "货币种类": "CNY",
            "应结订单金额": _yuan(0 if refund else amount_fen),
            "微信退款单号": refund.refund_id if refund else "0",
            "商户退款单号": refund.out_refund_no if refund else "0",
            "退款金额": _yuan(amount_fen if refund else 0),
            "退款类型": "ORIGINAL" if refund else "",
            "退款状态": "SUCCESS" if refund else "",
            "代金券金额": "0.00",
            "充值券退款金额": "0.00",
            "商品名称": str(trade.request["description"]),
            "手续费": "0.00000",
            "费率": "0.60%",
            "订单金额": _yuan(0 if refund else amount_fen),
            "申请退款金额": _yuan(amount_fen if refund else 0),
        }
        lines.append(",".join(f"`{row.get(name, '')}" for name in WECHAT_COLUMNS))
    paid = sum(move.amount_fen for move in moves if not move.refund)
    back = sum(move.amount_fen for move in moves if move.refund)
    sums = [str(len(moves)), _yuan(paid), _yuan(back), "0.00", "0.00000", _yuan(paid), _yuan(back)]
    lines += [WECHAT_SUMMARY, ",".join(f"`{value}" for value in sums), ""]
    return ("\ufeff" + "\r\n".join(lines)).encode()


# Alipay


def alipay_bill(request: HttpRequest, day: str, seller_id: str) -> str | None:
    """The address of a day's ZIP; None if nothing moved."""
    moves = _moves("alipay", day, seller_id)
    if not moves:
        return None
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        name = f"{seller_id}0156_{day.replace('-', '')}"
        archive.writestr(f"{name}_业务明细.csv", _alipay_csv(moves, day, seller_id))
        archive.writestr(f"{name}_业务明细(汇总).csv", "#支付宝业务汇总查询\r\n".encode("gb18030"))
    file = BillFile.objects.create(
        token=secrets.token_urlsafe(16), content=packed.getvalue(), made_at=now()
    )
    return request.build_absolute_uri(f"/alipay/bill?token={file.token}")


def alipay_download(request: HttpRequest) -> HttpResponse:
    """GET /alipay/bill?token=: the ZIP, for whoever has the address."""
    return HttpResponse(_file(request), content_type="application/zip")


def _alipay_csv(moves: list[Move], day: str, seller_id: str) -> bytes:
    out = io.StringIO()
    out.write(f"#支付宝业务明细查询\r\n#账号：[{seller_id}0156]\r\n")
    out.write(f"#起始日期：[{day} 00:00:00]   终止日期：[{day} 23:59:59]\r\n")
    out.write(f"#{'-' * 41}业务明细列表{'-' * 40}\r\n")
    writer = csv.DictWriter(out, ALIPAY_COLUMNS, restval="")
    writer.writeheader()
    for at, trade, refund, amount_fen, _app_id in moves:
        signed = f"-{_yuan(amount_fen)}" if refund else _yuan(amount_fen)
        row = {
            "支付宝交易号": trade.transaction_id,
            "商户订单号": trade.out_trade_no,
            "业务类型": "退款" if refund else "交易",
            "商品名称": str(trade.request["subject"]),
            "创建时间": _local(trade.made_at),
            "完成时间": _local(at),
            "对方账户": trade.openid,
            "订单金额（元）": signed,
            "商家实收（元）": signed,
            "退款批次号/请求号": refund.out_refund_no if refund else "",
        }
        writer.writerow({name: f"{value}\t" for name, value in row.items()})
    out.write(f"#{'-' * 41}业务明细列表结束{'-' * 36}\r\n")
    for label, back in (
        ("#交易合计：{}笔，商家实收共{}元", False),
        ("#退款合计：{}笔，商家实收退款共-{}元", True),
    ):
        amounts = [move.amount_fen for move in moves if bool(move.refund) is back]
        out.write(label.format(len(amounts), _yuan(sum(amounts))) + "，商家优惠共0.00元\r\n")
    out.write(f"#导出时间：[{_local(now())}]\r\n")
    return out.getvalue().encode("gb18030")
