"""Admin of core's tables, and what every app's admin shares."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from miniback.core.models import JobLease, OutboxMessage, PlatformCertificate, Upload
from miniback.core.money import format_yuan


def yuan(field: str, label: Any) -> Callable[[Any, Any], str]:
    """A column of a list or form that shows the fen in ``field`` as yuan."""

    @admin.display(description=label, ordering=field)
    def show(model_admin: Any, row: Any) -> str:
        fen = getattr(row, field)
        return "-" if fen is None else f"¥{format_yuan(fen)}"

    return show


class FactsOnly:
    """Records of fact: staff look, nobody adds, edits or deletes."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(OutboxMessage)
class OutboxMessageAdmin(FactsOnly, admin.ModelAdmin):
    list_display = ["event_key", "topic", "attempts", "due_at", "done_at", "last_error"]
    list_filter = [
        "topic",
        ("done_at", admin.EmptyFieldListFilter),
        ("last_error", admin.EmptyFieldListFilter),
    ]
    search_fields = ["event_key"]
    ordering = ["-id"]
    show_full_result_count = False


@admin.register(PlatformCertificate)
class PlatformCertificateAdmin(FactsOnly, admin.ModelAdmin):
    list_display = ["serial", "begins_at", "ends_at"]
    ordering = ["-begins_at"]


@admin.register(JobLease)
class JobLeaseAdmin(FactsOnly, admin.ModelAdmin):
    list_display = ["name", "started_at", "finished_at", "due_at", "attempts", "last_error"]
    ordering = ["name"]


@admin.register(Upload)
class UploadAdmin(FactsOnly, admin.ModelAdmin):
    list_display = ["id", "user", "purpose", "width", "height", "created_at"]
    list_filter = ["purpose"]
    list_select_related = ["user"]
    ordering = ["-created_at"]
    show_full_result_count = False
