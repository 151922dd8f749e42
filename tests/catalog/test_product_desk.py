"""The product's page: words without brackets, copies, many at once, and two members of staff at one time."""

import io
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from PIL import Image

from catalog.models import Product, ProductStatus, Sku, StockMovement
from catalog.services.bulk import change_prices, change_stocks, duplicate_product
from catalog.services.stock import OutOfStock, take_stock
from miniback.core.errors import InvalidFields
from tests.catalog.test_admin import change, product_form
from tests.factories import make_product, make_sku, make_staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(client: Client) -> Client:
    client.force_login(make_staff())
    return client


def version_of(desk: Client, product: Product) -> str:
    page = desk.get(reverse("admin:catalog_product_change", args=[product.pk]))
    return str(page.context["adminform"].form["version"].value())


def png() -> SimpleUploadedFile:
    buffer = io.BytesIO()
    Image.new("RGB", (60, 60), "teal").save(buffer, "PNG")
    return SimpleUploadedFile("a.png", buffer.getvalue(), "image/png")


def test_a_stale_form_writes_over_nothing(desk: Client) -> None:
    product = make_product(name="龙井")
    mine, theirs = version_of(desk, product), version_of(desk, product)
    assert change(desk, product, name="明前龙井", version=theirs).status_code == 302
    refused = change(desk, product, name="雨前龙井", version=mine)
    assert refused.status_code == 200 and "errornote" in refused.content.decode()
    product.refresh_from_db()
    assert product.name == "明前龙井"
    again = version_of(desk, product)
    assert change(desk, product, name="雨前龙井", version=again).status_code == 302


def test_a_sale_makes_no_form_stale(desk: Client) -> None:
    sku = make_sku(product=make_product(), stock=1)
    seen = version_of(desk, sku.product)
    take_stock({sku.pk: 1}, reference="O1")
    sku.product.refresh_from_db()
    assert not sku.product.in_stock
    assert change(desk, sku.product, version=seen).status_code == 302


def test_prices_changed_in_bulk_make_it_stale(desk: Client) -> None:
    sku = make_sku(product=make_product())
    seen = version_of(desk, sku.product)
    change_prices([sku.product_id], percent=10)
    assert change(desk, sku.product, version=seen).status_code == 200


def test_the_history_has_old_and_new_values(desk: Client) -> None:
    product = make_product(name="龙井")
    change(desk, product, name="碧螺春", tags="新品， 礼盒")
    told = LogEntry.objects.get().change_message
    assert "龙井 → 碧螺春" in told and "- → 新品, 礼盒" in told


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("产地: 苏州; 季节：春，秋", {"产地": "苏州", "季节": ["春", "秋"]}),
        ('{"产地": "苏州"}', {"产地": "苏州"}),
        ("", {}),
    ],
)
def test_attributes_are_written_without_brackets(
    desk: Client, written: str, kept: dict[str, Any]
) -> None:
    product = make_product()
    assert change(desk, product, attributes=written, tags="新品、礼盒").status_code == 302
    product.refresh_from_db()
    assert (product.attributes, product.tags) == (kept, ["新品", "礼盒"])
    page = desk.get(reverse("admin:catalog_product_change", args=[product.pk]))
    assert 'value="新品, 礼盒"' in page.content.decode()


def test_several_pictures_come_at_once_and_the_first_is_the_cover(desk: Client) -> None:
    product = make_product()
    Product.objects.filter(pk=product.pk).update(cover="")
    assert change(desk, product, new_pictures=[png(), png()]).status_code == 302
    product.refresh_from_db()
    names = list(product.pictures.order_by("position").values_list("picture", flat=True))
    assert len(names) == 2 and product.cover.name == names[0]


def test_one_bad_picture_keeps_the_others_out(desk: Client) -> None:
    product = make_product()
    bad = SimpleUploadedFile("b.png", b"<svg onload=alert(1)>", "image/png")
    assert change(desk, product, new_pictures=[png(), bad]).status_code == 200
    assert not product.pictures.exists()


def test_a_copy_is_a_draft_without_stock(desk: Client) -> None:
    product = make_product(name="龙井")
    make_sku(product=product, stock=7)
    product.options.create(name="规格", values=["100克"])
    answer = desk.post(reverse("admin:catalog_product_duplicate", args=[product.pk]))
    copy = Product.objects.exclude(pk=product.pk).get()
    assert answer.url == reverse("admin:catalog_product_change", args=[copy.pk])
    assert copy.status == ProductStatus.DRAFT and copy.name.startswith("龙井")
    assert (copy.skus.get().stock, copy.options.count()) == (0, 1)
    assert copy.skus.get().price_fen == product.skus.get().price_fen == copy.price_fen
    assert not StockMovement.objects.filter(sku__product=copy).exists()


def test_a_long_name_is_cut_in_the_copy() -> None:
    assert len(duplicate_product(make_product(name="茶" * 100)).name) == 100


def bulk(desk: Client, products: list[Product], action: str, **form: Any) -> Any:
    data = {"action": action, "_selected_action": [p.pk for p in products], **form}
    return desk.post(reverse("admin:catalog_product_changelist"), data)


def test_prices_of_many_are_asked_for_then_changed(desk: Client) -> None:
    skus = [make_sku(product=make_product(), price_fen=price) for price in (1990, 15)]
    products = [sku.product for sku in skus]
    assert 'name="percent"' in bulk(desk, products, "change_prices").content.decode()
    assert bulk(desk, products, "change_prices", sure=1, percent="x").status_code == 200
    bulk(desk, products, "change_prices", sure=1, percent=10)
    assert list(Sku.objects.order_by("pk").values_list("price_fen", flat=True)) == [2189, 17]
    assert Product.objects.get(pk=products[0].pk).price_fen == 2189
    assert LogEntry.objects.count() == 2


def test_stock_of_many_moves_with_a_reason_or_not_at_all(desk: Client) -> None:
    skus = [make_sku(product=make_product(), stock=stock) for stock in (5, 2)]
    products = [sku.product for sku in skus]
    bulk(desk, products, "change_stocks", sure=1, delta=-3, note="盘点")
    assert list(Sku.objects.order_by("pk").values_list("stock", flat=True)) == [5, 2]
    bulk(desk, products, "change_stocks", sure=1, delta=3, note="盘点")
    assert list(Sku.objects.order_by("pk").values_list("stock", flat=True)) == [8, 5]
    assert StockMovement.objects.filter(note="盘点").count() == 2


def test_bulk_refuses_what_makes_no_sense() -> None:
    sku = make_sku(product=make_product(), stock=1, price_fen=10_000_000_00)
    with pytest.raises(InvalidFields):
        change_prices([sku.product_id], percent=1_000_000)
    with pytest.raises(InvalidFields):
        change_prices(list(range(201)), percent=1)
    with pytest.raises(OutOfStock):
        change_stocks([sku.product_id], delta=-2, note="x")


def test_the_preview_shows_a_draft_and_no_script(desk: Client) -> None:
    product = make_product(name="龙井")
    Product.objects.filter(pk=product.pk).update(
        status=ProductStatus.DRAFT, detail_html="<p>好</p><script>alert(1)</script>"
    )
    page = desk.get(reverse("admin:catalog_product_preview", args=[product.pk])).content.decode()
    assert "<p>好</p>" in page and "alert(1)" not in page


def test_the_form_still_saves_without_a_version(desk: Client) -> None:
    product = make_product()
    assert "version" not in product_form(product)
    assert change(desk, product).status_code == 302
