"""The stand-in itself: it refuses what the platform refuses, and forgets nothing."""

from pathlib import Path
from typing import Any

import pytest
import requests

from tests.platforms.test_wechatpay import EXPIRES, make_client, place
from tests.sandbox_process import SandboxProcess, until


@pytest.fixture
def own(tmp_path: Path) -> Any:
    """A sandbox that may be stopped."""
    process = SandboxProcess(tmp_path)
    process.code()
    yield process
    process.stop()


def test_state_and_keys_survive_a_restart(own: SandboxProcess) -> None:
    client = make_client(own)
    prepay_id = place(client)
    before = own.env
    own.stop()
    own.start(own.port)

    assert own.env == before
    assert own.pay(client.client_params(prepay_id)).ok
    assert client.query("P-000001").is_paid


def test_a_notice_outlives_a_restart(own: SandboxProcess) -> None:
    """Nobody listens: the notice is still owed afterwards."""
    client = make_client(own)
    assert own.pay(client.client_params(place(client))).ok
    own.wait_for_notices()
    own.stop()
    own.start(own.port)
    assert until(lambda: own.notifications()[0]["attempts"] >= 2)
    assert own.notifications()[0]["delivered_at"] is None


def test_notices_are_repeated_on_a_compressed_schedule(sandbox: SandboxProcess) -> None:
    """15 s, 15 s, 30 s ... a hundred times faster; the clock brings the rest forward."""
    sandbox.code()
    client = make_client(sandbox)
    sandbox.pay(client.client_params(place(client)))
    until(lambda: sandbox.notifications()[0]["attempts"] >= 3)

    def gave_up() -> bool:
        sandbox.advance(21600 / sandbox.speed)
        return sandbox.notifications()[0]["due_at"] is None

    until(gave_up, seconds=30)
    assert sandbox.notifications()[0]["attempts"] == 16


@pytest.mark.parametrize(
    "header",
    ["", "Basic x", "WECHATPAY2-SHA256-RSA2048 mchid=1", 'WECHATPAY2-SHA256-RSA2048 signature="x"'],
)
def test_unsigned_requests_are_refused(sandbox: SandboxProcess, header: str) -> None:
    for method, path in [
        ("POST", "/v3/pay/transactions/jsapi"),
        ("GET", "/v3/pay/transactions/out-trade-no/P-000001?mchid=1"),
        ("POST", "/v3/refund/domestic/refunds"),
    ]:
        answer = requests.request(
            method, sandbox.url + path, headers={"Authorization": header}, timeout=5
        )
        assert (answer.status_code, answer.json()["code"]) == (401, "SIGN_ERROR")
        assert "Wechatpay-Signature" not in answer.headers


def signed(sandbox: SandboxProcess, body: Any, path: str = "/v3/pay/transactions/jsapi") -> Any:
    """Send any body under a good signature, and return the error's code."""
    client = make_client(sandbox)
    try:
        client._call("POST", path, body)
    except Exception as error:
        return error.code  # type: ignore[attr-defined]
    return "OK"


def order(sandbox: SandboxProcess, **changes: Any) -> dict[str, Any]:
    body = {
        "appid": sandbox.env["WECHAT_APP_ID"],
        "mchid": sandbox.env["WECHATPAY_MCH_ID"],
        "description": "茶",
        "out_trade_no": "P-000001",
        "time_expire": EXPIRES.isoformat(timespec="seconds"),
        "notify_url": "https://shop.example/notify",
        "amount": {"total": 1, "currency": "CNY"},
        "payer": {"openid": "o-customer"},
        **changes,
    }
    return {name: value for name, value in body.items() if value != "absent"}


@pytest.mark.parametrize(
    "changes",
    [
        {"extra": 1}, {"attach": None}, {"amount": {"total": 0}}, {"amount": {"total": "1"}},
        {"amount": {"total": 1.5}}, {"amount": {"total": 1, "currency": "USD"}}, {"payer": {}},
        {"notify_url": "https://shop.example/?a=1"}, {"notify_url": "shop"}, {"description": ""},
        {"description": "x" * 128}, {"out_trade_no": "short"}, {"time_expire": "soon"},
        {"appid": "wx0"}, {"mchid": "1"}, {"amount": "absent"}, {"payer": "absent"},
    ],
)  # fmt: skip
def test_orders_that_are_refused(sandbox: SandboxProcess, changes: dict[str, Any]) -> None:
    """B3: unknown fields and nulls too."""
    sandbox.code()
    assert signed(sandbox, order(sandbox, **changes)) == "PARAMERROR"
    assert signed(sandbox, order(sandbox)) == "OK"


def test_only_the_payer_can_pay_and_only_with_the_password(sandbox: SandboxProcess) -> None:
    sandbox.code()
    client = make_client(sandbox)
    params = client.client_params(place(client))
    assert sandbox.pay(params, openid="o-stranger").status_code == 400
    assert sandbox.pay(params, password="000000").status_code == 403
    assert sandbox.pay({**params, "signType": "MD5"}).status_code == 400
    assert sandbox.ledger()["totals"] == {"paid_fen": 0, "refunded_fen": 0}
    assert sandbox.pay(params, password="123456").ok


