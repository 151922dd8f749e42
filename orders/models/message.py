"""What customers are told by a message of the platform, once they have agreed to it."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Identity
from miniback.core.fields import ExactCharField
from miniback.platforms.wechat import FIELDS

# What a template's fields may say.
VALUES = ("number", "goods", "amount", "time", "status", "carrier", "tracking_number")


class MessageKind(models.TextChoices):
    PAID = "paid", _("the order is paid")
    SHIPPED = "shipped", _("a parcel is on its way")
    REFUNDED = "refunded", _("money has gone back")
    CLOSING_SOON = "closing_soon", _("the time to pay ends soon")


def validate_message_fields(fields: Any) -> None:
    """Refuse what is not {"character_string1": "number", ...}: a template's keys and our values."""
    if not isinstance(fields, dict) or not 1 <= len(fields) <= 7:
        raise ValidationError(_('Enter one to seven fields, such as {"thing1": "goods"}.'))
    for key, value in fields.items():
        if key.rstrip("0123456789") not in FIELDS or not key[-1].isdigit():
            raise ValidationError(
                _("“%(key)s” is no field of a template, such as thing1."), params={"key": key}
            )
        if value not in VALUES:
            raise ValidationError(
                _("“%(value)s” is none of %(values)s."),
                params={"value": value, "values": ", ".join(VALUES)},
            )


class MessageTemplate(models.Model):
    """One of the shop's templates at WeChat, and what is put into its fields."""

    kind = models.CharField(_("sent when"), max_length=20, choices=MessageKind, unique=True)
    template_id = ExactCharField(_("template id"), max_length=64, unique=True)
    fields = models.JSONField(
        _("fields"),
        validators=[validate_message_fields],
        help_text=_(
            "the template's keys, each with one of: number, goods, amount, time, status, carrier, "
            "tracking_number"
        ),
    )
    page = models.CharField(
        _("page"),
        max_length=200,
        default="pages/order/order?number={number}",
        help_text=_("where a tap leads; {number} is the order's"),
    )
    is_active = models.BooleanField(_("in use"), default=True)

    class Meta:
        verbose_name = _("message template")
        verbose_name_plural = _("message templates")

    def __str__(self) -> str:
        return self.get_kind_display()


class MessageConsent(models.Model):
    """How many messages of a template a person still agrees to: each sending spends one."""

    identity = models.ForeignKey(Identity, models.CASCADE, related_name="+")
    template = models.ForeignKey(MessageTemplate, models.CASCADE, related_name="consents")
    count = models.PositiveSmallIntegerField(_("still agreed to"))

    class Meta:
        verbose_name = _("consent to messages")
        verbose_name_plural = _("consents to messages")
        constraints = [
            models.UniqueConstraint(fields=["identity", "template"], name="messageconsent_once"),
        ]

    def __str__(self) -> str:
        return f"{self.template} {self.count}"
