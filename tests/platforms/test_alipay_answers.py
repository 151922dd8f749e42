"""Alipay's answers in the encodings in which they come."""

import base64
import json
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from miniback.core import providers
from miniback.platforms.alipay import AlipayClient
from miniback.platforms.errors import LoginAgain, NoBill, NoSuchTrade, Refused, TryAgain
from tests.sandbox_process import SandboxProcess


class Speaker:
    """A gateway that says what it is told to say."""

    body = b""
    content_type = "text/html"
    url = ""


@pytest.fixture
def speaker() -> Iterator[Speaker]:
    speaker = Speaker()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            if speaker.content_type:
                self.send_header("Content-Type", speaker.content_type)
            self.send_header("Content-Length", str(len(speaker.body)))
            self.end_headers()
            self.wfile.write(speaker.body)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    speaker.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield speaker
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client(sandbox: SandboxProcess, speaker: Speaker, settings: Any) -> AlipayClient:
    settings.ALIPAY_BASE_URL = speaker.url
    return providers.alipay()


ERRORS = [
    ("alipay.trade.query", "ACQ.TRADE_NOT_EXIST", "交易不存在", NoSuchTrade),
    ("alipay.trade.query", "ACQ.SELLER_BALANCE_NOT_ENOUGH", "商户余额不足", Refused),
    ("alipay.trade.query", "ACQ.SYSTEM_ERROR", "系统错误", TryAgain),
    # In GBK they end in the bytes of a brace, a backslash and the other brace.
    ("alipay.trade.query", "ACQ.TRADE_HAS_CLOSE", "憑乗諁", Refused),
]


@pytest.mark.parametrize("charset", ["utf-8", "gbk", "gb18030"])
@pytest.mark.parametrize(
    "content_type", ["", "text/html", "text/html;charset=utf-8", "text/html;charset=GBK"]
)
@pytest.mark.parametrize(("method", "code", "message", "kind"), ERRORS)
def test_error_keeps_its_meaning_in_any_encoding(
    client: AlipayClient,
    speaker: Speaker,
    charset: str,
    content_type: str,
    method: str,
    code: str,
    message: str,
    kind: type[Exception],
) -> None:
    content = {"code": "40004", "msg": "Business Failed", "sub_code": code, "sub_msg": message}
    answer = {f"{method.replace('.', '_')}_response": content}
    speaker.body = json.dumps(answer, ensure_ascii=False).encode(charset)
    speaker.content_type = content_type
    with pytest.raises(kind) as raised:
        client.query("P1")
    assert type(raised.value) is kind
    assert str(raised.value) == f"{code} {message}"


@pytest.mark.parametrize(
    "body", [b"\xff", b"\x80\x81", b'{"a": "\xe4"', "<html>网关</html>".encode("gbk")]
)
def test_answer_that_is_no_text_is_no_answer(
    client: AlipayClient, speaker: Speaker, body: bytes
) -> None:
    speaker.body = body
    with pytest.raises(TryAgain):
        client.query("P1")


def test_success_in_gbk_is_verified_over_its_bytes(sandbox: SandboxProcess) -> None:
    client = providers.alipay()
    sandbox.fault("alipay.login", "gbk", times="always")
    assert client.log_in(sandbox.code("o-顾客乗諁", platform="alipay")).openid == "o-顾客乗諁"
    with pytest.raises(LoginAgain, match="授权码"):
        client.log_in("never-given")


def test_refusal_of_the_sandbox_in_gbk_keeps_its_meaning(sandbox: SandboxProcess) -> None:
    client = providers.alipay()
    sandbox.fault("alipay.*", "gbk", times="always")
    with pytest.raises(NoSuchTrade, match="交易不存在"):
        client.query("P1")
    with pytest.raises(NoBill, match="bill_not_exist"):
        client.bill(date(2026, 1, 1))


def success(sandbox: SandboxProcess, charset: str) -> bytes:
    """The answer to a query, as Alipay signs it."""
    pem = (sandbox.directory / "alipay_private.pem").read_bytes()
    key: Any = serialization.load_pem_private_key(pem, password=None)
    inner = (
        '{"code":"10000","msg":"Success","store_name":"憑乗諁","out_trade_no":"P1","trade_no":"42",'
        '"trade_status":"TRADE_SUCCESS","total_amount":"1.00"}'
    )
    signature = key.sign(inner.encode(charset), padding.PKCS1v15(), hashes.SHA256())
    sign = base64.b64encode(signature).decode()
    return f'{{"alipay_trade_query_response":{inner},"sign":"{sign}"}}'.encode(charset)


@pytest.mark.parametrize("charset", ["utf-8", "gbk"])
def test_success_is_verified_over_its_bytes(
    client: AlipayClient, speaker: Speaker, sandbox: SandboxProcess, charset: str
) -> None:
    speaker.body = success(sandbox, charset)
    assert client.query("P1").amount_fen == 100
    for old, new in (("憑", "憐"), ("1.00", "9.00")):
        speaker.body = success(sandbox, charset).replace(old.encode(charset), new.encode(charset))
        with pytest.raises(TryAgain, match="UNVERIFIED_ANSWER"):
            client.query("P1")


def test_success_in_another_encoding_than_was_signed_is_no_answer(
    client: AlipayClient, speaker: Speaker, sandbox: SandboxProcess
) -> None:
    speaker.body = success(sandbox, "gbk").decode("gbk").encode()
    with pytest.raises(TryAgain, match="UNVERIFIED_ANSWER"):
        client.query("P1")
