"""What customers say of what they bought."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.models.product import Product
from catalog.models.stock import Sku
from miniback.core.fields import ExactCharField


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
    is_anonymous = models.BooleanField(_("anonymous"), default=False)
    is_visible = models.BooleanField(_("visible"), default=True)
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        verbose_name = _("review")
        verbose_name_plural = _("reviews")
        indexes = [models.Index(fields=["product", "is_visible", "id"], name="review_product")]
        constraints = [
            models.CheckConstraint(condition=Q(rating__gte=1, rating__lte=5), name="review_rating"),
        ]

    def __str__(self) -> str:
        return self.reference
