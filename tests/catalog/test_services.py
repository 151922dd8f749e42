import re
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from catalog.models import Product, ProductOption, Sku, StockMovement
from catalog.services.products import (
    TooManySkus,
    clean_html,
    make_missing_skus,
    refresh_product,
)
from catalog.services.stock import OutOfStock, adjust_stock, give_back_stock, take_stock
from miniback.core.errors import InvalidFields
from tests.factories import make_product, make_sku

pytestmark = pytest.mark.django_db


def stock(sku: Sku) -> int:
    return Sku.objects.get(pk=sku.pk).stock


def booked(sku: Sku) -> int:
    return sum(StockMovement.objects.filter(sku=sku).values_list("delta", flat=True))


def test_taking_is_all_or_nothing() -> None:
    """C2: an order is never partly filled."""
    many, few = make_sku(stock=10), make_sku(stock=1)
    with pytest.raises(OutOfStock) as caught:
        take_stock({many.pk: 2, few.pk: 2}, reference="O1")

    assert caught.value.extra == {"sku": few.pk}
    assert (stock(many), stock(few)) == (10, 1)
    assert booked(many) == 10


@pytest.mark.parametrize("act", [take_stock, give_back_stock])
def test_skus_are_locked_in_one_order(act: Any) -> None:
    """C4: whatever order the cart has, so that two orders cannot wait for each other."""
    product = make_product()
    skus = [make_sku(product=product, stock=10).pk for _ in range(3)]
    with CaptureQueriesContext(connection) as captured:
        act({skus[2]: 1, skus[0]: 1, skus[1]: 1}, reference="O1")
    updates = [q["sql"] for q in captured if q["sql"].startswith("UPDATE") and "sku" in q["sql"]]
    locked = [pk for sql in updates for pk in skus if re.search(rf"id[`\"]? = {pk}\b", sql)]
    assert locked == sorted(skus)


def test_taking_and_giving_back_are_in_the_book() -> None:
    """T26: stock is really taken, and what is written adds up."""
    sku = make_sku(stock=10)
    take_stock({sku.pk: 3}, reference="O1")
    assert (stock(sku), booked(sku)) == (7, 7)
    give_back_stock({sku.pk: 3}, reference="O1")
    assert (stock(sku), booked(sku)) == (10, 10)


def test_stock_is_given_back_once() -> None:
    """C12: the movement's key is the last judge."""
    sku = make_sku(stock=10)
    take_stock({sku.pk: 3}, reference="O1")
    give_back_stock({sku.pk: 3}, reference="O1")
    with pytest.raises(IntegrityError), transaction.atomic():
        give_back_stock({sku.pk: 3}, reference="O1")
    assert stock(sku) == 10


def test_skus_that_do_not_exist_are_out_of_stock() -> None:
    with pytest.raises(OutOfStock):
        take_stock({999: 1}, reference="O1")


def test_the_product_knows_when_it_is_sold_out() -> None:
    sku = make_sku(stock=2)
    take_stock({sku.pk: 2}, reference="O1")
    assert not Product.objects.get().in_stock
    give_back_stock({sku.pk: 2}, reference="O1")
    assert Product.objects.get().in_stock


def test_the_product_shows_its_lowest_active_price() -> None:
    product = make_product()
    cheap = make_sku(product=product, price_fen=500)
    make_sku(product=product, price_fen=900)
    assert Product.objects.get().price_fen == 500
    Sku.objects.filter(pk=cheap.pk).update(is_active=False)
    refresh_product(product.pk)
    assert Product.objects.get().price_fen == 900


def test_staff_change_stock_by_a_number_of_pieces() -> None:
    sku = make_sku(stock=5)
    adjust_stock(sku, delta=-5, note="broken")
    assert stock(sku) == 0
    with pytest.raises(OutOfStock):
        adjust_stock(sku, delta=-1, note="broken")
    for wrong in (0, 10**10):
        with pytest.raises(InvalidFields):
            adjust_stock(sku, delta=wrong, note="?")
    assert (stock(sku), booked(sku)) == (0, 0)


def test_the_book_cannot_be_changed() -> None:
    make_sku(stock=5)
    movement = StockMovement.objects.get()
    with pytest.raises(TypeError):
        movement.save()
    with pytest.raises(TypeError):
        movement.delete()
    with pytest.raises(TypeError):
        StockMovement.objects.update(delta=1)
    with pytest.raises(TypeError):
        StockMovement.objects.all().delete()


def test_the_database_refuses_negative_stock() -> None:
    sku = make_sku(stock=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        Sku.objects.filter(pk=sku.pk).update(stock=-1)


def test_rich_text_keeps_no_script() -> None:
    dirty = '<p onclick="x()">茶<script>alert(1)</script><img src=x onerror=y><a href="javascript:z">a</a>'
    clean = clean_html(dirty)
    for evil in ("script", "onclick", "onerror", "javascript"):
        assert evil not in clean
    assert "<p>茶" in clean


def test_missing_skus_are_made_from_the_options() -> None:
    product = make_product()
    ProductOption.objects.create(product=product, name="颜色", values=["红", "蓝"])
    ProductOption.objects.create(product=product, name="尺码", values=["S", "M"], position=1)
    make_sku(product=product, options={"颜色": "红", "尺码": "M"}, price_fen=500)
    product.refresh_from_db()
    assert make_missing_skus(product) == 3
    assert make_missing_skus(product) == 0
    made = product.skus.filter(is_active=False)
    assert {(sku.options["颜色"], sku.options["尺码"]) for sku in made} == {
        ("红", "S"),
        ("蓝", "S"),
        ("蓝", "M"),
    }
    assert {sku.price_fen for sku in made} == {500}
    many = make_product()
    for name in "ab":
        values = [str(number) for number in range(15)]
        ProductOption.objects.create(product=many, name=name, values=values)
    with pytest.raises(TooManySkus):
        make_missing_skus(many)
    assert make_missing_skus(make_product()) == 0
