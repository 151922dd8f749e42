"""What the pages of the back office share."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext_lazy as _

from miniback.core.fields import beginning
from miniback.core.models import Task
from miniback.core.money import format_yuan
from miniback.core.tasks import begin_task

# A list longer than this is only said to be longer: counting a million rows takes a tenth of a second.
MOST_ROWS, MOST_OF_A_TAB = 10_000, 999
LONGEST_VALUE = 80
# By each lookup of a search, the newest.
MOST_FOUND = 500
# Before an action on many rows.
MOST_NAMED = 50


def yuan(field: str, label: Any) -> Callable[[Any, Any], str]:
    """A column of a list or form that shows the fen in ``field`` as yuan."""

    @admin.display(description=label, ordering=field)
    def show(model_admin: Any, row: Any) -> str:
        fen = getattr(row, field)
        return "-" if fen is None else f"¥{format_yuan(fen)}"

    return show


class CappedPaginator(Paginator):
    """Counts no further than MOST_ROWS; what lies beyond is found by filters and search."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by().values("pk")[:MOST_ROWS].count())


class PageOfRows(ChangeList):
    """Related rows come by queries of their own: joined, MariaDB reads a whole table to sort fifty rows."""

    def apply_select_related(self, qs: QuerySet[Any]) -> QuerySet[Any]:
        asked: Any = self.list_select_related or ()
        shown = {field.name for field in self.lookup_opts.fields if field.remote_field}
        return qs.prefetch_related(*asked, *sorted(shown.intersection(self.list_display)))


def own_columns(form: Any) -> list[str]:
    """The columns that a model form asks for, and those that say when a row was saved."""
    asked = {name for name, field in form.fields.items() if not field.disabled}
    return [
        field.name
        for field in form._meta.model._meta.concrete_fields
        if not field.primary_key and (field.name in asked or getattr(field, "auto_now", False))
    ]


class SavesOwnColumns:
    """For a ModelAdmin: a save writes what its form asks for and nothing else.

    Services change the other columns at any moment, also between reading the row and saving it.
    """

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.save(update_fields=own_columns(form) if change else None)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        formset.save(commit=False)
        forms_by_row = {id(inner.instance): inner for inner in formset.forms}
        for row in formset.deleted_objects:
            row.delete()
        for row, _fields in formset.changed_objects:
            row.save(update_fields=own_columns(forms_by_row[id(row)]))
        for row in formset.new_objects:
            row.save()
        formset.save_m2m()


class PasswordOnly:
    """For a form that sets a password: Django's save the whole row of a user as it was read."""

    def save(self, commit: bool = True) -> Any:
        user = super().save(commit=False)  # type: ignore[misc]
        if commit:
            user.save(update_fields=["password"])
        return user


class ShopAdmin(SavesOwnColumns, admin.ModelAdmin):
    """What every page of the back office has: lists that stay fast, and a history with values."""

    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50
    change_list_template: ClassVar[Any] = "admin/desk/change_list.html"
    # What an empty list says: how something comes here.
    when_empty: Any = ""
    # Instead of search_fields where there may be a million rows: lookups of a whole word, or with "^" of
    # its beginning, each with an index of its own.
    found_by: tuple[str, ...] = ()

    def get_search_fields(self, request: HttpRequest) -> Any:
        return self.found_by or super().get_search_fields(request)

    def lookups(self, word: str) -> Iterator[dict[str, Any]]:
        """Each a way to find rows by ``word``, asked alone: an OR over tables reads all of them."""
        for name in self.found_by:
            yield beginning(name[1:], word) if name.startswith("^") else {name: word}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not self.found_by:
            return super().get_search_results(request, queryset, search_term)
        for word in search_term.split():
            ids: set[int] = set()
            for lookup in itertools.chain(*map(self.lookups, {word, word.upper()})):
                rows = self.model._default_manager.filter(**lookup).order_by("-pk")
                ids.update(rows.values_list("pk", flat=True)[:MOST_FOUND])
            queryset = queryset.filter(pk__in=ids)
        return queryset, False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PageOfRows

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        own = {"title": capfirst(self.opts.verbose_name_plural), "when_empty": self.when_empty}
        return super().changelist_view(request, {**own, **(extra_context or {})})

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What a record's page shows beside its fields."""
        return {}

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        may_see = row is not None and self.has_view_permission(request, row)
        shown = self.page_context(request, row) if may_see else {}
        if may_see:
            shown = {"title": str(row), "subtitle": None, **shown}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        """Old and new values of what was changed, in a line of the history."""
        if add:
            return super().construct_change_message(request, form, formsets, add)
        told = list(_changes(form, ""))
        for formset in formsets or ():
            told += [f"+ {row}" for row in formset.new_objects]
            told += [f"- {row}" for row in formset.deleted_objects]
            changed = {id(row) for row, _fields in formset.changed_objects}
            for inner in formset.forms:
                if id(inner.instance) in changed:
                    told += _changes(inner, f"{inner.instance}: ")
        return "; ".join(told) or str(_("No fields changed."))


