"""Categories as a tree, the home page beside its editor, pictures in descriptions, empty lists."""

import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from PIL import Image

from catalog.admin.categories import MOST_IN_A_TREE
from catalog.models import Category, HomeRow
from catalog.services.categories import move_category
from miniback.core.errors import InvalidFields
from tests.factories import make_product, make_sku, make_staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(client: Client) -> Client:
    client.force_login(make_staff())
    return client


@pytest.fixture
def tree() -> dict[str, int]:
    """茶 (绿茶, 红茶), 果"""
    tea = Category.objects.create(name="茶", position=1)
    fruit = Category.objects.create(name="果", position=2)
    green = Category.objects.create(name="绿茶", parent=tea, position=1)
    black = Category.objects.create(name="红茶", parent=tea, position=2)
    return {row.name: row.pk for row in (tea, fruit, green, black)}


def shape(parent: int | None = None) -> list[Any]:
    rows = Category.objects.filter(parent=parent).order_by("position", "pk")
    return [(row.name, *shape(row.pk)) for row in rows]


def test_it_is_moved_among_its_siblings_below_and_out(tree: dict[str, int]) -> None:
    move_category(tree["红茶"], parent_id=tree["茶"], before_id=tree["绿茶"])
    assert shape() == [("茶", ("红茶",), ("绿茶",)), ("果",)]
    move_category(tree["果"], parent_id=tree["红茶"], before_id=None)
    assert shape() == [("茶", ("红茶", ("果",)), ("绿茶",))]
    move_category(tree["绿茶"], parent_id=None, before_id=tree["茶"])
    assert shape() == [("绿茶",), ("茶", ("红茶", ("果",)))]


@pytest.mark.parametrize("parent", ["茶", "绿茶"])
def test_it_hangs_below_nothing_of_its_own(tree: dict[str, int], parent: str) -> None:
    with pytest.raises(InvalidFields):
        move_category(tree["茶"], parent_id=tree[parent], before_id=None)
    assert shape() == [("茶", ("绿茶",), ("红茶",)), ("果",)]


def test_a_category_that_is_gone_moves_nothing(tree: dict[str, int]) -> None:
    for ids in ((10**9, None, None), (tree["茶"], 10**9, None), (tree["茶"], None, 10**9)):
        with pytest.raises(InvalidFields):
            move_category(ids[0], parent_id=ids[1], before_id=ids[2])


def test_each_arrow_does_what_it_says(desk: Client, tree: dict[str, int]) -> None:
    def branch(name: str) -> Any:
        page = desk.get(reverse("admin:catalog_category_changelist"))
        return next(one for one in page.context["branches"] if one.category.name == name)

    def move(to: str) -> None:
        assert desk.post(reverse("admin:catalog_category_move"), {"to": to}).status_code == 302

    assert (branch("茶").up, branch("茶").inwards, branch("茶").outwards) == ("", "", "")
    move(branch("茶").down)
    assert shape() == [("果",), ("茶", ("绿茶",), ("红茶",))]
    move(branch("茶").inwards)
    assert shape() == [("果", ("茶", ("绿茶",), ("红茶",)))]
    move(branch("红茶").up)
    move(branch("茶").outwards)
    assert shape() == [("果",), ("茶", ("红茶",), ("绿茶",))]
    move(branch("红茶").outwards)
    assert [name for name, *_below in shape()] == ["果", "茶", "红茶"]


def test_a_refused_move_says_why(desk: Client, tree: dict[str, int]) -> None:
    to = f"{tree['茶']}:{tree['绿茶']}:"
    page = desk.post(reverse("admin:catalog_category_move"), {"to": to}, follow=True)
    assert "请选择不在该分类之下的分类" in page.content.decode()


@pytest.mark.parametrize("to", ["", "1", "a::", "1:2:3:4", ":1:", "-1::", f"{'9' * 30}::"])
def test_a_move_that_is_none_is_refused(desk: Client, tree: dict[str, int], to: str) -> None:
    assert desk.post(reverse("admin:catalog_category_move"), {"to": to}).status_code == 400


def test_a_thousand_categories_are_a_list(desk: Client) -> None:
    Category.objects.bulk_create(Category(name=f"c{n}") for n in range(MOST_IN_A_TREE + 1))
    page = desk.get(reverse("admin:catalog_category_changelist"))
    assert page.context["branches"] == [] and 'id="result_list"' in page.content.decode()


def test_the_home_page_stands_beside_its_rows(desk: Client) -> None:
    make_sku(product=make_product(name="龙井"), price_fen=1990)
    row = HomeRow.objects.create(title="新品", rule="newest")
    address = reverse("admin:catalog_homerow_changelist")
    assert desk.get(address).context["rows"] == [("新品", [("龙井", "", "¥19.90")])]
    form = {
        "form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": row.pk, "form-0-position": 3,
        "_save": "1",
    }  # fmt: skip
    page = desk.post(address, form, follow=True)
    row.refresh_from_db()
    assert (row.position, row.is_visible) == (3, False)
    assert page.context["rows"] == []


def test_a_picture_for_a_description(desk: Client) -> None:
    address = reverse("admin:catalog_product_picture")
    buffer = io.BytesIO()
    Image.new("RGB", (60, 60), "teal").save(buffer, "PNG")
    file = SimpleUploadedFile("a.png", buffer.getvalue(), "image/png")
    assert desk.post(address, {"picture": file}).json()["url"].endswith("/full.jpg")
    bad = SimpleUploadedFile("a.png", b"<svg onload=alert(1)>", "image/png")
    answer = desk.post(address, {"picture": bad})
    assert answer.status_code == 400 and answer.json()["error"]


def test_an_empty_list_says_what_comes_next(desk: Client) -> None:
    address = reverse("admin:catalog_product_changelist")
    empty = desk.get(address).content.decode()
    assert 'class="nothing"' in empty and reverse("admin:catalog_product_add") in empty
    make_product()
    assert 'class="nothing"' not in desk.get(address).content.decode()
    assert 'class="nothing"' in desk.get(address, {"q": "没有"}).content.decode()
