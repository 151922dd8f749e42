"""The WeChat client against the sandbox: phone, content, messages, codes, shipping, pushed messages."""

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.cache import cache

from miniback.platforms.errors import (
    AlreadyDone,
    LoginAgain,
    Misconfigured,
    NoConsent,
    NoticeRejected,
    Refused,
    TryAgain,
)
from miniback.platforms.wechat import Parcel, WeChatClient, fit_value
from miniback.platforms.wechat_crypto import MessagePush, decrypt_user_data, raw_data_is_signed
from tests.platforms import test_wechatpay
from tests.sandbox_process import SandboxProcess

TEMPLATE = "tmpl-order-paid-0001"
# The official demo (PLATFORMS F4).
DEMO = {
    "session_key": "tiihtNczf5v6AKRyjwEUhQ==",
    "app_id": "wx4f4bc4dec97d474b",
}
DEMO_IV = "r7BXXKkLb8qrSNn05n0qiA=="
DEMO_DATA = (
    "CiyLU1Aw2KjvrjMdj8YKliAjtP4gsMZMQmRzooG2xrDcvSnxIMXFufNstNGTyaGS9uT5geRa0W4oTOb1WT7fJlAC+oNPdbB"
    "+3hVbJSRgv+4lGOETKUQz6OYStslQ142dNCuabNPGBzlooOmB231qMM85d2/fV6ChevvXvQP8Hkue1poOFtnEtpyxVLW1zA"
    "o6/1Xx1COxFvrc2d7UL/lmHInNlxuacJXwu0fjpXfz/YqYzBIBzD6WUfTIF9GRHpOn/Hz7saL8xz+W//FRAUid1OksQaQx4"
    "CMs8LOddcQhULW4ucetDf96JcR3g0gfRK4PC7E/r7Z6xNrXd2UIeorGj5Ef7b1pJAYB6Y5anaHqZ9J6nKEBvB4DnNLIVWSg"
    "ARns/8wR2SiRS7MNACwTyrGvt9ts8p12PKFdlqYTopNHR1Vf7XjfhQlVsAJdNiKdYmYVoKlaRv85IfVunYzO0IKXsyl7JCU"
    "jCpoG20f0a04COwfneQAGGwd5oa+T8yO5hzuyDb/XcxxmK01EpqOyuxINew=="
)


@pytest.fixture
def client(sandbox: SandboxProcess) -> WeChatClient:
    env = sandbox.env
    made = WeChatClient(
        app_id=env["WECHAT_APP_ID"],
        secret=env["WECHAT_APP_SECRET"],
        base_url=sandbox.url,
        cache=cache,
    )
    made.log_in(sandbox.code())
    return made


def ask_phone(sandbox: SandboxProcess, phone: str = "13812345678", **more: Any) -> dict[str, str]:
    body = {"openid": "o-customer", "phone": phone, **more}
    return sandbox.post("/phone/wechat/phone-number/", **body).json()


# Phone


def test_a_phone_by_its_code(client: WeChatClient, sandbox: SandboxProcess) -> None:
    code = ask_phone(sandbox)["code"]
    assert client.phone_number(code, openid="o-customer") == "13812345678"
    abroad = ask_phone(sandbox, "51234567", country="852")["code"]
    assert client.phone_number(abroad, openid="o-customer") == "+852 51234567"
    with pytest.raises(LoginAgain):
        client.phone_number(code, openid="o-customer")


def test_a_phone_code_that_is_none(client: WeChatClient, sandbox: SandboxProcess) -> None:
    """Such as the code of wx.login, somebody else's, or an old one."""
    sandbox.code("o-other")
    theirs = ask_phone(sandbox)["code"]
    for code, openid in ((sandbox.code(), "o-customer"), ("x", "o-customer"), (theirs, "o-other")):
        with pytest.raises(LoginAgain):
            client.phone_number(code, openid=openid)
    sandbox.advance(301)
    with pytest.raises(LoginAgain):
        client.phone_number(theirs, openid="o-customer")


