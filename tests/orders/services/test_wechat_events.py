"""Message push over HTTP: the address is proved, events are taken once, strangers are refused (A9)."""

import hashlib
from typing import Any

import pytest
from django.test import Client

from miniback.jobs import deliver_outbox
from orders.models import Carrier
from orders.services.fulfillment import ship_order
from orders.status import OrderStatus
from tests.orders.conftest import Deal
from tests.sandbox_process import SandboxProcess, until

pytestmark = pytest.mark.django_db(transaction=True)
ADDRESS = "/api/v1/callbacks/wechat/"


def query(sandbox: SandboxProcess, **changes: str) -> dict[str, str]:
    given = {"timestamp": "1714036504", "nonce": "1514711492", "echostr": "4375120948345356249"}
    parts = [sandbox.env["WECHAT_PUSH_TOKEN"], given["timestamp"], given["nonce"]]
    given["signature"] = hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()
    return {**given, **changes}


def test_the_console_checks_the_address(sandbox: SandboxProcess, client: Client) -> None:
    answer = client.get(ADDRESS, query(sandbox))
    assert (answer.status_code, answer.content) == (200, b"4375120948345356249")
    for changes in ({"nonce": "1"}, {"signature": ""}, {"signature": "é"}):
        assert client.get(ADDRESS, query(sandbox, **changes)).status_code == 401


@pytest.mark.parametrize("body", [b"", b"x", b"{}", b'{"Encrypt": "AAAA"}', b"[1]", b"\xff"])
def test_strangers_are_refused(sandbox: SandboxProcess, client: Client, body: bytes) -> None:
    answer = client.post(ADDRESS, body, content_type="application/json")
    assert (answer.status_code, answer.content != b"success") == (401, True)


def test_where_no_token_is_set_nobody_is_believed(client: Client, settings: Any, db: None) -> None:
    settings.WECHAT_PUSH_TOKEN = ""
    assert client.get(ADDRESS).status_code == 401
    assert client.post(ADDRESS, b"{}", content_type="application/json").status_code == 503


@pytest.fixture
def shop(live_server: Any, sandbox_process: SandboxProcess, settings: Any, tmp_path: Any) -> Any:
    """A sandbox that knows where the shop is: pushed messages have no address of their own."""
    process = SandboxProcess(tmp_path / "sandbox", shop_url=live_server.url)
    for name, value in process.env.items():
        if name.startswith("WECHAT"):
            setattr(settings, name, value)
    settings.WECHATPAY_CERTIFICATES = False
    settings.PUBLIC_URL = live_server.url
    yield process
    process.stop()


def test_a_receipt_confirmed_in_wechat(deal: Deal) -> None:
    """Told at shipping, which confirms nothing, and when the customer confirms."""
    deal.pay()
    until(lambda: deal.order.status == OrderStatus.PAID)
    carrier = Carrier.objects.get_or_create(code="SF", defaults={"name": "顺丰"})[0]
    ship_order(deal.order, carrier=carrier, tracking_number="SF1", user=None)
    deliver_outbox()
    told = until(lambda: pushed(deal))
    assert deal.order.status == OrderStatus.SHIPPED
    number = told[0]["resource"]["transaction_id"]
    deal.sandbox.fault("wechat.push", "duplicate")
    deal.sandbox.post("/phone/wechat/confirm-receipt/", transaction_id=number)
    until(lambda: deal.order.status == OrderStatus.COMPLETED)
    until(lambda: pushed(deal), at_least=2)
    assert deal.order.events.filter(to_status="completed").count() == 1


def pushed(deal: Deal) -> list[Any]:
    return [
        row for row in deal.sandbox.notifications()
        if row["event_type"] == "trade_manage_order_settlement" and row["delivered_at"]
    ]  # fmt: skip
