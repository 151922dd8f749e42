"""Which reviews are shown, and the count of them that each product keeps."""

from collections.abc import Collection

from django.db.models import F

from catalog.models import Moderation, Review, ReviewSummary
from catalog.services.products import topic
from miniback.core import read_cache
from miniback.core.transactions import atomic


@atomic
def set_visibility(review_ids: Collection[int], *, is_visible: bool) -> int:
    """Show or hide reviews, and count them so; return how many were not so already.

    It ends their content check: what staff decide stands.
    """
    decided = Moderation.PASSED if is_visible else Moderation.REFUSED
    changed = 0
    for review in Review.objects.filter(pk__in=review_ids).order_by("product_id", "pk"):
        other = Review.objects.filter(pk=review.pk, is_visible=not is_visible)
        if other.update(is_visible=is_visible, moderation=decided):
            count_review(review, 1 if is_visible else -1)
            changed += 1
    return changed


def count_review(review: Review, by: int) -> None:
    """Add a visible review to its product's summary, or take one out (-1)."""
    ReviewSummary.objects.get_or_create(product_id=review.product_id)
    stars = f"stars_{review.rating}"
    ReviewSummary.objects.filter(product_id=review.product_id).update(
        **{stars: F(stars) + by, "with_images": F("with_images") + by * int(review.has_images)}
    )
    read_cache.forget_on_commit(topic(review.product_id))
