# ruff: noqa: E501  (a bill is wide)
"""Bills as they are found in the world: written by hand, never by our own sandbox."""

import io
import zipfile
from datetime import datetime

import pytest

from miniback.platforms.alipay_bills import read_alipay_bill
from miniback.platforms.contract import BEIJING, BillRow
from miniback.platforms.errors import BadBill
from miniback.platforms.wechatpay_bills import read_wechatpay_bill

HEADING = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注"
)
PAYMENT = (
    "`2026-11-24 10:00:0{n},`wx2421b1c4370ec43b,`1900000001,`0,`,`420000000{n},`P{n},`oUpF8uMuAJO_M2,`JSAPI,`SUCCESS,"
    "`CMB_DEBIT,`CNY,`10.00,`0.00,`0,`0,`0.00,`0.00,`,`,`{name},`,`0.06000,`0.60%,`10.00,`0.00,`"
)
REFUND = (
    "`2026-11-24 11:00:0{n},`wx2421b1c4370ec43b,`1900000001,`0,`,`420000000{n},`P{n},`oUpF8uMuAJO_M2,`JSAPI,`REFUND,"
    "`CMB_DEBIT,`CNY,`0.00,`0.00,`5030000000{n},`R{n},`4.00,`0.00,`ORIGINAL,`{status},`茶,`,`-0.02000,`0.60%,`0.00,`4.00,`"
)
SUMMARY = (
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
)


def payment(n: int, name: str = "龙井绿茶") -> str:
    return PAYMENT.format(n=n, name=name)


def refund(n: int, status: str = "SUCCESS") -> str:
    return REFUND.format(n=n, status=status)


def wechat(*rows: str, heading: str = HEADING, summary: str = "", end: str = "\r\n") -> bytes:
    paid, back = (
        sum(f"`{state}," in row for row in rows) for state in ("SUCCESS,`CMB_DEBIT", "REFUND")
    )
    total = summary or (
        f"{SUMMARY}{end}`{len(rows)},`{paid}0.00,`{4 * back}.00,`0.00,`0.12000,`{paid}0.00,`{4 * back}.00"
    )
    return ("\ufeff" + end.join([heading, *rows, total, ""])).encode()


def numbers(rows: list[BillRow]) -> list[tuple[str, str, int]]:
    return [(row.payment_number, row.refund_number, row.amount_fen) for row in rows]


def test_wechatpay_bill_reads_every_column_it_needs() -> None:
    assert read_wechatpay_bill(wechat(payment(1), refund(1))) == [
        BillRow(
            payment_number="P1",
            transaction_id="4200000001",
            refund_number="",
            amount_fen=1000,
            at=datetime(2026, 11, 24, 10, 0, 1, tzinfo=BEIJING),
            is_refund=False,
            app_id="wx2421b1c4370ec43b",
            platform_refund_id="",
            line=2,
        ),
        BillRow(
            payment_number="P1",
            transaction_id="4200000001",
            refund_number="R1",
            amount_fen=400,
            at=datetime(2026, 11, 24, 11, 0, 1, tzinfo=BEIJING),
            is_refund=True,
            app_id="wx2421b1c4370ec43b",
            platform_refund_id="50300000001",
            line=3,
        ),
    ]


UGLY_NAMES = [
    "围巾,手套", ",", ",,,", '大号"茶壶"', '"', '"茶,壶', "Tea\u2028green", "Tea\x85green", "a\x0bb", "a\x0cb", "a\rb",
    "a\x00b", "a\x1cb\x1db\x1eb", "`", "茶`壶", "'=1+1", "总交易单数", " ", "", "🍵", "x" * 4000,
]  # fmt: skip


@pytest.mark.parametrize("name", UGLY_NAMES)
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_wechatpay_bill_reads_on_behind_any_name(name: str, end: str) -> None:
    rows = read_wechatpay_bill(wechat(payment(1), payment(2, name), payment(3), end=end))
    assert [row.payment_number for row in rows] == ["P1", "P2", "P3"]
    assert [row.line for row in rows] == [2, 3, 4]


