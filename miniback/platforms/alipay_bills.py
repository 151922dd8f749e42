"""Alipay's trade bill: a ZIP of CSV files, mostly in GB18030, comments and the summary behind ``#``.

Values may be quoted or followed by tabs. (alipay.data.dataservice.bill.downloadurl.query, 业务明细.)
"""

import csv
import io
import re
import zipfile
from collections import Counter
from collections.abc import Mapping

from miniback.platforms.bills import (
    TIME,
    Line,
    bad_line,
    make_line,
    not_negative,
    read_fen,
    read_heading,
    read_lines,
    read_text,
)
from miniback.platforms.contract import BillRow
from miniback.platforms.errors import BadBill

MAX_UNPACKED_BYTES = 256 * 1024 * 1024
REFUND_NUMBER = ("退款批次号/请求号", "退款批次号", "退款请求号")
NET = "商家实收"
# By whether they are about refunds: how many rows, and what the seller got or gave.
TOTALS = {
    False: re.compile(r"交易合计[:：]\s*(\d+)\s*笔(?:.*?商家实收共\s*(-?[\d.,]+)\s*元)?"),
    True: re.compile(r"退款合计[:：]\s*(\d+)\s*笔(?:.*?商家实收退款共\s*(-?[\d.,]+)\s*元)?"),
}
COMMENTS = ("#", "交易合计", "退款合计", "导出时间")
# Where a product's name stands in every known heading.
NAME_AND_TIMES = ["商品名称", "创建时间", "完成时间"]


def read_alipay_bill(content: bytes) -> list[BillRow]:
    """Return the rows of the trade bill's ZIP, in the bill's order. Raises BadBill."""
    # The other file sums up by shop and has no order numbers.
    details = [text for text in _unpack(content) if "商户订单号" in text]
    if not details:
        raise BadBill("BAD_BILL", "no file with order numbers in the ZIP")
    return [row for text in details for row in _read(text)]


def _unpack(content: bytes) -> list[str]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            if sum(info.file_size for info in infos) > MAX_UNPACKED_BYTES:
                raise BadBill("BAD_BILL", "too long")
            return [read_text(archive.read(info)) for info in infos]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise BadBill("BAD_BILL", "no ZIP") from error


def _read(text: str) -> list[BillRow]:
    lines = read_lines(text)
    body = (numbered for numbered in lines if not numbered[1].startswith(COMMENTS))
    _number, heading = read_heading(body, "支付宝交易号")
    rows: list[BillRow] = []
    # What the seller got and gave; the footer may say it.
    net = Counter[bool]()
    for number, line in lines:
        if line.startswith(COMMENTS):
            _check_total(number, line, rows, net if NET in heading else None)
            continue
        values = _line(number, line, heading)
        row = _bill_row(values)
        rows.append(row)
        net[row.is_refund] += values.fen_or_zero(NET) if NET in heading else 0
    return rows


def _line(number: int, text: str, names: list[str]) -> Line:
    """Whether names are quoted the documents do not say; both ways are tried."""
    try:
        # A lone return is no line's end here, which csv would take it for.
        quoted = next(csv.reader([text.replace("\r", " ")]))
    except csv.Error as error:
        raise bad_line(number, str(error)) from error
    for values in (quoted, _join_name(text.split(","), names)):
        if len(values) == len(names):
            return make_line(number, [value.strip() for value in values], names)
    return make_line(number, quoted, names)


def _join_name(values: list[str], names: list[str]) -> list[str]:
    """Put a product's name together that was cut at its commas: two times follow it."""
    extra = len(values) - len(names)
    if extra <= 0 or names[3:6] != NAME_AND_TIMES:
        return values
    times = values[4 + extra : 6 + extra]
    if not all(TIME.fullmatch(value.strip()) for value in times):
        return values
    return [*values[:3], ",".join(values[3 : 4 + extra]), *values[4 + extra :]]


def _bill_row(line: Line) -> BillRow:
    kind, amount_fen = line.text("业务类型"), line.fen("订单金额")
    is_refund = kind.startswith("退款")
    if not is_refund and not kind.startswith("交易"):
        raise line.bad(f"业务类型 {kind[:20]}")
    return BillRow(
        payment_number=line.text("商户订单号"),
        transaction_id=line.text("支付宝交易号"),
        refund_number=line.text(*REFUND_NUMBER) if is_refund else "",
        amount_fen=abs(amount_fen) if is_refund else not_negative(line, amount_fen),
        at=line.moment("完成时间"),
        is_refund=is_refund,
        line=line.number,
    )


def _check_total(
    number: int, text: str, rows: list[BillRow], net: Mapping[bool, int] | None
) -> None:
    for is_refund, pattern in TOTALS.items():
        match = pattern.search(text)
        if match is None:
            continue
        count = sum(row.is_refund is is_refund for row in rows)
        if int(match[1]) != count:
            raise bad_line(number, f"{match[1][:20]} rows announced, {count} read")
        if match[2] is None or net is None:
            continue
        announced = abs(read_fen(number, match[2]))
        if announced != abs(net[is_refund]):
            raise bad_line(
                number, f"{NET} {announced} fen announced, {abs(net[is_refund])} fen read"
            )
