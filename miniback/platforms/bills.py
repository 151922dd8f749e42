"""A day's bill as the platforms write it: CSV in yuan, one row a payment or refund (PLATFORMS B8).

WeChat Pay: UTF-8, a backtick before every value, a summary at the end. Alipay: a ZIP of files in
GB18030, comments behind ``#``, a tab behind every value, refunds negative. Columns are found by name.
"""

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation

from miniback.platforms.contract import BEIJING, BillRow
from miniback.platforms.errors import TryAgain

MAX_UNPACKED_BYTES = 256 * 1024 * 1024
# Of a refund in WeChat Pay's bill: the money is back, or on its way.
GOING_BACK = {"SUCCESS", "PROCESSING"}


def fen(text: str) -> int:
    """Whole fen of an amount in yuan. Raises TryAgain for anything that is not one."""
    try:
        amount = Decimal(text) * 100
    except (InvalidOperation, TypeError, ValueError) as error:
        raise TryAgain("BAD_ANSWER", "amount") from error
    if not amount.is_finite() or amount != amount.to_integral_value() or abs(amount) >= 10**13:
        raise TryAgain("BAD_ANSWER", "amount")
    return int(amount)


def read_wechatpay_bill(content: bytes) -> list[BillRow]:
    """The rows of a bill of type ALL. Raises TryAgain for what is none."""
    found = []
    for row in _table(_text(content, "utf-8-sig").splitlines(), "微信订单号"):
        values = {name: value.lstrip("`") for name, value in row.items()}
        is_refund = values["交易状态"] == "REFUND"
        if is_refund and values["退款状态"] not in GOING_BACK:
            continue
        amount = values["申请退款金额"] if is_refund else values["订单金额"]
        found.append(
            BillRow(
                payment_number=values["商户订单号"],
                transaction_id=values["微信订单号"],
                refund_number=values["商户退款单号"] if is_refund else "",
                amount_fen=fen(amount),
                at=_moment(values["交易时间"]),
                is_refund=is_refund,
                app_id=values.get("公众账号ID", ""),
                platform_refund_id=values["微信退款单号"] if is_refund else "",
            )
        )
    return found


def read_alipay_bill(content: bytes) -> list[BillRow]:
    """The rows of the trade bill's ZIP. Raises TryAgain for what is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            if sum(info.file_size for info in infos) > MAX_UNPACKED_BYTES:
                raise TryAgain("ANSWER_TOO_LONG", "bill")
            texts = [_text(archive.read(info), "gb18030") for info in infos]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise TryAgain("BAD_ANSWER", "bill") from error
    # The other file sums up by shop and has no order numbers.
    details = [text for text in texts if "商户订单号" in text]
    if len(details) != 1:
        raise TryAgain("BAD_ANSWER", "bill")
    lines = [line for line in details[0].splitlines() if not line.startswith("#")]
    return [_alipay_row(row) for row in _table(lines, "支付宝交易号")]


def _alipay_row(row: dict[str, str]) -> BillRow:
    is_refund = row["业务类型"] == "退款"
    return BillRow(
        payment_number=row["商户订单号"],
        transaction_id=row["支付宝交易号"],
        refund_number=row["退款批次号/请求号"] if is_refund else "",
        amount_fen=abs(fen(row["订单金额（元）"])),
        at=_moment(row["完成时间"]),
        is_refund=is_refund,
    )


def _table(lines: Iterable[str], must_have: str) -> Iterator[dict[str, str]]:
    """Rows below the heading, up to the next heading."""
    rows = csv.reader(lines)
    heading = [name.strip() for name in next(rows, [])]
    if must_have not in heading:
        raise TryAgain("BAD_ANSWER", "bill")
    for row in rows:
        if len(row) != len(heading):
            # The summary has other columns.
            return
        yield dict(zip(heading, (value.strip() for value in row), strict=True))


def _text(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise TryAgain("BAD_ANSWER", "bill") from error


def _moment(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING)
    except ValueError as error:
        raise TryAgain("BAD_ANSWER", "bill") from error
