"""Products with SKUs inline; stock moves by a change with a reason."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminSplitDateTime
from django.db import transaction
from django.db.models import Max, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from catalog.admin.product_files import ProductFiles
from catalog.admin.product_pages import ProductPages
from catalog.models import (
    Product,
    ProductOption,
    ProductPicture,
    ProductStatus,
    Sku,
    StockMovement,
    StockMovementKind,
)
from catalog.services.products import (
    clean_html,
    make_missing_skus,
    refresh_product,
    set_status,
)
from catalog.services.search import index_products
from catalog.services.stock import MAX_STOCK, adjust_stock
from miniback.core.errors import DomainError
from miniback.core.pictures import PictureFormField, picture_url
from miniback.core.shop_admin import FactsOnly, ShopAdmin, Tabbed, yuan
from miniback.core.words import PairsFormField, WordsFormField


class ManyPictures(forms.ClearableFileInput):
    allow_multiple_selected = True


class PicturesFormField(forms.FileField):
    """Any number of pictures, each looked at as one alone would be."""

    widget = ManyPictures

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        one = PictureFormField()
        return [one.clean(file) for file in data or []]


class ProductForm(forms.ModelForm):
    # When the form was opened: what somebody else saved since then is not written over.
    version = forms.CharField(required=False, widget=forms.HiddenInput)
    tags = WordsFormField(label=_("tags"), required=False, help_text=_("such as: new, gift"))
    attributes = PairsFormField(
        label=_("attributes"),
        required=False,
        may_be_lists=True,
        help_text=_("such as: material: cotton; season: spring, autumn"),
    )
    new_pictures = PicturesFormField(
        label=_("more pictures"),
        required=False,
        help_text=_("The first is the cover of a product that has none."),
    )
    published_at = forms.SplitDateTimeField(
        label=_("published at"),
        required=False,
        widget=AdminSplitDateTime,
        help_text=_("a scheduled product goes on sale then"),
    )

    class Meta:
        model = Product
        fields = [
            "category",
            "brand",
            "freight_template",
            "name",
            "subtitle",
            "cover",
            "detail_html",
            "purchase_limit",
            "tags",
            "attributes",
            "status",
            "published_at",
            "related",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["version"].initial = self.instance.updated_at.isoformat()

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if self.instance.pk:
            # SKUs before their product, as orders do (docs/locking.md).
            list(Sku.objects.select_for_update().filter(product=self.instance).order_by("pk"))
            now = Product.objects.select_for_update().get(pk=self.instance.pk).updated_at
            if given.get("version", "") not in {"", now.isoformat()}:
                raise forms.ValidationError(
                    _("Somebody else has changed this product since you opened it. Open it again.")
                )
        return given

    def clean_detail_html(self) -> str:
        return clean_html(self.cleaned_data["detail_html"])

    def clean_tags(self) -> list[str]:
        # Django takes any empty JSON for blank.
        return self.cleaned_data["tags"] or []

    def clean_attributes(self) -> dict[str, Any]:
        return self.cleaned_data["attributes"] or {}

    def clean_published_at(self) -> Any:
        """On sale now is published now, whatever was planned; a plan lies in the future."""
        when, now = self.cleaned_data.get("published_at"), timezone.now()
        if self.cleaned_data.get("status") != ProductStatus.SCHEDULED:
            return min(when, now) if when else now
        if when is None or when <= now:
            raise forms.ValidationError(_("Say when it goes on sale: a time to come."))
        return when


# The form's columns: `related` is a table of its own.
OWN_COLUMNS = [name for name in ProductForm.Meta.fields if name != "related"]


class SkuForm(forms.ModelForm):
    """Stock changes by a number of pieces: a typed total would undo orders placed meanwhile."""

    stock_change = forms.IntegerField(
        label=_("stock change"),
        required=False,
        min_value=-MAX_STOCK,
        max_value=MAX_STOCK,
        help_text=_("pieces to add, or to remove with a minus"),
    )

    options = PairsFormField(
        label=_("options"), required=False, help_text=_("such as: colour: red; size: L")
    )

    class Meta:
        model = Sku
        widgets = {"picture": forms.ClearableFileInput(attrs={"style": "width: 11em"})}
        fields = [
            "code",
            "options",
            "price_fen",
            "market_price_fen",
            "weight_g",
            "picture",
            "is_active",
        ]

    def clean_options(self) -> dict[str, str]:
        # An empty list would pass as "no options".
        return self.cleaned_data["options"] or {}

    def save(self, commit: bool = True) -> Sku:
        """Write what the form asks for and nothing else: the stock it read is old by now."""
        if not commit or self.instance.pk is None:
            sku: Sku = super().save(commit)
            return sku
        self.instance.save(update_fields=SkuForm.Meta.fields)
        return self.instance


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


class OptionForm(forms.ModelForm):
    values = WordsFormField(label=_("values"), help_text=_("such as: red, blue"))


class OptionInline(admin.TabularInline):
    model = ProductOption
    form = OptionForm
    fields = ["name", "values", "position"]
    extra = 0


class PictureInline(admin.TabularInline):
    model = ProductPicture
    fields = ["picture", "position"]
    extra = 0


@admin.register(Product)
class ProductAdmin(ProductPages, ProductFiles, Tabbed, ShopAdmin):
    change_list_template = "admin/desk/product_list.html"
    change_form_template = "admin/desk/product.html"
    form = ProductForm
    list_display = ["thumbnail", "name", "category", "price", "in_stock", "sales_count", "status"]
    list_display_links = ["thumbnail", "name"]
    list_filter = ["in_stock", "category"]
    list_select_related = ["category"]
    search_fields = ["name", "skus__code"]
    search_help_text = _("name or SKU code")
    autocomplete_fields = ["category", "brand", "related"]
    ordering = ["-id"]
    inlines = [OptionInline, SkuInline, PictureInline]
    actions = ["put_on_sale", "take_off_sale", "change_prices", "change_stocks", "make_skus"]
    price = yuan("price_fen", _("price"))

    @admin.display(description="")
    def thumbnail(self, product: Product) -> str:
        url = picture_url(product.cover.name, "thumb")
        picture = '<img src="{}" width="40" height="40" alt="{}">'
        return format_html(picture, url, product.name) if url else "-"

    def save_model(
        self, request: HttpRequest, obj: Product, form: forms.ModelForm, change: bool
    ) -> None:
        if change:
            # Not price, availability and sales: orders change them while the form is open.
            obj.save(update_fields=[*OWN_COLUMNS, "updated_at"])
            return
        super().save_model(request, obj, form, change)

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
            self.message_user(request, f"{sku}: {error.detail}", messages.ERROR)

    def has_delete_permission(self, request: HttpRequest, obj: Product | None = None) -> bool:
        """Orders refer to products; one that is no longer sold is taken off sale."""
        return False

    @admin.action(description=_("Put on sale"), permissions=["change"])
    def put_on_sale(self, request: HttpRequest, queryset: QuerySet[Product]) -> None:
        self._set_status(request, queryset, ProductStatus.ON_SALE)

    @admin.action(description=_("Take off sale"), permissions=["change"])
    def take_off_sale(self, request: HttpRequest, queryset: QuerySet[Product]) -> None:
        self._set_status(request, queryset, ProductStatus.OFF_SALE)

    @admin.action(description=_("Make the missing SKUs"), permissions=["change"])
    def make_skus(self, request: HttpRequest, queryset: QuerySet[Product]) -> None:
        """One for each combination of options; inactive, until they have a price."""
        try:
            count = sum(make_missing_skus(product) for product in queryset.order_by("pk"))
        except DomainError as error:
            self.message_user(request, str(error.detail), messages.ERROR)
            return
        text = ngettext("%d SKU made; give it a price.", "%d SKUs made; give them prices.", count)
        self.message_user(request, text % count)

    def _set_status(
        self, request: HttpRequest, queryset: QuerySet[Product], status: ProductStatus
    ) -> None:
        count = set_status(list(queryset.values_list("pk", flat=True)), status)
        text = ngettext("%d product changed.", "%d products changed.", count) % count
        self.message_user(request, text)


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
