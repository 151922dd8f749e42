"""Who: customers and staff, their identities at the platforms, sessions, addresses."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
from django.utils.translation import gettext_lazy as _

from miniback.core.crypto import keyed_hash
from miniback.core.fields import EncryptedTextField, ExactCharField
from miniback.core.models import Upload


class Platform(models.TextChoices):
    WECHAT = "wechat", _("WeChat")
    ALIPAY = "alipay", _("Alipay")
    DOUYIN = "douyin", _("Douyin")


class User(AbstractUser):
    """A person. Customers come from a platform and have no username; staff have one and a password."""

    username = ExactCharField(
        _("username"),
        max_length=150,
        unique=True,
        null=True,
        blank=True,
        validators=[AbstractUser.username_validator],
        help_text=_("For staff; empty for customers."),
    )
    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    nickname = models.CharField(_("nickname"), max_length=32, blank=True)
    avatar = models.ForeignKey(
        Upload, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("avatar")
    )
    is_avatar_shown = models.BooleanField(
        _("avatar is shown to others"),
        default=True,
        help_text=_("A new one is shown once the platform has looked at it."),
    )
    phone = EncryptedTextField(_("phone"), blank=True)
    phone_hash = models.CharField(max_length=64, blank=True, db_index=True, editable=False)
    phone_tail_hash = models.CharField(max_length=64, blank=True, db_index=True, editable=False)

    objects: ClassVar[UserManager[Any]] = UserManager()

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")

    def __str__(self) -> str:
        return self.username or self.nickname or f"#{self.pk}"

    @property
    def masked_phone(self) -> str:
        return mask_phone(self.phone)


class CustomerManager(UserManager["Customer"]):
    def get_queryset(self) -> models.QuerySet["Customer"]:
        return super().get_queryset().filter(username__isnull=True)


class Customer(User):
    objects: ClassVar[CustomerManager] = CustomerManager()

    class Meta:
        proxy = True
        verbose_name = _("customer")
        verbose_name_plural = _("customers")


class StaffManager(UserManager["Staff"]):
    def get_queryset(self) -> models.QuerySet["Staff"]:
        return super().get_queryset().filter(username__isnull=False)


class Staff(User):
    objects: ClassVar[StaffManager] = StaffManager()

    class Meta:
        proxy = True
        verbose_name = _("staff member")
        verbose_name_plural = _("staff")


class Identity(models.Model):
    """What a platform calls a person in one of our mini programs."""

    user = models.ForeignKey(
        User, models.CASCADE, related_name="identities", verbose_name=_("user")
    )
    platform = models.CharField(_("platform"), max_length=10, choices=Platform)
    app_id = ExactCharField(_("app id"), max_length=64)
    openid = ExactCharField(_("openid"), max_length=128)
    # It may be missing at first and appear later, so it is never the key.
    unionid = ExactCharField(_("unionid"), max_length=128, blank=True, db_index=True)
    # Opens what the platform encrypts for us by way of the client.
    session_key = EncryptedTextField(blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("identity")
        verbose_name_plural = _("identities")
        constraints = [
            models.UniqueConstraint(
                fields=["platform", "app_id", "openid"], name="identity_once_per_app"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_platform_display()} {self.openid[:6]}…"


class Session(models.Model):
    """A device that is logged in. Tokens are only as good as this row."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="sessions", verbose_name=_("user"))
    identity = models.ForeignKey(
        Identity, models.CASCADE, related_name="+", verbose_name=_("identity")
    )
    refresh_hash = models.CharField(max_length=64)
    previous_hash = models.CharField(max_length=64, blank=True)
    device = models.CharField(_("device"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("created at"))
    rotated_at = models.DateTimeField(_("last refreshed at"), null=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True)

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")

    def __str__(self) -> str:
        return str(self.id)


class AddressQuerySet(models.QuerySet["Address"]):
    def for_customer(self, user: Any) -> "AddressQuerySet":
        return self.filter(user=user)


class Address(models.Model):
    user = models.ForeignKey(
        User, models.CASCADE, related_name="addresses", verbose_name=_("customer")
    )
    recipient = models.CharField(_("recipient"), max_length=50)
    phone = EncryptedTextField(_("phone"))
    phone_hash = models.CharField(max_length=64, db_index=True, editable=False)
    phone_tail_hash = models.CharField(max_length=64, db_index=True, editable=False)
    province = models.CharField(_("province"), max_length=50)
    city = models.CharField(_("city"), max_length=50)
    district = models.CharField(_("district"), max_length=50, blank=True)
    detail = EncryptedTextField(_("street and number"))
    region_code = models.CharField(_("region code"), max_length=6, blank=True)
    is_default = models.BooleanField(_("default"), default=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = AddressQuerySet.as_manager()

    class Meta:
        verbose_name = _("address")
        verbose_name_plural = _("addresses")

    def __str__(self) -> str:
        return f"{self.recipient}, {self.city}"


def mask_phone(phone: str) -> str:
    """13812345678 -> 138****5678."""
    return f"{phone[:3]}****{phone[-4:]}" if phone else ""


PHONE_TAIL = 4


def by_phone(digits: str) -> models.Q:
    """Rows with this whole phone number, or, of four digits, which end so.

    Never an OR of both: each has an index, and MariaDB uses neither for the two together.
    """
    if len(digits) == PHONE_TAIL:
        return models.Q(phone_tail_hash=keyed_hash(digits, purpose="phone tail"))
    return models.Q(phone_hash=keyed_hash(digits, purpose="phone"))


def phone_hashes(phone: str) -> dict[str, str]:
    """The two columns by which an encrypted phone is found: whole, and by its last four digits."""
    return {
        "phone_hash": keyed_hash(phone, purpose="phone"),
        "phone_tail_hash": keyed_hash(phone[-PHONE_TAIL:], purpose="phone tail"),
    }
