"""What every platform's client must do, against the sandbox (miniback/platforms/contract.py)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from miniback.core import providers
from miniback.platforms.contract import LoginProvider, PaymentProvider, TradeState
from miniback.platforms.errors import (
    BillNotReady,
    LoginAgain,
    Misconfigured,
    NoBill,
    NoSuchTrade,
    PlatformError,
    Refused,
    TryAgain,
)
from tests.sandbox_process import SandboxProcess, until

EXPIRES = datetime.now(UTC) + timedelta(minutes=30)
LOGINS = {
    "wechat": ("wechat.login", providers.wechat),
    "alipay": ("alipay.login", providers.alipay),
    "douyin": ("douyin.login", providers.douyin),
}
PAYMENTS = {
    "wechat": ("wechatpay", "order", providers.wechatpay),
    "alipay": ("alipay", "create", providers.alipay),
}


class LoginCase(NamedTuple):
    platform: str
    target: str
    make: Callable[[], LoginProvider]


@pytest.fixture(params=LOGINS)
def login(request: Any, sandbox: SandboxProcess) -> LoginCase:
    return LoginCase(request.param, *LOGINS[request.param])


def test_a_code_is_exchanged_once(login: LoginCase, sandbox: SandboxProcess) -> None:
    code = sandbox.code("o-new", platform=login.platform, unionid="u-1")
    client = login.make()
    found = client.log_in(code)
    assert (found.openid, found.unionid) == ("o-new", "u-1")
    assert client.app_id == sandbox.env[f"{login.platform.upper()}_APP_ID"]
    with pytest.raises(LoginAgain):
        client.log_in(code)
    with pytest.raises(LoginAgain):
        client.log_in("never-given")


def test_a_code_of_another_platform_is_nobodys(login: LoginCase, sandbox: SandboxProcess) -> None:
    for other in LOGINS.keys() - {login.platform}:
        with pytest.raises(LoginAgain):
            login.make().log_in(sandbox.code("o-other", platform=other))


def test_an_old_code(login: LoginCase, sandbox: SandboxProcess) -> None:
    code = sandbox.code(platform=login.platform)
    sandbox.advance(301)
    with pytest.raises(LoginAgain):
        login.make().log_in(code)


@pytest.mark.parametrize(
    "fault",
    ["http_500", "html", "empty", "cut_off", "redirect", "http_429", "reset", "reset_after"],
)
def test_a_login_nobody_answers(login: LoginCase, sandbox: SandboxProcess, fault: str) -> None:
    sandbox.fault(login.target, fault, times=9)
    with pytest.raises(TryAgain):
        login.make().log_in(sandbox.code(platform=login.platform))


def test_an_app_id_the_platform_does_not_know(
    login: LoginCase, sandbox: SandboxProcess, settings: Any
) -> None:
    setattr(settings, f"{login.platform.upper()}_APP_ID", "nobody")
    with pytest.raises(Misconfigured):
        login.make().log_in(sandbox.code(platform=login.platform))


class PayCase(NamedTuple):
    platform: str
    target: str
    creating: str
    sandbox: SandboxProcess
    client: PaymentProvider

    def create(self, **changes: Any) -> str:
        given = {
            "number": "P2611230001", "amount_fen": 1999, "description": "龙井绿茶 {a}=1&b",
            "payer": "o-customer", "notify_url": "http://127.0.0.1:9/", "expires_at": EXPIRES,
        }  # fmt: skip
        return self.client.create(**{**given, **changes})  # type: ignore[arg-type]

    def pay(self, **changes: Any) -> None:
        answer = self.sandbox.pay(self.client.client_params(self.create(**changes)))
        assert answer.ok, answer.text

    def refund(self, number: str = "R1", amount_fen: int = 999, **changes: Any) -> Any:
        given = {
            "payment_number": "P2611230001", "total_fen": 1999, "reason": "test",
            "notify_url": "http://127.0.0.1:9/",
        }  # fmt: skip
        return self.client.refund(number=number, amount_fen=amount_fen, **{**given, **changes})  # type: ignore[arg-type]

    def settled(self, number: str = "R1") -> Any:
        def look() -> Any:
            answer = self.client.query_refund(number, "P2611230001")
            return answer if answer.status != "PROCESSING" else None

        return until(look)

    def fault(self, operation: str, fault: str, **more: Any) -> None:
        self.sandbox.fault(f"{self.target}.{operation}", fault, **more)

    def refunded_fen(self) -> int:
        return self.sandbox.ledger()["totals"]["refunded_fen"]


def certify(settings: Any, sandbox: SandboxProcess) -> None:
    """Put the shop into Alipay's certificate mode."""
    for name, file in (
        ("ALIPAY_PUBLIC_KEY_FILE", "alipay_cert.crt"),
        ("ALIPAY_APP_CERT_FILE", "alipay_app_cert.crt"),
        ("ALIPAY_ROOT_CERT_FILE", "alipay_root.crt"),
    ):
        setattr(settings, name, str(sandbox.directory / file))


