"""WeChat Pay's trade bill: UTF-8, a backtick before each value, no quoting, a summary at the end.

(pay.weixin.qq.com: 申请交易账单, 交易账单格式.)
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from miniback.platforms.bills import (
    Line,
    bad_line,
    make_line,
    not_negative,
    read_heading,
    read_lines,
    read_text,
)
from miniback.platforms.contract import BillRow
from miniback.platforms.errors import BadBill

# Of a refund: the money is back, or on its way; or it stayed.
GOING_BACK = {"SUCCESS", "PROCESSING"}
STAYED = {"FAIL", "CHANGE", "CLOSED", "ABNORMAL"}
SUMMARY = "总交易单数"
# The same column has had several names, the newest first.
PAID = ("订单金额", "总金额")
REFUNDED = ("申请退款金额", "退款金额")
SUMS = (
    (("订单总金额", "总交易额"), PAID),
    (("申请退款总金额", "退款总金额", "总退款金额"), REFUNDED),
)


def read_wechatpay_bill(content: bytes) -> list[BillRow]:
    """Return the rows of a bill of type ALL, in the bill's order. Raises BadBill."""
    lines = read_lines(read_text(content))
    _number, heading = read_heading(lines, "微信订单号")
    rows: list[BillRow | None] = []
    sums = Counter[tuple[str, ...]]()
    failed = Counter[tuple[str, ...]]()
    for number, text in lines:
        if text.lstrip("`").startswith(SUMMARY):
            _check_summary(_summary(number, text, lines), len(rows), sums, failed)
            return [row for row in rows if row is not None]
        line = _line(number, text, heading)
        rows.append(_bill_row(line))
        for _totals, columns in SUMS:
            sums[columns] += line.fen_or_zero(*columns)
            failed[columns] += line.fen_or_zero(*columns) if _stayed(line) else 0
    raise BadBill("BAD_BILL", "no summary: the file is cut off")


def _summary(number: int, text: str, lines: Iterator[tuple[int, str]]) -> Line:
    """Its heading stands at ``number``, its row is the next line, and the last."""
    names = [name.strip("` \t") for name in text.split(",")]
    summary = _line(*next(lines, (number, "")), names)
    for after, _text in lines:
        raise bad_line(after, "something behind the summary")
    return summary


def _line(number: int, text: str, names: list[str]) -> Line:
    """A comma inside a value is followed by no backtick."""
    if not text.startswith("`"):
        raise bad_line(number, "does not begin with a backtick")
    return make_line(number, [value.strip() for value in text[1:].split(",`")], names)


def _check_summary(
    summary: Line,
    count: int,
    sums: Mapping[tuple[str, ...], int],
    failed: Mapping[tuple[str, ...], int],
) -> None:
    if summary.text(SUMMARY) != str(count):
        raise summary.bad(f"{summary.text(SUMMARY)[:20]} rows announced, {count} read")
    for totals, columns in SUMS:
        names = [name for name in totals if name in summary.values]
        # Whether refunds that failed are in the sum, the documents do not say.
        read = {sums[columns], sums[columns] - failed[columns]}
        if names and summary.fen(*names) not in read:
            announced = summary.fen(*names)
            raise summary.bad(f"{names[0]} {announced} fen announced, {sums[columns]} fen read")


def _stayed(line: Line) -> bool:
    return line.text("交易状态") == "REFUND" and line.text("退款状态") in STAYED


def _bill_row(line: Line) -> BillRow | None:
    """None for what moved no money."""
    _check_words(line)
    state = line.text("交易状态")
    # REVOKED: a payment that was taken back at the till.
    is_refund = state in {"REFUND", "REVOKED"}
    amount_fen = not_negative(line, line.fen(*(REFUNDED if is_refund else PAID)))
    if _stayed(line) or (state == "REVOKED" and amount_fen == 0):
        return None
    return BillRow(
        payment_number=line.text("商户订单号"),
        transaction_id=line.text("微信订单号"),
        refund_number=_number(line.text("商户退款单号")) if is_refund else "",
        amount_fen=amount_fen,
        at=line.moment("交易时间"),
        is_refund=is_refund,
        app_id=line.values.get("公众账号ID", ""),
        platform_refund_id=_number(line.values.get("微信退款单号", "")) if is_refund else "",
        line=line.number,
    )


def _check_words(line: Line) -> None:
    state, currency = line.text("交易状态"), line.values.get("货币种类", "CNY")
    if state not in {"SUCCESS", "REFUND", "REVOKED"}:
        raise line.bad(f"交易状态 {state[:20]}")
    if state == "REFUND" and line.text("退款状态") not in GOING_BACK | STAYED:
        raise line.bad(f"退款状态 {line.text('退款状态')[:20]}")
    if currency != "CNY":
        raise line.bad(f"货币种类 {currency[:20]}")


def _number(value: str) -> str:
    """Where there is none, WeChat Pay writes 0."""
    return "" if value == "0" else value
