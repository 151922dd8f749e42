"""The WeChat Pay client against the sandbox: what it sends, what it believes."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from miniback.platforms.errors import Misconfigured, NoSuchTrade, Refused, TryAgain
from miniback.platforms.wechatpay import WeChatPayClient
from tests.sandbox_process import SandboxProcess, until


def make_client(sandbox: SandboxProcess, **changes: Any) -> WeChatPayClient:
    env = sandbox.env
    options = {
        "app_id": env["WECHAT_APP_ID"],
        "mch_id": env["WECHATPAY_MCH_ID"],
        "api_v3_key": env["WECHATPAY_API_V3_KEY"],
        "serial": env["WECHATPAY_SERIAL"],
        "private_key_pem": (sandbox.directory / "merchant_private.pem").read_bytes(),
        "public_key_id": env["WECHATPAY_PUBLIC_KEY_ID"],
        "public_key_pem": (sandbox.directory / "platform_public.pem").read_bytes(),
        "base_url": sandbox.url,
    }
    return WeChatPayClient(**{**options, **changes})


@pytest.fixture
def client(sandbox: SandboxProcess) -> WeChatPayClient:
    sandbox.code()
    return make_client(sandbox)


EXPIRES = datetime.now(UTC) + timedelta(minutes=30)


def place(
    client: WeChatPayClient, number: str = "P-000001", amount_fen: int = 100, **more: Any
) -> str:
    return client.create(
        number=number, amount_fen=amount_fen, description="龙井绿茶", payer=more.pop("openid", "o-customer"),
        notify_url="http://127.0.0.1:9/", expires_at=more.pop("expires_at", EXPIRES),
    )  # fmt: skip


def refund(
    client: WeChatPayClient, number: str = "R-1", amount_fen: int = 100, total: int = 100
) -> Any:
    return client.refund(
        number=number, payment_number="P-000001", amount_fen=amount_fen, total_fen=total,
        reason="test", notify_url="http://127.0.0.1:9/",
    )  # fmt: skip


def pay(client: WeChatPayClient, sandbox: SandboxProcess, **more: Any) -> None:
    assert sandbox.pay(client.client_params(place(client, **more))).ok


def test_an_order_is_placed_paid_queried(client: WeChatPayClient, sandbox: SandboxProcess) -> None:
    with pytest.raises(NoSuchTrade):
        client.query("P-000001")
    prepay_id = place(client)
    assert not client.query("P-000001").is_paid
    assert place(client) != prepay_id
    assert sandbox.pay(client.client_params(prepay_id)).ok

    trade = client.query("P-000001")
    assert (trade.is_paid, trade.amount_fen, trade.currency) == (True, 100, "CNY")
    assert trade.paid_at.utcoffset() == timedelta(hours=8)
    with pytest.raises(Refused) as caught:
        place(client)
    assert caught.value.code == "ORDERPAID"


def test_the_same_number_with_other_parameters(client: WeChatPayClient) -> None:
    place(client)
    with pytest.raises(Refused):
        place(client, amount_fen=101)


def test_closing(client: WeChatPayClient, sandbox: SandboxProcess) -> None:
    with pytest.raises(NoSuchTrade):
        client.close("P-000001")
    prepay_id = place(client)
    client.close("P-000001")
    client.close("P-000001")
    assert client.query("P-000001").state == "closed"
    assert not sandbox.pay(client.client_params(prepay_id)).ok
    with pytest.raises(Refused):
        place(client)


def test_closing_what_is_paid(client: WeChatPayClient, sandbox: SandboxProcess) -> None:
    pay(client, sandbox)
    with pytest.raises(Refused) as caught:
        client.close("P-000001")
    assert caught.value.code == "ORDERPAID"


def test_refunds(client: WeChatPayClient, sandbox: SandboxProcess) -> None:
    pay(client, sandbox)
    with pytest.raises(NoSuchTrade):
        client.query_refund("R-1", "P-000001")
    assert refund(client, amount_fen=30).status in {"PROCESSING", "SUCCESS"}
    assert refund(client, amount_fen=30).number == "R-1"
    with pytest.raises(Refused):
        refund(client, amount_fen=31)
    with pytest.raises(Refused):
        refund(client, "R-2", amount_fen=71)
    refund(client, "R-2", amount_fen=70)
    until(lambda: client.query_refund("R-2", "P-000001").status == "SUCCESS")
    assert client.query("P-000001").platform_state == "REFUND"
    assert sandbox.net_fen() == 0


def test_money_that_is_not_there_is_not_refunded(client: WeChatPayClient) -> None:
    place(client)
    with pytest.raises(Refused):
        refund(client)


@pytest.mark.parametrize(
    "more", [{"amount_fen": 0}, {"amount_fen": -1}, {"number": "short"}, {"number": "é" * 8},
             {"expires_at": datetime.now(UTC)}, {"openid": "o-elsewhere"}],
)  # fmt: skip
def test_orders_the_platform_does_not_take(client: WeChatPayClient, more: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured):
        place(client, **more)


@pytest.mark.parametrize(
    "change", [{"serial": "0" * 40}, {"mch_id": "1900000000"}, {"app_id": "wx0"}]
)
def test_wrong_names_are_for_a_person(sandbox: SandboxProcess, change: dict[str, str]) -> None:
    sandbox.code()
    with pytest.raises(Misconfigured):
        place(make_client(sandbox, **change))


@pytest.mark.parametrize(
    "change", [{"private_key_pem": b"x"}, {"public_key_pem": b""}, {"api_v3_key": "short"}]
)
def test_keys_that_cannot_be_one(sandbox: SandboxProcess, change: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured):
        make_client(sandbox, **change)


def test_another_platforms_answers_are_not_believed(sandbox: SandboxProcess) -> None:
    sandbox.code()
    stranger = (sandbox.directory / "merchant_public.pem").read_bytes()
    with pytest.raises(TryAgain) as caught:
        place(make_client(sandbox, public_key_pem=stranger))
    assert caught.value.code == "UNVERIFIED_ANSWER"


def test_a_request_that_is_sent_twice_by_a_thief(sandbox: SandboxProcess, monkeypatch: Any) -> None:
    """The sandbox refuses a nonce it has seen."""
    client = make_client(sandbox)
    monkeypatch.setattr("miniback.platforms.wechatpay.secrets.token_hex", lambda n: "00" * n)
    sandbox.code()
    place(client)
    with pytest.raises(Misconfigured):
        place(client)


def test_a_bill_with_a_wrong_hash(client: WeChatPayClient, sandbox: SandboxProcess) -> None:
    pay(client, sandbox)
    sandbox.advance(24 * 3600)
    sandbox.fault("wechatpay.bill", "wrong_hash")
    with pytest.raises(TryAgain):
        client.bill(datetime.now(ZoneInfo("Asia/Shanghai")).date())