def test_wechatpay_bill_of_nothing_is_empty() -> None:
    assert read_wechatpay_bill(wechat()) == []


def test_wechatpay_bill_keeps_two_rows_of_one_number() -> None:
    assert numbers(read_wechatpay_bill(wechat(payment(1), payment(1), refund(1), refund(1)))) == [
        ("P1", "", 1000), ("P1", "", 1000), ("P1", "R1", 400), ("P1", "R1", 400),
    ]  # fmt: skip


def test_wechatpay_bill_names_other_apps() -> None:
    other = payment(2).replace("wx2421b1c4370ec43b", "wx0000000000000002")
    rows = read_wechatpay_bill(wechat(payment(1), other))
    assert [row.app_id for row in rows] == ["wx2421b1c4370ec43b", "wx0000000000000002"]


@pytest.mark.parametrize("status", ["FAIL", "CHANGE", "CLOSED", "ABNORMAL"])
def test_wechatpay_bill_leaves_out_refunds_that_did_not_arrive(status: str) -> None:
    content = wechat(payment(1), refund(1, status), refund(2, "PROCESSING"))
    assert numbers(read_wechatpay_bill(content)) == [("P1", "", 1000), ("P2", "R2", 400)]
    without = content.replace(
        b"`8.00,`0.00,`0.12000,`10.00,`8.00", b"`4.00,`0.00,`0.12000,`10.00,`4.00"
    )
    assert len(read_wechatpay_bill(without)) == 2


def test_wechatpay_bill_takes_a_revoked_payment_for_money_back() -> None:
    revoked = refund(1).replace("`REFUND,", "`REVOKED,")
    of_nothing = payment(2).replace("`SUCCESS,", "`REVOKED,").replace("`10.00", "`0.00")
    total = f"{SUMMARY}\r\n`3,`10.00,`4.00,`0.00,`0,`10.00,`4.00"
    rows = read_wechatpay_bill(wechat(payment(1), revoked, of_nothing, summary=total))
    assert [(row.is_refund, row.payment_number, row.amount_fen) for row in rows] == [
        (False, "P1", 1000),
        (True, "P1", 400),
    ]


def test_wechatpay_bill_takes_no_number_for_none() -> None:
    (row,) = read_wechatpay_bill(
        wechat(refund(1).replace("`R1,", "`0,").replace("`50300000001,", "`,"))
    )
    assert (row.is_refund, row.refund_number, row.platform_refund_id) == (True, "", "")


OLD_HEADING = (
    "交易时间,公众账号ID,商户号,子商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,总金额,"
    "企业红包金额,微信退款单号,商户退款单号,退款金额,企业红包退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率"
)
OLD_BILL = (
    "`2014-11-10 16:33:45,`wx2421b1c4370ec43b,`10000100,`0,`1000,`1001690740201411100005734289,`1415640626,`085e9858e3ba,"
    "`MICROPAY,`SUCCESS,`CFT,`CNY,`0.01,`0.0,`0,`0,`0,`0,`,`,`被扫支付测试,`订单额外描述,`0,`0.60%\n"
    "`2014-11-10 16:46:14,`wx2421b1c4370ec43b,`10000100,`0,`1000,`1002780740201411100005729794,`1415635270,`085e9858e90c,"
    "`MICROPAY,`REFUND,`CFT,`CNY,`0.00,`0.0,`2008450740201411110000174436,`1415701182,`0.01,`0,`ORIGINAL,`SUCCESS,"
    "`被扫,支付测试,`订单额外描述,`0,`0.60%\n"
    "总交易单数,总交易额,总退款金额,总企业红包退款金额,手续费总金额\n"
    "`2,`0.01,`0.01,`0.0,`0"
)


