"""What customers write is shown once the platform has looked at it (PLATFORMS A5).

WeChat judges a text at once and a picture later, by a pushed message; until both are there a review
is hidden. What the platform will not decide, staff do. Customers of platforms that offer no such check
are shown at once.
"""

from datetime import timedelta
from typing import Any

from accounts.models import User
from accounts.services.identities import checked_identity
from accounts.services.profile import PROFILE
from catalog.models import Moderation, PictureCheck, Review
from catalog.services.review_counts import set_visibility
from miniback.core import outbox, providers, read_cache
from miniback.core.clock import database_now
from miniback.core.due import in_batches
from miniback.core.models import Lane
from miniback.core.transactions import assert_no_transaction, atomic
from miniback.core.uploads import upload_urls
from miniback.platforms.errors import Misconfigured, Refused

CHECK_REVIEW = "review.check"
COMMENT = 2
PASS, RISKY, REVIEW = "pass", "risky", "review"
# The platform promises no time; whoever waits longer is looked at by staff.
PATIENCE = timedelta(minutes=30)


def must_be_checked(user_id: int) -> bool:
    return checked_identity(user_id) is not None


def ask_for_check(review: Review) -> None:
    """Leave word, in the transaction that wrote it; it is hidden until then."""
    stage = "follow-up" if review.followed_up_at else "first"
    key = f"{CHECK_REVIEW}:{review.pk}:{stage}"
    outbox.post(topic=CHECK_REVIEW, event_key=key, payload={"review": review.pk}, lane=Lane.WECHAT)


def check_review(payload: dict[str, Any]) -> None:
    """Outbox handler of ``review.check``: ``{"review": id}``. Asks about the text, then each picture."""
    assert_no_transaction()
    review = Review.objects.get(pk=payload["review"])
    identity = checked_identity(review.user_id)
    if review.moderation != Moderation.WAITING or identity is None:
        return None
    client = providers.wechat()
    text = "\n".join(filter(None, [review.text, review.follow_up]))
    try:
        verdict = PASS
        if text:
            verdict = client.check_text(text, openid=identity.openid, scene=COMMENT).suggest
        pictures = [*review.images, *review.follow_up_images]
        if verdict == PASS and pictures:
            asked = set(review.picture_checks.values_list("picture", flat=True))
            for picture, url in upload_urls(set(pictures) - asked).items():
                trace = client.check_picture(url, openid=identity.openid, scene=COMMENT)
                PictureCheck.objects.create(trace_id=trace, review=review, picture=picture)
            return decide_by_pictures(review)
    except (Refused, Misconfigured) as error:
        # Such as an API that is not granted: better a person than nobody.
        _decide(review, Moderation.STAFF)
        raise outbox.Undeliverable(str(error)) from error
    return _decide(review, OUTCOMES[verdict])


OUTCOMES = {PASS: Moderation.PASSED, REVIEW: Moderation.STAFF, RISKY: Moderation.REFUSED}


def record_picture_verdict(event: dict[str, Any]) -> None:
    """What was pushed about a picture (``wxa_media_check``); a repeat changes nothing."""
    result = event.get("result")
    verdict = result.get("suggest") if isinstance(result, dict) else ""
    if verdict not in OUTCOMES or event.get("errcode"):
        verdict = REVIEW
    check = PictureCheck.objects.filter(trace_id=str(event.get("trace_id"))).first()
    if check is None:
        return
    PictureCheck.objects.filter(pk=check.pk, verdict="").update(verdict=verdict)
    if check.review is not None:
        decide_by_pictures(check.review)
    else:
        show_avatar(check.user_id, check.picture)


def decide_by_pictures(review: Review) -> None:
    """Of a review whose text has passed: nothing while a picture is not judged."""
    verdicts = set(review.picture_checks.values_list("verdict", flat=True))
    if "" in verdicts:
        return
    worst = next((verdict for verdict in (RISKY, REVIEW) if verdict in verdicts), PASS)
    _decide(review, OUTCOMES[worst])


@atomic
def _decide(review: Review, moderation: Moderation) -> None:
    """Once: what staff have decided meanwhile stands."""
    waiting = Review.objects.filter(pk=review.pk, moderation=Moderation.WAITING)
    if waiting.update(moderation=moderation) and moderation == Moderation.PASSED:
        set_visibility([review.pk], is_visible=True)


def check_avatar(payload: dict[str, Any]) -> None:
    """Outbox handler of ``avatar.check``: ``{"user": id, "avatar": upload id}``. Asks about it, once.

    One that does not pass stays hidden; staff may show it on the customer's page.
    """
    assert_no_transaction()
    user = User.objects.select_related("avatar").get(pk=payload["user"])
    identity = checked_identity(user.pk)
    if user.avatar is None or user.avatar_id != payload["avatar"] or identity is None:
        return
    if not PictureCheck.objects.filter(user=user, picture=user.avatar_id).exists():
        try:
            trace = providers.wechat().check_picture(
                user.avatar.url, openid=identity.openid, scene=PROFILE
            )
        except (Refused, Misconfigured) as error:
            raise outbox.Undeliverable(str(error)) from error
        PictureCheck.objects.create(trace_id=trace, user=user, picture=user.avatar_id)
    show_avatar(user.pk, user.avatar_id)


@atomic
def show_avatar(user_id: int | None, picture: str) -> None:
    """If it has passed, and is still the customer's."""
    passed = PictureCheck.objects.filter(user=user_id, picture=picture, verdict=PASS)
    mine = User.objects.filter(pk=user_id, avatar=picture, is_avatar_shown=False)
    if passed.exists() and mine.update(is_avatar_shown=True):
        read_cache.forget_on_commit()


def give_up_waiting() -> None:
    """Job: hand over to staff what the platform has not judged for half an hour."""
    old = Review.objects.filter(
        moderation=Moderation.WAITING, written_at__lt=database_now() - PATIENCE
    )
    for batch in in_batches(old):
        # What was judged meanwhile stays as it is.
        batch.filter(moderation=Moderation.WAITING).update(moderation=Moderation.STAFF)
