"""One person at several platforms, and the phone that a platform vouches for."""

import base64
import json
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from accounts.models import Identity, User
from tests.conftest import Api
from tests.factories import make_order
from tests.sandbox_process import SandboxProcess
from tests.threads import together

pytestmark = pytest.mark.django_db(transaction=True)


def log_in(sandbox: SandboxProcess, platform: str, openid: str = "o-customer", **more: Any) -> Any:
    api, code = Api(), sandbox.code(openid, platform=platform, **more)
    answer = api.post("auth/login/", {"platform": platform, "code": code})
    assert answer.status_code == 200, answer.content
    api.access = answer.json()["access"]
    return api


def user_of(api: Api) -> int:
    return api.get("me/").json()["id"]


def link(api: Api, sandbox: SandboxProcess, platform: str, openid: str = "o-second") -> Any:
    code = sandbox.code(openid, platform=platform)
    return api.post("me/identities/", {"platform": platform, "code": code})


@pytest.mark.parametrize("platform", ["wechat", "alipay", "douyin"])
def test_every_platform_logs_in(sandbox: SandboxProcess, platform: str) -> None:
    first = log_in(sandbox, platform)
    assert user_of(first) == user_of(log_in(sandbox, platform))
    assert Identity.objects.get().platform == platform


def test_the_same_openid_elsewhere_is_somebody_else(sandbox: SandboxProcess) -> None:
    people = {user_of(log_in(sandbox, platform)) for platform in ("wechat", "alipay", "douyin")}
    assert len(people) == 3


def test_a_linked_platform_leads_to_the_same_customer(sandbox: SandboxProcess) -> None:
    api = log_in(sandbox, "wechat")
    answer = link(api, sandbox, "alipay")
    assert (answer.status_code, answer.json()["platform"]) == (200, "alipay")
    assert link(api, sandbox, "alipay").status_code == 200
    assert user_of(log_in(sandbox, "alipay", "o-second")) == user_of(api)
    assert User.objects.count() == 1


def test_nobody_takes_over_a_customer(sandbox: SandboxProcess) -> None:
    """The orders would go with the account, whatever the client says."""
    theirs = log_in(sandbox, "alipay", "o-second")
    make_order(User.objects.get(pk=user_of(theirs)))
    refused = link(log_in(sandbox, "wechat"), sandbox, "alipay")
    assert (refused.status_code, refused.json()["code"]) == (409, "identity_taken")
    assert user_of(log_in(sandbox, "alipay", "o-second")) == user_of(theirs)
    # Nor one that has done nothing yet.
    log_in(sandbox, "douyin", "o-third")
    assert link(theirs, sandbox, "douyin", "o-third").status_code == 409


def test_linking_at_once(sandbox: SandboxProcess) -> None:
    """Two customers link one account: one of them gets it."""
    apis = [log_in(sandbox, "wechat", f"o-{number}") for number in range(4)]
    answers = together([partial(link, api, sandbox, "alipay") for api in apis])
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert Identity.objects.filter(platform="alipay").count() == 1


def test_a_code_that_is_none(sandbox: SandboxProcess) -> None:
    api = log_in(sandbox, "wechat")
    for body, code in (
        ({"platform": "alipay", "code": "x" * 20}, "login_code_invalid"),
        ({"platform": "alipay", "code": sandbox.code()}, "login_code_invalid"),
        ({"platform": "qq", "code": "x"}, "invalid"),
        ({"platform": "alipay"}, "invalid"),
    ):
        assert api.post("me/identities/", body).json()["code"] == code
    assert Identity.objects.count() == 1


def test_one_unionid_in_two_apps_is_one_customer(sandbox: SandboxProcess, settings: Any) -> None:
    first = log_in(sandbox, "wechat", "o-here", unionid="u-1")
    Identity.objects.update(app_id="wx-another-app-of-ours")
    second = log_in(sandbox, "wechat", "o-there", unionid="u-1")
    assert user_of(first) == user_of(second)
    # A unionid of another platform is another thing.
    assert user_of(log_in(sandbox, "alipay", "o-there", unionid="u-1")) != user_of(first)


# Phone


def bound(api: Api, **proof: str) -> tuple[int, str]:
    answer = api.put("me/phone/", proof)
    return answer.status_code, answer.json().get("phone") or answer.json().get("code")