def test_wechatpay_bill_of_older_days_is_read() -> None:
    assert numbers(read_wechatpay_bill(f"{OLD_HEADING}\n{OLD_BILL}".encode())) == [
        ("1415640626", "", 1),
        ("1415635270", "1415701182", 1),
    ]


def test_wechatpay_bill_is_read_by_its_columns_names() -> None:
    """In any order, with new columns, and with no more than is needed."""
    content = (
        "`新列,`退款状态,`申请退款金额,`商户退款单号,`订单金额,`交易状态,`商户订单号,`微信订单号,`交易时间\n"
        "`x,y,`,`0.00,`0,`1,234.56,`SUCCESS,`P1,`42,`2026-11-24 10:00:00\n"
        "总交易单数\n`1\n"
    )
    (row,) = read_wechatpay_bill(content.encode())
    assert (row.payment_number, row.amount_fen, row.app_id, row.line) == ("P1", 123456, "", 2)


def without_column(name: str) -> bytes:
    place = HEADING.split(",").index(name)
    heading = ",".join(one for one in HEADING.split(",") if one != name)
    values = payment(1)[1:].split(",`")
    return wechat("`" + ",`".join(values[:place] + values[place + 1 :]), heading=heading)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (wechat(payment(1), payment(2) + ",`"), "line 3: 28 values, 27 columns"),
        (wechat(payment(1), payment(2).rsplit(",`", 1)[0]), "line 3: 26 values, 27 columns"),
        (wechat(payment(1), payment(2, "茶,`壶")), "line 3: 28 values"),
        (wechat(payment(1), payment(2, "茶\n壶"), payment(3)), "line 3: 21 values"),
        (wechat(payment(1), "something else"), "line 3: does not begin with a backtick"),
        (wechat(payment(1)[1:]), "line 2: does not begin with a backtick"),
        (wechat(payment(1), payment(2).replace("`SUCCESS", "`USERPAYING")), "line 3: 交易状态 USERPAYING"),
        (wechat(refund(1, "LATER")), "line 2: 退款状态 LATER"),
        (wechat(payment(1).replace("CNY", "USD")), "line 2: 货币种类 USD"),
        (wechat(payment(1).replace("2026-11-24", "2026-13-24")), "line 2: 交易时间 is no time"),
        (wechat(payment(1).replace("2026-11-24 ", "")), "line 2: 交易时间 is no time"),
        (wechat(payment(1).replace("`10.00,`0.00,`", "`ten,`0.00,`")), "line 2: 'ten' is no amount"),
        (wechat(payment(1).replace("`10.00,`0.00,`", "`1e3,`0.00,`")), "line 2: '1e3' is no amount"),
        (wechat(payment(1).replace("`10.00,`0.00,`", "`10.001,`0.00,`")), "line 2: '10.001' is no amount"),
        (wechat(payment(1), summary=f"{SUMMARY}\r\n`2,`10.00,`0.00,`0.00,`0,`10.00,`0.00"), "2 rows announced, 1 read"),
        (wechat(payment(1), summary=f"{SUMMARY}\r\n`1,`10.00,`0.00,`0.00,`0,`10.01,`0.00"), "1001 fen announced, 1000 fen"),
        (wechat(payment(1), summary=f"{SUMMARY}\r\n`1,`10.00,`0.00,`0.00,`0,`10.00,`0.01"), "1 fen announced, 0 fen"),
        (wechat(payment(1), summary=f"{SUMMARY}\r\n`1,`10.00"), "2 values, 7 columns"),
        (wechat(payment(1), summary=SUMMARY), "line 3: does not begin"),
        (wechat(payment(1), summary=payment(2)), "no summary"),
        (wechat(payment(1)) + payment(2).encode(), "line 5: something behind the summary"),
        (without_column("微信订单号"), "line 1: no column 微信订单号"),
        (without_column("商户订单号"), "no column 商户订单号"),
        (without_column("订单金额"), "no column 订单金额"),
        (without_column("交易状态"), "no column 交易状态"),
        (wechat(heading=HEADING + ",商户订单号"), "twice"),
        (b"", "empty"),
        (b"\xff\xff", "neither UTF-8 nor GB18030"),
        (b'{"code": "SYSTEM_ERROR"}', "line 1: no column"),
    ],
)  # fmt: skip
def test_wechatpay_bill_that_cannot_be_read_names_the_line(content: bytes, said: str) -> None:
    with pytest.raises(BadBill, match=said):
        read_wechatpay_bill(content)


