from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db.models import Count, Min, Sum

from catalog.models import Category, Product, Sku
from tests.conftest import Api

pytestmark = pytest.mark.django_db


def snapshot() -> list[Any]:
    return list(
        Sku.objects.order_by("code").values_list("code", "price_fen", "stock", "product__name")
    )


def test_the_demo_shop_is_believable_and_repeatable(anonymous: Api) -> None:
    call_command("seed_demo")
    once = snapshot()
    call_command("seed_demo")

    assert snapshot() == once
    assert Product.objects.on_sale().count() == 48
    assert Category.objects.count() == 8
    assert Product.objects.annotate(n=Count("skus")).filter(n__lt=2).count() == 0
    assert all(default_storage.exists(p.cover.name) for p in Product.objects.all())
    for product in Product.objects.annotate(low=Min("skus__price_fen"), all=Sum("skus__stock")):
        assert (product.price_fen, product.in_stock) == (product.low, product.all > 0)
    for sku in Sku.objects.annotate(booked=Sum("movements__delta")):
        assert (sku.booked or 0) == sku.stock
    assert anonymous.get("products/").json()["next_cursor"]
    home = anonymous.get("home/").json()
    assert [len(row["products"]) for row in home["rows"]] == [6, 6, 6]
    assert (len(home["banners"]), len(home["shortcuts"])) == (3, 8)
    assert len(anonymous.get("search/hot/").json()["results"]) == 6


def test_a_large_shop_continues_where_it_was(monkeypatch: Any) -> None:
    monkeypatch.setattr("catalog.seed.BATCH", 7)
    call_command("seed_demo", "--products", "10")
    call_command("seed_demo", "--products", "60")

    assert Product.objects.count() == 60
    assert Product.objects.values("name").distinct().count() == 60
