"""The refunds desk: yes and no side by side, of one refund or of all that wait."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from miniback.core.desk import DeskAction, DeskMixin
from miniback.core.errors import DomainError
from miniback.core.fields import YuanFormField
from miniback.core.models import Upload
from miniback.core.money import format_yuan
from miniback.core.pictures import picture_url
from miniback.core.shop_admin import BegunByStaff, FactsOnly, ShopAdmin, Tabbed, yuan
from orders.models import Refund, RefundLine
from orders.services import refund_decisions, refund_redirects
from orders.status import RefundStatus

# Cards on one page; more wait behind them.
SHOWN = 20


class ApproveForm(forms.Form):
    amount_fen = YuanFormField(label=_("amount to refund"), required=False)
    decision = forms.CharField(label=_("answer to the customer"), max_length=200, required=False)


class RejectForm(forms.Form):
    decision = forms.CharField(label=_("reason, shown to the customer"), max_length=200)


class ReceiveForm(forms.Form):
    is_restocked = forms.BooleanField(
        label=_("put back on the shelf"), required=False, help_text=_("No: written off.")
    )


class RedirectForm(forms.Form):
    """An empty card number sends the money to the shop's own account."""

    bank_type = forms.RegexField(
        label=_("bank"), regex=r"^[A-Z]{2,16}_(DEBIT|CREDIT)$", required=False,
        help_text=_("WeChat Pay's code of the customer's bank, such as ICBC_DEBIT"),
    )  # fmt: skip
    account = forms.RegexField(
        label=_("card number"), regex=r"^[0-9]{12,22}$", required=False,
        help_text=_("Empty: the money goes to the shop's account, and you pay the customer yourself."),
    )  # fmt: skip
    holder = forms.CharField(label=_("card holder"), max_length=50, required=False)

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        filled = [bool(given.get(name)) for name in ("bank_type", "account", "holder")]
        if any(filled) and not all(filled):
            raise forms.ValidationError(_("A card needs bank, number and holder."))
        return given


class ApproveManyForm(forms.Form):
    decision = forms.CharField(label=_("answer to the customers"), max_length=200, required=False)


ASKED, RETURNING = {RefundStatus.REQUESTED}, {RefundStatus.RETURNING}


class RefundLineInline(FactsOnly, admin.TabularInline):
    model = RefundLine
    fields: ClassVar[Any] = ["line", "quantity", "claimed", "amount"]
    readonly_fields = fields
    extra = 0
    claimed = yuan("claimed_fen", _("asked for"))
    amount = yuan("amount_fen", _("amount"))

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("line")


