"""What customers say of products, and what staff answer."""

from collections.abc import Collection, Sequence
from typing import Any

from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.models import Review, ReviewSummary
from catalog.services.products import topic
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

    ``images`` are ids of his uploads. Raises NotFound (an upload that is not his).
    """
    refuse_foreign_uploads(images, user_id=user.pk, purpose=UploadPurpose.REVIEW)
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
        created_at=timezone.now(),
    )
    _count(review, 1)
    return review


@atomic
def follow_up_review(review: Review, *, text: str, images: Sequence[str]) -> Review:
    """Add what the customer found later, once. Raises AlreadyFollowedUp, NotFound (an upload)."""
    refuse_foreign_uploads(images, user_id=review.user_id, purpose=UploadPurpose.REVIEW)
    open_still = Review.objects.filter(pk=review.pk, followed_up_at=None)
    written = open_still.update(
        follow_up=text, follow_up_images=list(images), followed_up_at=timezone.now()
    )
    if not written:
        raise AlreadyFollowedUp
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


@atomic
def set_visibility(review_ids: Collection[int], *, is_visible: bool) -> int:
    """Show or hide reviews, and count them so; return how many were not so already."""
    changed = 0
    for review in Review.objects.filter(pk__in=review_ids).order_by("product_id", "pk"):
        other = Review.objects.filter(pk=review.pk, is_visible=not is_visible)
        if other.update(is_visible=is_visible):
            _count(review, 1 if is_visible else -1)
            changed += 1
    return changed


def _count(review: Review, by: int) -> None:
    ReviewSummary.objects.get_or_create(product_id=review.product_id)
    stars = f"stars_{review.rating}"
    ReviewSummary.objects.filter(product_id=review.product_id).update(
        **{stars: F(stars) + by, "with_images": F("with_images") + by * int(review.has_images)}
    )
    read_cache.forget_on_commit(topic(review.product_id))
