"""The back office: Django's own admin under our name."""

import functools
from collections.abc import Callable
from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext_lazy as _

from miniback.core import read_cache
from miniback.core.errors import Unavailable
from miniback.core.transactions import is_transient, retry

# What staff work with, daily things first; what stands in neither comes after, by name.
APPS = ("orders", "catalog", "accounts", "core", "admin", "auth")
MODELS = (
    "Order", "Refund", "Shipment", "BillDifference", "Coupon", "ClaimedCoupon", "Payment", "Bill",
    "LedgerTransaction", "Notice", "CartLine", "Carrier", "MessageTemplate",
    "Product", "Sku", "Category", "Brand", "Review", "HomeRow", "Banner", "HotKeyword",
    "StockMovement", "FreightTemplate", "Customer", "Staff", "Task", "OutboxMessage",
)  # fmt: skip


class MinibackAdminSite(AdminSite):
    site_header = _("miniback shop")
    site_title = _("miniback shop")
    index_title = _("Back office")
    empty_value_display = "-"

    def get_urls(self) -> list[Any]:
        sales = path("sales.csv", self.admin_view(self.sales_csv), name="sales_csv")
        return [sales, *super().get_urls()]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        # The site is made while apps are being loaded; their models are not there before.
        from miniback.dashboard import dashboard  # noqa: PLC0415

        return super().index(request, {**(extra_context or {}), **dashboard(request)})

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        apps = super().get_app_list(request, app_label)
        for app in apps:
            app["models"].sort(key=lambda model: _place(model["object_name"], MODELS))
        return sorted(apps, key=lambda app: _place(app["app_label"], APPS))

    def sales_csv(self, request: HttpRequest) -> HttpResponse:
        from miniback.dashboard import sales_csv  # noqa: PLC0415

        if not request.user.has_perm("orders.view_dailytotal"):
            raise PermissionDenied
        return sales_csv(request)

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:
        """As the API: what collides with customers at work is done again, and at last answered 503."""
        page = super().admin_view(view, cacheable)

        @functools.wraps(page)
        def patient(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            try:
                answer = retry(lambda: page(request, *args, **kwargs))
                if request.method == "POST":
                    # Whatever staff changed, they see it when they look at the shop.
                    read_cache.forget()
                return answer
            except OperationalError as error:
                if not is_transient(error):
                    raise
                busy = str(Unavailable.detail)
                return HttpResponse(busy, status=503, headers={"Retry-After": "1"})

        return patient


def _place(name: str, order: tuple[str, ...]) -> int:
    return order.index(name) if name in order else len(order)
