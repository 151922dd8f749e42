"""WeChat Pay's platform certificates: alone, and beside the public key (PLATFORMS B2)."""

from typing import Any

import pytest
from wechatpayv3 import WeChatPay, WeChatPayType

from miniback.platforms.errors import TryAgain
from miniback.platforms.wechatpay import WeChatPayClient
from tests.platforms.test_judges import place as judge_places
from tests.platforms.test_wechatpay import make_client, pay, place
from tests.sandbox_process import SandboxProcess, until


class Certificates(dict[str, bytes]):
    """What the shop knows, in the order in which it learned it."""

    asked: list[str]

    def find(self, serial: str) -> bytes | None:
        self.asked = [*getattr(self, "asked", []), serial]
        return self.get(serial) if serial else next(reversed(self.values()), None)

    def learn(self, client: WeChatPayClient) -> None:
        self.update({one.serial: one.pem for one in reversed(client.certificates())})


@pytest.fixture
def known() -> Certificates:
    return Certificates()


@pytest.fixture
def client(sandbox: SandboxProcess, known: Certificates) -> WeChatPayClient:
    sandbox.code()
    made = make_client(sandbox, public_key_id="", public_key_pem=b"", find_certificate=known.find)
    known.learn(made)
    return made


def test_a_merchant_with_certificates_only(
    client: WeChatPayClient, sandbox: SandboxProcess
) -> None:
    pay(client, sandbox)
    trade = client.query("P-000001")
    assert (trade.is_paid, trade.amount_fen) == (True, 100)
    client.refund(
        number="R-1", payment_number="P-000001", amount_fen=100, total_fen=100, reason="x",
        notify_url="http://127.0.0.1:9/",
    )  # fmt: skip
    until(lambda: client.query_refund("R-1", "P-000001").status == "SUCCESS")


def test_a_new_certificate_signs(
    client: WeChatPayClient, sandbox: SandboxProcess, known: Certificates
) -> None:
    """An answer by one we do not know is not believed; the job learns it."""
    serial = sandbox.post("/certificates/rotate/").json()["serial"]
    with pytest.raises(TryAgain):
        place(client)
    known.learn(client)
    assert next(reversed(known)) == serial
    assert place(client)


@pytest.mark.parametrize("fault", ["http_500", "html", "empty", "unsigned", "wrong_signature"])
def test_certificates_nobody_vouches_for(
    client: WeChatPayClient, sandbox: SandboxProcess, fault: str
) -> None:
    sandbox.fault("wechatpay.certificates", fault)
    with pytest.raises(TryAgain):
        client.certificates()


def test_certificates_under_another_key(sandbox: SandboxProcess) -> None:
    with pytest.raises(TryAgain):
        make_client(sandbox, api_v3_key="k" * 32).certificates()


def test_an_independent_client_in_certificate_mode(
    client: WeChatPayClient, sandbox: SandboxProcess, known: Certificates, tmp_path: Any
) -> None:
    """It knows what we fetched, and a new certificate signs (the rest of its mode: test_judges)."""
    for serial, pem in known.items():
        (tmp_path / f"{serial}.pem").write_bytes(pem)
    env = sandbox.env
    judge = WeChatPay(
        wechatpay_type=WeChatPayType.MINIPROG,
        mchid=env["WECHATPAY_MCH_ID"],
        private_key=(sandbox.directory / "merchant_private.pem").read_text(),
        cert_serial_no=env["WECHATPAY_SERIAL"],
        apiv3_key=env["WECHATPAY_API_V3_KEY"],
        appid=env["WECHAT_APP_ID"],
        notify_url="http://127.0.0.1:9/",
        cert_dir=str(tmp_path),
    )
    judge._core._gate_way = sandbox.url
    judge_places(judge)
    # It fetches the new one itself, and accepts the sandbox's list.
    sandbox.post("/certificates/rotate/")
    judge_places(judge, "J-000002")
