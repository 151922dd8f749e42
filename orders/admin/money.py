"""Payments, refunds, notices, ledger: records of fact."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import Count, Q
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _

from miniback.core.desk import DeskAction, DeskMixin
from miniback.core.fields import YuanFormField
from miniback.core.models import Upload
from miniback.core.shop_admin import FactsOnly, ShopAdmin, Tabbed, yuan
from orders.models import (
    Bill,
    BillDifference,
    DifferenceStatus,
    LedgerEntry,
    LedgerTransaction,
    Notice,
    Payment,
    Refund,
    RefundLine,
)
from orders.services import reconciliation, refund_decisions, refunds
from orders.status import RefundStatus


class RefundInline(FactsOnly, admin.TabularInline):
    model = Refund
    fields: ClassVar[Any] = [
        "number",
        "amount",
        "status",
        "reason",
        "attempts",
        "last_error",
        "succeeded_at",
    ]
    readonly_fields = fields
    extra = 0
    amount = yuan("amount_fen", _("amount"))


@admin.register(Payment)
class PaymentAdmin(FactsOnly, ShopAdmin):
    list_display = ["number", "order", "channel", "amount", "status", "is_applied", "paid_at"]
    list_filter = ["status", "is_applied", "channel"]
    list_select_related = ["order"]
    search_fields = ["number", "transaction_id", "order__number"]
    ordering = ["-id"]
    exclude = ["amount_fen"]
    readonly_fields = ["amount"]
    inlines = [RefundInline]
    amount = yuan("amount_fen", _("amount"))


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
class RefundAdmin(Tabbed, DeskMixin, FactsOnly, ShopAdmin):
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
            refunds.redirect_refund,
            {RefundStatus.FAILED},
        ),
    )
    change_form_template = "admin/desk/refund.html"
    inlines = [RefundLineInline]
    list_display = ["number", "payment", "kind", "amount", "status", "last_error", "created_at"]
    list_filter = ["kind", "is_shipped"]
    list_select_related = ["payment"]
    search_fields = ["number", "payment__number", "payment__order__number"]
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

    def page_context(self, request: HttpRequest, row: Refund) -> dict[str, Any]:
        """Yes and no side by side, above what was asked for and its photos."""
        shown: dict[str, Any] = super().page_context(request, row)
        if row.status in ASKED:
            shown["asked"] = [
                {**button, "form": button["action"].form(auto_id=f"id_{button['action'].url}_%s")}
                for button in shown["buttons"]
            ]
        return shown

    @admin.display(description=_("pictures"))
    def pictures(self, refund: Refund) -> str:
        uploads = Upload.objects.filter(pk__in=refund.images)
        links = ((upload.url, upload.url) for upload in uploads)
        shown = format_html_join(" ", '<a href="{}"><img src="{}" height="120" alt=""></a>', links)
        return shown or "-"


@admin.register(Notice)
class NoticeAdmin(FactsOnly, ShopAdmin):
    list_display = ["notice_id", "event_type", "payment", "outcome", "note", "received_at"]
    list_filter = ["outcome", "event_type"]
    list_select_related = ["payment"]
    search_fields = ["notice_id", "payment__number"]
    ordering = ["-id"]
    # The content names the payer.
    exclude = ["content", "body", "headers"]


class ResolveForm(forms.Form):
    note = forms.CharField(label=_("what it was"), max_length=200)


class BillDifferenceInline(FactsOnly, admin.TabularInline):
    model = BillDifference
    fields: ClassVar[Any] = ["number", "kind", "is_refund", "theirs", "ours", "status", "note"]
    readonly_fields = fields
    extra = 0
    show_change_link = True
    theirs = yuan("theirs_fen", _("the platform's amount"))
    ours = yuan("ours_fen", _("our amount"))


@admin.register(Bill)
class BillAdmin(FactsOnly, ShopAdmin):
    list_display = ["__str__", "row_count", "paid", "refunded", "compared_at", "open_count"]
    list_filter = ["channel"]
    ordering = ["-day", "channel"]
    exclude = ["paid_fen", "refunded_fen"]
    readonly_fields = ["paid", "refunded"]
    inlines = [BillDifferenceInline]
    paid = yuan("paid_fen", _("money in"))
    refunded = yuan("refunded_fen", _("money back"))

    def get_queryset(self, request: HttpRequest) -> Any:
        is_open = Q(differences__status=DifferenceStatus.OPEN)
        counted = Count("differences", filter=is_open)
        return super().get_queryset(request).annotate(differences_open=counted)

    @admin.display(description=_("open differences"))
    def open_count(self, bill: Bill) -> int:
        return int(bill.differences_open)  # type: ignore[attr-defined]


@admin.register(BillDifference)
class BillDifferenceAdmin(Tabbed, DeskMixin, FactsOnly, ShopAdmin):
    desk_permission = "orders.change_billdifference"
    desk = (
        DeskAction(
            "resolve", _("Resolve"), ResolveForm, reconciliation.resolve_difference,
            {DifferenceStatus.OPEN},
        ),
    )  # fmt: skip
    list_display = ["number", "bill", "kind", "is_refund", "theirs", "ours", "status", "note"]
    list_filter = ["kind", "is_refund", "bill__channel"]
    list_select_related = ["bill"]
    search_fields = ["number", "transaction_id"]
    ordering = ["-id"]
    exclude = ["theirs_fen", "ours_fen"]
    readonly_fields = ["theirs", "ours"]
    theirs = yuan("theirs_fen", _("the platform's amount"))
    ours = yuan("ours_fen", _("our amount"))


class EntryInline(FactsOnly, admin.TabularInline):
    model = LedgerEntry
    fields: ClassVar[Any] = ["account", "amount"]
    readonly_fields = fields
    extra = 0
    amount = yuan("amount_fen", _("amount"))


@admin.register(LedgerTransaction)
class LedgerTransactionAdmin(FactsOnly, ShopAdmin):
    list_display = ["event_key", "order", "posted_at", "posted_on"]
    list_filter = ["posted_on"]
    list_select_related = ["order"]
    search_fields = ["event_key", "order__number"]
    ordering = ["-id"]
    inlines = [EntryInline]
