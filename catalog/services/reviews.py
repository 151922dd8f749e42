"""What customers say of products, and what staff answer."""

from collections.abc import Sequence
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.models import Moderation, Review
from catalog.services.moderation import ask_for_check, must_be_checked
from catalog.services.products import topic
from catalog.services.review_counts import count_review, set_visibility
from miniback.core import read_cache
from miniback.core.errors import Conflict
from miniback.core.models import UploadPurpose
from miniback.core.transactions import atomic
from miniback.core.uploads import refuse_foreign_uploads


class AlreadyFollowedUp(Conflict):
    code = "already_followed_up"
    detail = _("This review has its follow-up already.")


@atomic
def write_review(
    user: Any,
    *,
    product_id: int,
    sku_id: int,
    reference: str,
    rating: int,
    text: str,
    images: Sequence[str],
    is_anonymous: bool,
) -> Review:
    """Keep what a customer says of a bought line; ``reference`` names the line and is unique.

    ``images`` are ids of his uploads. Where a content check is to be had, it is shown after that.
    Raises NotFound (an upload that is not his).
    """
    refuse_foreign_uploads(images, user_id=user.pk, purpose=UploadPurpose.REVIEW)
    now, is_checked = timezone.now(), must_be_checked(user.pk)
    review = Review.objects.create(
        user=user,
        product_id=product_id,
        sku_id=sku_id,
        reference=reference,
        rating=rating,
        text=text,
        images=list(images),
        has_images=bool(images),
        is_anonymous=is_anonymous,
        is_visible=not is_checked,
        moderation=Moderation.WAITING if is_checked else Moderation.PASSED,
        created_at=now,
        written_at=now,
    )
    if is_checked:
        ask_for_check(review)
    else:
        count_review(review, 1)
    return review


@atomic
def follow_up_review(review: Review, *, text: str, images: Sequence[str]) -> Review:
    """Add what the customer found later, once. Raises AlreadyFollowedUp, NotFound (an upload)."""
    refuse_foreign_uploads(images, user_id=review.user_id, purpose=UploadPurpose.REVIEW)
    now = timezone.now()
    open_still = Review.objects.filter(pk=review.pk, followed_up_at=None)
    written = open_still.update(
        follow_up=text, follow_up_images=list(images), followed_up_at=now, written_at=now
    )
    if not written:
        raise AlreadyFollowedUp
    if review.moderation != Moderation.REFUSED and must_be_checked(review.user_id):
        set_visibility([review.pk], is_visible=False)
        Review.objects.filter(pk=review.pk).update(moderation=Moderation.WAITING)
        review.refresh_from_db()
        ask_for_check(review)
    read_cache.forget_on_commit(topic(review.product_id))
    review.refresh_from_db()
    return review


@atomic
def reply_to_review(review: Review, reply: str) -> Review:
    """Let staff answer below a review; an empty reply takes the old one away."""
    review.reply, review.replied_at = reply, timezone.now() if reply else None
    review.save(update_fields=["reply", "replied_at"])
    read_cache.forget_on_commit(topic(review.product_id))
    return review
