"""Login, sessions and tokens, against the sandbox over HTTP."""

from datetime import timedelta
from functools import partial
from typing import Any

import jwt
import pytest
from django.utils import timezone

from accounts.models import Identity, Session, User
from tests.conftest import Api
from tests.factories import make_access
from tests.sandbox_process import SandboxProcess
from tests.threads import together

pytestmark = pytest.mark.django_db


def log_in(api: Api, code: str, **more: Any) -> Any:
    return api.post("auth/login/", {"platform": "wechat", "code": code, **more})


def test_the_first_login_makes_a_customer(anonymous: Api, sandbox: SandboxProcess) -> None:
    first = log_in(anonymous, sandbox.code(unionid="u-1"))
    again = log_in(anonymous, sandbox.code())

    assert first.status_code == 200
    assert first.json()["is_new_user"] is True
    assert again.json()["is_new_user"] is False
    assert again.json()["user"] == first.json()["user"]
    identity = Identity.objects.get()
    assert (identity.openid, identity.unionid) == ("o-customer", "u-1")
    assert identity.user.username is None
    assert "session_key" not in first.content.decode()


def test_a_code_works_once(anonymous: Api, sandbox: SandboxProcess) -> None:
    """A6."""
    code = sandbox.code()
    assert log_in(anonymous, code).status_code == 200
    answer = log_in(anonymous, code)
    assert (answer.status_code, answer.json()["code"]) == (401, "login_code_invalid")


def test_an_old_code_does_not_work(anonymous: Api, sandbox: SandboxProcess) -> None:
    code = sandbox.code()
    sandbox.advance(301)
    assert log_in(anonymous, code).json()["code"] == "login_code_invalid"


@pytest.mark.parametrize("code", ["made-up", "x" * 512, "'; DROP TABLE", "😀"])
def test_a_made_up_code_does_not_work(anonymous: Api, sandbox: SandboxProcess, code: str) -> None:
    assert log_in(anonymous, code).status_code == 401
    assert not User.objects.exists()


def test_who_one_is_comes_from_the_platform_alone(anonymous: Api, sandbox: SandboxProcess) -> None:
    """T22."""
    log_in(anonymous, sandbox.code("o-victim"))
    more = {"openid": "o-victim", "unionid": "u", "user_id": 1, "user": 1}
    answer = log_in(anonymous, sandbox.code("o-thief"), **more)

    assert answer.json()["is_new_user"] is True
    assert User.objects.count() == 2


