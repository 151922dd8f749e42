"""Who may review what, once."""

from typing import Any

import pytest

from accounts.models import User
from catalog.models import Review, Sku
from miniback.core.models import Upload
from orders.models import Order, OrderLine
from tests.conftest import Api
from tests.factories import make_order, make_sku
from tests.threads import together

pytestmark = pytest.mark.django_db


@pytest.fixture
def done(api: Api, order: Order) -> Order:
    """Two pieces, received."""
    Order.objects.update(status="completed")
    order.refresh_from_db()
    return order


def review(api: Api, order: Order, **more: Any) -> Any:
    line = {"line": order.lines.get().pk, "rating": 5, "text": "很香"}
    return api.post(f"orders/{order.number}/reviews/", {"reviews": [{**line, **more}]})


def test_a_review_is_of_a_bought_line(api: Api, done: Order, customer: User) -> None:
    assert "review" in api.get(f"orders/{done.number}/").json()["actions"]
    answer = review(api, done, is_anonymous=True)
    assert (answer.status_code, answer.json()[0]["rating"]) == (201, 5)
    written = Review.objects.get()
    line = done.lines.get()
    assert (written.product_id, written.sku_id) == (line.product_id, line.sku_id)
    assert (written.user_id, written.reference) == (customer.pk, f"{done.number}:{line.pk}")

    shown = api.get(f"orders/{done.number}/").json()
    assert "review" not in shown["actions"]
    assert shown["lines"][0]["is_reviewed"]
    again = review(api, done)
    assert (again.status_code, again.json()["code"]) == (409, "already_reviewed")
    assert Review.objects.count() == 1


@pytest.mark.parametrize(
    "status", ["pending_payment", "paid", "partly_shipped", "shipped", "cancelled"]
)
def test_only_what_was_received(api: Api, order: Order, status: str) -> None:
    Order.objects.update(status=status)
    answer = review(api, order)
    assert (answer.status_code, answer.json()["code"]) == (409, "order_status")
    assert not Review.objects.exists()


def test_what_went_back_whole_is_not_reviewed(api: Api, done: Order) -> None:
    OrderLine.objects.update(refunded_quantity=2)
    answer = review(api, done)
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_kept")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"rating": 0}, 400), ({"rating": 6}, 400), ({"rating": "五"}, 400), ({"rating": 4.5}, 400),
        ({"text": "x" * 1001}, 400), ({"line": 999_999}, 404), ({"images": ["nothing"]}, 404),
        ({"images": ["x"] * 10}, 400), ({"line": None}, 400),
    ],
)  # fmt: skip
def test_reviews_that_are_none(api: Api, done: Order, change: dict[str, Any], status: int) -> None:
    assert review(api, done, **change).status_code == status
    assert not Review.objects.exists()
    assert done.lines.get().reviewed_at is None


def test_all_or_none(api: Api, done: Order, customer: User) -> None:
    good = {"line": done.lines.get().pk, "rating": 5}
    for reviews in ([good, {"line": 999_999, "rating": 5}], [good, good], [], "all"):
        answer = api.post(f"orders/{done.number}/reviews/", {"reviews": reviews})
        assert answer.status_code in {400, 404}
    assert not Review.objects.exists()


def test_pictures_are_ones_own(api: Api, done: Order, customer: User, stranger: User) -> None:
    def upload(user: User, purpose: str = "review") -> str:
        row = Upload.objects.create(user=user, purpose=purpose, file="a.jpg", width=1, height=1)
        return row.pk

    assert review(api, done, images=[upload(stranger)]).status_code == 404
    assert review(api, done, images=[upload(customer, "refund")]).status_code == 404
    assert review(api, done, images=[upload(customer)]).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_reviewing_at_once(customer: User) -> None:
    """C21."""
    sku: Sku = make_sku()
    order = make_order(customer, sku=sku)
    Order.objects.update(status="completed")
    api = Api(customer)
    outcomes = together([lambda: review(api, order).status_code] * 10)
    assert sorted(outcomes) == [201] + [409] * 9
    assert Review.objects.count() == 1