@pytest.fixture(params=[*PAYMENTS, "alipay-certificates"])
def channel(request: Any, sandbox: SandboxProcess, settings: Any) -> PayCase:
    platform, _dash, mode = request.param.partition("-")
    if mode:
        certify(settings, sandbox)
    sandbox.code(platform=platform)
    target, creating, make = PAYMENTS[platform]
    return PayCase(platform, target, creating, sandbox, make())


def test_an_order_is_placed_paid_and_asked_for(channel: PayCase) -> None:
    with pytest.raises(NoSuchTrade):
        channel.client.query("P2611230001")
    channel.create()
    waiting = channel.client.query("P2611230001")
    assert (waiting.state, waiting.is_paid) == (TradeState.WAITING, False)
    channel.pay()
    trade = channel.client.query("P2611230001")
    assert (trade.number, trade.state, trade.is_paid) == ("P2611230001", TradeState.PAID, True)
    assert (trade.amount_fen, trade.currency) == (1999, "CNY")
    assert (trade.app_id, trade.merchant_id) == (channel.client.app_id, channel.client.merchant_id)
    assert abs(trade.paid_at - datetime.now(UTC)) < timedelta(seconds=30)
    assert not trade.refund_started
    with pytest.raises(Refused):
        channel.create()


@pytest.mark.parametrize("amount_fen", [1, 9, 10, 100, 101, 999999999])
def test_every_fen_arrives(channel: PayCase, amount_fen: int) -> None:
    channel.pay(amount_fen=amount_fen)
    assert channel.client.query("P2611230001").amount_fen == amount_fen
    assert channel.sandbox.ledger()["totals"]["paid_fen"] == amount_fen


def test_the_same_number_again(channel: PayCase) -> None:
    channel.create()
    channel.create()
    for change in ({"amount_fen": 2000}, {"description": "红茶"}):
        with pytest.raises(Refused):
            channel.create(**change)


def test_what_is_closed_cannot_be_paid(channel: PayCase) -> None:
    with pytest.raises(NoSuchTrade):
        channel.client.close("P2611230001")
    handle = channel.create()
    channel.client.close("P2611230001")
    channel.client.close("P2611230001")
    assert channel.client.query("P2611230001").state == TradeState.CLOSED
    assert not channel.sandbox.pay(channel.client.client_params(handle)).ok
    with pytest.raises(Refused):
        channel.create()


def test_what_is_paid_cannot_be_closed(channel: PayCase) -> None:
    channel.pay()
    with pytest.raises(Refused):
        channel.client.close("P2611230001")
    assert channel.client.query("P2611230001").is_paid


