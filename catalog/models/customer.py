"""What a customer keeps of the shop window: favourites, footprints, searches."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from catalog.models.product import Product
from miniback.core.fields import ExactCharField


class Favourite(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="favourites")
    product = models.ForeignKey(Product, models.CASCADE, related_name="+")
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        verbose_name = _("favourite")
        verbose_name_plural = _("favourites")
        constraints = [
            models.UniqueConstraint(fields=["user", "product"], name="favourite_once"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.product_id}"


class Footprint(models.Model):
    """A product that a customer looked at, and when he did so last."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="footprints")
    product = models.ForeignKey(Product, models.CASCADE, related_name="+")
    viewed_at = models.DateTimeField(_("viewed at"))

    class Meta:
        verbose_name = _("footprint")
        verbose_name_plural = _("footprints")
        indexes = [models.Index(fields=["user", "viewed_at", "id"], name="footprint_latest")]
        constraints = [
            models.UniqueConstraint(fields=["user", "product"], name="footprint_once"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.product_id}"


class SearchHistory(models.Model):
    """A search a customer made, and when he did so last."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="searches")
    keyword = ExactCharField(max_length=50)
    searched_at = models.DateTimeField(_("searched at"))

    class Meta:
        verbose_name = _("search of a customer")
        verbose_name_plural = _("searches of customers")
        indexes = [models.Index(fields=["user", "searched_at", "id"], name="searchhistory_latest")]
        constraints = [
            models.UniqueConstraint(fields=["user", "keyword"], name="searchhistory_once"),
        ]

    def __str__(self) -> str:
        return self.keyword