def test_the_older_encrypted_phone(client: WeChatClient, sandbox: SandboxProcess) -> None:
    login = client.log_in(sandbox.code())
    given = ask_phone(sandbox)
    content = decrypt_user_data(
        given["encryptedData"], given["iv"],
        session_key=login.session_key, app_id=client.app_id,
    )  # fmt: skip
    assert content["purePhoneNumber"] == "13812345678"
    stale = base64.b64encode(b"k" * 16).decode()
    for key, app_id in (
        (stale, client.app_id),
        (login.session_key, "wx-other"),
        ("", client.app_id),
    ):
        with pytest.raises(LoginAgain):
            decrypt_user_data(given["encryptedData"], given["iv"], session_key=key, app_id=app_id)


@pytest.mark.parametrize(("data", "iv"), [("", ""), ("x", "y"), ("AAAA", DEMO_IV), ("é", "é")])
def test_encrypted_data_that_is_none(data: str, iv: str) -> None:
    with pytest.raises(LoginAgain):
        decrypt_user_data(data, iv, **DEMO)


def test_the_official_vectors() -> None:
    """PLATFORMS F4."""
    content = decrypt_user_data(DEMO_DATA, DEMO_IV, **DEMO)
    assert (content["nickName"], content["watermark"]["timestamp"]) == ("Band", 1477314187)
    raw = (
        '{"nickName":"Band","gender":1,"language":"zh_CN","city":"Guangzhou","province":"Guangdong",'
        '"country":"CN","avatarUrl":"http://wx.qlogo.cn/mmopen/vi_32/1vZvI39NWFQ9XM4LtQpFrQJ1xlgZxx3w7b'
        'QxKARol6503Iuswjjn6nIGBiaycAjAtpujxyzYsrztuuICqIM5ibXQ/0"}'
    )
    key, signature = "HyVFkGl5F5OQWJZZaNzBBg==", "75e81ceda165f4ffa64f4068af58c64b8f54b88c"
    assert raw_data_is_signed(raw, signature, session_key=key)
    assert not raw_data_is_signed(raw + " ", signature, session_key=key)
    push = MessagePush(token="AAAAA", aes_key="", app_id="")
    query = {
        "timestamp": "1714036504", "nonce": "1514711492", "echostr": "hello",
        "signature": "f464b24fc39322e44b38aa78f5edd27bd1441696",
    }  # fmt: skip
    assert push.check(query) == "hello"
    with pytest.raises(NoticeRejected):
        push.check({**query, "nonce": "1"})


# Token


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
def test_a_token_the_platform_drops_is_replaced_once(
    client: WeChatClient, sandbox: SandboxProcess, errcode: int
) -> None:
    sandbox.fault("wechat.text_check", "errcode", errcode=errcode)
    assert client.check_text("你好", openid="o-customer", scene=2).suggest == "pass"
    sandbox.fault("wechat.text_check", "errcode", times=2, errcode=errcode)
    with pytest.raises(Exception, match=str(errcode)):
        client.check_text("你好", openid="o-customer", scene=2)


@pytest.mark.parametrize(
    ("errcode", "error"),
    [
        (-1, TryAgain),
        (45009, TryAgain),
        (45011, TryAgain),
        (48001, Misconfigured),
        (40097, Refused),
    ],
)
def test_errors_by_what_to_do(
    client: WeChatClient, sandbox: SandboxProcess, errcode: int, error: type[Exception]
) -> None:
    sandbox.fault("wechat.message", "errcode", errcode=errcode)
    with pytest.raises(error):
        send(client)


# Content


@pytest.mark.parametrize(
    ("text", "suggest"), [("很好喝", "pass"), ("来赌博吧", "risky"), ("加微信聊", "review")]
)
def test_a_text_is_judged_by_suggest(client: WeChatClient, text: str, suggest: str) -> None:
    """errcode 0 says only that it was looked at."""
    assert client.check_text(text, openid="o-customer", scene=2).suggest == suggest


def test_somebody_who_was_not_here_lately(client: WeChatClient, sandbox: SandboxProcess) -> None:
    """61010: nobody can say, so a person looks."""
    sandbox.advance(7300)
    assert client.check_text("很好喝", openid="o-customer", scene=2).suggest == "review"


