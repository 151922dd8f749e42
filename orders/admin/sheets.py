"""Work on many orders at once: shipping by a sheet, exporting, printing."""

from collections import Counter
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.widgets import AdminDateWidget
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from miniback.core.models import TaskKind
from miniback.core.shop_admin import BegunByStaff
from miniback.core.tables import UnreadableFile, read_lines
from miniback.core.tasks import CSV, XLSX, prepare_task
from orders.models import Order
from orders.services import exports, sheets
from orders.status import OrderStatus

MOST_BYTES = 5 * 1024 * 1024
SHOWN, MOST_PRINTED = 200, 200


class SheetForm(forms.Form):
    pasted = forms.CharField(
        label=_("rows"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 8, "cols": 60, "class": "vLargeTextField"}),
        help_text=_("Order number, carrier, tracking number: a row a parcel, copied from a sheet."),
    )
    file = forms.FileField(label=_("or a file"), required=False, help_text=_("CSV or XLSX, 5 MB"))

    def clean(self) -> dict[str, Any]:
        """Adds ``rows``."""
        given: dict[str, Any] = super().clean() or {}
        file = given.get("file")
        if not file and not given.get("pasted", "").strip():
            raise forms.ValidationError(_("Paste rows, or choose a file."))
        try:
            given["rows"] = _rows_of(file) if file else sheets.read_pasted(given["pasted"])
        except UnreadableFile as error:
            raise forms.ValidationError(str(error)) from error
        return given


def _rows_of(file: Any) -> list[sheets.Row]:
    if file.size > MOST_BYTES:
        raise UnreadableFile(_("The file is too large."))
    with TemporaryDirectory() as folder:
        content = file.read()
        # By what it is: people rename files.
        kept = Path(folder) / ("sheet.xlsx" if content.startswith(b"PK") else "sheet.csv")
        kept.write_bytes(content)
        return sheets.read_sheet(read_lines(kept))


class ExportForm(forms.Form):
    first = forms.DateField(label=_("placed from"), widget=AdminDateWidget)
    last = forms.DateField(label=_("until"), widget=AdminDateWidget)
    statuses = forms.MultipleChoiceField(
        label=_("status"),
        required=False,
        choices=OrderStatus.choices,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None: all."),
    )
    format = forms.ChoiceField(
        label=_("file"),
        choices=[(CSV, "CSV"), (XLSX, "Excel (XLSX)")],
        initial=CSV,
        required=False,
    )
    columns = forms.MultipleChoiceField(
        label=_("columns"),
        widget=forms.CheckboxSelectMultiple,
        help_text=_("With SKU code, name, quantity or unit price a row is a line of an order."),
    )

    def __init__(self, *args: Any, may_see_people: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        shown = [
            (name, column[0])
            for name, column in exports.COLUMNS.items()
            if may_see_people or name not in exports.PERSONAL
        ]
        columns: Any = self.fields["columns"]
        columns.choices, columns.initial = shown, [name for name, _title in shown]

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if given.get("first") and given.get("last") and given["first"] > given["last"]:
            raise forms.ValidationError(_("The first day is after the last."))
        return given


class ManyOrdersMixin(BegunByStaff):
    """For OrderAdmin: pages beside the list."""

    def get_urls(self: Any) -> list[URLPattern]:
        own = [
            path(f"{name}/", self.admin_site.admin_view(view), name=f"orders_order_{name}")
            for name, view in (
                ("ship-sheet", self.ship_sheet),
                ("export", self.export),
                ("print", self.print),
            )
        ]
        return [*own, *super().get_urls()]  # type: ignore[misc]

    def ship_sheet(self: Any, request: HttpRequest) -> HttpResponse:
        """Ask for a sheet, show what would become of it, then leave it to the jobs."""
        if not self.has_desk_permission(request):
            raise PermissionDenied
        form = SheetForm(request.POST or None, request.FILES or None)
        outcomes: list[sheets.Outcome] = []
        if request.method == "POST" and form.is_valid():
            rows = form.cleaned_data["rows"]
            if "ship" in request.POST:
                text = "\n".join(",".join(row[1:]) for row in rows)
                task = prepare_task(TaskKind.SHIP_SHEET, user=request.user, source=text.encode())
                return self.begun(request, task)
            outcomes = sheets.check_sheet(rows)
        counts = {
            kind: sum(outcome.kind == kind for outcome in outcomes)
            for kind in (sheets.READY, sheets.THERE, sheets.REFUSED)
        }
        context = {
            "title": _("Ship by a sheet"),
            "form": form,
            "outcomes": outcomes[:SHOWN],
            "counts": counts,
            "pasted": sheets.write_pasted(outcome.row for outcome in outcomes),
        }
        return self.page(request, "admin/desk/ship_sheet.html", context)

    def export(self: Any, request: HttpRequest) -> HttpResponse:
        """Choose columns; the file is made by the jobs, and who asked for what is kept."""
        if not request.user.has_perm("orders.view_order"):
            raise PermissionDenied
        today = timezone.localdate()
        form = ExportForm(
            request.POST or None,
            may_see_people=self.has_desk_permission(request),
            initial={"first": today - timedelta(days=30), "last": today},
        )
        if request.method == "POST" and form.is_valid():
            given = form.cleaned_data
            params = {
                "first": given["first"].isoformat(),
                "last": given["last"].isoformat(),
                "statuses": given["statuses"],
                "columns": given["columns"],
                "format": given["format"] or CSV,
            }
            task = prepare_task(TaskKind.EXPORT_ORDERS, user=request.user, params=params)
            return self.begun(request, task)
        context = {"title": _("Export orders"), "form": form, "media": self.media + form.media}
        return self.page(request, "admin/desk/ask.html", context)

    def print(self: Any, request: HttpRequest) -> HttpResponse:
        """Delivery notes of the orders whose ids are posted."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        ids = [int(pk) for pk in request.POST.getlist("ids") if pk.isdecimal() and len(pk) < 19]
        return self.print_selected(request, Order.objects.filter(pk__in=ids))

    @admin.action(description=_("Print delivery notes"), permissions=["desk"])
    def print_selected(self: Any, request: HttpRequest, queryset: Any) -> HttpResponse:
        """One a page, and before them what to fetch from the shelves."""
        if not self.has_desk_permission(request):
            raise PermissionDenied
        orders = list(queryset.order_by("pk").prefetch_related("lines")[:MOST_PRINTED])
        picks: Counter[tuple[str, str]] = Counter()
        for order in orders:
            for line in order.lines.all():
                picks[line.sku_code, f"{line.name} {line.options_text}".strip()] += line.to_ship
        # Printed addresses leave the house: who took them is kept.
        self.log_printed(request, orders)
        context = {
            "orders": orders,
            "picks": sorted((*names, count) for names, count in picks.items() if count),
            "shop": self.admin_site.site_header,
        }
        return render(request, "admin/desk/delivery_notes.html", context)

    def log_printed(self: Any, request: HttpRequest, orders: list[Order]) -> None:
        LogEntry.objects.log_actions(
            int(request.user.pk or 0), orders, CHANGE, change_message=str(_("Printed"))
        )