def test_only_platforms_we_speak(anonymous: Api, db: None) -> None:
    answer = anonymous.post("auth/login/", {"platform": "telegram", "code": "x"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


def test_a_busy_platform_is_asked_again(anonymous: Api, sandbox: SandboxProcess) -> None:
    sandbox.fault("wechat.login", "errcode", times=2, errcode=-1)
    assert log_in(anonymous, sandbox.code()).status_code == 200


@pytest.mark.parametrize(
    ("errcode", "status", "code"),
    [
        (40226, 403, "login_blocked"), (45011, 503, "platform_unavailable"),
        (40013, 503, "platform_unavailable"), (40163, 401, "login_code_invalid"),
        (99999, 503, "platform_unavailable"),
    ],
)  # fmt: skip
def test_refusals_of_the_platform(
    anonymous: Api, sandbox: SandboxProcess, errcode: int, status: int, code: str
) -> None:
    sandbox.fault("wechat.login", "errcode", errcode=errcode)
    answer = log_in(anonymous, sandbox.code())
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "fault", ["http_500", "html", "empty", "cut_off", "redirect", "timeout_before"]
)
def test_a_platform_that_does_not_answer(
    anonymous: Api, sandbox: SandboxProcess, fault: str
) -> None:
    """P18, A6: 503 in less than six seconds."""
    sandbox.fault("wechat.login", fault)
    started = timezone.now()
    answer = log_in(anonymous, sandbox.code())

    assert (answer.status_code, answer.json()["code"]) == (503, "platform_unavailable")
    assert answer["Retry-After"] == "2"
    assert (timezone.now() - started).total_seconds() < 6


def test_an_unreachable_platform(anonymous: Api, settings: Any, db: None) -> None:
    """P18: connection refused."""
    settings.WECHAT_APP_ID, settings.WECHAT_BASE_URL = "wx1", "http://127.0.0.1:9"
    assert log_in(anonymous, "code").status_code == 503


@pytest.mark.django_db(transaction=True)
def test_parallel_first_logins_make_one_person(sandbox: SandboxProcess) -> None:
    """C19: 20 at once, one user, 20 times 200."""
    codes = [sandbox.code() for _ in range(20)]
    answers = together([partial(log_in, Api(), code) for code in codes])

    assert [answer.status_code for answer in answers] == [200] * 20
    assert User.objects.count() == 1


# Tokens


def refresh(token: str) -> Any:
    return Api().post("auth/refresh/", {"refresh": token})


@pytest.fixture
def tokens(sandbox: SandboxProcess) -> dict[str, str]:
    return log_in(Api(), sandbox.code()).json()


def test_refreshing_gives_new_tokens_that_work(tokens: dict[str, str]) -> None:
    fresh = refresh(tokens["refresh"]).json()

    assert fresh["refresh"] != tokens["refresh"]
    assert Api(access=fresh["access"]).get("me/").status_code == 200
    assert refresh(fresh["refresh"]).status_code == 200


def test_a_parallel_refresh_is_told_that_it_lost(tokens: dict[str, str]) -> None:
    """C22: within a minute the session lives on."""
    fresh = refresh(tokens["refresh"]).json()
    loser = refresh(tokens["refresh"])

    assert (loser.status_code, loser.json()["code"]) == (409, "refresh_superseded")
    assert refresh(fresh["refresh"]).status_code == 200


def test_reusing_an_old_refresh_token_ends_the_session(
    tokens: dict[str, str], time_machine: Any
) -> None:
    """C22, T25: later than a minute it is theft."""
    fresh = refresh(tokens["refresh"]).json()
    time_machine.move_to(timezone.now() + timedelta(seconds=61))

    thief = refresh(tokens["refresh"])
    assert (thief.status_code, thief.json()["code"]) == (401, "refresh_invalid")
    assert refresh(fresh["refresh"]).status_code == 401
    assert Api(access=fresh["access"]).get("me/").status_code == 401


def test_a_token_older_than_the_previous_one_ends_the_session(tokens: dict[str, str]) -> None:
    second = refresh(tokens["refresh"]).json()
    third = refresh(second["refresh"]).json()

    assert refresh(tokens["refresh"]).status_code == 401
    assert refresh(third["refresh"]).status_code == 401


def test_logout_acts_at_once(tokens: dict[str, str]) -> None:
    api = Api(access=tokens["access"])
    assert api.post("auth/logout/").status_code == 204
    assert api.get("me/").status_code == 401
    assert refresh(tokens["refresh"]).status_code == 401


def test_a_blocked_customer_is_out_at_once(tokens: dict[str, str], sandbox: SandboxProcess) -> None:
    """T24, A2."""
    User.objects.update(is_active=False)

    assert Api(access=tokens["access"]).get("me/").status_code == 401
    assert refresh(tokens["refresh"]).status_code == 401
    answer = log_in(Api(), sandbox.code())
    assert (answer.status_code, answer.json()["code"]) == (403, "user_blocked")


def test_forged_tokens_are_refused(customer: User, settings: Any) -> None:
    """A1."""
    good = make_access(customer)
    claims = jwt.decode(good, options={"verify_signature": False})
    key = settings.JWT_SIGNING_KEY

    def signed(key: str = key, algorithm: str = "HS256", **changes: Any) -> str:
        payload = {k: v for k, v in {**claims, **changes}.items() if v is not None}
        return jwt.encode(payload, key, algorithm=algorithm)

    assert Api(access=signed()).get("me/").status_code == 200
    forged = [
        signed("another-key" * 4),
        signed("", algorithm="none"),
        signed(exp=1),
        signed(exp=None),
        signed(token_type="refresh"),
        signed(aud="https://elsewhere.example"),
        signed(iss="elsewhere"),
        signed(sid="00000000-0000-4000-8000-000000000000"),
        signed(sid=None),
        signed(sid="not-a-uuid"),
        signed(sid=["x"]),
        good + "x",
        "x.y.z",
        "é",
    ]
    for token in forged:
        answer = Api(access=token).get("me/")
        assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated"), token
        assert answer["WWW-Authenticate"].startswith("Bearer")


def test_access_and_refresh_are_not_interchangeable(tokens: dict[str, str]) -> None:
    """A1."""
    assert refresh(tokens["access"]).status_code == 401
    assert Api(access=tokens["refresh"]).get("me/").status_code == 401


def test_tokens_are_not_stored(tokens: dict[str, str]) -> None:
    row = str(Session.objects.values().get())
    assert tokens["refresh"] not in row
    assert tokens["access"] not in row


def test_an_authenticated_request_is_one_query_more(
    api: Api, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        assert api.get("me/").status_code == 200


def test_queries_of_a_login(
    anonymous: Api, sandbox: SandboxProcess, django_assert_num_queries: Any
) -> None:
    """Identity with its user, the new session key, the session; around them a savepoint of the test."""
    log_in(anonymous, sandbox.code())
    code = sandbox.code()
    with django_assert_num_queries(5):
        assert log_in(anonymous, code).status_code == 200
