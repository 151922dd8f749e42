"""Stock at a glance, and the book of stock."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from catalog.models import (
    Sku,
    StockMovement,
)
from miniback.core.shop_admin import FactsOnly, ShopAdmin, yuan


class LowStock(admin.SimpleListFilter):
    title, parameter_name = _("stock"), "stock"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("low", _("low")), ("none", _("sold out"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Sku]) -> QuerySet[Sku]:
        if self.value() is None:
            return queryset
        most = 0 if self.value() == "none" else settings.LOW_STOCK
        return queryset.low_on_stock(most)  # type: ignore[attr-defined]


@admin.register(Sku)
class SkuAdmin(FactsOnly, ShopAdmin):
    """Stock at a glance. A SKU is changed on its product's page."""

    list_display = [
        "code",
        "to_product",
        "options_text",
        "price",
        "stock",
        "is_active",
        "movements",
    ]
    list_filter = [LowStock, "is_active"]
    list_select_related = ["product"]
    search_fields = ["code"]
    ordering = ["-id"]
    price = yuan("price_fen", _("price"))

    @admin.display(description=_("product"))
    def to_product(self, sku: Sku) -> str:
        url = reverse("admin:catalog_product_change", args=[sku.product_id])
        return format_html('<a href="{}">{}</a>', url, sku.product)

    @admin.display(description=_("stock movements"))
    def movements(self, sku: Sku) -> str:
        url = reverse("admin:catalog_stockmovement_changelist")
        return format_html('<a href="{}?sku__id__exact={}">{}</a>', url, sku.pk, _("movements"))


@admin.register(StockMovement)
class StockMovementAdmin(FactsOnly, ShopAdmin):
    list_display = ["created_at", "sku", "kind", "delta", "reference", "note"]
    list_filter = ["kind"]
    list_select_related = ["sku"]
    search_fields = ["sku__code", "reference"]
    ordering = ["-id"]