def test_a_picture_is_judged_later(client: WeChatClient, sandbox: SandboxProcess) -> None:
    trace = client.check_picture("https://shop.example/a.jpg", openid="o-customer", scene=2)
    [told] = [row for row in sandbox.notifications() if row["event_type"] == "wxa_media_check"]
    assert told["resource"]["trace_id"] == trace
    assert told["resource"]["result"]["suggest"] == "pass"


# Messages and codes


def send(client: WeChatClient, **data: str) -> None:
    client.send_message(
        openid="o-customer", template_id=TEMPLATE, page="pages/order?number=1",
        data=data or {"thing1": "龙井绿茶", "amount2": "¥19.90"},
    )  # fmt: skip


def test_one_message_spends_one_consent(client: WeChatClient, sandbox: SandboxProcess) -> None:
    with pytest.raises(NoConsent):
        send(client)
    sandbox.post("/phone/wechat/consents/", openid="o-customer", template_ids=[TEMPLATE])
    send(client, thing1="很" * 30)
    with pytest.raises(NoConsent):
        send(client)
    [message] = sandbox.get("/phone/wechat/messages/?openid=o-customer")["messages"]
    assert message["data"] == {"thing1": "很" * 19 + "…"}


@pytest.mark.parametrize(
    ("key", "value", "fitted"),
    [
        ("thing1", "  a \n b ", "a b"), ("thing12", "很" * 21, "很" * 19 + "…"),
        ("number2", "-12.5", "-12.5"), ("character_string3", "A" * 40, "A" * 32),
        ("amount4", "¥19.90", "¥19.90"), ("date7", "2026年11月23日", "2026年11月23日"),
        ("phrase5", "已发货", "已发货"), ("phrase5", "shipped", None), ("number2", "12a", None),
        ("letter6", "ab1", None), ("thing1", "", None), ("amount4", "free", None),
        ("character_string3", "订单", None), ("symbol1", "!!!!!!", None),
    ],
)  # fmt: skip
def test_values_fit_their_fields(key: str, value: str, fitted: str | None) -> None:
    if fitted is None:
        with pytest.raises(Refused, match=key):
            fit_value(key, value)
    else:
        assert fit_value(key, value) == fitted


def test_a_code_is_an_image_or_a_refusal(client: WeChatClient, sandbox: SandboxProcess) -> None:
    image = client.code_image(scene="product=1", page="pages/product")
    assert image.startswith((b"\x89PNG", b"\xff\xd8\xff"))
    for scene in ("x" * 33, "a%20b", ""):
        with pytest.raises(Refused):
            client.code_image(scene=scene, page="pages/product")
    with pytest.raises(Misconfigured):
        client.code_image(scene="a", page="/pages/product")
    sandbox.fault("wechat.code_image", "html")
    with pytest.raises(TryAgain):
        client.code_image(scene="a", page="pages/product")


# Shipping


@pytest.fixture
def paid(client: WeChatClient, sandbox: SandboxProcess) -> WeChatClient:
    test_wechatpay.pay(test_wechatpay.make_client(sandbox), sandbox)
    return client


def upload(
    client: WeChatClient, sandbox: SandboxProcess, *numbers: str, split: bool = False, **more: Any
) -> None:
    given: dict[str, Any] = {
        "mch_id": sandbox.env["WECHATPAY_MCH_ID"], "payment_number": "P-000001", "openid": "o-customer",
        "parcels": [Parcel("SF", number, "龙井绿茶 x2", "138****5678") for number in numbers],
        "is_split": split, "is_all": True, "at": datetime.now(UTC),
    }  # fmt: skip
    client.upload_shipping(**{**given, **more})


def parcels(sandbox: SandboxProcess) -> dict[str, Any]:
    [order] = sandbox.get("/phone/wechat/parcels/?openid=o-customer")["orders"]
    return order


def test_one_parcel_is_told(paid: WeChatClient, sandbox: SandboxProcess) -> None:
    assert parcels(sandbox)["order_state"] == 1
    upload(paid, sandbox, "SF1001")
    order = parcels(sandbox)
    assert (order["order_state"], order["shipping"]["finish_shipping"]) == (2, True)
    assert order["shipping"]["shipping_list"][0]["contact"] == {"receiver_contact": "138****5678"}
    # Again the same: as good as done. Another time changed: the one correction. A third: no.
    with pytest.raises(AlreadyDone):
        upload(paid, sandbox, "SF1001")
    upload(paid, sandbox, "SF1002")
    with pytest.raises(Refused, match="10060003"):
        upload(paid, sandbox, "SF1003")