# Alipay

DETAILS = (
    "#支付宝业务明细查询\r\n"
    "#账号：[20881234567890120156]\r\n"
    "#起始日期：[2026年11月24日 00:00:00]   终止日期：[2026年11月25日 00:00:00]\r\n"
    "#-----------------------------------------业务明细列表----------------------------------------\r\n"
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,"
    "商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,"
    "卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注\r\n"
    "2026112422001\t,P1\t,交易,{name},2026-11-24 10:00:00,2026-11-24 10:00:05,,,,,**明(138****0000),19.90,19.90,0.00,0.00,"
    "0.00,0.00,0.00,,0.00,0.00,,-0.12,0.00,\r\n"
    "2026112422002\t,P2\t,交易,茶壶\t,2026-11-24 10:01:00,2026-11-24 10:01:05,,,,,**明(138****0000),20.00,18.00,2.00,0.00,"
    "0.00,0.00,0.00,,0.00,0.00,,-0.12,0.00,\r\n"
    "2026112422001\t,P1\t,退款,{name},2026-11-24 10:00:00,2026-11-24 12:00:05,,,,,**明(138****0000),-9.90,-9.90,0.00,0.00,"
    "0.00,0.00,0.00,,0.00,0.00,{number},0.06,0.00,\r\n"
    "#-----------------------------------------业务明细列表结束------------------------------------\r\n"
    "#交易合计：2笔，商家实收共37.90元，商家优惠共0.00元\r\n"
    "#退款合计：1笔，商家实收退款共-9.90元，商家优惠退款共0.00元\r\n"
    "#导出时间：[2026年11月25日 06:27:10]\r\n"
)
TOTALS = (
    "#支付宝业务汇总查询\r\n#账号：[20881234567890120156]\r\n"
    "门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）,商家实收（元）\r\n"
    ",合计,2,1,30.00,28.00\r\n"
)


def alipay(
    name: str = "龙井绿茶", number: str = "R1", *, encoding: str = "gb18030", **changes: str
) -> bytes:
    text = DETAILS.format(name=name, number=number)
    for old, new in changes.items():
        text = text.replace(old, new)
    return packed(text.encode(encoding), TOTALS.encode(encoding))