def test_parts_go_back_until_all_is_back(channel: PayCase) -> None:
    channel.pay()
    with pytest.raises(NoSuchTrade):
        channel.client.query_refund("R1", "P2611230001")
    first = channel.refund()
    assert (first.number, first.payment_number, first.amount_fen) == ("R1", "P2611230001", 999)
    # The same number refunds once, whatever the answer says.
    assert channel.refund().status in {"SUCCESS", "PROCESSING"}
    assert channel.settled().status == "SUCCESS"
    channel.refund("R2", 1000)
    done = channel.settled("R2")
    assert (done.status, done.amount_fen, done.currency) == ("SUCCESS", 1000, "CNY")
    with pytest.raises(Refused):
        channel.refund("R3", 1)
    assert channel.refunded_fen() == 1999
    assert channel.client.query("P2611230001").refund_started


def test_a_refund_that_is_too_large_or_of_nothing(channel: PayCase) -> None:
    channel.create()
    with pytest.raises(Refused):
        channel.refund()
    channel.pay()
    with pytest.raises(Refused):
        channel.refund(amount_fen=2000)
    with pytest.raises(PlatformError):
        channel.refund(payment_number="P0000000000")
    assert channel.refunded_fen() == 0


def test_a_refund_without_money_in_the_account(channel: PayCase) -> None:
    """P20."""
    channel.pay()
    channel.fault("refund", "not_enough")
    with pytest.raises(Refused):
        channel.refund()
    channel.refund()
    assert channel.settled().status == "SUCCESS"


def test_a_refund_whose_answer_is_lost(channel: PayCase) -> None:
    """P19: the same number, and one refund at the platform."""
    channel.pay()
    channel.fault("refund", "http_500_after")
    with pytest.raises(TryAgain):
        channel.refund()
    channel.refund()
    assert channel.settled().status == "SUCCESS"
    assert channel.refunded_fen() == 999


@pytest.mark.parametrize("operation", ["create", "query", "close", "refund", "refund_query"])
@pytest.mark.parametrize(
    "fault",
    ["http_500", "http_429", "html", "empty", "cut_off", "redirect", "unsigned", "wrong_signature",
     "reset", "reset_after", "http_500_after"],
)  # fmt: skip
def test_answers_nobody_can_trust(channel: PayCase, operation: str, fault: str) -> None:
    """P18: every one of them means that nobody knows."""
    distrusted(channel, operation, fault)


def distrusted(channel: PayCase, operation: str, fault: str) -> None:
    channel.pay()
    channel.refund()
    channel.fault(channel.creating if operation == "create" else operation, fault)
    acts: dict[str, Callable[[], Any]] = {
        "create": lambda: channel.create(number="P2611230002"),
        "query": lambda: channel.client.query("P2611230001"),
        "close": lambda: channel.client.close("P2611230002"),
        "refund": lambda: channel.refund("R2", 1),
        "refund_query": lambda: channel.client.query_refund("R1", "P2611230001"),
    }
    if operation == "close":
        channel.create(number="P2611230002")
    with pytest.raises(TryAgain):
        acts[operation]()


@pytest.mark.parametrize("operation", ["create", "query", "refund", "refund_query"])
def test_an_answer_that_was_changed_on_its_way(channel: PayCase, operation: str) -> None:
    distrusted(channel, operation, "tampered")


@pytest.mark.parametrize("channel", ["wechat"], indirect=True)
@pytest.mark.parametrize("fault", ["stale_timestamp", "unknown_serial"])
@pytest.mark.parametrize("operation", ["create", "query", "refund", "refund_query"])
def test_an_answer_that_was_genuine_once(channel: PayCase, operation: str, fault: str) -> None:
    """Alipay's answers have neither a time nor, in key mode, a serial."""
    distrusted(channel, operation, fault)


def test_a_platform_that_is_down(channel: PayCase, settings: Any) -> None:
    """P18: refused connections."""
    settings.WECHATPAY_BASE_URL = settings.ALIPAY_BASE_URL = "http://127.0.0.1:9"
    client = PAYMENTS[channel.platform][2]()
    with pytest.raises(TryAgain):
        client.query("P2611230001")


