import pytest

from catalog.models import Product
from tests.conftest import Api
from tests.factories import make_category, make_product

pytestmark = pytest.mark.django_db


def walk(api: Api, query: str) -> list[int]:
    seen: list[int] = []
    cursor = ""
    while True:
        page = api.get(f"products/?limit=3&{query}{cursor}").json()
        seen += [row["id"] for row in page["results"]]
        if page["next_cursor"] is None:
            return seen
        cursor = f"&cursor={page['next_cursor']}"


@pytest.mark.parametrize("ordering", ["price_fen", "-price_fen", "-sales_count", "-published_at"])
def test_ties_neither_repeat_nor_end_the_list(anonymous: Api, ordering: str) -> None:
    category = make_category()
    for number in range(20):
        make_product(name=f"p{number}", category=category)
    for product in Product.objects.order_by("id")[:7]:
        Product.objects.filter(pk=product.pk).update(price_fen=500, sales_count=3)

    seen = walk(anonymous, f"ordering={ordering}")

    column = ordering.removeprefix("-")
    backwards = ordering.startswith("-")
    rows = sorted(
        Product.objects.all(), key=lambda p: (getattr(p, column), p.pk), reverse=backwards
    )
    assert seen == [row.pk for row in rows]


def test_rows_that_arrive_meanwhile_do_not_shift_the_pages(anonymous: Api) -> None:
    category = make_category()
    products = [make_product(name=f"p{n}", category=category) for n in range(6)]
    first = anonymous.get("products/?limit=3").json()
    make_product(name="new", category=category)

    second = anonymous.get(f"products/?limit=3&cursor={first['next_cursor']}").json()

    ids = [row["id"] for row in first["results"] + second["results"]]
    assert ids == [product.pk for product in reversed(products)]
    assert second["next_cursor"] is None
