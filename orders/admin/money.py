"""Payments, refunds, notices, ledger: records of fact."""

from typing import Any, ClassVar

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from miniback.core.admin import FactsOnly, yuan
from orders.models import LedgerEntry, LedgerTransaction, Notice, Payment, Refund


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
class PaymentAdmin(FactsOnly, admin.ModelAdmin):
    list_display = ["number", "order", "channel", "amount", "status", "is_applied", "paid_at"]
    list_filter = ["status", "is_applied", "channel"]
    list_select_related = ["order"]
    search_fields = ["number", "transaction_id", "order__number"]
    ordering = ["-id"]
    show_full_result_count = False
    exclude = ["amount_fen"]
    readonly_fields = ["amount"]
    inlines = [RefundInline]
    amount = yuan("amount_fen", _("amount"))


@admin.register(Refund)
class RefundAdmin(FactsOnly, admin.ModelAdmin):
    list_display = ["number", "payment", "amount", "status", "attempts", "last_error", "created_at"]
    list_filter = ["status"]
    list_select_related = ["payment"]
    search_fields = ["number", "payment__number"]
    ordering = ["-id"]
    show_full_result_count = False
    exclude = ["amount_fen"]
    readonly_fields = ["amount"]
    amount = yuan("amount_fen", _("amount"))


@admin.register(Notice)
class NoticeAdmin(FactsOnly, admin.ModelAdmin):
    list_display = ["notice_id", "event_type", "payment", "outcome", "note", "received_at"]
    list_filter = ["outcome", "event_type"]
    list_select_related = ["payment"]
    search_fields = ["notice_id", "payment__number"]
    ordering = ["-id"]
    show_full_result_count = False
    # The content names the payer.
    exclude = ["content", "body", "headers"]


class EntryInline(FactsOnly, admin.TabularInline):
    model = LedgerEntry
    fields: ClassVar[Any] = ["account", "amount"]
    readonly_fields = fields
    extra = 0
    amount = yuan("amount_fen", _("amount"))


@admin.register(LedgerTransaction)
class LedgerTransactionAdmin(FactsOnly, admin.ModelAdmin):
    list_display = ["event_key", "order", "posted_at", "posted_on"]
    list_filter = ["posted_on"]
    list_select_related = ["order"]
    search_fields = ["event_key", "order__number"]
    ordering = ["-id"]
    show_full_result_count = False
    inlines = [EntryInline]