@pytest.mark.parametrize("name", ["PRIVATE_KEY_FILE", "PUBLIC_KEY_FILE"])
def test_keys_that_are_none(channel: PayCase, settings: Any, tmp_path: Any, name: str) -> None:
    prefix = {"wechat": "WECHATPAY", "alipay": "ALIPAY"}[channel.platform]
    bad = tmp_path / "key.pem"
    bad.write_text("-----BEGIN NOTHING-----")
    for value in (str(bad), str(tmp_path / "none.pem"), ""):
        setattr(settings, f"{prefix}_{name}", value)
        with pytest.raises(Misconfigured):
            PAYMENTS[channel.platform][2]()


def yesterday(channel: PayCase) -> Any:
    """The sandbox's clock goes to tomorrow; today is over."""
    channel.sandbox.advance(24 * 3600)
    return datetime.now(ZoneInfo("Asia/Shanghai")).date()


def test_a_day_without_trades_has_no_bill(channel: PayCase) -> None:
    """Which the platforms also say of a bill that is late, so it is no empty one."""
    with pytest.raises(NoBill):
        channel.client.bill(yesterday(channel))


def test_a_bill_names_every_move_to_the_fen(channel: PayCase) -> None:
    channel.pay()
    channel.refund()
    channel.settled()
    with pytest.raises(BillNotReady):
        channel.client.bill(datetime.now(ZoneInfo("Asia/Shanghai")).date())
    rows = channel.client.bill(yesterday(channel))
    assert [
        (row.is_refund, row.payment_number, row.refund_number, row.amount_fen) for row in rows
    ] == [
        (False, "P2611230001", "", 1999),
        (True, "P2611230001", "R1", 999),
    ]
    assert {row.transaction_id for row in rows} == {
        channel.client.query("P2611230001").transaction_id
    }
    assert all(abs(row.at - datetime.now(UTC)) < timedelta(minutes=1) for row in rows)


def test_a_bill_reads_on_behind_any_name(channel: PayCase) -> None:
    for place, name in enumerate(("围巾,手套", '大号"茶壶",', "茶\u2028\x85", ",")):
        channel.pay(number=f"P261123000{place}", description=name)
    rows = channel.client.bill(yesterday(channel))
    assert [row.payment_number for row in rows] == [f"P261123000{place}" for place in range(4)]


@pytest.mark.parametrize("channel", ["wechat"], indirect=True)
def test_a_bill_names_the_app_of_each_row(channel: PayCase) -> None:
    channel.pay()
    channel.fault("bill", "row_of_other_app")
    first, second = channel.client.bill(yesterday(channel))
    assert first.app_id == channel.client.app_id
    assert second.app_id.startswith("wx")
    assert second.app_id != channel.client.app_id


@pytest.mark.parametrize("fault", ["http_500", "unsigned", "cut_off"])
def test_a_bill_nobody_can_trust(channel: PayCase, fault: str) -> None:
    channel.pay()
    day = yesterday(channel)
    channel.fault("bill", fault)
    with pytest.raises(TryAgain):
        channel.client.bill(day)
    channel.fault("bill", "bill_creating")
    with pytest.raises(BillNotReady):
        channel.client.bill(day)
    assert len(channel.client.bill(day)) == 1


@pytest.mark.parametrize("reason", ["质量问题" * 20, "😀" * 40, "", "不想要了\n\x00😀", "\ud800"])
def test_any_reason_of_a_refund_is_taken(channel: PayCase, reason: str) -> None:
    channel.pay()
    channel.refund(reason=reason)
    # Sent again it is the same request.
    channel.refund(reason=reason)
    assert channel.settled().status == "SUCCESS"


@pytest.mark.parametrize("name", ["🍵", "茶\n壶\x00", "a`,`b", "\ud83c", "茶" * 300, "\u202e茶"])
def test_any_name_of_a_product_is_taken(channel: PayCase, name: str) -> None:
    channel.pay(description=name)
    assert channel.client.query("P2611230001").is_paid
    assert len(channel.client.bill(yesterday(channel))) == 1
