"""Parcels and who carries them."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from miniback.core.fields import ExactCharField
from orders.models.order import Order, OrderLine


class Carrier(models.Model):
    """A delivery company; ``code`` is WeChat's name for it (such as SF, ZTO)."""

    code = ExactCharField(_("code"), max_length=20, unique=True)
    name = models.CharField(_("name"), max_length=50)
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("carrier")
        verbose_name_plural = _("carriers")

    def __str__(self) -> str:
        return self.name


class Shipment(models.Model):
    """One parcel, with some of an order's pieces."""

    order = models.ForeignKey(
        Order, models.PROTECT, related_name="shipments", verbose_name=_("order")
    )
    carrier = models.ForeignKey(
        Carrier, models.PROTECT, related_name="+", verbose_name=_("carrier")
    )
    tracking_number = ExactCharField(_("tracking number"), max_length=50)
    shipped_at = models.DateTimeField(_("shipped at"))

    class Meta:
        verbose_name = _("shipment")
        verbose_name_plural = _("shipments")
        indexes = [models.Index(fields=["tracking_number"], name="shipment_tracking")]
        constraints = [
            models.UniqueConstraint(
                fields=["order", "carrier", "tracking_number"], name="shipment_once"
            ),
        ]

    def __str__(self) -> str:
        return self.tracking_number


class ShipmentLine(models.Model):
    shipment = models.ForeignKey(Shipment, models.PROTECT, related_name="lines")
    line = models.ForeignKey(
        OrderLine, models.PROTECT, related_name="shipment_lines", verbose_name=_("order line")
    )
    quantity = models.PositiveIntegerField(_("quantity"))

    class Meta:
        verbose_name = _("shipment line")
        verbose_name_plural = _("shipment lines")
        constraints = [
            models.UniqueConstraint(fields=["shipment", "line"], name="shipmentline_once"),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="shipmentline_quantity"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.line_id}"
