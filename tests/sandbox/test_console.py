"""What shops' staff do in the platforms' consoles, and what becomes of old or closed money."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from miniback.core import providers
from miniback.platforms.contract import PaymentProvider, PlatformRefund
from miniback.platforms.errors import Misconfigured, NoSuchTrade, Refused, TryAgain
from tests.sandbox_process import SandboxProcess, until

NUMBER = "P2611230001"


@pytest.fixture(params=["wechat", "alipay"])
def platform(request: Any, sandbox: SandboxProcess) -> str:
    platform: str = request.param
    sandbox.code(platform=platform)
    return platform


def pay_at(sandbox: SandboxProcess, platform: str) -> PaymentProvider:
    client = providers.payment_provider(platform)
    handle = client.create(
        number=NUMBER,
        amount_fen=100,
        description="龙井绿茶",
        payer="o-customer",
        notify_url="http://127.0.0.1:9/",
        expires_at=datetime.now(UTC) + timedelta(minutes=30),
    )
    assert sandbox.pay(client.client_params(handle)).ok
    return client


def refund(client: PaymentProvider, number: str = "R1", amount_fen: int = 100) -> PlatformRefund:
    return client.refund(
        number=number,
        payment_number=NUMBER,
        amount_fen=amount_fen,
        total_fen=100,
        reason="test",
        notify_url="http://127.0.0.1:9/",
    )


def settled(client: PaymentProvider, number: str) -> str:
    def look() -> str | None:
        status = client.query_refund(number, NUMBER).status
        return status if status != "PROCESSING" else None

    status: str = until(look)
    return status


def test_console_refund_moves_money_and_tells_the_shop(
    sandbox: SandboxProcess, platform: str
) -> None:
    client = pay_at(sandbox, platform)
    first = sandbox.console_refund(NUMBER, 30, platform=platform)
    assert settled(client, first) == "SUCCESS"
    second = sandbox.console_refund(NUMBER, platform=platform, out_refund_no="C-2", notify=False)
    assert (second, settled(client, "C-2")) == ("C-2", "SUCCESS")
    assert client.query_refund("C-2", NUMBER).amount_fen == 70
    assert sandbox.net_fen() == 0
    body = {"out_trade_no": NUMBER, "amount_fen": 1}
    assert sandbox.post(f"/console/{platform}/refunds/", **body).status_code == 400
    # One of the payment, one of the first refund.
    assert len(sandbox.notifications()) == 2


def test_alipay_notice_tells_the_sum_of_refunds(sandbox: SandboxProcess) -> None:
    sandbox.code(platform="alipay")
    pay_at(sandbox, "alipay")
    numbers = [sandbox.console_refund(NUMBER, fen, platform="alipay") for fen in (30, 20)]
    told = [notice["resource"] for notice in sandbox.notifications()]
    assert [(one["refund_fee"], one["out_biz_no"]) for one in told if "refund_fee" in one] == [
        ("0.50", numbers[1]),
        ("0.30", numbers[0]),
    ]


def test_closed_refund_stays_closed_and_a_new_number_is_taken(sandbox: SandboxProcess) -> None:
    sandbox.code()
    client = pay_at(sandbox, "wechat")
    sandbox.fault("wechatpay.refund", "closed")
    assert refund(client).status == "PROCESSING"
    assert settled(client, "R1") == "CLOSED"
    assert refund(client).status == "CLOSED"
    assert sandbox.net_fen() == 100
    refund(client, "R2")
    assert settled(client, "R2") == "SUCCESS"
    assert sandbox.net_fen() == 0


def test_low_balance_closes_a_refund_until_it_is_topped_up(sandbox: SandboxProcess) -> None:
    sandbox.code()
    client = pay_at(sandbox, "wechat")
    sandbox.set_balance(99)
    refund(client)
    assert settled(client, "R1") == "CLOSED"
    sandbox.set_balance(100)
    refund(client, "R2")
    assert settled(client, "R2") == "SUCCESS"
    assert refund(client).status == "CLOSED"


def test_low_balance_refuses_a_refund_at_alipay(sandbox: SandboxProcess) -> None:
    sandbox.code(platform="alipay")
    client = pay_at(sandbox, "alipay")
    sandbox.set_balance(99, platform="alipay")
    with pytest.raises(Refused, match="SELLER_BALANCE_NOT_ENOUGH"):
        refund(client)
    sandbox.set_balance(None, platform="alipay")
    assert refund(client).status == "SUCCESS"


def test_old_trade_refuses_a_refund(sandbox: SandboxProcess) -> None:
    sandbox.code()
    client = pay_at(sandbox, "wechat")
    sandbox.age_trade(NUMBER, 364)
    refund(client, amount_fen=40)
    sandbox.age_trade(NUMBER, 2)
    with pytest.raises(Refused, match="INVALIDREQUEST"):
        refund(client, "R2", amount_fen=60)


def test_finished_trade_refuses_a_refund(sandbox: SandboxProcess) -> None:
    sandbox.code(platform="alipay")
    client = pay_at(sandbox, "alipay")
    sandbox.finish_trade(NUMBER)
    assert client.query(NUMBER).platform_state == "TRADE_FINISHED"
    with pytest.raises(Refused, match=r"ACQ\.TRADE_HAS_FINISHED"):
        refund(client)
    assert sandbox.net_fen() == 100


def test_long_reason_is_refused(sandbox: SandboxProcess) -> None:
    sandbox.code()
    client = pay_at(sandbox, "wechat")
    body = {
        "out_trade_no": NUMBER, "out_refund_no": "R1", "reason": "质量问题" * 7,
        "amount": {"refund": 100, "total": 100, "currency": "CNY"},
    }  # fmt: skip
    with pytest.raises(Misconfigured, match="PARAMERROR"):
        client._call(  # type: ignore[attr-defined]
            "POST", "/v3/refund/domestic/refunds", body
        )


def test_hanging_platform_answers_nobody_until_the_fault_ends(
    sandbox: SandboxProcess, platform: str
) -> None:
    client = pay_at(sandbox, platform)
    sandbox.hang({"wechat": "wechatpay.*", "alipay": "alipay.*"}[platform])
    start = time.monotonic()
    with pytest.raises(TryAgain):
        client.query(NUMBER)
    assert time.monotonic() - start > 2.5
    sandbox.end_faults()
    assert client.query(NUMBER).is_paid


def test_other_merchant_sees_nothing_of_the_first(
    sandbox: SandboxProcess, platform: str, settings: Any
) -> None:
    client = pay_at(sandbox, platform)
    refund(client)
    for name, value in sandbox.other_env.items():
        if name.startswith(("WECHAT", "ALIPAY")):
            setattr(settings, name, value)
    other = providers.payment_provider(platform)
    assert other.merchant_id != client.merchant_id
    with pytest.raises(NoSuchTrade):
        other.query(NUMBER)
    with pytest.raises(NoSuchTrade):
        refund(other, "R2")
    with pytest.raises(NoSuchTrade):
        other.query_refund("R1", NUMBER)
    pay_at(sandbox, platform)
    assert other.query(NUMBER).merchant_id == other.merchant_id
    assert client.query(NUMBER).merchant_id == client.merchant_id
    payments = sandbox.ledger()["payments"]
    assert [payment["out_trade_no"] for payment in payments] == [NUMBER, NUMBER]
