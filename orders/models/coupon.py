"""Coupons: the offer, and each customer's copies of it."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.models import Brand, Category, Product
from miniback.core.fields import ExactCharField, FenField
from orders.pricing import AMOUNT, FREIGHT, PERCENT, Offer


class CouponKind(models.TextChoices):
    AMOUNT = AMOUNT, _("amount off")
    PERCENT = PERCENT, _("percent off")
    FREIGHT = FREIGHT, _("free freight")


class CouponScope(models.TextChoices):
    ALL = "all", _("everything")
    CATEGORIES = "categories", _("categories")
    BRANDS = "brands", _("brands")
    PRODUCTS = "products", _("products")


class CouponSource(models.TextChoices):
    CLAIM = "claim", _("claimed by customers")
    CODE = "code", _("by code")
    FIRST_LOGIN = "first_login", _("new customers")
    STAFF = "staff", _("given by staff")


class CouponQuerySet(models.QuerySet["Coupon"]):
    def running(self, now: datetime) -> "CouponQuerySet":
        """What can still be had: active, and not past its last day."""
        today = timezone.localdate(now)
        return self.filter(Q(ends_on=None) | Q(ends_on__gte=today), is_active=True)


class Coupon(models.Model):
    """An offer. Valid through ``ends_on``, or until ``valid_days`` days after the day of its claim.

    Days are Shanghai's, the last one included.
    """

    name = models.CharField(_("name"), max_length=50)
    kind = models.CharField(_("kind"), max_length=10, choices=CouponKind, default=CouponKind.AMOUNT)
    threshold_fen = FenField(
        _("from an amount of"), default=0, help_text=_("of the goods that it covers, in yuan")
    )
    amount_fen = FenField(_("amount off"), default=0)
    percent_off = models.PositiveSmallIntegerField(
        _("percent off"),
        default=0,
        validators=[MaxValueValidator(100)],
        help_text=_("20 takes a fifth off (8折)"),
    )
    max_discount_fen = FenField(_("at most"), null=True, blank=True)
    scope = models.CharField(_("for"), max_length=10, choices=CouponScope, default=CouponScope.ALL)
    categories = models.ManyToManyField(
        Category, blank=True, related_name="+", verbose_name=_("categories")
    )
    brands = models.ManyToManyField(Brand, blank=True, related_name="+", verbose_name=_("brands"))
    products = models.ManyToManyField(
        Product, blank=True, related_name="+", verbose_name=_("products")
    )
    source = models.CharField(
        _("how it is got"), max_length=12, choices=CouponSource, default=CouponSource.CLAIM
    )
    code = ExactCharField(
        _("code"),
        max_length=32,
        unique=True,
        null=True,
        blank=True,
        validators=[RegexValidator(r"^[A-Z0-9]{6,32}$", _("6 to 32 capital letters or digits"))],
    )
    quota = models.PositiveIntegerField(
        _("quota"), null=True, blank=True, help_text=_("how many in all; empty: no limit")
    )
    claimed_count = models.PositiveIntegerField(_("claimed"), default=0, editable=False)
    per_customer = models.PositiveSmallIntegerField(
        _("per customer"), default=1, validators=[MinValueValidator(1)]
    )
    starts_on = models.DateField(_("valid from"), null=True, blank=True)
    ends_on = models.DateField(
        _("last day"), null=True, blank=True, help_text=_("valid, and claimed, until its end")
    )
    valid_days = models.PositiveSmallIntegerField(
        _("days from its claim"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = CouponQuerySet.as_manager()

    class Meta:
        verbose_name = _("coupon")
        verbose_name_plural = _("coupons")
        indexes = [models.Index(fields=["source", "is_active", "id"], name="coupon_source")]
        constraints = [
            models.CheckConstraint(
                condition=Q(quota=None) | Q(claimed_count__lte=F("quota")), name="coupon_quota"
            ),
            models.CheckConstraint(
                condition=Q(threshold_fen__gte=0, amount_fen__gte=0, percent_off__lte=100),
                name="coupon_terms",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse terms that mean nothing, or two things at once."""
        needed = {CouponKind.AMOUNT: "amount_fen", CouponKind.PERCENT: "percent_off"}
        wrong: dict[str, Any] = {}
        for kind, field in needed.items():
            if bool(getattr(self, field)) != (kind == self.kind):
                wrong[field] = _("Exactly what the kind needs: an amount, a percentage or neither.")
        by_days = self.valid_days is not None
        if by_days == (self.ends_on is not None) or (by_days and self.starts_on):
            wrong["valid_days"] = _("Either a last day or a number of days.")
        if self.starts_on and self.ends_on and self.starts_on > self.ends_on:
            wrong["ends_on"] = _("The last day is before the first.")
        if (self.source == CouponSource.CODE) != bool(self.code):
            wrong["code"] = _("A code belongs to a coupon that is got by code, and only there.")
        if wrong:
            raise ValidationError(wrong)

    @property
    def offer(self) -> Offer:
        return Offer(**{name: getattr(self, name) for name in Offer._fields})

    def validity(self, claimed_at: datetime) -> tuple[datetime, datetime]:
        """From when to when (exclusive) a copy claimed at this moment is good."""
        first = timezone.localdate(claimed_at)
        last = self.ends_on
        if last is None:
            last = first + timedelta(days=self.valid_days or 0)
        # A fixed window may begin later than its claim.
        starts_at = _midnight(self.starts_on) if self.starts_on else claimed_at
        return starts_at, _midnight(last + timedelta(days=1))


def _midnight(day: Any) -> datetime:
    """When a day of Shanghai begins."""
    return timezone.make_aware(datetime.combine(day, datetime.min.time()))


class ClaimedCouponQuerySet(models.QuerySet["ClaimedCoupon"]):
    def for_customer(self, user: Any) -> "ClaimedCouponQuerySet":
        return self.filter(user=user)

    def usable(self, now: datetime) -> "ClaimedCouponQuerySet":
        """Neither used nor over; its first day may lie ahead."""
        return self.filter(used_at=None, valid_until__gt=now)

    def used(self, now: datetime) -> "ClaimedCouponQuerySet":
        return self.exclude(used_at=None)

    def expired(self, now: datetime) -> "ClaimedCouponQuerySet":
        return self.filter(used_at=None, valid_until__lte=now)


class ClaimedCoupon(models.Model):
    """A customer's copy. Used while an order that was not cancelled has it."""

    coupon = models.ForeignKey(
        Coupon, models.PROTECT, related_name="claims", verbose_name=_("coupon")
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="coupons",
        verbose_name=_("customer"),
    )
    nth = models.PositiveSmallIntegerField(_("the customer's"), editable=False)
    claimed_at = models.DateTimeField(_("claimed at"))
    valid_from = models.DateTimeField(_("valid from"))
    valid_until = models.DateTimeField(_("valid until"))
    used_at = models.DateTimeField(_("used at"), null=True, blank=True)

    objects = ClaimedCouponQuerySet.as_manager()

    class Meta:
        verbose_name = _("claimed coupon")
        verbose_name_plural = _("claimed coupons")
        indexes = [models.Index(fields=["user", "valid_until"], name="claimedcoupon_user_until")]
        constraints = [
            # The last judge of the limit per customer.
            models.UniqueConstraint(
                fields=["coupon", "user", "nth"], name="claimedcoupon_nth_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.coupon_id} #{self.nth}"
