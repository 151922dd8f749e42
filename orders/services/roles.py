"""Who of the staff may do what: groups that `migrate` makes once, and that the owner may change.

docs/roles.md shows the same table; a test holds both, and every address of the back office, together.
"""

from collections.abc import Iterator
from typing import Any, Final

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions

VERBS: Final = {"v": "view", "a": "add", "c": "change", "d": "delete"}
APPS: Final = ("auth", "admin", "accounts", "core", "catalog", "orders")
# What only the owner sees: who works here, and what they may.
OWNERS_ONLY: Final = {"accounts.staff", "accounts.user", "auth.group", "auth.permission"}

_SHOWN_WITH_ORDERS: Final = dict.fromkeys(
    ["accounts.customer", "accounts.identity", "accounts.address", "catalog.product", "catalog.sku",
     "orders.order", "orders.orderline", "orders.orderevent", "orders.payment", "orders.refund",
     "orders.refundline", "orders.shipment", "orders.shipmentline", "orders.carrier", "core.task"],
    "v",
)  # fmt: skip
# Role -> model -> what it may (view, add, change, delete). The owner may everything, the reader look.
ROLES: Final[dict[str, dict[str, str]]] = {
    "catalogue": {
        # A product is taken off sale, not deleted: orders point to it.
        "catalog.product": "vac",
        **dict.fromkeys(
            ["catalog.sku", "catalog.productoption", "catalog.productpicture",
             "catalog.category", "catalog.brand", "catalog.freighttemplate", "catalog.freightrule",
             "catalog.banner", "catalog.homerow", "catalog.homerowproduct", "catalog.hotkeyword"],
            "vacd",
        ),
        "catalog.review": "vc",
        "catalog.stockmovement": "v",
        "orders.coupon": "vac",
        "core.upload": "v",
        "core.task": "v",
    },
    "orders": {
        **_SHOWN_WITH_ORDERS,
        "orders.order": "vc",
        "orders.carrier": "vac",
        "orders.cartline": "v",
        "core.outboxmessage": "v",
    },
    "finance": {
        **_SHOWN_WITH_ORDERS,
        "orders.refund": "vc",
        "orders.bill": "v",
        "orders.billdifference": "vc",
        "orders.notice": "v",
        "orders.ledgertransaction": "v",
        "orders.ledgerentry": "v",
        "orders.coupon": "v",
        "orders.claimedcoupon": "v",
        "orders.dailytotal": "v",
    },
    "support": {
        **_SHOWN_WITH_ORDERS,
        "catalog.review": "vc",
        "orders.coupon": "v",
        "orders.claimedcoupon": "va",
    },
}  # fmt: skip


def make_roles(group_model: Any, permission_model: Any) -> None:
    """Make the groups that are not there; those that are keep what the owner gave them."""
    for label in APPS:
        # Usually they come after all migrations.
        create_permissions(installed.get_app_config(label), verbosity=0)
    known = {
        (row.content_type.app_label, row.codename): row
        for row in permission_model.objects.select_related("content_type")
    }
    for role in ("owner", *ROLES, "read-only"):
        group, is_new = group_model.objects.get_or_create(name=role)
        if is_new:
            group.permissions.set([known[pair] for pair in _permissions(role, known)])


def _permissions(role: str, known: Any) -> Iterator[tuple[str, str]]:
    for app, codename in known:
        verb, _underscore, model = codename.partition("_")
        if app not in APPS:
            continue
        if role == "owner":
            yield app, codename
        elif role == "read-only":
            if verb == "view" and f"{app}.{model}" not in OWNERS_ONLY:
                yield app, codename
        elif verb in {VERBS[letter] for letter in ROLES[role].get(f"{app}.{model}", "")}:
            yield app, codename
