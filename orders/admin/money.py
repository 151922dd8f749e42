"""Payments, notices, ledger: records of fact."""

from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from miniback.core.shop_admin import FactsOnly, ShopAdmin, yuan
from orders.models import (
    BillDifference,
    Channel,
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


class DifferenceInline(FactsOnly, admin.TabularInline):
    model = BillDifference
    fields: ClassVar[Any] = ["number", "kind", "is_refund", "theirs", "ours", "status", "note"]
    readonly_fields = fields
    extra = 0
    show_change_link = True
    theirs = yuan("theirs_fen", _("the platform's amount"))
    ours = yuan("ours_fen", _("our amount"))


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
    inlines = [RefundInline, DifferenceInline]
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
    inlines = [DifferenceInline]
    # The content names the payer.
    exclude = ["content", "body", "headers"]

    def lookups(self, word: str) -> Iterator[dict[str, Any]]:
        yield from super().lookups(word)
        yield {"channel__in": Channel.values, "notice_id": word}


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
