"""Pages beside a product's form: preview, a copy of it, and many products at once."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.files.storage import default_storage
from django.db.models import QuerySet
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    JsonResponse,
)
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from catalog.models import Product, ProductStatus
from catalog.services.bulk import CHANGES, MOST, duplicate_product, many_task
from catalog.services.products import clean_html
from catalog.services.stock import MAX_STOCK
from miniback.core.errors import DomainError
from miniback.core.money import format_yuan
from miniback.core.pictures import PictureFormField, picture_url, store_picture


class PriceForm(forms.Form):
    percent = forms.IntegerField(
        label=_("percent"),
        min_value=-99,
        max_value=1000,
        help_text=_("10 makes every SKU a tenth dearer, -10 a tenth cheaper."),
    )


class StockForm(forms.Form):
    delta = forms.IntegerField(
        label=_("pieces"),
        min_value=-MAX_STOCK,
        max_value=MAX_STOCK,
        help_text=_("pieces to add, or to remove with a minus"),
    )
    note = forms.CharField(label=_("reason"), max_length=100)


class PictureForm(forms.Form):
    picture = PictureFormField()


class ProductPages:
    """For ProductAdmin."""

    def get_urls(self: Any) -> list[URLPattern]:
        own = [
            path(
                f"<int:pk>/{name}/",
                self.admin_site.admin_view(view),
                name=f"catalog_product_{name}",
            )
            for name, view in (("preview", self.preview), ("duplicate", self.duplicate))
        ]
        take = path(
            "picture/",
            self.admin_site.admin_view(self.take_picture),
            name="catalog_product_picture",
        )
        return [take, *own, *super().get_urls()]  # type: ignore[misc]

    def take_picture(self: Any, request: HttpRequest) -> HttpResponse:
        """Store a picture for a description, and say where it is."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not (self.has_change_permission(request) or self.has_add_permission(request)):
            raise PermissionDenied
        form = PictureForm(request.POST, request.FILES)
        if not form.is_valid():
            return JsonResponse({"error": " ".join(map(str, form.errors["picture"]))}, status=400)
        name = store_picture(form.cleaned_data["picture"], default_storage)
        return JsonResponse({"url": picture_url(name)})

    def preview(self: Any, request: HttpRequest, pk: int) -> HttpResponse:
        """As the phone shows it, on sale or not."""
        product = get_object_or_404(Product, pk=pk)
        if not self.has_view_permission(request, product):
            raise PermissionDenied
        gallery = [
            product.cover.name,
            *product.pictures.order_by("position", "pk").values_list("picture", flat=True),
        ]
        skus = product.skus.filter(is_active=True).order_by("pk")
        context = {
            **self.admin_site.each_context(request),
            "title": _("Preview"),
            "subtitle": product.name,
            "opts": self.opts,
            "back": reverse("admin:catalog_product_change", args=[pk]),
            "product": product,
            "status": product.get_status_display(),
            "pictures": [picture_url(name) for name in dict.fromkeys(gallery) if name],
            "price": f"¥{format_yuan(product.price_fen)}",
            "market_price": product.market_price_fen
            and f"¥{format_yuan(product.market_price_fen)}",
            "skus": [
                {
                    "text": sku.options_text,
                    "price": f"¥{format_yuan(sku.price_fen)}",
                    "stock": sku.stock,
                }
                for sku in skus
            ],
            "attributes": [
                (name, ", ".join(value) if isinstance(value, list) else value)
                for name, value in product.attributes.items()
            ],
            "detail": clean_html(product.detail_html),
        }
        return render(request, "admin/desk/preview.html", context)

    def duplicate(self: Any, request: HttpRequest, pk: int) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_add_permission(request):
            raise PermissionDenied
        copy = duplicate_product(get_object_or_404(Product, pk=pk))
        self.log_addition(request, copy, str(_("Copied from %(pk)d") % {"pk": pk}))
        self.message_user(request, _("A draft; its SKUs have no stock yet."), messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:catalog_product_change", args=[copy.pk]))

    @admin.action(description=_("Put on sale"), permissions=["change"])
    def put_on_sale(self: Any, request: HttpRequest, queryset: QuerySet[Product]) -> Any:
        params = {"status": ProductStatus.ON_SALE}
        return self.change_many(request, queryset, "status", _("Put on sale"), params)

    @admin.action(description=_("Take off sale"), permissions=["change"])
    def take_off_sale(self: Any, request: HttpRequest, queryset: QuerySet[Product]) -> Any:
        params = {"status": ProductStatus.OFF_SALE}
        return self.change_many(request, queryset, "status", _("Take off sale"), params)

    @admin.action(description=_("Change prices"), permissions=["change"])
    def change_prices(self, request: HttpRequest, queryset: QuerySet[Product]) -> Any:
        return self._ask(request, queryset, PriceForm, "prices", _("Change prices"))

    @admin.action(description=_("Change stock"), permissions=["change"])
    def change_stocks(self, request: HttpRequest, queryset: QuerySet[Product]) -> Any:
        return self._ask(request, queryset, StockForm, "stocks", _("Change stock"))

    def _ask(
        self: Any,
        request: HttpRequest,
        queryset: QuerySet[Product],
        form_class: type[forms.Form],
        change: str,
        title: Any,
    ) -> HttpResponse | None:
        """Ask what a change of many products needs, then make it, or begin the task that does."""
        form = form_class(request.POST if "sure" in request.POST else None)
        if not form.is_valid():
            return self.ask_many(request, queryset, form, title)
        return self.change_many(request, queryset, change, title, form.cleaned_data)

    def change_many(
        self: Any,
        request: HttpRequest,
        queryset: QuerySet[Product],
        change: str,
        title: Any,
        params: dict[str, Any],
    ) -> HttpResponse | None:
        """Of as many as a page of the list holds at once, or none if one is refused; of more by a task."""
        ids = list(queryset.values_list("pk", flat=True)[: MOST + 1])
        if len(ids) > MOST:
            return self.begun(request, many_task(queryset, change, params, request.user))
        try:
            count = CHANGES[change](ids, **params)
        except DomainError as error:
            self.message_user(request, error.reason, messages.ERROR)
            return None
        for product in Product.objects.filter(pk__in=ids):
            self.log_change(request, product, f"{title}: {params}")
        text = ngettext("%d row changed.", "%d rows changed.", count)
        self.message_user(request, text % count, messages.SUCCESS)
        return None