@admin.register(Refund)
class RefundAdmin(BegunByStaff, Tabbed, DeskMixin, FactsOnly, ShopAdmin):
    desk_permission = "orders.change_refund"
    desk = (
        DeskAction("approve", _("Approve"), ApproveForm, refund_decisions.approve_refund, ASKED),
        DeskAction(
            "receive", _("Goods are back"), ReceiveForm, refund_decisions.receive_return, RETURNING
        ),
        DeskAction(
            "reject", _("Reject"), RejectForm, refund_decisions.reject_refund, ASKED | RETURNING
        ),
        DeskAction(
            "redirect",
            _("Send another way"),
            RedirectForm,
            refund_redirects.redirect_refund,
            {RefundStatus.FAILED},
        ),
    )
    change_form_template = "admin/desk/refund.html"
    change_list_template = "admin/desk/refund_list.html"
    when_empty = _("What customers ask back waits here for your answer.")
    inlines = [RefundLineInline]
    actions = ["approve_selected"]
    list_display = ["number", "payment", "kind", "amount", "status", "last_error", "created_at"]
    list_filter = ["kind", "is_shipped"]
    list_select_related = ["payment"]
    found_by = (
        "number",
        "payment__number",
        "order__number",
    )
    search_help_text = _("refund, payment or order number")
    ordering = ["-id"]
    fieldsets = (
        (None, {"fields": ["number", "status", "kind", "is_shipped", "reason", "pictures"]}),
        (_("money"), {"fields": ["amount", "freight", "payment", "platform_id", "succeeded_at"]}),
        (
            _("staff's answer"),
            {
                "fields": [
                    "first_approved_by",
                    "decision",
                    "decided_by",
                    "decided_at",
                    "return_carrier",
                    "return_tracking",
                ]
            },
        ),
        (_("background job"), {"fields": ["due_at", "attempts", "last_error", "created_at"]}),
    )
    readonly_fields = ["amount", "freight", "pictures"]
    freight = yuan("freight_fen", _("freight"))
    amount = yuan("amount_fen", _("amount"))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.side_by_side)
        return [
            path("side-by-side/", view, name="orders_refund_side-by-side"),
            *super().get_urls(),
        ]

    def page_context(self, request: HttpRequest, row: Refund) -> dict[str, Any]:
        """Yes and no side by side, above what was asked for and its photos."""
        shown: dict[str, Any] = super().page_context(request, row)
        if row.status in ASKED:
            shown["asked"] = _with_forms(shown["buttons"], "id")
        return shown

    def back_to(self, request: HttpRequest, row: Refund) -> str:
        if request.POST.get("from") == "side-by-side":
            return reverse("admin:orders_refund_side-by-side")
        return super().back_to(request, row)

    def side_by_side(self, request: HttpRequest) -> HttpResponse:
        """Whatever waits for an answer, the oldest first: what was asked, its photos, yes and no."""
        if not self.has_desk_permission(request):
            raise PermissionDenied
        waiting = Refund.objects.filter(status__in=ASKED).order_by("pk")
        chosen = list(waiting.select_related("order__user").prefetch_related("lines__line")[:SHOWN])
        pictures = Upload.objects.in_bulk([pk for refund in chosen for pk in refund.images])
        cards = [
            {
                "refund": refund,
                "order": refund.order,
                "amount": f"¥{format_yuan(refund.amount_fen)}",
                "lines": [
                    (row, picture_url(row.line.picture, "thumb")) for row in refund.lines.all()
                ],
                "pictures": [pictures[pk].url for pk in refund.images if pk in pictures],
                "asked": _with_forms(self.buttons(request, refund), f"id_{refund.pk}"),
            }
            for refund in chosen
        ]
        context = {
            "title": _("Refunds side by side"),
            "cards": cards,
            "more": waiting.count() - len(cards),
        }
        return self.page(request, "admin/desk/refunds.html", context)

    @admin.action(description=_("Approve as asked for"), permissions=["desk"])
    def approve_selected(self, request: HttpRequest, queryset: QuerySet[Refund]) -> Any:
        """Each by itself: one that cannot be approved says why, and keeps no other from it."""
        form = ApproveManyForm(request.POST if "sure" in request.POST else None)
        if not form.is_valid():
            return self.ask_many(request, queryset, form, _("Approve as asked for"))
        count = 0
        for refund in queryset.order_by("pk"):
            try:
                refund_decisions.approve_refund(refund, user=request.user, **form.cleaned_data)
            except DomainError as error:
                self.message_user(request, f"{refund}: {error.reason}", messages.ERROR)
            else:
                count += 1
                self.log_change(request, refund, str(_("Approve as asked for")))
        text = ngettext("%d refund approved.", "%d refunds approved.", count)
        self.message_user(request, text % count, messages.SUCCESS)
        return None

    @admin.display(description=_("pictures"))
    def pictures(self, refund: Refund) -> str:
        uploads = Upload.objects.filter(pk__in=refund.images)
        links = ((upload.url, upload.url, _("the customer's photo")) for upload in uploads)
        picture = '<a href="{}"><img src="{}" height="120" alt="{}"></a>'
        shown = format_html_join(" ", picture, links)
        return shown or "-"


def _with_forms(buttons: Iterable[dict[str, Any]], prefix: str) -> list[dict[str, Any]]:
    return [
        {**button, "form": button["action"].form(auto_id=f"{prefix}_{button['action'].url}_%s")}
        for button in buttons
    ]
