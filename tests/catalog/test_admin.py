"""The catalogue desk: what staff do reaches lists, search and the cache."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from catalog.models import Brand, Category, HomeRow, Product, ProductStatus, Review, ReviewSummary
from miniback.core import read_cache
from miniback.core.models import OutboxMessage
from tests.catalog.test_window import make_review
from tests.conftest import Api
from tests.factories import make_category, make_product, make_sku, make_staff

pytestmark = pytest.mark.django_db
EVIL = "<svg onload=alert(1)><img src=x onerror=alert(1)>"


@pytest.fixture
def desk(client: Client) -> Client:
    client.force_login(make_staff())
    return client


def product_form(product: Product, **changes: Any) -> dict[str, Any]:
    local = timezone.localtime(product.published_at)
    form = {
        "category": product.category_id, "name": product.name, "tags": "[]", "attributes": "{}",
        "status": product.status, "published_at_0": f"{local:%Y-%m-%d}",
        "published_at_1": f"{local:%H:%M:%S}",
    }  # fmt: skip
    for prefix in ("options", "skus", "pictures"):
        form |= {f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}
    return form | changes


def change(desk: Client, product: Product, **changes: Any) -> Any:
    address = reverse("admin:catalog_product_change", args=[product.pk])
    return desk.post(address, product_form(product, **changes))


def test_what_staff_save_is_found_at_once(desk: Client, anonymous: Api) -> None:
    product = make_product(name="龙井")
    other = make_product(name="茶杯")
    read_cache._changed[""] = 0.0
    answer = change(
        desk,
        product,
        name="碧螺春",
        tags='["新品"]',
        attributes='{"产地": "苏州"}',
        related=[other.pk],
    )
    assert answer.status_code == 302, answer.context["errors"]
    assert read_cache._changed[""] > 0
    for query in ("search=碧螺春", "search=苏州", "tag=新品", "attribute=产地:苏州"):
        rows = anonymous.get(f"products/?{query}").json()["results"]
        assert [row["name"] for row in rows] == ["碧螺春"], query
    related = anonymous.get(f"products/{product.pk}/related/").json()["results"]
    assert related[0]["name"] == "茶杯"


@pytest.mark.parametrize(
    "changes",
    [
        {"tags": '["a", "a"]'}, {"tags": "[1]"}, {"attributes": '{"a": 1}'}, {"attributes": "x"},
        {"status": "gone"}, {"status": "scheduled"},
        {"status": "scheduled", "published_at_0": "", "published_at_1": ""},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(desk: Client, changes: dict[str, str]) -> None:
    product = make_product()
    assert change(desk, product, **changes).status_code == 200
    product.refresh_from_db()
    assert (product.tags, product.attributes, product.status) == ([], {}, "on_sale")


def test_a_plan_is_kept_and_dropped(desk: Client) -> None:
    product = make_product()
    later = timezone.localtime() + timedelta(days=3)
    plan = {"published_at_0": f"{later:%Y-%m-%d}", "published_at_1": f"{later:%H:%M:%S}"}
    assert change(desk, product, status="scheduled", **plan).status_code == 302
    assert Product.objects.get().status == ProductStatus.SCHEDULED
    assert Product.objects.get().published_at > timezone.now()
    assert change(desk, product, status="on_sale", **plan).status_code == 302
    assert Product.objects.get().published_at <= timezone.now()


def test_a_new_name_of_a_brand_leaves_a_message(desk: Client) -> None:
    brand = Brand.objects.create(name="山见")
    desk.post(reverse("admin:catalog_brand_change", args=[brand.pk]), {"name": "拾豆"})
    assert OutboxMessage.objects.get().payload == {"brand": brand.pk}
    category = make_category(name="茶")
    form = {"name": "茶叶", "position": 0, "is_visible": "on"}
    desk.post(reverse("admin:catalog_category_change", args=[category.pk]), form)
    assert Category.objects.get(pk=category.pk).name == "茶叶"
    assert OutboxMessage.objects.count() == 2


def test_missing_skus_by_an_action(desk: Client) -> None:
    product = make_sku().product
    product.options.create(name="规格", values=["100克", "200克"])
    data = {"action": "make_skus", "_selected_action": [product.pk]}
    assert desk.post(reverse("admin:catalog_product_changelist"), data).status_code == 302
    assert product.skus.count() == 2


def test_staff_answer_hide_and_show_reviews(desk: Client, customer: User) -> None:
    review = make_review(customer, text=EVIL)
    page = reverse("admin:catalog_review_change", args=[review.pk])
    changes = reverse("admin:catalog_review_changelist")
    assert desk.post(page, {"reply": "谢谢", "text": "变了", "rating": 1}).status_code == 302
    review.refresh_from_db()
    assert (review.reply, review.text, review.rating) == ("谢谢", EVIL, 5)
    assert review.replied_at
    for action, count in (("hide", 0), ("hide", 0), ("show", 1)):
        desk.post(changes, {"action": action, "_selected_action": [review.pk]})
        assert ReviewSummary.objects.get().count == count
    for address in (page, changes):
        shown = desk.get(address).content.decode()
        assert "<svg onload" not in shown and "&lt;svg onload" in shown
    assert Review.objects.count() == 1


def test_a_row_of_the_home_page(desk: Client, anonymous: Api) -> None:
    product = make_product(name="绿茶")
    form = {
        "title": "推荐", "rule": "picked", "size": 6, "position": 0, "is_visible": "on",
        "picked-TOTAL_FORMS": 1, "picked-INITIAL_FORMS": 0, "picked-0-product": product.pk,
        "picked-0-position": 0,
    }  # fmt: skip
    assert desk.post(reverse("admin:catalog_homerow_add"), form).status_code == 302
    [row] = anonymous.get("home/").json()["rows"]
    assert (row["title"], row["products"][0]["name"]) == ("推荐", "绿茶")
    assert HomeRow.objects.get().picked.count() == 1


@pytest.mark.parametrize("field", ["name", "subtitle"])
def test_what_stands_in_a_name_is_text(desk: Client, anonymous: Api, field: str) -> None:
    """B9: in the back office escaped, in the API as it was written."""
    product = make_product(**{"name": "x", field: EVIL})
    for address in ("changelist", "change"):
        args = [product.pk] if address == "change" else []
        shown = desk.get(reverse(f"admin:catalog_product_{address}", args=args)).content.decode()
        assert "<svg onload" not in shown
    answer = anonymous.get(f"products/{product.pk}/")
    assert answer.json()[field] == EVIL
    assert answer["Content-Type"] == "application/json"
