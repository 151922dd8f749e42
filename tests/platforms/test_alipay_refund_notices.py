"""What Alipay's notices tell of refunds, made by the shop or elsewhere."""

from urllib.parse import urlencode

import pytest

from miniback.core import providers
from miniback.platforms.contract import Notice, RefundedSum
from miniback.platforms.errors import NoticeRejected
from tests.alipay_notices import signed
from tests.sandbox_process import SandboxProcess


def parse(sandbox: SandboxProcess, **changes: str) -> Notice:
    fields = {
        "notify_id": "n1",
        "notify_time": "2026-11-23 10:00:01",
        "notify_type": "trade_status_sync",
        "app_id": sandbox.env["ALIPAY_APP_ID"],
        "charset": "utf-8",
        "version": "1.0",
        "trade_no": "2026112322001",
        "out_trade_no": "P1",
        "seller_id": sandbox.env["ALIPAY_SELLER_ID"],
        "trade_status": "TRADE_SUCCESS",
        "total_amount": "39.80",
        "gmt_payment": "2026-11-23 10:00:00",
        **changes,
    }
    return providers.alipay().parse_notice({}, urlencode(signed(sandbox, fields)).encode())


@pytest.mark.parametrize(
    ("changes", "number", "refunded_fen"),
    [
        (
            {"refund_fee": "10.00", "out_biz_no": "R1", "gmt_refund": "2026-11-23 11:00:00"},
            "R1",
            1000,
        ),
        ({"refund_fee": "39.80", "out_biz_no": "R2", "trade_status": "TRADE_CLOSED"}, "R2", 3980),
        ({"refund_fee": "0.01", "gmt_refund": "2026-11-23 11:00:00.123"}, "", 1),
        ({"refund_fee": "10"}, "", 1000),
    ],
)
def test_notice_of_a_refund_tells_the_sum_so_far(
    sandbox: SandboxProcess, changes: dict[str, str], number: str, refunded_fen: int
) -> None:
    notice = parse(sandbox, **changes)
    assert (notice.event_type, notice.trade, notice.refund) == ("refund", None, None)
    assert notice.refunded == RefundedSum(
        payment_number="P1",
        refund_number=number,
        refunded_fen=refunded_fen,
        app_id=sandbox.env["ALIPAY_APP_ID"],
    )
    assert notice.merchant_id == sandbox.env["ALIPAY_SELLER_ID"]


@pytest.mark.parametrize("refund_fee", ["", "0", "0.00"])
def test_notice_of_a_payment_tells_of_no_refund(sandbox: SandboxProcess, refund_fee: str) -> None:
    notice = parse(sandbox, refund_fee=refund_fee)
    assert notice.refunded is None
    assert notice.trade is not None
    assert notice.trade.is_paid


@pytest.mark.parametrize("refund_fee", ["ten", "1.001", "NaN", "-1.00"])
def test_notice_with_a_sum_that_is_none_is_rejected(
    sandbox: SandboxProcess, refund_fee: str
) -> None:
    with pytest.raises(NoticeRejected):
        parse(sandbox, refund_fee=refund_fee)
