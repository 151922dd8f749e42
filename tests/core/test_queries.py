"""Compiled statements say what the ORM says."""

import threading
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.forms.models import model_to_dict

from accounts.authentication import ALIVE
from accounts.models import Session
from catalog.models import Brand, Category, Product, Sku
from catalog.seed import seed_products
from catalog.services.stock import _with_product
from miniback.core.queries import CompiledQuery, insert, update
from orders.models import Order, OrderLine
from orders.services.delivery import OWN
from tests.factories import make_access, make_address, make_customer, make_order, make_sku

pytestmark = pytest.mark.django_db


def columns(row: Any) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def test_a_session_and_its_user(django_assert_num_queries: Any) -> None:
    user = make_customer()
    make_access(user)
    for session in Session.objects.select_related("user"):
        with django_assert_num_queries(1):
            found = ALIVE.first(session.pk)
            assert columns(found) == columns(session)
            assert columns(found.user) == columns(session.user)
        assert not found._state.adding
    user.is_active = False
    user.save(update_fields=["is_active"])
    assert ALIVE.first(session.pk) is None


def test_many_rows_with_their_related_ones() -> None:
    skus = [make_sku(options={"色": "红"}) for _ in range(3)]
    found = {row.pk: row for row in _with_product(2).all(skus[0].pk, skus[2].pk)}
    assert set(found) == {skus[0].pk, skus[2].pk}
    for row in Sku.objects.select_related("product").filter(pk__in=found):
        assert columns(found[row.pk]) == columns(row)
        assert columns(found[row.pk].product) == columns(row.product)


def test_encrypted_columns_are_read_and_owners_kept_apart() -> None:
    address = make_address(make_customer())
    assert columns(OWN.first(address.user_id, address.pk)) == columns(type(address).objects.get())
    assert OWN.first(address.user_id + 1, address.pk) is None


@pytest.mark.django_db(transaction=True)
def test_every_thread_and_connection_has_its_own() -> None:
    brand = Brand.objects.create(name="山见")
    query = CompiledQuery(lambda pk: Brand.objects.filter(pk=pk), [Brand._meta.pk])
    names = [query.first(brand.pk).name]
    connection.close()
    names.append(query.first(brand.pk).name)

    def elsewhere() -> None:
        names.append(query.first(brand.pk).name)
        connection.close()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert names == ["山见"] * 3


def test_inserted_rows_are_as_the_orm_reads_them() -> None:
    order = make_order()
    fresh = Order.objects.get()
    assert columns(order) == columns(fresh)
    line = OrderLine.objects.get()
    assert model_to_dict(line)["options"] == {"规格": "100克"}
    assert line.order_id == fresh.pk


def test_inserting_several_and_one_twice() -> None:
    made = insert(*(Brand(name=name) for name in "甲乙丙"))
    known = dict(Brand.objects.values_list("name", "pk"))
    if connection.features.can_return_rows_from_bulk_insert:
        assert {row.name: row.pk for row in made} == known
    with pytest.raises(IntegrityError), transaction.atomic():
        insert(Brand(name="甲"))
    assert Brand.objects.count() == 3


def test_an_update_writes_the_named_columns_of_one_row() -> None:
    insert(Brand(name="山见"), Brand(name="海见"))
    first, second = Brand.objects.order_by("pk")
    first.name, first.logo = "云见", "logo/new.png"
    update(first, "name")
    kept = set(Brand.objects.values_list("pk", "name", "logo"))
    assert kept == {(first.pk, "云见", ""), (second.pk, second.name, "")}


@pytest.mark.parametrize("vary", ["", "&in_stock=true", "&brand={brand}", "&category={category}"])
@pytest.mark.parametrize("ordering", ["-published_at", "price_fen", "-price_fen", "-sales_count"])
def test_compiled_pages_are_the_querysets(anonymous: Any, vary: str, ordering: str) -> None:
    """Every order, filter and page of the product list, against the ORM's own answer."""
    list(seed_products(48))
    brand, category = Brand.objects.all()[0], Category.objects.all()[0]
    query = vary.format(brand=brand.pk, category=category.pk) + "&min_price_fen=2000"
    expected = Product.objects.on_sale().filter(price_fen__gte=2000)
    if "brand" in vary:
        expected = expected.filter(brand=brand)
    if "category" in vary:
        expected = expected.filter(category=category)
    if "in_stock" in vary:
        expected = expected.filter(in_stock=True)
    by_id = "-id" if ordering.startswith("-") else "id"
    seen: list[Any] = []
    cursor = ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        body = anonymous.get(f"products/?limit=7&ordering={ordering}{query}{more}").json()
        seen += [(row["id"], row["price_fen"], row["in_stock"]) for row in body["results"]]
        cursor = body["next_cursor"]
    rows = expected.order_by(ordering, by_id).values_list("id", "price_fen", "in_stock")
    assert seen == list(rows) != []
