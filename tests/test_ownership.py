"""A3, T13: what is somebody else's does not exist, in the very words of what never existed."""

import re
from typing import Any

import pytest

from accounts.models import User
from catalog.models import Review, Sku
from orders.models import CartLine, Order, Payment
from orders.services.refunds import refund_payment
from tests.conftest import Api
from tests.factories import ADDRESS, make_address, make_order
from tests.test_project import OPERATIONS, PUBLIC

pytestmark = pytest.mark.django_db

ORDER = {"reason": "x", "channel": "wechat"}
REFUND = {"lines": [{"line": 1, "quantity": 1}], "kind": "refund_only", "reason": "x"}
REVIEWS = {"reviews": [{"line": 1, "rating": 5}]}
PARCEL = {"carrier": "SF", "tracking_number": "SF123456"}
# Every operation on one object: its body, and how the object is named.
OBJECTS: dict[str, tuple[str, Any]] = {
    "GET addresses/{id}/": ("address", None),
    "PUT addresses/{id}/": ("address", ADDRESS),
    "DELETE addresses/{id}/": ("address", None),
    "PUT cart/lines/{id}/": ("line", {"quantity": 9, "is_selected": False}),
    "DELETE cart/lines/{id}/": ("line", None),
    "GET orders/{number}/": ("order", None),
    "DELETE orders/{number}/": ("order", None),
    "POST orders/{number}/pay/": ("order", ORDER),
    "POST orders/{number}/cancel/": ("order", ORDER),
    "POST orders/{number}/confirm-receipt/": ("order", None),
    "POST payments/{number}/check/": ("payment", None),
    "POST orders/{number}/refunds/": ("order", REFUND),
    "GET refunds/{number}/": ("refund", None),
    "POST orders/{number}/reviews/": ("order", REVIEWS),
    "POST refunds/{number}/withdraw/": ("refund", None),
    "POST refunds/{number}/return-parcel/": ("refund", PARCEL),
    "POST reviews/{id}/follow-up/": ("review", {"text": "x"}),
}


def test_the_matrix_is_complete() -> None:
    needs = {op for op in OPERATIONS if "{" in op and op.split()[1] not in PUBLIC}
    # An offer is everybody's, and so is a product.
    needs -= {"POST coupons/{id}/claim/"}
    needs -= {"PUT favourites/{product}/", "DELETE favourites/{product}/"}
    assert set(OBJECTS) == needs


@pytest.fixture
def theirs(stranger: User, sku: Sku) -> dict[str, str]:
    address = make_address(stranger)
    order = make_order(stranger, sku=sku)
    identity = stranger.identities.get()
    payment = Payment.objects.create(
        order=order, channel="wechat", number="P0123456789", payer=identity, amount_fen=1990,
        created_at=order.placed_at,
    )  # fmt: skip
    refund = refund_payment(payment, reason="x", now=order.placed_at)
    line = CartLine.objects.create(user=stranger, sku=sku, quantity=1)
    review = Review.objects.create(
        product=sku.product, sku=sku, user=stranger, reference="O1:1", rating=5,
        created_at=order.placed_at,
    )  # fmt: skip
    return {
        "review": str(review.pk),
        "address": str(address.pk), "line": str(line.pk), "order": order.number,
        "payment": payment.number, "refund": refund.number,
    }  # fmt: skip


MISSING = {
    "address": "999999", "line": "999999", "order": "O0", "payment": "P0", "refund": "R0",
    "review": "999999",
}  # fmt: skip


@pytest.mark.parametrize("operation", OBJECTS)
def test_a_strangers_object_is_not_found(api: Api, theirs: dict[str, str], operation: str) -> None:
    method, path = operation.split()
    kind, body = OBJECTS[operation]

    def call(number: str) -> Any:
        return api.call(method, path.replace("{id}", number).replace("{number}", number), body)

    real, missing = call(theirs[kind]), call(MISSING[kind])
    assert real.status_code == missing.status_code == 404
    assert real.content == missing.content
    assert Order.objects.get().status == "pending_payment"
    assert CartLine.objects.get().quantity == 1


@pytest.mark.parametrize(
    "operation", sorted(op for op in OPERATIONS if op.split()[1] not in PUBLIC)
)
def test_nothing_without_a_token(anonymous: Api, operation: str) -> None:
    method, path = operation.split()
    answer = anonymous.call(method, re.sub(r"{\w+}", "1", path), {})
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


@pytest.mark.parametrize(
    "path", ["orders/{}/cancel/", "orders/{}/pay/", "orders/{}/confirm-receipt/", "auth/logout/"]
)
def test_get_changes_nothing(api: Api, order: Order, path: str) -> None:
    """T16."""
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        assert api.call(method, path.format(order.number)).status_code == 405
    order.refresh_from_db()
    assert order.status == "pending_payment"


def test_a_cookie_is_no_token(client: Any, customer: User) -> None:
    """T16: the API knows no session of the admin."""
    client.force_login(customer)
    assert client.get("/api/v1/me/").status_code == 401


@pytest.mark.parametrize("slash", ["", "/"])
def test_both_forms_of_an_address(api: Api, slash: str) -> None:
    assert api.get(f"me{slash}").status_code == 200
    assert api.get(f"cart/count{slash}").status_code == 200
    assert api.post(f"auth/logout{slash}").status_code == 204
