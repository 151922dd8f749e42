"""The cart."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from catalog.models import Sku

MAX_CART_LINES = 100


class CartLineQuerySet(models.QuerySet["CartLine"]):
    def for_customer(self, user: Any) -> "CartLineQuerySet":
        return self.filter(user=user)

    def with_sku(self) -> "CartLineQuerySet":
        return self.select_related("sku__product")


class CartLine(models.Model):
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="cart_lines",
        verbose_name=_("customer"),
    )
    sku = models.ForeignKey(Sku, models.CASCADE, related_name="+", verbose_name=_("SKU"))
    quantity = models.PositiveIntegerField(_("quantity"))
    is_selected = models.BooleanField(_("selected"), default=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = CartLineQuerySet.as_manager()

    class Meta:
        verbose_name = _("cart line")
        verbose_name_plural = _("cart lines")
        constraints = [
            models.UniqueConstraint(fields=["user", "sku"], name="cartline_one_per_sku"),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="cartline_quantity"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.sku_id}"

    # Set by whoever knows what the customer bought before (services.cart.read_cart).
    is_over_limit = False

    @property
    def problem(self) -> str:
        """Why it cannot be bought now: "off_sale", "out_of_stock", "over_limit", or "".

        Load it with ``with_sku``.
        """
        if not self.sku.is_buyable:
            return "off_sale"
        if self.sku.stock < self.quantity:
            return "out_of_stock"
        return "over_limit" if self.is_over_limit else ""
