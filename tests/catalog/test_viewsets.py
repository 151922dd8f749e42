from typing import Any

import pytest

from catalog.models import Brand, Category, Product, ProductOption, ProductPicture, ProductStatus
from tests.conftest import Api
from tests.factories import make_category, make_product, make_sku

pytestmark = pytest.mark.django_db


def names(answer: Any) -> list[str]:
    return [row["name"] for row in answer.json()["results"]]


def test_the_list_shows_products_on_sale(anonymous: Api) -> None:
    sku = make_sku(price_fen=1990, market_price_fen=2590)
    make_product(name="draft", status=ProductStatus.DRAFT)
    make_product(name="gone", status=ProductStatus.OFF_SALE)

    answer = anonymous.get("products/")
    assert answer.json()["results"] == [
        {
            "id": sku.product_id,
            "name": "龙井绿茶",
            "subtitle": "",
            "cover_url": "",
            "price_fen": 1990,
            "market_price_fen": 2590,
            "sales_count": 0,
            "in_stock": True,
        }
    ]


def test_filters(anonymous: Api) -> None:
    tea = make_category(name="茶叶")
    green = make_category(name="绿茶", parent=tea)
    brand = Brand.objects.create(name="山见")
    make_sku(product=make_product(name="龙井", category=green, brand=brand), price_fen=9900)
    make_sku(product=make_product(name="普洱", category=tea), price_fen=5000)
    make_sku(product=make_product(name="苹果"), price_fen=300, stock=0)

    assert names(anonymous.get(f"products/?category={tea.pk}")) == ["普洱", "龙井"]
    assert names(anonymous.get(f"products/?category={green.pk}")) == ["龙井"]
    assert names(anonymous.get(f"products/?brand={brand.pk}")) == ["龙井"]
    assert names(anonymous.get("products/?search=苹")) == ["苹果"]
    assert names(anonymous.get("products/?search=%25")) == []
    assert names(anonymous.get("products/?min_price_fen=5000&max_price_fen=9000")) == ["普洱"]
    assert names(anonymous.get("products/?in_stock=true&ordering=price_fen")) == ["普洱", "龙井"]
    assert names(anonymous.get("products/?in_stock=false")) == ["苹果"]


def test_the_detail_has_what_a_page_needs(anonymous: Api) -> None:
    product = make_product(detail_html="<p>好茶</p>", cover="catalog/a.jpg")
    sku = make_sku(product=product, stock=3, options={"规格": "50克"})
    make_sku(product=product, is_active=False)
    ProductOption.objects.create(product=product, name="规格", values=["50克"])
    ProductPicture.objects.create(product=product, picture="catalog/b.jpg")

    body = anonymous.get(f"products/{product.pk}/").json()
    assert body["images"] == ["http://127.0.0.1:8000/media/catalog/b.jpg"]
    assert body["options"] == [{"name": "规格", "values": ["50克"]}]
    assert [(row["id"], row["stock"], row["options"]) for row in body["skus"]] == [
        (sku.pk, 3, {"规格": "50克"})
    ]
    assert body["detail_html"] == "<p>好茶</p>"


@pytest.mark.parametrize("status", [ProductStatus.DRAFT, ProductStatus.OFF_SALE])
def test_what_is_not_on_sale_is_not_found(anonymous: Api, status: ProductStatus) -> None:
    product = make_product(status=status)
    assert anonymous.get(f"products/{product.pk}/").status_code == 404


def test_the_tree_nests_and_hides(anonymous: Api) -> None:
    root = make_category(name="食品")
    tea = make_category(name="茶", parent=root)
    make_category(name="绿茶", parent=tea)
    hidden = make_category(name="隐藏", parent=root, is_visible=False)
    make_category(name="隐藏的孩子", parent=hidden)

    tree = anonymous.get("categories/").json()["results"]
    assert [node["name"] for node in tree] == ["食品"]
    assert [node["name"] for node in tree[0]["children"]] == ["茶"]
    assert [node["name"] for node in tree[0]["children"][0]["children"]] == ["绿茶"]


def test_the_shop_window_ignores_tokens_and_the_host(anonymous: Api) -> None:
    make_sku()
    anonymous.access = "expired"
    plain = anonymous.get("products/", Host="localhost")
    assert plain.status_code == 200
    assert "localhost" not in plain.content.decode()


@pytest.mark.parametrize(
    ("path", "queries"),
    [("products/?limit=50", 1), ("products/{id}/", 4), ("categories/", 1), ("brands/?limit=50", 1)],
)
def test_queries_do_not_grow_with_rows(
    anonymous: Api, django_assert_num_queries: Any, path: str, queries: int
) -> None:
    category = make_category()
    first = make_product(category=category)
    for count in (1, 49):
        for number in range(count):
            brand = Brand.objects.create(name=f"b{count}-{number}")
            product = make_product(name=f"p{count}-{number}", category=category, brand=brand)
            make_sku(product=product)
            make_sku(product=first)
            Category.objects.create(name=f"c{count}-{number}")
            ProductPicture.objects.create(product=first, picture="a.jpg")
        Product.objects.filter(pk=first.pk).update(brand=brand)
        with django_assert_num_queries(queries):
            assert anonymous.get(path.format(id=first.pk)).status_code == 200
