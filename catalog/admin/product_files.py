"""The catalogue as a file: looked over, imported, exported."""

from pathlib import Path
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _

from catalog.services.sheets import LOOKED_OVER, preview_products
from miniback.core.models import Task, TaskKind
from miniback.core.shop_admin import BegunByStaff
from miniback.core.tables import UnreadableFile
from miniback.core.tasks import CSV, XLSX, prepare_task

MOST_BYTES = 50 * 1024 * 1024
SHOWN = 20


class ImportForm(forms.Form):
    file = forms.FileField(
        label=_("file"), help_text=_("CSV or XLSX, 50 MB; docs/import.md names the columns.")
    )
    update = forms.BooleanField(
        label=_("change what is there"),
        required=False,
        help_text=_(
            "No: only what is missing is made. Stock of a SKU that is there never changes."
        ),
    )

    def clean_file(self) -> Any:
        if self.cleaned_data["file"].size > MOST_BYTES:
            raise forms.ValidationError(_("The file is too large."))
        return self.cleaned_data["file"]


class ProductFiles(BegunByStaff):
    """For ProductAdmin."""

    def get_urls(self: Any) -> list[URLPattern]:
        own = [
            path(f"{name}/", self.admin_site.admin_view(view), name=f"catalog_product_{name}")
            for name, view in (("import", self.import_file), ("export", self.export_file))
        ]
        return [*own, *super().get_urls()]  # type: ignore[misc]

    def import_file(self: Any, request: HttpRequest) -> HttpResponse:
        """Take a file, show what is in it and what is wrong, then leave it to the jobs."""
        if not (self.has_add_permission(request) and self.has_change_permission(request)):
            raise PermissionDenied
        if "begin" in request.POST and request.POST["begin"].isdecimal():
            mine = Task.objects.filter(user=request.user.pk, kind=TaskKind.IMPORT_PRODUCTS)
            return self.begun(request, get_object_or_404(mine, pk=request.POST["begin"]))
        form = ImportForm(request.POST or None, request.FILES or None)
        context: dict[str, Any] = {"title": _("Import products"), "form": form}
        if request.method == "POST" and form.is_valid():
            task = prepare_task(
                TaskKind.IMPORT_PRODUCTS,
                user=request.user,
                params={"update": form.cleaned_data["update"]},
                source=form.cleaned_data["file"].read(),
            )
            try:
                found = preview_products(Path(task.source.path))
            except UnreadableFile as error:
                form.add_error("file", str(error))
            else:
                shown = {"rows": found.rows[:SHOWN], "problems": found.problems[:SHOWN]}
                context |= {**shown, "task": task, "looked_over": LOOKED_OVER}
        return self.page(request, "admin/desk/import.html", context)

    def export_file(self: Any, request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_view_permission(request):
            raise PermissionDenied
        wanted = XLSX if request.POST.get("format") == XLSX else CSV
        params = {"format": wanted}
        task = prepare_task(TaskKind.EXPORT_PRODUCTS, user=request.user, params=params)
        return self.begun(request, task)
