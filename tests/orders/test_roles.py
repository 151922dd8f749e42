"""Who of the staff sees what: the table of orders/services/roles.py over every address of the back office."""

import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.test import RequestFactory
from django.urls import reverse

from accounts.models import Staff
from catalog.models import Product
from miniback.core.desk import DeskMixin
from orders.services.roles import OWNERS_ONLY, ROLES, VERBS, make_roles
from tests.factories import make_staff
from tests.orders.test_admin import fill
from tests.sandbox_process import ROOT

pytestmark = pytest.mark.django_db
EVERYBODYS = {
    "index", "login", "logout", "password_change", "password_change_done", "jsi18n",
    "app_list", "view_on_site", "autocomplete", "sales_csv",
}  # fmt: skip

# Addresses that something is done by, and what they answer then.
POSTED = {"print": 200, "reveal": 302, "duplicate": 302, "export": 302, "move": 400, "picture": 400}
# Pages of a list, not of a row.
OF_LISTS = {
    "changelist", "add", "ship-sheet", "export", "print", "import", "move", "side-by-side", "picture",
}  # fmt: skip


def may(role: str, label: str, letter: str) -> bool:
    if role == "owner":
        return True
    if role == "read-only":
        return letter == "v" and label not in OWNERS_ONLY
    return letter in ROLES.get(role, {}).get(label, "")


@pytest.fixture(params=["owner", *ROLES, "read-only", "nobody"])
def role(request: Any, client: Any) -> str:
    make_roles(Group, Permission)
    member = make_staff(username="member", is_superuser=False)
    if request.param != "nobody":
        member.groups.add(Group.objects.get(name=request.param))
    client.force_login(member)
    fill(1)
    return str(request.param)


def pages() -> dict[str, tuple[Any, str]]:
    """Every address of a model: name -> (model admin, what it is)."""
    found = {}
    for desk in admin.site._registry.values():
        for pattern in desk.get_urls():
            name = getattr(pattern, "name", None)
            if name:
                found[name] = (desk, name.rpartition("_")[2])
    return found


def expected(role: str, desk: Any, what: str, row: Any) -> bool:
    label = f"{desk.opts.app_label}.{desk.opts.model_name}"
    # What the page offers to anybody at all: facts are added and deleted by nobody.
    request = RequestFactory().get("/")
    request.user = Staff(is_superuser=True, is_active=True)
    match what:
        case "changelist" | "change" | "history":
            # Django shows a list and a page to whoever may view or change.
            return may(role, label, "v") or may(role, label, "c")
        case "add":
            return may(role, label, "a") and desk.has_add_permission(request)
        case "delete":
            return may(role, label, "d") and desk.has_delete_permission(request, row)
        case "export" | "reveal" | "preview":
            return may(role, label, "v")
        case "import":
            return may(role, label, "a") and may(role, label, "c")
        case "picture":
            return may(role, label, "a") or may(role, label, "c")
        case "duplicate":
            return may(role, label, "a")
        case "change-password" | "password" | "move":
            return may(role, label, "c")
        case _:
            actions = [one.permission for one in desk.desk if one.url == what]
            app, codename = (next(filter(None, actions), desk.desk_permission)).split(".")
            return may(role, f"{app}.{codename.removeprefix('change_')}", "c")


def test_every_address_answers_as_the_table_says(role: str, client: Any) -> None:
    seen = 0
    for name, (desk, what) in pages().items():
        row = desk.model._default_manager.first()
        needs_row = what not in OF_LISTS
        if needs_row and row is None:
            continue
        if isinstance(desk, DeskMixin) and what in {one.url for one in desk.desk}:
            address = reverse(f"admin:{name}", kwargs={"pk": row.pk})
        else:
            address = reverse(f"admin:{name}", args=[row.pk] if needs_row else [])
        allowed = expected(role, desk, what, row)
        if what in POSTED and name != "orders_order_export":
            assert client.get(address).status_code == 405
            status, well = client.post(address).status_code, POSTED[what]
        else:
            status, well = client.get(address).status_code, 200
        assert status == (well if allowed else 403), (role, address, status)
        seen += 1
    assert seen > 110


def test_no_address_is_outside_the_table() -> None:
    """Whatever the site itself adds is named here."""
    names = {getattr(pattern, "name", None) for pattern in admin.site.get_urls()} - {None}
    assert names == EVERYBODYS


def test_pages_of_the_site(role: str, client: Any) -> None:
    assert client.get(reverse("admin:index")).status_code == 200
    status = client.get(reverse("admin:sales_csv")).status_code
    assert status == (200 if may(role, "orders.dailytotal", "v") else 403)
    question = {
        "app_label": "orders",
        "model_name": "coupon",
        "field_name": "products",
        "term": "x",
    }
    status = client.get(reverse("admin:autocomplete"), question).status_code
    assert status == (200 if may(role, "catalog.product", "v") else 403)
    for app in ("orders", "catalog", "core", "accounts", "auth"):
        status = client.get(reverse("admin:app_list", args=[app])).status_code
        assert status in {200, 403, 404}


def test_actions_need_the_right_to_change(role: str, client: Any) -> None:
    product = Product.objects.get()
    form = {"action": "take_off_sale", "_selected_action": [product.pk]}
    client.post(reverse("admin:catalog_product_changelist"), form)
    product.refresh_from_db()
    assert (product.status == "off_sale") == may(role, "catalog.product", "c")


def test_a_role_keeps_what_the_owner_gave_it() -> None:
    make_roles(Group, Permission)
    support = Group.objects.get(name="support")
    support.permissions.clear()
    make_roles(Group, Permission)
    assert not support.permissions.exists()


def test_the_documented_table_is_this_one() -> None:
    text = (ROOT / "docs" / "roles.md").read_text()
    rows = re.findall(r"^\| `([\w.]+)` \|(.+)\|$", text, re.MULTILINE)
    documented = {label: [cell.strip() for cell in cells.split("|")] for label, cells in rows}
    labels = {label for rights in ROLES.values() for label in rights}
    assert set(documented) == labels
    for label, cells in documented.items():
        assert cells == [ROLES[role].get(label, "") for role in ROLES], label
    assert "".join(VERBS) == "vacd"


def test_only_the_owner_makes_staff() -> None:
    assert all(label not in OWNERS_ONLY for rights in ROLES.values() for label in rights)
    assert Staff._meta.label_lower in OWNERS_ONLY
