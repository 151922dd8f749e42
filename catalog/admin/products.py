"""Products with SKUs inline; stock moves by a change with a reason."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Max, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from catalog.admin.product_files import ProductFiles
from catalog.admin.product_forms import OptionForm, ProductForm, SkuForm
from catalog.admin.product_pages import ProductPages
from catalog.models import (
    Product,
    ProductOption,
    ProductPicture,
    Sku,
    StockMovementKind,
)
from catalog.services.products import (
    make_missing_skus,
    refresh_product,
)
from catalog.services.search import index_products
from catalog.services.stock import adjust_stock
from miniback.core.errors import DomainError
from miniback.core.fields import beginning
from miniback.core.pictures import picture_url
from miniback.core.shop_admin import MOST_FOUND, ShopAdmin, Tabbed, yuan


class SkuInline(admin.TabularInline):
    model = Sku
    form = SkuForm
    fields = [
        "code",
        "options",
        "price_fen",
        "market_price_fen",
        "stock",
        "stock_change",
        "weight_g",
        "picture",
        "is_active",
    ]
    readonly_fields = ["stock"]
    extra = 0
    can_delete = False


class OptionInline(admin.TabularInline):
    model = ProductOption
    form = OptionForm
    fields = ["name", "values", "position"]
    ordering = ["position", "id"]
    extra = 0


class PictureInline(admin.TabularInline):
    model = ProductPicture
    fields = ["picture", "position"]
    ordering = ["position", "id"]
    extra = 0


@admin.register(Product)
class ProductAdmin(ProductPages, ProductFiles, Tabbed, ShopAdmin):
    change_list_template = "admin/desk/product_list.html"
    when_empty = _("Begin with a category and a first product, or import a table.")
    change_form_template = "admin/desk/product.html"
    form = ProductForm
    list_display = ["thumbnail", "name", "category", "price", "in_stock", "sales_count", "status"]
    list_display_links = ["thumbnail", "name"]
    list_filter = ["in_stock", "category"]
    list_select_related = ["category"]
    search_fields = ["name"]
    search_help_text = _("a part of the name, or the beginning of a SKU code")
    autocomplete_fields = ["category", "brand", "related"]
    ordering = ["-id"]
    inlines = [OptionInline, SkuInline, PictureInline]
    actions = ["put_on_sale", "take_off_sale", "change_prices", "change_stocks", "make_skus"]
    price = yuan("price_fen", _("price"))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Product], search_term: str
    ) -> tuple[QuerySet[Product], bool]:
        """By a SKU's code or, if there is none, by name: both at once would read every SKU."""
        skus = Sku.objects.filter(**beginning("code", search_term.strip()))
        ids = set(skus.order_by("code").values_list("product", flat=True)[:MOST_FOUND])
        if search_term and ids:
            return queryset.filter(pk__in=ids), False
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description="")
    def thumbnail(self, product: Product) -> str:
        url = picture_url(product.cover.name, "thumb")
        picture = '<img src="{}" width="40" height="40" alt="{}">'
        return format_html(picture, url, product.name) if url else "-"

    def save_related(
        self, request: HttpRequest, form: forms.ModelForm, formsets: Any, change: bool
    ) -> None:
        super().save_related(request, form, formsets, change)
        self._add_pictures(form.instance, form.cleaned_data["new_pictures"])
        index_products([form.instance.pk])

    def save_formset(
        self, request: HttpRequest, form: forms.ModelForm, formset: Any, change: bool
    ) -> None:
        super().save_formset(request, form, formset, change)
        if formset.model is not Sku:
            return
        for sku_form in formset.forms:
            if delta := sku_form.cleaned_data.get("stock_change"):
                self._change_stock(request, sku_form.instance, delta)
        refresh_product(form.instance.pk)

    def _add_pictures(self, product: Product, files: list[Any]) -> None:
        last = product.pictures.aggregate(last=Max("position"))["last"] or 0
        for place, file in enumerate(files, start=last + 1):
            row = ProductPicture(product=product, position=place)
            row.picture.save("", file, save=True)
            if not product.cover:
                product.cover = row.picture.name
                product.save(update_fields=["cover"])

    def _change_stock(self, request: HttpRequest, sku: Sku, delta: int) -> None:
        is_first = not sku.movements.exists()
        kind = StockMovementKind.INITIAL if is_first else StockMovementKind.ADJUST
        note = str(_("by %(name)s") % {"name": request.user})
        try:
            with transaction.atomic():
                adjust_stock(sku, delta=delta, note=note, kind=kind)
        except DomainError as error:
            self.message_user(request, f"{sku}: {error.reason}", messages.ERROR)

    def has_delete_permission(self, request: HttpRequest, obj: Product | None = None) -> bool:
        """Orders refer to products; one that is no longer sold is taken off sale."""
        return False

    @admin.action(description=_("Make the missing SKUs"), permissions=["change"])
    def make_skus(self, request: HttpRequest, queryset: QuerySet[Product]) -> None:
        """One for each combination of options; inactive, until they have a price."""
        try:
            count = sum(make_missing_skus(product) for product in queryset.order_by("pk"))
        except DomainError as error:
            self.message_user(request, error.reason, messages.ERROR)
            return
        text = ngettext("%d SKU made; give it a price.", "%d SKUs made; give them prices.", count)
        self.message_user(request, text % count)
