"""What is bought, how much of it there is, and the book of stock."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.models.product import Product, ProductStatus
from miniback.core.fields import ExactCharField, FenField
from miniback.core.models import AppendOnlyModel, AppendOnlyQuerySet
from miniback.core.pictures import PictureField


def validate_sku_options(options: Any) -> None:
    """Refuse what is not one word for each option, such as {"colour": "red"}."""
    if not isinstance(options, dict) or not all(isinstance(v, str) for v in options.values()):
        raise ValidationError(_('Enter one value for each option, such as {"colour": "red"}.'))


class SkuQuerySet(models.QuerySet["Sku"]):
    def low_on_stock(self, most: int) -> "SkuQuerySet":
        """What is on sale and has no more than ``most`` pieces.

        Not by a join: MariaDB would begin it at the products and sort all their SKUs. Nor by an index on
        stock: there a sale would look for its SKU by it, and miss it while another sale moves it.
        """
        product = Product.objects.filter(pk=models.OuterRef("product"))
        status = models.Subquery(product.values("status"))
        rows = self.filter(stock__lte=most, is_active=True).annotate(product_status=status)
        return rows.filter(product_status=ProductStatus.ON_SALE)


class Sku(models.Model):
    """What is bought: a product with one value of each option. ``stock`` is what can still be sold."""

    product = models.ForeignKey(
        Product, models.PROTECT, related_name="skus", verbose_name=_("product")
    )
    code = ExactCharField(_("SKU code"), max_length=50, unique=True)
    options = models.JSONField(
        _("options"),
        default=dict,
        blank=True,
        validators=[validate_sku_options],
        help_text=_('such as {"colour": "red"}'),
    )
    price_fen = FenField(_("price"))
    market_price_fen = FenField(_("market price"), null=True, blank=True)
    stock = models.BigIntegerField(_("stock"), default=0, editable=False)
    weight_g = models.PositiveIntegerField(_("weight in grams"), default=0)
    picture = PictureField(_("picture"), blank=True)
    is_active = models.BooleanField(_("active"), default=True)

    objects = SkuQuerySet.as_manager()

    class Meta:
        verbose_name = _("SKU")
        verbose_name_plural = _("SKUs")
        constraints = [
            models.CheckConstraint(condition=Q(stock__gte=0), name="sku_stock_not_negative"),
            models.CheckConstraint(condition=Q(price_fen__gte=0), name="sku_price_not_negative"),
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def options_text(self) -> str:
        """ "red, 500 g" """
        return ", ".join(str(value) for value in self.options.values())

    @property
    def is_buyable(self) -> bool:
        """Reads ``product``: load it with the SKU."""
        return self.is_active and self.product.status == ProductStatus.ON_SALE


class StockMovementKind(models.TextChoices):
    INITIAL = "initial", _("initial")
    ADJUST = "adjust", _("adjusted by staff")
    RESERVE = "reserve", _("taken by an order")
    RELEASE = "release", _("given back by an order")
    RETURN = "return", _("returned by a customer")


class StockMovement(AppendOnlyModel):
    """The book of stock: the sum of a SKU's deltas is its stock."""

    sku = models.ForeignKey(Sku, models.PROTECT, related_name="movements", verbose_name=_("SKU"))
    kind = models.CharField(_("kind"), max_length=10, choices=StockMovementKind)
    delta = models.BigIntegerField(_("change"))
    reference = ExactCharField(
        _("reference"), max_length=40, db_index=True, help_text=_("such as an order number")
    )
    event_key = ExactCharField(_("event key"), max_length=100, unique=True)
    note = models.CharField(_("reason"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        verbose_name = _("stock movement")
        verbose_name_plural = _("stock movements")
        constraints = [
            models.CheckConstraint(condition=~Q(delta=0), name="stockmovement_not_nothing"),
        ]

    def __str__(self) -> str:
        return self.event_key
