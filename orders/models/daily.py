"""Totals of a Shanghai day, kept so that the start page reads a few rows instead of every order."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from catalog.models import Product
from miniback.core.fields import FenField


class DailyTotal(models.Model):
    """Sales and what was given back of them, as the ledger has them."""

    day = models.DateField(_("day"), primary_key=True)
    placed_count = models.PositiveIntegerField(_("orders placed"), default=0)
    sale_count = models.PositiveIntegerField(_("orders paid"), default=0)
    sale_fen = FenField(_("sales"), default=0)
    back_fen = FenField(_("given back"), default=0)
    payer_count = models.PositiveIntegerField(_("payers"), default=0)
    # Sales of each hour, in fen.
    hours = models.JSONField(_("by hour"), default=list)
    computed_at = models.DateTimeField(_("computed at"))

    class Meta:
        verbose_name = _("daily total")
        verbose_name_plural = _("daily totals")

    def __str__(self) -> str:
        return str(self.day)


class DailyProduct(models.Model):
    """What a day's paid orders had of a product."""

    day = models.DateField(_("day"))
    product = models.ForeignKey(Product, models.CASCADE, related_name="+")
    pieces = models.PositiveIntegerField(_("pieces"))
    goods_fen = FenField(_("goods sold"))

    class Meta:
        verbose_name = _("product of a day")
        verbose_name_plural = _("products of a day")
        constraints = [models.UniqueConstraint(fields=["day", "product"], name="dailyproduct_once")]

    def __str__(self) -> str:
        return f"{self.day} {self.product_id}"
