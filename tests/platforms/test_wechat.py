"""The WeChat client and its token, against the sandbox."""

import threading
from typing import Any

import pytest
from django.core.cache import cache

from miniback.platforms.errors import LoginAgain, Misconfigured, TokenExpired, TryAgain
from miniback.platforms.wechat import WeChatClient
from tests.sandbox_process import SandboxProcess


@pytest.fixture
def client(sandbox: SandboxProcess) -> WeChatClient:
    env = sandbox.env
    return WeChatClient(
        app_id=env["WECHAT_APP_ID"],
        secret=env["WECHAT_APP_SECRET"],
        base_url=env["WECHAT_BASE_URL"],
        cache=cache,
    )


def test_login_gives_the_ids(client: WeChatClient, sandbox: SandboxProcess) -> None:
    login = client.log_in(sandbox.code("o-1", unionid="u-1"))
    assert (login.openid, login.unionid) == ("o-1", "u-1")
    assert client.log_in(sandbox.code("o-2")).unionid == ""


def test_a_used_code_is_not_tried_again(client: WeChatClient, sandbox: SandboxProcess) -> None:
    code = sandbox.code()
    client.log_in(code)
    with pytest.raises(LoginAgain) as caught:
        client.log_in(code)
    assert caught.value.code == "40163"


def test_a_wrong_secret_is_for_a_person(sandbox: SandboxProcess) -> None:
    client = WeChatClient(
        app_id=sandbox.env["WECHAT_APP_ID"], secret="wrong", base_url=sandbox.url, cache=cache
    )
    with pytest.raises(Misconfigured):
        client.log_in(sandbox.code())
    with pytest.raises(Misconfigured):
        client.access_token()


def test_the_token_is_shared_and_fetched_once(
    client: WeChatClient, sandbox: SandboxProcess
) -> None:
    start = threading.Barrier(10)
    tokens: list[str] = []

    def race() -> None:
        start.wait()
        tokens.append(client.access_token())

    threads = [threading.Thread(target=race) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tokens) == 10
    assert len(set(tokens)) == 1


def test_a_token_is_replaced_before_it_ends(client: WeChatClient, sandbox: SandboxProcess) -> None:
    old = client.access_token()
    sandbox.advance(7200 - 299)
    cache.clear()
    assert client.access_token() != old


def test_an_expired_token_is_replaced_once(client: WeChatClient) -> None:
    """A10: refresh once, repeat once, and no more."""
    seen: list[str] = []

    def act(token: str) -> str:
        seen.append(token)
        if len(seen) == 1:
            raise TokenExpired("42001")
        return "done"

    assert client.with_token(act) == "done"
    seen.clear()

    def never(token: str) -> str:
        seen.append(token)
        raise TokenExpired("40001")

    with pytest.raises(TokenExpired):
        client.with_token(never)
    assert len(seen) == 2


@pytest.mark.parametrize("fault", ["http_500", "html", "empty", "cut_off", "redirect"])
def test_answers_that_are_none(client: WeChatClient, sandbox: SandboxProcess, fault: str) -> None:
    sandbox.fault("wechat.token", fault)
    with pytest.raises(TryAgain):
        client.access_token()


def test_errors_hold_no_secret(sandbox: SandboxProcess, settings: Any) -> None:
    client = WeChatClient(
        app_id="wx", secret="very-secret", base_url="http://127.0.0.1:9", cache=cache
    )
    with pytest.raises(TryAgain) as caught:
        client.log_in("code")
    assert "very-secret" not in str(caught.value)