def test_a_prepay_and_an_order_end(sandbox: SandboxProcess) -> None:
    sandbox.code()
    client = make_client(sandbox)
    params = client.client_params(place(client))
    sandbox.advance(1900)
    assert sandbox.pay(params).status_code == 400
    assert client.query("P-000001").state == "closed"


def test_the_control_side_explains_itself(sandbox: SandboxProcess) -> None:
    assert sandbox.post("/faults/", target="x", fault="y").status_code == 400
    assert sandbox.post("/clock/", advance_seconds="x").status_code == 400
    assert requests.get(sandbox.url + "/clock/", timeout=5).status_code == 405
    sandbox.fault("wechat.login", "http_500", times=3)
    assert sandbox.get("/faults/")["faults"][0]["times"] == 3
    requests.delete(sandbox.url + "/faults/", timeout=5)
    assert sandbox.get("/faults/")["faults"] == []
    for path in ["/", "/phone.js", "/wx.js", "/miniback.js", "/phone.css"]:
        assert requests.get(sandbox.url + path, timeout=5).ok
    assert requests.get(sandbox.url + "/settings.py", timeout=5).status_code == 404


def test_it_writes_the_settings_of_a_shop(sandbox: SandboxProcess) -> None:
    env = sandbox.env
    assert env["WECHAT_APP_ID"].startswith("wxsandbox")
    assert len(env["WECHATPAY_API_V3_KEY"]) == 32
    assert Path(env["WECHATPAY_PRIVATE_KEY_FILE"]).exists()


def wechat_api(sandbox: SandboxProcess, path: str, token: str, **body: Any) -> dict[str, Any]:
    url = f"{sandbox.url}/{path}?access_token={token}"
    answer: dict[str, Any] = requests.post(url, json=body, timeout=9).json()
    return answer


def plain_token(sandbox: SandboxProcess, **changes: str) -> dict[str, Any]:
    app = {"appid": sandbox.env["WECHAT_APP_ID"], "secret": sandbox.env["WECHAT_APP_SECRET"]}
    asked = {"grant_type": "client_credential", **app, **changes}
    answer: dict[str, Any] = requests.get(
        f"{sandbox.url}/cgi-bin/token", params=asked, timeout=9
    ).json()
    return answer


def test_the_older_token_is_replaced_each_time(sandbox: SandboxProcess) -> None:
    first, second = plain_token(sandbox), plain_token(sandbox)
    assert first["access_token"] != second["access_token"]
    path = "wxa/sec/order/get_order_list"
    for known in (first, second):
        assert wechat_api(sandbox, path, known["access_token"])["errcode"] == 0
    sandbox.advance(301)
    assert wechat_api(sandbox, path, first["access_token"])["errcode"] == 40001
    assert wechat_api(sandbox, path, second["access_token"])["errcode"] == 0
    assert plain_token(sandbox, secret="x")["errcode"] == 40125
    assert plain_token(sandbox, grant_type="x")["errcode"] == 40002


def test_orders_are_listed_and_a_reminder_is_sent_once(sandbox: SandboxProcess) -> None:
    sandbox.code()
    client = make_client(sandbox)
    for number in ("P-000001", "P-000002", "P-000003"):
        assert sandbox.pay(client.client_params(place(client, number=number))).ok
    token = plain_token(sandbox)["access_token"]
    path = "wxa/sec/order/get_order_list"
    page = wechat_api(sandbox, path, token, page_size=2)
    assert [one["merchant_trade_no"] for one in page["order_list"]] == ["P-000003", "P-000002"]
    rest = wechat_api(sandbox, path, token, page_size=2, last_index=page["last_index"])
    assert ([one["merchant_trade_no"] for one in rest["order_list"]], rest["has_more"]) == (
        ["P-000001"],
        False,
    )
    assert wechat_api(sandbox, path, token, order_state=2)["order_list"] == []
    assert wechat_api(sandbox, path, token, page_size=0)["errcode"] == 268485194

    remind = "wxa/sec/order/notify_confirm_receive"
    about = {"merchant_trade_no": "P-000001", "received_time": 1764000000}
    assert wechat_api(sandbox, remind, token, **about)["errcode"] == 10060004
    parcel = {
        "tracking_no": "1", "express_company": "EMS", "item_desc": "茶",
    }  # fmt: skip
    key = {"order_number_type": 1, "mchid": sandbox.env["WECHATPAY_MCH_ID"]}
    uploaded = wechat_api(
        sandbox, "wxa/sec/order/upload_shipping_info", token,
        order_key={**key, "out_trade_no": "P-000001"},
        logistics_type=1, delivery_mode=1, shipping_list=[parcel],
        upload_time="2026-11-25T10:00:00+08:00", payer={"openid": "o-customer"},
    )  # fmt: skip
    assert uploaded["errcode"] == 0
    assert wechat_api(sandbox, remind, token, **about)["errcode"] == 0
    assert wechat_api(sandbox, remind, token, **about)["errcode"] == 10060023


def test_a_share_of_the_occasions(sandbox: SandboxProcess) -> None:
    sandbox.fault("wechat.login", "http_500", times="always", percent=0)
    assert sandbox.post("/sns/jscode2session").status_code == 200
    sandbox.fault("wechat.login", "http_500", times="always", percent=100)
    assert sandbox.post("/sns/jscode2session").status_code == 500
