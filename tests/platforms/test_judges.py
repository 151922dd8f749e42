"""An independent client, unmodified but for its gateway, judges the sandbox and our own client."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3.utils import rsa_verify

from miniback.platforms.wechatpay import WeChatPayClient
from tests.platforms.test_wechatpay import make_client
from tests.sandbox_process import SandboxProcess, until

pytestmark = pytest.mark.judges
RECEIVED = dict[str, Any]


class Receiver(HTTPServer):
    """Takes notices and answers 204."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.notices: list[RECEIVED] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/notify"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.notices.append({"headers": dict(self.headers), "body": body})
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def known(sandbox: SandboxProcess) -> dict[str, bytes]:
    """The platform's certificates, by serial."""
    return {one.serial: one.pem for one in make_client(sandbox).certificates()}


@pytest.fixture
def ours(sandbox: SandboxProcess, known: dict[str, bytes]) -> WeChatPayClient:
    return make_client(sandbox, find_certificate=known.get)


@pytest.fixture(params=["public key", "certificates"])
def judge(
    sandbox: SandboxProcess,
    receiver: Receiver,
    known: dict[str, bytes],
    tmp_path: Any,
    request: Any,
) -> WeChatPay:
    """In both key modes; in the second one notices are signed by certificate, too."""
    mode: dict[str, str] = {}
    if request.param == "public key":
        mode["public_key"] = (sandbox.directory / "platform_public.pem").read_text()
        mode["public_key_id"] = sandbox.env["WECHATPAY_PUBLIC_KEY_ID"]
    else:
        mode["cert_dir"] = str(tmp_path)
        for serial, pem in known.items():
            (tmp_path / f"{serial}.pem").write_bytes(pem)
        sandbox.fault("wechatpay.notice", "by_certificate", times="always")
    env = sandbox.env
    judge = WeChatPay(
        wechatpay_type=WeChatPayType.MINIPROG,
        mchid=env["WECHATPAY_MCH_ID"],
        private_key=(sandbox.directory / "merchant_private.pem").read_text(),
        cert_serial_no=env["WECHATPAY_SERIAL"],
        apiv3_key=env["WECHATPAY_API_V3_KEY"],
        appid=env["WECHAT_APP_ID"],
        notify_url=receiver.url,
        **mode,
    )
    judge._core._gate_way = sandbox.url
    sandbox.code()
    return judge


def said(answer: tuple[int, str]) -> dict[str, Any]:
    status, text = answer
    assert 200 <= status < 300, answer
    return json.loads(text) if text else {}


def place(judge: WeChatPay, number: str = "J-000001") -> dict[str, Any]:
    return said(
        judge.pay(
            description="龙井绿茶", out_trade_no=number, amount={"total": 100},
            payer={"openid": "o-customer"},
        )
    )  # fmt: skip


def five_fields(judge: WeChatPay, sandbox: SandboxProcess, prepay_id: str) -> dict[str, str]:
    stamp, nonce, package = str(int(time.time())), "n" * 32, f"prepay_id={prepay_id}"
    signature = judge.sign([sandbox.env["WECHAT_APP_ID"], stamp, nonce, package])
    return {
        "timeStamp": stamp, "nonceStr": nonce, "package": package, "signType": "RSA",
        "paySign": signature,
    }  # fmt: skip