def _changes(form: Any, prefix: str) -> Iterator[str]:
    for name in form.changed_data:
        field = form.fields[name]
        label = f"{prefix}{field.label or name}"
        if isinstance(field, forms.FileField):
            yield label
            continue
        old = _old_value(form, name)
        yield f"{label}: {_shown(field, old)} → {_shown(field, form.cleaned_data.get(name))}"


def _old_value(form: Any, name: str) -> Any:
    """What the form began with; of a choice of a row the row, if it is still there."""
    field, value = form.fields[name], form.initial.get(name)
    if type(field) is forms.ModelChoiceField and value:
        return field.queryset.filter(pk=value).first() if field.queryset is not None else value
    return value


def _shown(field: Any, value: Any) -> str:
    if isinstance(value, QuerySet | list | tuple):
        text = ", ".join(str(each) for each in value)
    else:
        text = str(field.prepare_value(value)) if isinstance(value, int) else str(value or "")
    return Truncator(text).chars(LONGEST_VALUE) or "-"


class Tab(NamedTuple):
    title: Any
    query: str
    shown: str
    is_current: bool


class Tabbed:
    """A list whose statuses are tabs with counts. For a ModelAdmin of a model with ``status``."""

    def changelist_view(
        self: Any, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        key, rows = "status__exact", self.model._default_manager.all()
        current = request.GET.get(key, "")
        tabs = [Tab(_("all"), "?", "", not current)]
        for value, title in self.model._meta.get_field("status").choices:
            length = rows.filter(status=value).values("pk")[: MOST_OF_A_TAB + 1].count()
            shown = f"{MOST_OF_A_TAB}+" if length > MOST_OF_A_TAB else str(length)
            tabs.append(Tab(title, f"?{key}={value}", shown, current == value))
        context = {**(extra_context or {}), "tabs": tabs}
        return super().changelist_view(request, context)  # type: ignore[misc]


class BegunByStaff:
    """For a ModelAdmin with pages beside its list, some of which begin a task."""

    def begun(self: Any, request: HttpRequest, task: Task) -> HttpResponse:
        """Begin a task, keep who asked for what, and show how far it is."""
        if begin_task(task):
            LogEntry.objects.log_actions(
                int(request.user.pk or 0),
                [task],
                ADDITION,
                change_message=str(task.params),
            )
        self.message_user(request, _("It has begun; this page shows how far it is."), messages.INFO)
        return HttpResponseRedirect(reverse("admin:core_task_change", args=[task.pk]))

    def page(
        self: Any, request: HttpRequest, template: str, context: dict[str, Any]
    ) -> HttpResponse:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"
        own = {"opts": self.opts, "back": reverse(name), **context}
        return render(request, template, {**self.admin_site.each_context(request), **own})

    def ask_many(
        self: Any, request: HttpRequest, queryset: QuerySet[Any], form: forms.Form, title: Any
    ) -> HttpResponse:
        """Show what an action is about to do with many rows, and ask what it needs."""
        context = {
            "title": title,
            "form": form,
            "chosen": queryset[:MOST_NAMED],
            "count": queryset.count(),
            "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "across": request.POST.get("select_across") == "1",
            "action": request.POST["action"],
        }
        return self.page(request, "admin/desk/ask_many.html", context)


class FactsOnly:
    """Records of fact: staff look, nobody adds, edits or deletes."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
