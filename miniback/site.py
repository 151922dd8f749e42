"""The back office: Django's own admin under our name."""

import functools
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.admin.options import IS_POPUP_VAR
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _

from miniback.core import read_cache
from miniback.core.errors import KeyMismatch, Unavailable
from miniback.core.idempotency import UsedBefore, claim_key, used_key
from miniback.core.queries import update
from miniback.core.transactions import InsideTransaction, is_lost, is_transient, retry

Show = Callable[[], HttpResponse]

# The field of a form that makes it good for one sending (`once` of the template tags).
ONCE = "once"
UNKNOWN = _(
    "The connection to the database was lost. This was done, or it was not: look before you do it again."
)

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

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """As Django's, writing the password alone."""
        from django.contrib.auth.views import PasswordChangeView  # noqa: PLC0415

        from accounts.admin import OwnPasswordForm  # noqa: PLC0415

        view = PasswordChangeView.as_view(
            form_class=OwnPasswordForm,
            success_url=reverse("admin:password_change_done", current_app=self.name),
            extra_context={**self.each_context(request), **(extra_context or {})},
            template_name=self.password_change_template or "registration/password_change_form.html",
        )
        request.current_app = self.name
        return view(request)

    def sales_csv(self, request: HttpRequest) -> HttpResponse:
        from miniback.dashboard import sales_csv  # noqa: PLC0415

        if not request.user.has_perm("orders.view_dailytotal"):
            raise PermissionDenied
        return sales_csv(request)

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:
        """Answer 503 where the database fails, and carry out once what is sent."""
        page = super().admin_view(view, cacheable)

        @functools.wraps(page)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            show = functools.partial(page, request, *args, **kwargs)
            is_post = request.method == "POST"
            try:
                answer = self.carry_out(request, show) if is_post else show()
            except (OperationalError, InterfaceError) as error:
                if not is_transient(error):
                    raise
                text = UNKNOWN if is_post and is_lost(error) else Unavailable.detail
                return HttpResponse(str(text), status=503, headers={"Retry-After": "1"})
            if is_post:
                # Whatever staff changed, they see it when they look at the shop.
                read_cache.forget()
            return answer

        return guarded

    def carry_out(self, request: HttpRequest, show: Show) -> HttpResponse:
        """Run a page that was sent in one transaction, and once for the key of its form.

        As the API: what collides with customers at work is run again, and a form that was carried
        out is not, whether staff sent it twice or the answer to COMMIT was lost.
        """
        key = request.POST.get(ONCE, "")[:64] if self.has_permission(request) else ""
        body = _sent(request)
        try:
            if not key:
                return retry(functools.partial(_rewound, request, show))
            return retry(functools.partial(_once, request, show, key, body), is_keyed=True)
        except InsideTransaction:
            # It calls a platform, and refused before it did anything. It is safe to repeat by itself:
            # the platform knows its numbers.
            return _rewound(request, show)
        except UsedBefore as used:
            try:
                row = used_key(request.user, key, body, used)
            except KeyMismatch:
                text = _("This form was sent before with other values. Open it again.")
                messages.error(request, text)
                return HttpResponseRedirect(request.get_full_path())
            messages.info(request, _("This was already done."))
            return HttpResponseRedirect(row.location or request.get_full_path())


def _once(request: HttpRequest, show: Show, key: str, body: Any) -> HttpResponse:
    row = claim_key(request.user, key, body)
    answer = _rewound(request, show)
    if transaction.get_rollback():
        # A service refused: nothing was done, and the key goes with it.
        return answer
    if isinstance(answer, HttpResponseRedirect) or IS_POPUP_VAR in request.POST:
        row.location = answer.get("Location", "")[:500]
        update(row, "location")
    else:
        # A form with errors, or a document: it may be sent again.
        row.delete()
    return answer


def _rewound(request: HttpRequest, show: Show) -> HttpResponse:
    """A page that is run again reads its files again."""
    for _name, files in request.FILES.lists():
        for file in files:
            file.seek(0)
    return show()


def _sent(request: HttpRequest) -> dict[str, Any]:
    """What a form's key stands for."""
    fields = {
        name: values for name, values in request.POST.lists() if name != "csrfmiddlewaretoken"
    }
    files = [
        [name, file.name, file.size] for name, files in request.FILES.lists() for file in files
    ]
    return {"path": request.get_full_path(), "fields": fields, "files": files}


def _place(name: str, order: tuple[str, ...]) -> int:
    return order.index(name) if name in order else len(order)