def test_it_places_queries_closes_and_refunds(
    judge: WeChatPay, sandbox: SandboxProcess, receiver: Receiver
) -> None:
    prepay_id = place(judge)["prepay_id"]
    assert said(judge.query(out_trade_no="J-000001"))["trade_state"] == "NOTPAY"
    assert sandbox.pay(five_fields(judge, sandbox, prepay_id)).ok

    notice = until(lambda: receiver.notices)[0]
    decrypted = judge.callback(notice["headers"], notice["body"])
    assert decrypted["event_type"] == "TRANSACTION.SUCCESS"
    assert decrypted["resource"]["out_trade_no"] == "J-000001"
    assert decrypted["resource"]["amount"]["total"] == 100
    trade = said(judge.query(transaction_id=decrypted["resource"]["transaction_id"]))
    assert trade["trade_state"] == "SUCCESS"

    made = said(
        judge.refund(
            out_refund_no="JR-1", out_trade_no="J-000001", notify_url=receiver.url,
            amount={"refund": 40, "total": 100, "currency": "CNY"},
        )
    )  # fmt: skip
    assert made["status"] in {"PROCESSING", "SUCCESS"}
    notice = until(lambda: receiver.notices, at_least=2)[1]
    assert judge.callback(notice["headers"], notice["body"])["event_type"] == "REFUND.SUCCESS"
    assert said(judge.query_refund("JR-1"))["status"] == "SUCCESS"
    assert sandbox.net_fen() == 60

    place(judge, "J-000002")
    assert judge.close("J-000002")[0] == 204
    assert said(judge.query(out_trade_no="J-000002"))["trade_state"] == "CLOSED"


def test_what_our_client_signs_it_verifies(judge: WeChatPay, sandbox: SandboxProcess) -> None:
    fields = make_client(sandbox).client_params("wx123")
    pem = (sandbox.directory / "merchant_public.pem").read_bytes()
    # Its check reads three lines, "timestamp, nonce, body": the last holds our last two.
    rest = f"{fields['nonceStr']}\n{fields['package']}"
    app_id, stamp = sandbox.env["WECHAT_APP_ID"], fields["timeStamp"]
    assert rsa_verify(app_id, stamp, rest, fields["paySign"], load_pem_public_key(pem))


def test_both_sign_the_same_words(judge: WeChatPay, sandbox: SandboxProcess) -> None:
    """RSA with PKCS #1 v1.5 is deterministic: equal texts give equal signatures."""
    client = make_client(sandbox)
    fields = client.client_params("wx123")
    words = [
        sandbox.env["WECHAT_APP_ID"],
        fields["timeStamp"],
        fields["nonceStr"],
        fields["package"],
    ]
    assert judge.sign(words) == fields["paySign"]


def test_its_notices_are_ours(
    judge: WeChatPay, ours: WeChatPayClient, sandbox: SandboxProcess, receiver: Receiver
) -> None:
    """One notice, read by both."""
    prepay_id = place(judge)["prepay_id"]
    sandbox.pay(five_fields(judge, sandbox, prepay_id))
    notice = until(lambda: receiver.notices)[0]

    trade = ours.parse_notice(notice["headers"], notice["body"]).trade
    theirs = judge.callback(notice["headers"], notice["body"])["resource"]
    assert trade is not None
    assert (trade.number, trade.transaction_id, trade.amount_fen) == (
        theirs["out_trade_no"], theirs["transaction_id"], theirs["amount"]["total"],
    )  # fmt: skip


def test_the_sandbox_refuses_its_forgeries(judge: WeChatPay, sandbox: SandboxProcess) -> None:
    judge._core._mchid = "1900000000"
    status, text = judge.query(out_trade_no="J-000001")
    assert (status, json.loads(text)["code"]) == (401, "SIGN_ERROR")


def test_it_reads_the_bill(judge: WeChatPay, sandbox: SandboxProcess) -> None:
    prepay_id = place(judge)["prepay_id"]
    assert sandbox.pay(five_fields(judge, sandbox, prepay_id)).ok
    sandbox.advance(24 * 3600)
    day = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    told = said(judge.trade_bill(str(day)))
    status, content = judge.download_bill(told["download_url"])
    raw = content if isinstance(content, bytes) else content.encode()
    assert (status, hashlib.sha1(raw).hexdigest()) == (200, told["hash_value"])
    assert "`J-000001" in raw.decode()
    assert [row.amount_fen for row in make_client(sandbox).bill(day)] == [100]
