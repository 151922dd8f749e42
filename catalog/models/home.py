"""The home page, composed by staff, and the words the search field offers."""

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.models.product import Category, Product
from miniback.core.fields import ExactCharField
from miniback.core.pictures import PictureField


class LinkKind(models.TextChoices):
    NONE = "none", _("nowhere")
    PRODUCT = "product", _("a product (its id)")
    CATEGORY = "category", _("a category (its id)")
    BRAND = "brand", _("a brand (its id)")
    SEARCH = "search", _("a search (its words)")
    PAGE = "page", _("a page of the mini program (its path)")
    WEB = "web", _("a web page (https)")


ID_KINDS = {LinkKind.PRODUCT, LinkKind.CATEGORY, LinkKind.BRAND}


class BannerQuerySet(models.QuerySet["Banner"]):
    def showing(self, now: datetime) -> "BannerQuerySet":
        begun = Q(starts_at=None) | Q(starts_at__lte=now)
        not_over = Q(ends_at=None) | Q(ends_at__gt=now)
        return self.filter(begun, not_over, is_visible=True).order_by("position", "id")


class Banner(models.Model):
    title = models.CharField(_("title"), max_length=50)
    picture = PictureField(_("picture"))
    link_kind = models.CharField(
        _("leads to"), max_length=10, choices=LinkKind, default=LinkKind.NONE
    )
    link_value = models.CharField(_("which"), max_length=300, blank=True)
    starts_at = models.DateTimeField(_("from"), null=True, blank=True)
    ends_at = models.DateTimeField(_("until"), null=True, blank=True)
    position = models.PositiveIntegerField(_("position"), default=0, help_text=_("low first"))
    is_visible = models.BooleanField(_("visible"), default=True)

    objects = BannerQuerySet.as_manager()

    class Meta:
        verbose_name = _("banner")
        verbose_name_plural = _("banners")

    def __str__(self) -> str:
        return self.title

    def clean(self) -> None:
        """Refuse a link that leads nowhere, and a time that ends before it begins."""
        value = self.link_value
        fits = {
            LinkKind.NONE: not value,
            LinkKind.SEARCH: bool(value),
            LinkKind.PAGE: value.startswith("/"),
            LinkKind.WEB: value.startswith("https://"),
        }
        is_id = value.isascii() and value.isdigit()
        if not fits.get(LinkKind(self.link_kind), is_id):
            raise ValidationError({"link_value": _("This does not fit where the banner leads.")})
        if self.starts_at and self.ends_at and self.ends_at <= self.starts_at:
            raise ValidationError({"ends_at": _("The end comes before the beginning.")})


class HomeRowRule(models.TextChoices):
    PICKED = "picked", _("chosen by hand")
    NEWEST = "newest", _("newest")
    BEST_SELLING = "best_selling", _("best selling")


class HomeRow(models.Model):
    """A titled row of products, chosen by hand or by a rule."""

    title = models.CharField(_("title"), max_length=50)
    rule = models.CharField(
        _("products"), max_length=15, choices=HomeRowRule, default=HomeRowRule.NEWEST
    )
    category = models.ForeignKey(
        Category,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("category"),
        help_text=_("of a rule: only this category and what is below it"),
    )
    size = models.PositiveSmallIntegerField(
        _("how many"), default=6, validators=[MinValueValidator(1), MaxValueValidator(20)]
    )
    products: "models.ManyToManyField[Product, Any]" = models.ManyToManyField(
        Product, through="HomeRowProduct", related_name="+"
    )
    position = models.PositiveIntegerField(_("position"), default=0, help_text=_("low first"))
    is_visible = models.BooleanField(_("visible"), default=True)

    class Meta:
        verbose_name = _("row of the home page")
        verbose_name_plural = _("rows of the home page")

    def __str__(self) -> str:
        return self.title


class HomeRowProduct(models.Model):
    row = models.ForeignKey(HomeRow, models.CASCADE, related_name="picked")
    product = models.ForeignKey(
        Product, models.CASCADE, related_name="+", verbose_name=_("product")
    )
    position = models.PositiveIntegerField(_("position"), default=0, help_text=_("low first"))

    class Meta:
        verbose_name = _("chosen product")
        verbose_name_plural = _("chosen products")
        constraints = [
            models.UniqueConstraint(fields=["row", "product"], name="homerowproduct_once"),
        ]

    def __str__(self) -> str:
        return str(self.product)


class HotKeyword(models.Model):
    """A word that the search page offers."""

    keyword = ExactCharField(_("keyword"), max_length=30, unique=True)
    is_default = models.BooleanField(
        _("default"), default=False, help_text=_("stands in the empty search field")
    )
    is_highlighted = models.BooleanField(_("highlighted"), default=False)
    position = models.PositiveIntegerField(_("position"), default=0, help_text=_("low first"))

    class Meta:
        verbose_name = _("hot keyword")
        verbose_name_plural = _("hot keywords")

    def __str__(self) -> str:
        return self.keyword