def packed(*contents: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, content in enumerate(contents):
            archive.writestr(f"20881234567890120156_20261124_{place}.csv", content)
    return out.getvalue()


ALL_ROWS = [("P1", "", 1990), ("P2", "", 2000), ("P1", "R1", 990)]


@pytest.mark.parametrize("encoding", ["gb18030", "gbk", "utf-8", "utf-8-sig"])
def test_alipay_bill_is_read_in_its_encodings(encoding: str) -> None:
    rows = read_alipay_bill(alipay(encoding=encoding))
    assert numbers(rows) == ALL_ROWS
    assert rows[2] == BillRow(
        payment_number="P1",
        transaction_id="2026112422001",
        refund_number="R1",
        amount_fen=990,
        at=datetime(2026, 11, 24, 12, 0, 5, tzinfo=BEIJING),
        is_refund=True,
        line=8,
    )


@pytest.mark.parametrize(
    "name",
    ['"围巾,手套"', '"大号""茶壶"""', "围巾,手套", ",", ",,,", "5寸\"盘", '"茶,壶', "a\rb", "a\x85b", "a\u2028b", "a\x0cb",
     "a\x00b", "#1", "交易合计：9笔", "", '"茶,壶"\t'],
)  # fmt: skip
def test_alipay_bill_reads_on_behind_any_name(name: str) -> None:
    assert numbers(read_alipay_bill(alipay(name))) == ALL_ROWS


def test_alipay_bill_of_quoted_values_is_read() -> None:
    text = DETAILS.format(name="茶", number="R1")
    lines = [
        line
        if line.startswith("#") or not line
        else ",".join(f'"{one}"' for one in line.split(","))
        for line in text.split("\r\n")
    ]
    assert numbers(read_alipay_bill(packed("\n".join(lines).encode("gb18030")))) == ALL_ROWS


def test_alipay_refund_without_a_number_stays_a_refund() -> None:
    row = read_alipay_bill(alipay(number=""))[2]
    assert (row.is_refund, row.refund_number, row.amount_fen) == (True, "", 990)


def test_alipay_bill_of_other_headings_is_read() -> None:
    older = alipay(**{"（元）": "(元)", "退款批次号/请求号": "退款批次号"})
    assert numbers(read_alipay_bill(older)) == ALL_ROWS
    assert numbers(read_alipay_bill(alipay(**{"（元）": ""}))) == ALL_ROWS


def test_alipay_bill_of_several_files_is_read_whole() -> None:
    text = DETAILS.format(name="茶", number="R1").encode("gb18030")
    assert len(read_alipay_bill(packed(text, text))) == 6


def test_alipay_bill_of_nothing_is_empty() -> None:
    lines = DETAILS.split("\r\n")
    text = "\r\n".join(
        [
            *lines[:5],
            lines[8],
            "#交易合计：0笔，商家实收共0.00元",
            "#退款合计：0笔，商家实收退款共0.00元",
        ]
    )
    assert read_alipay_bill(packed(text.encode("gb18030"))) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (alipay(**{"-0.12,0.00,\r\n2026112422001": "-0.12,0.00,,\r\n2026112422001"}), "line 7: 26 values, 25 columns"),
        (alipay(**{"P2\t,交易,": "P2\t,"}), "line 7: 24 values, 25 columns"),
        (alipay(**{"P2\t,交易": "P2\t,转账"}), "line 7: 业务类型 转账"),
        (alipay(**{",20.00,18.00": ",-20.00,18.00"}), "line 7: a negative amount"),
        (alipay(**{",20.00,18.00": ",twenty,18.00"}), "line 7: 'twenty' is no amount"),
        (alipay(**{"2026-11-24 10:01:05": "yesterday"}), "line 7: 完成时间 is no time"),
        (alipay(**{"交易合计：2笔": "交易合计：3笔"}), "line 10: 3 rows announced, 2 read"),
        (alipay(**{"退款合计：1笔": "退款合计：0笔"}), "line 11: 0 rows announced, 1 read"),
        (alipay(**{"共37.90元": "共37.91元"}), "line 10: 商家实收 3791 fen announced, 3790 fen read"),
        (alipay(**{"共-9.90元": "共-9.91元"}), "line 11: 商家实收 991 fen announced, 990 fen read"),
        (alipay(**{"支付宝交易号": "交易号"}), "line 5: no column 支付宝交易号"),
        (alipay(**{"订单金额（元）,": "金额,"}), "no column 订单金额"),
        (packed(TOTALS.encode()), "no file with order numbers"),
        (packed(), "no file with order numbers"),
        (b"<html>", "no ZIP"),
        (alipay()[:-30], "no ZIP"),
        (alipay().replace(b"\x00\x00\x08\x00", b"\x00\x00\x63\x00"), "no ZIP"),
    ],
)  # fmt: skip
def test_alipay_bill_that_cannot_be_read_names_the_line(content: bytes, said: str) -> None:
    with pytest.raises(BadBill, match=said):
        read_alipay_bill(content)
