"""What customers say of what they bought."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.models.product import Product
from catalog.models.stock import Sku
from miniback.core.fields import ExactCharField


class Moderation(models.TextChoices):
    WAITING = "waiting", _("being checked")
    PASSED = "passed", _("passed")
    STAFF = "staff", _("for staff to look at")
    REFUSED = "refused", _("refused")


class Review(models.Model):
    """Of one bought line. ``reference`` names it (such as "O2611...:31") and makes the review one."""

    product = models.ForeignKey(
        Product, models.PROTECT, related_name="reviews", verbose_name=_("product")
    )
    sku = models.ForeignKey(Sku, models.PROTECT, related_name="+", verbose_name=_("SKU"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="reviews",
        verbose_name=_("customer"),
    )
    reference = ExactCharField(_("reference"), max_length=60, unique=True)
    rating = models.PositiveSmallIntegerField(_("rating"))
    text = models.CharField(_("text"), max_length=1000, blank=True)
    images = models.JSONField(_("pictures"), default=list, blank=True)
    has_images = models.BooleanField(_("with pictures"), default=False, editable=False)
    is_anonymous = models.BooleanField(_("anonymous"), default=False)
    is_visible = models.BooleanField(_("visible"), default=True)
    moderation = models.CharField(
        _("content check"), max_length=10, choices=Moderation, default=Moderation.PASSED
    )
    # By the customer, the follow-up included: since then a check is waited for.
    written_at = models.DateTimeField(_("written at"), null=True, editable=False)
    created_at = models.DateTimeField(_("created at"))
    follow_up = models.CharField(_("follow-up"), max_length=1000, blank=True)
    follow_up_images = models.JSONField(_("pictures of the follow-up"), default=list, blank=True)
    followed_up_at = models.DateTimeField(_("followed up at"), null=True, blank=True)
    reply = models.CharField(_("reply"), max_length=1000, blank=True)
    replied_at = models.DateTimeField(_("replied at"), null=True, blank=True)

    class Meta:
        verbose_name = _("review")
        verbose_name_plural = _("reviews")
        indexes = [
            models.Index(fields=["product", "is_visible", "id"], name="review_product"),
            models.Index(fields=["moderation", "written_at"], name="review_moderation"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(rating__gte=1, rating__lte=5), name="review_rating"),
        ]

    def __str__(self) -> str:
        return self.reference


class PictureCheck(models.Model):
    """A picture that WeChat was asked about: of a review, or an avatar. The verdict comes later."""

    trace_id = ExactCharField(primary_key=True, max_length=64)
    review = models.ForeignKey(Review, models.CASCADE, null=True, related_name="picture_checks")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    picture = ExactCharField(max_length=22)
    verdict = models.CharField(max_length=10, blank=True)

    class Meta:
        verbose_name = _("picture check")
        verbose_name_plural = _("picture checks")

    def __str__(self) -> str:
        return self.trace_id


class ReviewSummary(models.Model):
    """Visible reviews of a product, counted: kept right by whatever writes, hides or shows one."""

    product = models.OneToOneField(
        Product, models.CASCADE, primary_key=True, related_name="review_summary"
    )
    stars_1 = models.PositiveIntegerField(default=0)
    stars_2 = models.PositiveIntegerField(default=0)
    stars_3 = models.PositiveIntegerField(default=0)
    stars_4 = models.PositiveIntegerField(default=0)
    stars_5 = models.PositiveIntegerField(default=0)
    with_images = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("review summary")
        verbose_name_plural = _("review summaries")

    def __str__(self) -> str:
        return f"{self.product_id}: {self.count}"

    @property
    def stars(self) -> dict[int, int]:
        """How many reviews gave each rating."""
        return {rating: getattr(self, f"stars_{rating}") for rating in range(1, 6)}

    @property
    def count(self) -> int:
        return sum(self.stars.values())

    @property
    def rating(self) -> float | None:
        """The mean, to one decimal."""
        if not self.count:
            return None
        return round(sum(rating * number for rating, number in self.stars.items()) / self.count, 1)
