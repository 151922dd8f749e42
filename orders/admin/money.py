"""Payments, notices, bills, ledger: records of fact."""

from collections.abc import Iterator
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import Count, Q
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from miniback.core.desk import DeskAction, DeskMixin
from miniback.core.shop_admin import FactsOnly, ShopAdmin, Tabbed, yuan
from orders.models import (
    Bill,
    BillDifference,
    Channel,
    DifferenceStatus,
    LedgerEntry,
    LedgerTransaction,
    Notice,
    Payment,
    Refund,
)


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
    found_by = (
        "number",
        "order__number",
    )
    search_help_text = _("payment number, order number or transaction id")
    ordering = ["-id"]
    exclude = ["amount_fen"]
    readonly_fields = ["amount"]
    inlines = [RefundInline]
    amount = yuan("amount_fen", _("amount"))

    def lookups(self, word: str) -> Iterator[dict[str, Any]]:
        yield from super().lookups(word)
        yield {"channel__in": Channel.values, "transaction_id": word}


@admin.register(Notice)
class NoticeAdmin(FactsOnly, ShopAdmin):
    list_display = ["notice_id", "event_type", "payment", "outcome", "note", "received_at"]
    list_filter = ["outcome", "event_type"]
    list_select_related = ["payment"]
    found_by = (
        "payment__number",
        "payment__order__number",
    )
    search_help_text = _("payment or order number, or notice id")
    ordering = ["-id"]
    # The content names the payer.
    exclude = ["content", "body", "headers"]

    def lookups(self, word: str) -> Iterator[dict[str, Any]]:
        yield from super().lookups(word)
        yield {"channel__in": Channel.values, "notice_id": word}


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
            "resolve", _("Resolve"), ResolveForm, print,
            {DifferenceStatus.OPEN},
        ),
    )  # fmt: skip
    when_empty = _(
        "Each morning the platforms' bills are compared with ours; what differs waits here."
    )
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
    found_by = (
        "^event_key",
        "order__number",
    )
    search_help_text = _("order number or event key")
    ordering = ["-id"]
    inlines = [EntryInline]