def test_parcels_one_after_the_other(paid: WeChatClient, sandbox: SandboxProcess) -> None:
    upload(paid, sandbox, "SF1", split=True, is_all=False)
    assert parcels(sandbox)["order_state"] == 1
    upload(paid, sandbox, "SF1", "SF2", split=True)
    order = parcels(sandbox)
    assert order["order_state"] == 2
    assert [one["tracking_no"] for one in order["shipping"]["shipping_list"]] == ["SF1", "SF2"]


def test_shipping_that_is_refused(paid: WeChatClient, sandbox: SandboxProcess) -> None:
    with pytest.raises(TryAgain, match="10060001"):
        upload(paid, sandbox, "SF1", payment_number="P-999999")
    with pytest.raises(Refused, match="10060031"):
        upload(paid, sandbox, "SF1", openid="o-other")
    with pytest.raises(Refused):
        upload(paid, sandbox, "SF1", parcels=[Parcel("SF", "SF1", "茶", "")])
    with pytest.raises(Refused):
        upload(paid, sandbox, "SF1", "SF2")
    assert parcels(sandbox)["order_state"] == 1


def test_a_receipt_is_told_twice(paid: WeChatClient, sandbox: SandboxProcess) -> None:
    """At shipping, and when the customer confirms in WeChat."""
    upload(paid, sandbox, "SF1")
    number = parcels(sandbox)["transaction_id"]
    assert sandbox.post("/phone/wechat/confirm-receipt/", transaction_id=number).ok
    told = [
        row["resource"] for row in sandbox.notifications()
        if row["event_type"] == "trade_manage_order_settlement"
    ]  # fmt: skip
    assert sorted("confirm_receive_time" in one for one in told) == [False, True]


# Pushed messages


def push_of(sandbox: SandboxProcess, **changes: str) -> MessagePush:
    env = sandbox.env
    given = {
        "token": env["WECHAT_PUSH_TOKEN"], "aes_key": env["WECHAT_PUSH_AES_KEY"],
        "app_id": env["WECHAT_APP_ID"],
    }  # fmt: skip
    return MessagePush(**{**given, **changes})


def plain(token: str, content: Any) -> tuple[dict[str, str], bytes]:
    query = {"timestamp": "1714036504", "nonce": "1514711492"}
    parts = "".join(sorted([token, *query.values()]))
    query["signature"] = hashlib.sha1(parts.encode()).hexdigest()
    return query, json.dumps(content).encode()


def test_plain_messages_only_where_no_key_is_set(sandbox: SandboxProcess) -> None:
    query, body = plain(sandbox.env["WECHAT_PUSH_TOKEN"], {"Event": "x"})
    assert push_of(sandbox, aes_key="").read(query, body) == {"Event": "x"}
    with pytest.raises(NoticeRejected):
        push_of(sandbox).read(query, body)
    with pytest.raises(NoticeRejected):
        push_of(sandbox, aes_key="", token="other").read(query, body)


@pytest.mark.parametrize(
    "body",
    [b"", b"x", b"[]", b"{}", b'{"Encrypt": 1}', b'{"Encrypt": "AAAA"}', b"\xff", b"[" * 9000],
)
def test_bodies_that_are_no_message(sandbox: SandboxProcess, body: bytes) -> None:
    for query in ({}, plain(sandbox.env["WECHAT_PUSH_TOKEN"], {})[0]):
        with pytest.raises(NoticeRejected):
            push_of(sandbox).read(query, body)


@pytest.mark.parametrize("changes", [{"token": ""}, {"aes_key": "short"}, {"aes_key": "é" * 43}])
def test_push_keys_that_are_none(sandbox: SandboxProcess, changes: dict[str, str]) -> None:
    with pytest.raises(Misconfigured):
        push_of(sandbox, **changes)
