"""Money is asked for where it was paid to, also after the settings name another account."""

from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks

from miniback.core import doctor
from miniback.core.providers import payment_provider, payment_providers
from miniback.platforms.errors import Misconfigured, NoSuchTrade
from tests.sandbox_process import SandboxProcess

WECHAT = """
[[wechat]]
app_id = "{WECHAT_APP_ID}"
mch_id = "{WECHATPAY_MCH_ID}"
api_v3_key = "{WECHATPAY_API_V3_KEY}"
serial = "{WECHATPAY_SERIAL}"
private_key_file = "merchant_private.pem"
public_key_id = "{WECHATPAY_PUBLIC_KEY_ID}"
public_key_file = "platform_public.pem"
"""
ALIPAY = """
[[alipay]]
app_id = "{ALIPAY_APP_ID}"
seller_id = "{ALIPAY_SELLER_ID}"
private_key_file = "alipay_app_private.pem"
public_key_file = "alipay_public.pem"
"""


@pytest.fixture
def moved(sandbox: SandboxProcess, settings: Any) -> SandboxProcess:
    """The shop has gone from the first merchants to the second ones, and keeps the first in a file."""
    file = sandbox.directory / "former.toml"
    file.write_text((WECHAT + ALIPAY).format(**sandbox.env))
    settings.FORMER_ACCOUNTS_FILE = str(file)
    for name, value in sandbox.other_env.items():
        if name.startswith(("WECHAT", "ALIPAY")):
            setattr(settings, name, value)
    return sandbox


IDS = {
    "wechat": ("WECHAT_APP_ID", "WECHATPAY_MCH_ID"),
    "alipay": ("ALIPAY_APP_ID", "ALIPAY_SELLER_ID"),
}


@pytest.mark.parametrize("channel", IDS)
def test_payment_provider_is_the_account_of_the_row(moved: SandboxProcess, channel: str) -> None:
    app, merchant = IDS[channel]
    old = (moved.env[app], moved.env[merchant])
    new = (moved.other_env[app], moved.other_env[merchant])
    assert old != new
    for wanted in (old, new):
        client = payment_provider(channel, app_id=wanted[0], merchant_id=wanted[1])
        assert (client.app_id, client.merchant_id) == wanted
        with pytest.raises(NoSuchTrade):
            client.query("P2611230001")
    current = payment_provider(channel)
    assert (current.app_id, current.merchant_id) == new
    assert payment_provider(channel, app_id="", merchant_id="").merchant_id == new[1]
    every = [(client.app_id, client.merchant_id) for client in payment_providers(channel)]
    assert every == [new, old]


@pytest.mark.parametrize("channel", IDS)
def test_payment_provider_refuses_an_account_that_is_gone(
    moved: SandboxProcess, settings: Any, channel: str
) -> None:
    with pytest.raises(Misconfigured, match=r"ACCOUNT_GONE.*merchant 1555.*FORMER_ACCOUNTS_FILE"):
        payment_provider(channel, app_id="wx1", merchant_id="1555")
    settings.FORMER_ACCOUNTS_FILE = ""
    app, merchant = (moved.env[name] for name in IDS[channel])
    if channel == "alipay":
        with pytest.raises(Misconfigured, match="ACCOUNT_GONE"):
            payment_provider(channel, app_id=app, merchant_id=settings.ALIPAY_SELLER_ID)
    with pytest.raises(Misconfigured, match="ACCOUNT_GONE"):
        payment_provider(channel, app_id=app, merchant_id=merchant)


def test_payment_provider_serves_another_app_of_the_same_wechat_merchant(
    moved: SandboxProcess, settings: Any
) -> None:
    """Its keys are the merchant's."""
    for merchant in (moved.env["WECHATPAY_MCH_ID"], moved.other_env["WECHATPAY_MCH_ID"]):
        client = payment_provider("wechat", app_id="wx-before", merchant_id=merchant)
        assert (client.app_id, client.merchant_id) == ("wx-before", merchant)
        with pytest.raises(NoSuchTrade):
            client.query("P2611230001")


def test_payment_providers_are_the_former_ones_if_there_is_no_other(
    moved: SandboxProcess, settings: Any
) -> None:
    settings.ALIPAY_APP_ID = settings.ALIPAY_SELLER_ID = ""
    clients = payment_providers("alipay")
    assert [client.merchant_id for client in clients] == [moved.env["ALIPAY_SELLER_ID"]]


def test_good_file_passes_check_and_doctor(moved: SandboxProcess) -> None:
    assert [one for one in run_checks() if one.id == "miniback.E005"] == []
    found = [*doctor.examine(), *doctor.ask()]
    assert [one for one in found if one.setting == "FORMER_ACCOUNTS_FILE"] == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("[[wechat]\n", "BAD_FORMER_ACCOUNTS"),
        ("\xff", "BAD_FORMER_ACCOUNTS"),
        ('[[douyin]]\napp_id = "1"\n', "douyin"),
        ('[wechat]\napp_id = "1"\n', "two brackets"),
        ("wechat = [1]\n", "no table"),
        ('[[wechat]]\napp_id = "1"\n', "incomplete"),
        (WECHAT + 'secret = "x"\n', "unknown name: secret"),
        (WECHAT.replace('"{WECHATPAY_MCH_ID}"', "1900000001"), "mch_id is no text"),
        (WECHAT.replace("{WECHATPAY_MCH_ID}", ""), "mch_id is no text"),
        (WECHAT + WECHAT, "twice"),
        (WECHAT.replace("merchant_private", "nowhere"), "NO_KEY_FILE"),
        (WECHAT.replace("merchant_private", "platform_public"), "BAD_KEY"),
        (ALIPAY.replace("alipay_public.pem", "names.txt"), "BAD_KEY"),
    ],
)
def test_bad_file_is_refused_at_the_start(
    sandbox: SandboxProcess, settings: Any, content: str | None, message: str
) -> None:
    file = sandbox.directory / "former.toml"
    file.unlink(missing_ok=True)
    if content is not None:
        for name, value in sandbox.env.items():
            content = content.replace(f"{{{name}}}", value)
        file.write_text(content, encoding="latin-1")
    settings.FORMER_ACCOUNTS_FILE = str(file)
    errors = [str(one.msg) for one in run_checks() if one.id == "miniback.E005"]
    assert len(errors) == 1
    assert message in errors[0]
    assert sandbox.env["WECHATPAY_API_V3_KEY"] not in errors[0]
    problems = [one.problem for one in doctor.examine() if one.setting == "FORMER_ACCOUNTS_FILE"]
    assert len(problems) == 1
    assert message in problems[0]
    # The current account is served all the same.
    assert payment_provider("wechat").merchant_id == sandbox.env["WECHATPAY_MCH_ID"]


def test_changed_file_is_read_again(moved: SandboxProcess, settings: Any, tmp_path: Path) -> None:
    old = moved.env["WECHATPAY_MCH_ID"]
    assert payment_provider("wechat", merchant_id=old).merchant_id == old
    Path(settings.FORMER_ACCOUNTS_FILE).write_text("")
    with pytest.raises(Misconfigured, match="ACCOUNT_GONE"):
        payment_provider("wechat", merchant_id=old)
