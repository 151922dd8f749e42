"""The shop window and what a customer keeps of it."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.models import User
from catalog.models import (
    Banner,
    Category,
    Favourite,
    Footprint,
    HomeRow,
    HomeRowProduct,
    HotKeyword,
    Product,
    ProductStatus,
    Review,
    ReviewSummary,
    SearchHistory,
)
from catalog.services import customers
from catalog.services.products import publish_due_products, set_status
from catalog.services.reviews import reply_to_review, set_visibility, write_review
from miniback.core.errors import NotFound
from tests.conftest import Api
from tests.core.test_uploads import picture, send
from tests.factories import make_category, make_customer, make_product, make_sku

pytestmark = pytest.mark.django_db


def names(answer: Any) -> list[str]:
    return [row["name"] for row in answer.json()["results"]]


def make_review(user: User, product: Product | None = None, **more: Any) -> Review:
    sku = make_sku(product=product or make_product())
    values = {"rating": 5, "text": "好茶", "images": [], "is_anonymous": False, **more}
    reference = f"O1:{sku.pk}"
    return write_review(
        user, product_id=sku.product_id, sku_id=sku.pk, reference=reference, **values
    )


# Home


def test_the_home_page_is_what_staff_composed(
    anonymous: Api, django_assert_num_queries: Any
) -> None:
    now = timezone.now()
    tea = make_category(name="茶叶", is_shortcut=True)
    make_category(name="隐藏", is_shortcut=True, is_visible=False)
    green = make_product(name="绿茶", category=make_category(name="绿茶类", parent=tea))
    apple = make_product(name="苹果")
    gone = make_product(name="下架", status=ProductStatus.OFF_SALE)
    past, later = now - timedelta(days=1), now + timedelta(days=1)
    shown = Banner(
        title="春茶", picture="catalog/b.jpg", link_kind="product", link_value=str(green.pk)
    )
    shown.starts_at, shown.ends_at = past, later
    shown.full_clean()
    shown.save()
    Banner.objects.create(title="结束", picture="a.jpg", ends_at=past)
    Banner.objects.create(title="未到", picture="a.jpg", starts_at=later)
    picked = HomeRow.objects.create(title="店长推荐", rule="picked", position=1)
    for position, product in enumerate([apple, gone, green]):
        HomeRowProduct.objects.create(row=picked, product=product, position=position)
    HomeRow.objects.create(title="茶", rule="newest", category=tea, position=2)
    HomeRow.objects.create(title="空", rule="best_selling", category=make_category(), position=3)
    HomeRow.objects.create(title="隐藏", is_visible=False)

    with django_assert_num_queries(8):
        body = anonymous.get("home/").json()
    assert body["banners"] == [
        {
            "title": "春茶",
            "image_url": "http://127.0.0.1:8000/media/catalog/b.jpg",
            "link": {"kind": "product", "value": str(green.pk)},
        }
    ]
    assert [row["name"] for row in body["shortcuts"]] == ["茶叶"]
    assert [(row["title"], [p["name"] for p in row["products"]]) for row in body["rows"]] == [
        ("店长推荐", ["苹果", "绿茶"]),
        ("茶", ["绿茶"]),
    ]


@pytest.mark.parametrize(
    ("kind", "value"),
    [("product", ""), ("product", "x"), ("none", "1"), ("page", "pages/a"), ("web", "http://a"),
     ("web", "javascript:alert(1)"), ("search", ""), ("category", "１")],
)  # fmt: skip
def test_a_banner_leads_somewhere(kind: str, value: str) -> None:
    with pytest.raises(ValidationError):
        Banner(title="x", picture="a.jpg", link_kind=kind, link_value=value).full_clean()


def test_a_banner_ends_after_it_begins() -> None:
    now = timezone.now()
    with pytest.raises(ValidationError):
        Banner(title="x", picture="a.jpg", starts_at=now, ends_at=now).full_clean()


def test_hot_keywords_and_suggestions(anonymous: Api) -> None:
    HotKeyword.objects.create(keyword="绿茶礼盒", is_default=True, is_highlighted=True)
    make_product(name="绿茶")
    make_product(name="龙井绿茶")
    assert anonymous.get("search/hot/").json() == {
        "default": "绿茶礼盒",
        "results": [{"keyword": "绿茶礼盒", "is_highlighted": True}],
    }
    assert anonymous.get("search/suggestions/?q=绿").json()["results"] == [
        "绿茶礼盒",
        "绿茶",
        "龙井绿茶",
    ]
    assert anonymous.get("search/suggestions/?q=%20x").json()["results"] == []
    assert anonymous.get("search/suggestions/").json()["code"] == "invalid"


# Products


def test_a_scheduled_product_goes_on_sale_by_itself(anonymous: Api) -> None:
    soon = timezone.now() + timedelta(minutes=5)
    product = make_product(name="秒杀", status=ProductStatus.SCHEDULED, published_at=soon)
    publish_due_products()
    assert anonymous.get(f"products/{product.pk}/").status_code == 404
    Product.objects.update(published_at=timezone.now())
    publish_due_products()
    publish_due_products()
    assert anonymous.get(f"products/{product.pk}/").status_code == 200
    assert names(anonymous.get("products/?search=秒杀")) == ["秒杀"]


def test_putting_on_sale_early_publishes_now() -> None:
    soon = timezone.now() + timedelta(days=5)
    product = make_product(status=ProductStatus.SCHEDULED, published_at=soon)
    assert set_status([product.pk], ProductStatus.ON_SALE) == 1
    assert Product.objects.get().published_at <= timezone.now()
    assert set_status([product.pk], ProductStatus.ON_SALE) == 0


def test_related_products(anonymous: Api) -> None:
    tea = make_category()
    product = make_product(name="绿茶", category=tea)
    product.related.add(
        make_product(name="茶杯"), make_product(name="x", status=ProductStatus.DRAFT)
    )
    make_product(name="红茶", category=tea, sales_count=5)
    make_product(name="白茶", category=tea, sales_count=9)
    assert names(anonymous.get(f"products/{product.pk}/related/")) == ["茶杯", "白茶", "红茶"]
    assert anonymous.get("products/999/related/").status_code == 404


def test_the_detail_has_tags_attributes_and_rating(anonymous: Api, customer: User) -> None:
    product = make_product(tags=["新品"], attributes={"材质": "纯棉"})
    make_review(customer, product, rating=4)
    make_review(customer, product, rating=5)
    body = anonymous.get(f"products/{product.pk}/").json()
    assert (body["tags"], body["attributes"]) == (["新品"], {"材质": "纯棉"})
    assert (body["rating"], body["review_count"]) == (4.5, 2)


@pytest.mark.parametrize(
    ("tags", "attributes"),
    [(["a", "a"], {}), (["x" * 31], {}), (list("abcdefghijklmnopqrstu"), {}), ("新品", {}),
     ([], {"a": 1}), ([], {"": "x"}), ([], {"a": ["x", 2]})],
)  # fmt: skip
def test_tags_and_attributes_are_words(tags: Any, attributes: Any) -> None:
    product = make_product()
    product.tags, product.attributes = tags, attributes
    with pytest.raises(ValidationError):
        product.full_clean()


# Reviews


def test_reviews_of_a_product(anonymous: Api, api: Api, customer: User) -> None:
    User.objects.filter(pk=customer.pk).update(nickname="小明")
    product = make_product()
    upload = send(api, picture(), purpose="review").json()
    first = make_review(customer, product, images=[upload["id"]])
    hidden = make_review(customer, product, rating=1, text="广告")
    make_review(customer, product, rating=3, is_anonymous=True)
    set_visibility([hidden.pk], is_visible=False)
    reply_to_review(first, "谢谢")
    follow_up = {"text": "还是好", "images": [upload["id"]]}
    assert api.post(f"reviews/{first.pk}/follow-up/", follow_up).json()["follow_up"] == "还是好"

    body = anonymous.get(f"products/{product.pk}/reviews/").json()
    assert [row["rating"] for row in body["results"]] == [3, 5]
    unnamed, named = body["results"]
    assert (unnamed["author"], unnamed["author_avatar_url"]) == ("匿名用户", "")
    assert (named["author"], named["reply"], named["image_urls"]) == (
        "小明",
        "谢谢",
        [upload["url"]],
    )
    assert named["follow_up"]["image_urls"] == [upload["url"]]
    assert named["sku_options"] == {"规格": "100克"}
    assert body["summary"] == {
        "rating": 4.0, "count": 2, "with_images": 1,
        "stars": {"1": 0, "2": 0, "3": 1, "4": 0, "5": 1},
    }  # fmt: skip

    def ratings(query: str) -> list[int]:
        answer = anonymous.get(f"products/{product.pk}/reviews/?{query}").json()
        return [row["rating"] for row in answer["results"]]

    assert (ratings("rating=good"), ratings("rating=medium"), ratings("rating=bad")) == (
        [5],
        [3],
        [],
    )
    assert (ratings("rating=3"), ratings("with_images=true")) == ([3], [5])
    assert anonymous.get(f"products/{product.pk}/reviews/?rating=6").json()["code"] == "invalid"
    assert anonymous.get("products/999/reviews/").status_code == 404


def test_queries_of_reviews_do_not_grow(anonymous: Api, django_assert_num_queries: Any) -> None:
    product = make_product()
    for count in (1, 20):
        for _number in range(count):
            make_review(make_customer(), product)
        with django_assert_num_queries(3):
            anonymous.get(f"products/{product.pk}/reviews/?limit=50")


def test_a_review_is_followed_up_once(api: Api, customer: User, stranger_api: Api) -> None:
    review = make_review(customer)
    foreign = send(stranger_api, picture(), purpose="review").json()["id"]
    path = f"reviews/{review.pk}/follow-up/"
    assert api.post(path, {"text": "x", "images": [foreign]}).status_code == 404
    assert stranger_api.post(path, {"text": "x"}).status_code == 404
    assert api.post(path, {"text": ""}).json()["code"] == "invalid"
    assert api.post(path, {"text": "好"}).status_code == 200
    assert api.post(path, {"text": "坏"}).json()["code"] == "already_followed_up"
    assert Review.objects.get().follow_up == "好"
    assert [row["follow_up"] for row in api.get("reviews/").json()["results"]] == ["好"]


def test_hiding_twice_counts_once(customer: User) -> None:
    review = make_review(customer)
    assert set_visibility([review.pk], is_visible=False) == 1
    assert set_visibility([review.pk], is_visible=False) == 0
    assert ReviewSummary.objects.get().count == 0
    assert ReviewSummary.objects.get().rating is None


# What a customer keeps


def test_favourites(api: Api, stranger_api: Api) -> None:
    tea, apple = make_product(name="绿茶"), make_product(name="苹果")
    for product in (tea, apple, tea):
        assert api.put(f"favourites/{product.pk}/").status_code == 204
    set_status([tea.pk], ProductStatus.OFF_SALE)
    rows = api.get("favourites/").json()["results"]
    assert [(row["name"], row["is_on_sale"]) for row in rows] == [("苹果", True), ("绿茶", False)]
    flags = api.get(f"favourites/?product={apple.pk},999").json()["results"]
    assert [row["id"] for row in flags] == [apple.pk]
    assert stranger_api.get("favourites/").json()["results"] == []
    assert stranger_api.delete(f"favourites/{apple.pk}/").status_code == 204
    for _time in range(2):
        assert api.delete(f"favourites/{tea.pk}/").status_code == 204
    assert Favourite.objects.get().product == apple
    assert api.put("favourites/999/").status_code == 404
    for wrong in ("x", "1,", "1" * 19, ",".join("1" * 51)):
        assert api.get(f"favourites/?product={wrong}").json()["code"] == "invalid"


def test_favourites_end_somewhere(customer: User, monkeypatch: Any) -> None:
    monkeypatch.setattr(customers, "MAX_FAVOURITES", 1)
    customers.add_favourite(customer, make_product().pk)
    with pytest.raises(customers.TooManyFavourites):
        customers.add_favourite(customer, make_product().pk)


def test_footprints_are_the_last_ones(api: Api, customer: User, monkeypatch: Any) -> None:
    monkeypatch.setattr(customers, "MAX_FOOTPRINTS", 3)
    products = [make_product(name=f"p{number}") for number in range(5)]
    for product in [*products, products[3]]:
        assert api.post("footprints/", {"product": product.pk}).status_code == 204
    assert names(api.get("footprints/")) == ["p3", "p4", "p2"]
    assert api.post("footprints/", {"product": 999}).status_code == 404
    assert api.post("footprints/", {}).json()["code"] == "invalid"
    assert api.delete("footprints/").status_code == 204
    assert not Footprint.objects.exists()


def test_searches_are_the_last_different_ones(api: Api, monkeypatch: Any) -> None:
    monkeypatch.setattr(customers, "MAX_SEARCHES", 2)
    for keyword in ("绿茶", "苹果", "ＡＢＣ", "苹果"):
        assert api.post("search/history/", {"keyword": keyword}).status_code == 204
    rows = api.get("search/history/").json()["results"]
    assert [row["keyword"] for row in rows] == ["苹果", "abc"]
    assert api.post("search/history/", {"keyword": "\u3000"}).json()["code"] == "invalid"
    assert api.delete("search/history/").status_code == 204
    assert not SearchHistory.objects.exists()


@pytest.mark.parametrize(
    "path", ["favourites/?limit=50", "footprints/?limit=50", "reviews/?limit=50"]
)
def test_queries_do_not_grow(
    api: Api, customer: User, django_assert_num_queries: Any, path: str
) -> None:
    for count in (1, 20):
        for _number in range(count):
            product = make_product()
            customers.add_favourite(customer, product.pk)
            customers.note_footprint(customer, product.pk)
            make_review(customer, product)
        with django_assert_num_queries(2):
            assert api.get(path).status_code == 200


def test_what_is_not_on_sale_cannot_be_kept(customer: User) -> None:
    product = make_product(status=ProductStatus.DRAFT)
    for keep in (customers.add_favourite, customers.note_footprint):
        with pytest.raises(NotFound):
            keep(customer, product.pk)
    assert Category.objects.exists()
