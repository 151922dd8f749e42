"""Pages beside a product's form: preview, a copy of it, and many products at once."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from catalog.models import Product
from catalog.services.bulk import change_prices, change_stocks, duplicate_product
from catalog.services.products import clean_html
from catalog.services.stock import MAX_STOCK
from miniback.core.errors import DomainError
from miniback.core.money import format_yuan
from miniback.core.pictures import picture_url


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
        return [*own, *super().get_urls()]  # type: ignore[misc]

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

    @admin.action(description=_("Change prices"), permissions=["change"])
    def change_prices(self, request: HttpRequest, queryset: QuerySet[Product]) -> Any:
        return self._ask(request, queryset, PriceForm, change_prices, _("Change prices"))

    @admin.action(description=_("Change stock"), permissions=["change"])
    def change_stocks(self, request: HttpRequest, queryset: QuerySet[Product]) -> Any:
        return self._ask(request, queryset, StockForm, change_stocks, _("Change stock"))

    def _ask(
        self: Any,
        request: HttpRequest,
        queryset: QuerySet[Product],
        form_class: type[forms.Form],
        service: Callable[..., int],
        title: Any,
    ) -> HttpResponse | None:
        """Ask what an action on many products needs, then do it; a refusal changes nothing."""
        form = form_class(request.POST if "sure" in request.POST else None)
        if form.is_bound and form.is_valid():
            ids = list(queryset.values_list("pk", flat=True))
            try:
                count = service(ids, **form.cleaned_data)
            except DomainError as error:
                told = (
                    str(text) for texts in error.extra.get("fields", {}).values() for text in texts
                )
                self.message_user(request, " ".join(told) or str(error.detail), messages.ERROR)
                return None
            for product in queryset:
                self.log_change(request, product, f"{title}: {form.cleaned_data}")
            text = ngettext("%d SKU changed.", "%d SKUs changed.", count)
            self.message_user(request, text % count, messages.SUCCESS)
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "form": form,
            "chosen": queryset,
            "action": request.POST["action"],
            "back": reverse("admin:catalog_product_changelist"),
        }
        return render(request, "admin/desk/ask_many.html", context)