def wechat_phone(sandbox: SandboxProcess, **more: Any) -> dict[str, str]:
    body = {"openid": "o-customer", "phone": "13812345678", **more}
    return sandbox.post("/phone/wechat/phone-number/", **body).json()


def test_a_phone_by_code(sandbox: SandboxProcess) -> None:
    api, given = log_in(sandbox, "wechat"), wechat_phone(sandbox)
    assert bound(api, code=given["code"]) == (200, "138****5678")
    user = User.objects.get()
    assert (user.phone, bool(user.phone_hash)) == ("13812345678", True)
    assert bound(api, code=given["code"]) == (400, "phone_code_invalid")
    assert User.objects.get().phone == "13812345678"


def test_a_phone_by_the_older_way(sandbox: SandboxProcess) -> None:
    api, given = log_in(sandbox, "wechat"), wechat_phone(sandbox)
    sealed = {"encrypted_data": given["encryptedData"], "iv": given["iv"]}
    assert bound(api, **sealed) == (200, "138****5678")
    # Another login replaces the session key, and what was sealed before cannot be opened.
    log_in(sandbox, "wechat")
    assert bound(api, **sealed) == (400, "phone_code_invalid")


def test_sealed_data_without_a_phone(sandbox: SandboxProcess) -> None:
    """Such as what wx.getUserInfo gives: the client's mistake, and nobody's outage."""
    api = log_in(sandbox, "wechat")
    content = {"nickName": "Band", "watermark": {"appid": sandbox.env["WECHAT_APP_ID"]}}
    plain = json.dumps(content).encode()
    padder = PKCS7(128).padder()
    key, iv = base64.b64decode(Identity.objects.get().session_key), b"i" * 16
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    sealed = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    proof = {"encrypted_data": base64.b64encode(sealed), "iv": base64.b64encode(iv)}
    sent = {name: value.decode() for name, value in proof.items()}
    assert bound(api, **sent) == (400, "phone_code_invalid")


def test_a_shop_without_the_key_for_alipays_phones(sandbox: SandboxProcess, settings: Any) -> None:
    api = log_in(sandbox, "alipay")
    given = sandbox.post("/phone/alipay/phone-number/", phone="13900001111").json()
    settings.ALIPAY_AES_KEY = ""
    assert bound(api, **given) == (503, "platform_unavailable")


def test_a_phone_by_alipay(sandbox: SandboxProcess) -> None:
    api = log_in(sandbox, "alipay")
    given = sandbox.post("/phone/alipay/phone-number/", phone="13900001111").json()
    assert bound(api, **given) == (200, "139****1111")
    forged = {**given, "sign": given["sign"][::-1]}
    assert bound(api, **forged) == (400, "phone_code_invalid")
    assert bound(api, response='{"code": "10000", "mobile": "13812345678"}', sign="AAAA") == (
        400, "phone_code_invalid",
    )  # fmt: skip


def test_each_platform_in_its_own_way(sandbox: SandboxProcess) -> None:
    douyin, given = log_in(sandbox, "douyin"), wechat_phone
    log_in(sandbox, "wechat")
    code = given(sandbox)["code"]
    for api in (douyin, log_in(sandbox, "alipay")):
        assert bound(api, code=code) == (400, "phone_code_invalid")
    for body in ({}, {"code": "x", "iv": "y"}, {"iv": "x"}, {"sign": "x"}, {"code": ""}):
        assert bound(douyin, **body) == (400, "invalid")
    assert not User.objects.exclude(phone_hash="").exists()


def test_somebody_elses_phone(sandbox: SandboxProcess) -> None:
    """The code belongs to the openid that asked for it."""
    log_in(sandbox, "wechat")
    thief = log_in(sandbox, "wechat", "o-thief")
    assert bound(thief, code=wechat_phone(sandbox)["code"]) == (400, "phone_code_invalid")


@pytest.mark.parametrize("fault", ["http_500", "html", "empty"])
def test_a_platform_that_is_down(sandbox: SandboxProcess, fault: str) -> None:
    api, given = log_in(sandbox, "wechat"), wechat_phone(sandbox)
    sandbox.fault("wechat.phone", fault)
    assert bound(api, code=given["code"]) == (503, "platform_unavailable")
