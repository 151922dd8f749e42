"""Admin of core's tables, and the history of what staff did."""

from pathlib import Path
from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from miniback.core.models import JobLease, OutboxMessage, PlatformCertificate, Task, Upload
from miniback.core.shop_admin import FactsOnly, ShopAdmin


@admin.register(OutboxMessage)
class OutboxMessageAdmin(FactsOnly, ShopAdmin):
    list_display = ["event_key", "topic", "lane", "attempts", "due_at", "done_at", "last_error"]
    list_filter = [
        "topic",
        "lane",
        ("done_at", admin.EmptyFieldListFilter),
        ("last_error", admin.EmptyFieldListFilter),
    ]
    found_by = ("^event_key",)
    ordering = ["-id"]


@admin.register(PlatformCertificate)
class PlatformCertificateAdmin(FactsOnly, ShopAdmin):
    list_display = ["serial", "begins_at", "ends_at"]
    ordering = ["-begins_at"]


@admin.register(JobLease)
class JobLeaseAdmin(FactsOnly, ShopAdmin):
    list_display = ["name", "started_at", "finished_at", "due_at", "attempts", "last_error"]
    ordering = ["name"]


@admin.register(Task)
class TaskAdmin(FactsOnly, ShopAdmin):
    """Long work: each member of staff sees their own, and fetches what came out."""

    when_empty = _(
        "Imports, exports and sheets of parcels begin a task; how far it is stands here."
    )
    list_display = ["kind", "user", "done", "total", "created_at", "finished_at", "last_error"]
    list_filter = ["kind"]
    list_select_related = ["user"]
    ordering = ["-id"]
    fields = ["kind", "user", "params", "created_at", "finished_at", "last_error"]
    change_form_template = "admin/desk/task.html"

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                "<int:pk>/progress/",
                self.admin_site.admin_view(self.progress),
                name="task_progress",
            ),
            path("<int:pk>/report/", self.admin_site.admin_view(self.report), name="task_report"),
        ]
        return [*own, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Task]:
        rows: QuerySet[Task] = super().get_queryset(request)
        return rows if request.user.is_superuser else rows.filter(user=request.user.pk)

    def page_context(self, request: HttpRequest, row: Task) -> dict[str, Any]:
        return {"task": row, "state": _state(row)}

    def progress(self, request: HttpRequest, pk: int) -> HttpResponse:
        return JsonResponse(_state(self._own(request, pk)))

    def report(self, request: HttpRequest, pk: int) -> Any:
        """The file, to whoever asked for the work; that it was fetched is kept."""
        task = self._own(request, pk)
        if not task.report:
            return HttpResponse(_("There is no file yet."), status=404)
        self.log_change(request, task, str(_("Fetched")))
        suffix = Path(task.report.name).suffix
        return FileResponse(task.report.open("rb"), True, filename=f"{task.kind}-{task.pk}{suffix}")

    def _own(self, request: HttpRequest, pk: int) -> Task:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return get_object_or_404(self.get_queryset(request), pk=pk)


# What became of rows, in words.
OUTCOMES = {
    "shipped": _("shipped"),
    "there": _("there already"),
    "refused": _("refused"),
    "made": _("made"),
    "updated": _("updated"),
    "rows": _("rows"),
    "changed": _("changed"),
}


def _state(task: Task) -> dict[str, Any]:
    return {
        "percent": task.percent,
        "done": task.done,
        "total": task.total,
        "counts": {str(OUTCOMES[name]): count for name, count in task.counts.items()},
        "is_finished": task.finished_at is not None,
        "error": task.last_error,
    }


@admin.register(LogEntry)
class LogEntryAdmin(FactsOnly, ShopAdmin):
    """Who did what: searchable, and nobody's to change."""

    list_display = ["action_time", "user", "content_type", "object_repr", "action_flag", "message"]
    list_filter = ["action_flag", "content_type"]
    list_select_related = ["user", "content_type"]
    search_fields = ["object_repr", "change_message", "user__username"]
    search_help_text = _("what was changed, its values, or by whom")
    ordering = ["-id"]
    date_hierarchy = None

    @admin.display(description=_("what"))
    def message(self, entry: LogEntry) -> str:
        return Truncator(entry.get_change_message()).chars(200)


@admin.register(Upload)
class UploadAdmin(FactsOnly, ShopAdmin):
    list_display = ["id", "user", "purpose", "width", "height", "created_at"]
    list_filter = ["purpose"]
    list_select_related = ["user"]
    ordering = ["-created_at"]
