"""How delivery is charged."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from miniback.core.fields import FenField


class FreightUnit(models.TextChoices):
    PIECE = "piece", _("by piece")
    WEIGHT = "weight", _("by weight (grams)")
    FIXED = "fixed", _("fixed")


class FreightTemplate(models.Model):
    """How products are charged for delivery; a product without one is delivered free."""

    name = models.CharField(_("name"), max_length=50, unique=True)
    unit = models.CharField(
        _("charged"), max_length=10, choices=FreightUnit, default=FreightUnit.PIECE
    )

    class Meta:
        verbose_name = _("freight template")
        verbose_name_plural = _("freight templates")

    def __str__(self) -> str:
        return self.name


def validate_regions(regions: Any) -> None:
    """Refuse what is not a list of names or codes, such as ["新疆维吾尔自治区", "3301"]."""
    if not isinstance(regions, list) or not all(isinstance(r, str) and r for r in regions):
        raise ValidationError(_('Enter names or region codes, such as ["浙江省", "3301"].'))


class FreightRule(models.Model):
    template = models.ForeignKey(FreightTemplate, models.CASCADE, related_name="rules")
    regions = models.JSONField(
        _("regions"),
        default=list,
        blank=True,
        validators=[validate_regions],
        help_text=_("provinces, cities or beginnings of region codes; empty: everywhere else"),
    )
    is_served = models.BooleanField(_("delivered"), default=True)
    first_units = models.PositiveIntegerField(_("first units"), default=1)
    first_fen = FenField(_("price of the first units"), default=0)
    extra_units = models.PositiveIntegerField(_("each further units"), default=1)
    extra_fen = FenField(_("price of each further"), default=0)
    free_from_fen = FenField(_("free from an amount of"), null=True, blank=True)
    free_from_units = models.PositiveIntegerField(_("free from units"), null=True, blank=True)

    class Meta:
        verbose_name = _("freight rule")
        verbose_name_plural = _("freight rules")
        constraints = [
            models.CheckConstraint(
                condition=Q(first_fen__gte=0, extra_fen__gte=0), name="freightrule_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return ", ".join(self.regions) or str(_("everywhere else"))
