"""An independent Alipay client, unmodified but for its gateway, judges the sandbox and our own client."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qsl

import pytest
from alipay import AliPay, DCAliPay

from miniback.core import providers
from miniback.platforms.alipay import AlipayClient
from miniback.platforms.contract import TradeState
from tests.alipay_notices import signed
from tests.platforms.test_contract import certify
from tests.sandbox_process import SandboxProcess, until

pytestmark = [
    pytest.mark.judges,
    # The judge's own way to read certificates.
    pytest.mark.filterwarnings("ignore:X509:DeprecationWarning"),
]


class Receiver(HTTPServer):
    """Takes notices and says so, in seven characters."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/notify"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:  # noqa: N802
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"success")

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["keys", "certificates"])
def judge(
    sandbox: SandboxProcess, receiver: Receiver, monkeypatch: Any, settings: Any, request: Any
) -> Iterator[AliPay]:
    """In both modes, and our client in the same."""
    # It writes the machine's local time, and Alipay reads Beijing's.
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()

    def file(name: str) -> str:
        return (sandbox.directory / name).read_text()

    who = {
        "appid": sandbox.env["ALIPAY_APP_ID"],
        "app_notify_url": receiver.url,
        "app_private_key_string": file("alipay_app_private.pem"),
    }
    if request.param == "keys":
        judge = AliPay(alipay_public_key_string=file("alipay_public.pem"), **who)
    else:
        certify(settings, sandbox)
        judge = DCAliPay(
            app_public_key_cert_string=file("alipay_app_cert.crt"),
            alipay_public_key_cert_string=file("alipay_cert.crt"),
            alipay_root_cert_string=file("alipay_root.crt"),
            **who,
        )
    judge._gateway = f"{sandbox.url}/gateway.do"
    sandbox.code(platform="alipay")
    yield judge
    monkeypatch.delenv("TZ")
    time.tzset()


@pytest.fixture
def ours(judge: AliPay) -> AlipayClient:
    return providers.alipay()


def create(judge: AliPay, number: str = "J000001", amount: str = "19.99") -> dict[str, Any]:
    return judge.api_alipay_trade_create(
        "龙井绿茶 {1}", number, amount, buyer_open_id="o-customer", product_code="JSAPI_PAY",
        op_app_id=judge.appid,
    )  # fmt: skip


def read(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode()))


def test_it_logs_in(judge: AliPay, sandbox: SandboxProcess) -> None:
    code = sandbox.code(platform="alipay")
    answer = judge.server_api(
        "alipay.system.oauth.token", grant_type="authorization_code", code=code
    )
    assert (answer["open_id"], bool(answer["access_token"])) == ("o-customer", True)


def test_it_creates_queries_closes_and_refunds(
    judge: AliPay, sandbox: SandboxProcess, receiver: Receiver
) -> None:
    made = create(judge)
    assert judge.api_alipay_trade_query("J000001")["trade_status"] == "WAIT_BUYER_PAY"
    assert sandbox.pay({"tradeNO": made["trade_no"]}).ok
    asked = judge.api_alipay_trade_query("J000001")
    assert (asked["trade_status"], asked["total_amount"]) == ("TRADE_SUCCESS", "19.99")

    told = read(until(lambda: receiver.bodies)[0])
    assert judge.verify(told, told.pop("sign"))
    assert (told["out_trade_no"], told["trade_status"]) == ("J000001", "TRADE_SUCCESS")

    back = judge.api_alipay_trade_refund("9.99", "J000001", out_request_no="JR1")
    assert (back["fund_change"], back["refund_fee"]) == ("Y", "9.99")
    found = judge.api_alipay_trade_fastpay_refund_query("JR1", out_trade_no="J000001")
    assert (found["refund_amount"], found["refund_status"]) == ("9.99", "REFUND_SUCCESS")
    assert sandbox.net_fen() == 1000

    create(judge, "J000002")
    assert judge.api_alipay_trade_close("J000002")["code"] == "10000"
    assert judge.api_alipay_trade_query("J000002")["trade_status"] == "TRADE_CLOSED"


def test_both_read_one_trade_alike(
    judge: AliPay, ours: AlipayClient, sandbox: SandboxProcess, receiver: Receiver
) -> None:
    """Placed by one, asked for and told to the other."""
    sandbox.pay({"tradeNO": create(judge)["trade_no"]})
    trade = ours.query("J000001")
    assert (trade.state, trade.amount_fen) == (TradeState.PAID, 1999)
    notice = ours.parse_notice({}, until(lambda: receiver.bodies)[0])
    assert notice.trade is not None
    assert (notice.trade.number, notice.trade.transaction_id) == ("J000001", trade.transaction_id)

    handle = ours.create(
        number="J000003", amount_fen=1, description="茶", payer="o-customer",
        notify_url=receiver.url, expires_at=datetime.now(UTC) + timedelta(minutes=9),
    )  # fmt: skip
    assert judge.api_alipay_trade_query("J000003")["trade_no"] == handle


def test_both_sign_the_same_words(judge: AliPay, ours: AlipayClient) -> None:
    """RSA with PKCS #1 v1.5 is deterministic: equal texts give equal signatures."""
    sent: list[dict[str, str]] = []

    def keep(method: str, url: str, *, body: bytes, **_more: Any) -> Any:
        sent.append(read(body))
        raise RuntimeError

    with pytest.MonkeyPatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr("miniback.platforms.alipay.http.call", keep)
        ours.query("J000001")
    signature = sent[0].pop("sign")
    text = "&".join(f"{name}={value}" for name, value in sorted(sent[0].items()))
    assert judge._sign(text) == signature


def test_it_verifies_notices_of_our_making(judge: AliPay, sandbox: SandboxProcess) -> None:
    """The notices that our tests make by hand are Alipay's to the letter."""
    fields = signed(sandbox, {"app_id": judge.appid, "subject": "龙井 & 绿茶", "notify_id": "1"})
    assert judge.verify(fields, fields.pop("sign"))
    fields = signed(sandbox, {"app_id": judge.appid, "notify_id": "1"})
    assert not judge.verify({**fields, "notify_id": "2"}, fields.pop("sign"))
