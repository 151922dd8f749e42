"""Categories as a tree, and brands."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _

from catalog.models import Brand, Category
from catalog.services.categories import move_category
from catalog.services.products import announce_new_name
from miniback.core.errors import DomainError
from miniback.core.pictures import picture_url
from miniback.core.shop_admin import ShopAdmin

# More than these are shown as a list: nobody drags through a thousand rows.
MOST_IN_A_TREE = 500


class SearchedByName(ShopAdmin):
    """Products are found by the names of these: a new one reaches the index by a job."""

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and "name" in form.changed_data:
            announce_new_name(obj)


class Branch(NamedTuple):
    """A category in the tree; each step is "category:parent:before" as the page posts it, or ""."""

    category: Category
    depth: int
    picture: str
    up: str
    down: str
    inwards: str
    outwards: str


@admin.register(Category)
class CategoryAdmin(SearchedByName):
    change_list_template = "admin/desk/category_list.html"
    when_empty = _("A product stands in a category; begin with a few broad ones.")
    list_display = ["name", "parent", "position", "is_visible", "is_shortcut"]
    list_select_related = ["parent"]
    search_fields = ["name"]
    autocomplete_fields = ["parent"]
    ordering = ["parent__position", "position", "id"]

    def get_urls(self) -> list[URLPattern]:
        move = path("move/", self.admin_site.admin_view(self.move), name="catalog_category_move")
        return [move, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        rows = list(Category.objects.order_by("position", "pk")[: MOST_IN_A_TREE + 1])
        fits = len(rows) <= MOST_IN_A_TREE and not request.GET
        own = {
            "branches": list(_branches(rows)) if fits else [],
            "may_move": self.has_change_permission(request),
        }
        return super().changelist_view(request, {**own, **(extra_context or {})})

    def move(self, request: HttpRequest) -> HttpResponse:
        """By a button or a drag: ``to`` is "category:parent:before", where a missing number is none."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_change_permission(request):
            raise PermissionDenied
        parts = request.POST.get("to", "").split(":")
        is_written = len(parts) == 3 and all(part.isdecimal() for part in parts if part)
        if not (is_written and parts[0] and all(len(part) < 19 for part in parts)):
            return HttpResponse(_("Send category:parent:before."), status=400)
        category_id, parent_id, before_id = (int(part) if part else None for part in parts)
        try:
            moved = move_category(int(category_id or 0), parent_id=parent_id, before_id=before_id)
        except DomainError as error:
            self.message_user(request, error.reason, messages.ERROR)
        else:
            self.log_change(request, moved, str(_("Moved")))
        return HttpResponseRedirect(reverse("admin:catalog_category_changelist"))


def _branches(rows: list[Category]) -> Iterator[Branch]:
    below: dict[int | None, list[Category]] = {}
    for row in rows:
        below.setdefault(row.parent_id, []).append(row)

    def walk(parent: Category | None, after: int | None, depth: int) -> Iterator[Branch]:
        """``after``: the sibling behind the parent, before which its children go outwards."""
        parent_id = parent.pk if parent else None
        siblings = below.get(parent_id, [])
        ids: list[int | None] = [row.pk for row in siblings]
        behind = [*ids, None, None]
        for n, row in enumerate(siblings):
            yield Branch(
                row,
                depth,
                picture_url(row.picture.name, "thumb"),
                up=_step(row.pk, parent_id, ids[n - 1]) if n else "",
                down=_step(row.pk, parent_id, behind[n + 2]) if n + 1 < len(ids) else "",
                inwards=_step(row.pk, ids[n - 1], None) if n else "",
                outwards=_step(row.pk, parent.parent_id, after) if parent else "",
            )
            yield from walk(row, behind[n + 1], depth + 1)

    yield from walk(None, None, 0)


def _step(*ids: int | None) -> str:
    return ":".join("" if pk is None else str(pk) for pk in ids)


@admin.register(Brand)
class BrandAdmin(SearchedByName):
    list_display = ["name"]
    search_fields = ["name"]
    ordering = ["name"]
