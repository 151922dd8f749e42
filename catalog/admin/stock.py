"""Stock at a glance, and the book of stock."""

from collections.abc import Iterator
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
    StockMovementKind,
)
from miniback.core.fields import beginning
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
        "chosen",
        "price",
        "stock",
        "is_active",
        "movements",
    ]
    list_filter = [LowStock, "is_active"]
    list_select_related = ["product"]
    found_by = ("^code",)
    search_help_text = _("the beginning of a SKU code")
    ordering = ["-id"]
    price = yuan("price_fen", _("price"))

    @admin.display(description=_("options"))
    def chosen(self, sku: Sku) -> str:
        return sku.options_text or "-"

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
    found_by = ("sku__code",)
    search_help_text = _("SKU code or order number")
    ordering = ["-id"]

    def lookups(self, word: str) -> Iterator[dict[str, Any]]:
        """The reference is in the event key, which has the index."""
        yield from super().lookups(word)
        for kind in StockMovementKind.values:
            yield beginning("event_key", f"{kind}:{word}:")
