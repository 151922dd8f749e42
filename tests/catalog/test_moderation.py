"""Reviews and nicknames are shown when WeChat has looked at them (PLATFORMS A5)."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from catalog.models import Moderation, PictureCheck, Review, ReviewSummary
from catalog.services.moderation import give_up_waiting, record_picture_verdict
from catalog.services.review_counts import set_visibility
from catalog.services.reviews import follow_up_review, write_review
from miniback.core.models import OutboxMessage, Upload
from miniback.jobs import deliver_outbox
from orders.services.audit import audit
from tests.conftest import Api
from tests.factories import make_sku
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def api(sandbox: SandboxProcess) -> Api:
    api = Api()
    answer = api.post("auth/login/", {"platform": "wechat", "code": sandbox.code()})
    api.access = answer.json()["access"]
    return api


def write(api: Api, text: str = "很好喝", *, pictures: int = 0) -> Review:
    user, sku = User.objects.get(), make_sku()
    images = [
        Upload.objects.create(user=user, purpose="review", file=f"{n}.jpg", width=1, height=1).pk
        for n in range(pictures)
    ]
    return write_review(
        user, product_id=sku.product_id, sku_id=sku.pk, reference="O1:1", rating=5, text=text,
        images=images, is_anonymous=False,
    )  # fmt: skip


def state() -> tuple[bool, str, int]:
    review = Review.objects.get()
    counted = ReviewSummary.objects.filter(product=review.product_id).first()
    # The reviews here are of no order, their images of no file, and some are made old.
    broken = {rule.name for rule, failure in audit() if failure}
    assert broken <= {"review-of-a-line", "upload-known", "review-state"}
    return review.is_visible, review.moderation, counted.count if counted else 0


def again() -> None:
    OutboxMessage.objects.filter(done_at=None).update(due_at=timezone.now())
    deliver_outbox()


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("很好喝", (True, "passed", 1)),
        ("来赌博吧", (False, "refused", 0)),
        ("加微信聊", (False, "staff", 0)),
        ("", (True, "passed", 1)),
    ],
)
def test_a_text_is_hidden_until_it_is_judged(api: Api, text: str, after: Any) -> None:
    write(api, text)
    assert state() == (False, "waiting", 0)
    deliver_outbox()
    assert state() == after
    again()
    assert state() == after


def test_pictures_are_judged_later(api: Api) -> None:
    """All of them must pass; a repeat of the push changes nothing."""
    write(api, pictures=2)
    deliver_outbox()
    assert state() == (False, "waiting", 0)
    for check in PictureCheck.objects.all():
        push = {
            "trace_id": check.trace_id,
            "errcode": 0,
            "result": {"suggest": "pass", "label": 100},
        }
        record_picture_verdict(push)
        record_picture_verdict(push)
    assert state() == (True, "passed", 1)


@pytest.mark.parametrize(
    ("event", "after"),
    [
        ({"errcode": 0, "result": {"suggest": "risky"}}, "refused"),
        ({"errcode": 0, "result": {"suggest": "review"}}, "staff"),
        ({"errcode": -1008, "result": {"suggest": "pass"}}, "staff"),
        ({"errcode": 0}, "staff"),
        ({"errcode": 0, "result": "x"}, "staff"),
    ],
)
def test_a_picture_that_does_not_pass(api: Api, event: Any, after: str) -> None:
    write(api, pictures=1)
    deliver_outbox()
    record_picture_verdict({"trace_id": PictureCheck.objects.get().trace_id, **event})
    assert state() == (False, after, 0)
    record_picture_verdict({"trace_id": "nobody's", **event})


@pytest.mark.parametrize("fault", ["http_500", "html", "timeout_before"])
def test_a_platform_that_is_down_is_asked_again(
    api: Api, sandbox: SandboxProcess, fault: str
) -> None:
    sandbox.fault("wechat.text_check", fault, seconds=4)
    write(api)
    deliver_outbox()
    assert state() == (False, "waiting", 0)
    again()
    assert state() == (True, "passed", 1)


def test_a_check_that_is_not_granted(api: Api, sandbox: SandboxProcess) -> None:
    """48001: staff look, and see why in the outbox."""
    sandbox.fault("wechat.text_check", "errcode", errcode=48001)
    write(api)
    deliver_outbox()
    assert state() == (False, "staff", 0)
    message = OutboxMessage.objects.get(topic="review.check")
    assert (message.done_at is not None, "48001" in message.last_error) == (True, True)


def test_somebody_who_was_not_here_lately(api: Api, sandbox: SandboxProcess) -> None:
    write(api)
    sandbox.advance(7300)
    deliver_outbox()
    assert state() == (False, "staff", 0)


def test_nobody_waits_for_ever(api: Api) -> None:
    write(api, pictures=1)
    deliver_outbox()
    give_up_waiting()
    assert state()[1] == "waiting"
    Review.objects.update(written_at=timezone.now() - timedelta(minutes=31))
    give_up_waiting()
    assert state() == (False, "staff", 0)
    # A verdict that comes after all changes nothing any more: staff have it.
    record_picture_verdict(
        {"trace_id": PictureCheck.objects.get().trace_id, "result": {"suggest": "pass"}}
    )
    assert state() == (False, "staff", 0)


@pytest.mark.parametrize("is_visible", [True, False])
def test_what_staff_decide_stands(api: Api, is_visible: bool) -> None:
    review = write(api, "来赌博吧" if is_visible else "很好喝")
    set_visibility([review.pk], is_visible=True)
    set_visibility([review.pk], is_visible=is_visible)
    before = state()
    deliver_outbox()
    assert state() == before


def test_a_follow_up_is_looked_at_too(api: Api) -> None:
    review = write(api)
    deliver_outbox()
    follow_up_review(Review.objects.get(pk=review.pk), text="来赌博吧", images=[])
    assert state() == (False, "waiting", 0)
    deliver_outbox()
    assert state() == (False, "refused", 0)


def test_where_nobody_checks_it_is_shown_at_once(
    api: Api, sandbox: SandboxProcess, settings: Any
) -> None:
    settings.WECHAT_CONTENT_CHECK = False
    write(api)
    assert state() == (True, Moderation.PASSED, 1)
    Review.objects.all().delete()
    ReviewSummary.objects.all().delete()
    settings.WECHAT_CONTENT_CHECK = True
    User.objects.get().identities.update(platform="douyin")
    write(api)
    assert state() == (True, Moderation.PASSED, 1)


# Nicknames


def rename(api: Api, nickname: str) -> tuple[int, str]:
    answer = api.put("me/", {"nickname": nickname, "avatar": None})
    return answer.status_code, answer.json().get("nickname") or answer.json().get("code", "")


def test_a_nickname_is_looked_at(api: Api, sandbox: SandboxProcess) -> None:
    assert rename(api, "小明") == (200, "小明")
    for bad in ("赌博王", "加微信"):
        assert rename(api, bad) == (400, "content_refused")
    sandbox.fault("wechat.text_check", "http_500")
    assert rename(api, "小红") == (503, "platform_unavailable")
    # What is not new is not asked about.
    sandbox.fault("wechat.text_check", "http_500")
    assert rename(api, "小明") == (200, "小明")
    assert User.objects.get().nickname == "小明"


# Avatars


def avatar(name: str = "face") -> Upload:
    user = User.objects.get()
    return Upload.objects.create(user=user, purpose="avatar", file=f"{name}.jpg", width=1, height=1)


def wear(api: Api, upload: Upload | None) -> bool:
    """Put it on; say whether others see it."""
    answer = api.put("me/", {"nickname": "", "avatar": upload and upload.pk})
    assert answer.status_code == 200, answer.content
    return User.objects.get().is_avatar_shown


def verdict(suggest: str, **more: Any) -> None:
    trace = PictureCheck.objects.get().trace_id
    record_picture_verdict(
        {"trace_id": trace, "errcode": 0, "result": {"suggest": suggest}, **more}
    )


def author_avatar(api: Api, review: Review) -> str:
    rows = api.get(f"products/{review.product_id}/reviews/").json()["results"]
    url: str = rows[0]["author_avatar_url"]
    return url


def test_an_avatar_is_hidden_until_it_has_passed(api: Api) -> None:
    review = write(api)
    deliver_outbox()
    face = avatar()
    assert not wear(api, face)
    deliver_outbox()
    assert author_avatar(api, review) == ""
    # The customer sees it himself.
    assert "face" in api.get("me/").json()["avatar_url"]
    verdict("pass")
    verdict("pass")
    assert "face" in author_avatar(api, review)
    # Off and on again: it was looked at before.
    wear(api, None)
    assert not wear(api, face)
    deliver_outbox()
    assert User.objects.get().is_avatar_shown
    assert PictureCheck.objects.count() == 1


@pytest.mark.parametrize(
    ("suggest", "more"), [("risky", {}), ("review", {}), ("pass", {"errcode": -1})]
)
def test_an_avatar_that_does_not_pass(api: Api, suggest: str, more: dict[str, int]) -> None:
    wear(api, avatar())
    deliver_outbox()
    verdict(suggest, **more)
    assert not User.objects.get().is_avatar_shown


def test_a_verdict_on_an_avatar_that_was_changed_meanwhile(api: Api) -> None:
    wear(api, avatar())
    deliver_outbox()
    old = PictureCheck.objects.get()
    wear(api, avatar("other"))
    record_picture_verdict({"trace_id": old.trace_id, "errcode": 0, "result": {"suggest": "pass"}})
    assert not User.objects.get().is_avatar_shown


def test_an_avatar_nobody_can_check(api: Api, sandbox: SandboxProcess) -> None:
    sandbox.fault("wechat.media_check", "errcode", errcode=48001)
    wear(api, avatar())
    deliver_outbox()
    message = OutboxMessage.objects.get(topic="avatar.check")
    assert "48001" in message.last_error
    assert not User.objects.get().is_avatar_shown


def test_a_shop_that_checks_nothing(api: Api, settings: Any) -> None:
    settings.WECHAT_CONTENT_CHECK = False
    assert wear(api, avatar())
    assert not OutboxMessage.objects.exists()
