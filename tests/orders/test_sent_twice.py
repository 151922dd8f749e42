"""A form of the back office that is sent twice is carried out once."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import OperationalError, transaction
from django.db.models.signals import post_save
from django.test import Client
from django.urls import reverse

from catalog.models import Product, Sku
from miniback.core.models import IdempotencyKey
from orders.models import Carrier, ClaimedCoupon, Order, Shipment
from tests.factories import (
    make_coupon,
    make_customer,
    make_order,
    make_product,
    make_sku,
    make_staff,
    pay,
)
from tests.forms import page_as_opened
from tests.sandbox_process import SandboxProcess
from tests.threads import together

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def clerk() -> Client:
    client = Client()
    client.force_login(make_staff(username="clerk"))
    return client


@pytest.fixture
def paid(sandbox: SandboxProcess) -> Order:
    return pay(make_order(quantity=2))


def key_in(page: Any) -> str:
    found = re.search(r'name="once" value="(\w+)"', page.content.decode())
    assert found
    return found[1]


def ship_form(clerk: Client, order: Order, pieces: int = 1) -> tuple[str, dict[str, Any]]:
    url = reverse("admin:orders_order_ship", args=[order.pk])
    carrier = Carrier.objects.get_or_create(code="SF", defaults={"name": "顺丰速运"})[0]
    form = {"carrier": carrier.pk, "tracking_number": "SF123456", "once": key_in(clerk.get(url))}
    return url, {**form, f"line_{order.lines.get().pk}": pieces}


def told(clerk: Client, answer: Any) -> list[str]:
    """The messages on the page that an answer leads to."""
    return [str(message) for message in clerk.get(answer.url).context["messages"]]


@contextmanager
def commit_without_answer(model: Any) -> Iterator[None]:
    """The next transaction that saves a row of a model is committed, and nobody is told."""

    def lose(**_more: Any) -> None:
        post_save.disconnect(arm, model)
        raise OperationalError(2013, "Lost connection to server during query")

    def arm(**_more: Any) -> None:
        transaction.on_commit(lose)

    post_save.connect(arm, model)
    yield
    post_save.disconnect(arm, model)


def test_a_parcel_is_sent_once(clerk: Client, paid: Order) -> None:
    url, form = ship_form(clerk, paid)
    first, again = clerk.post(url, form), clerk.post(url, form)

    assert (first.status_code, again.status_code) == (302, 302)
    assert first.url == again.url == reverse("admin:orders_order_change", args=[paid.pk])
    assert told(clerk, again)[-1] in {"This was already done.", "该操作已完成，无需重复提交。"}
    assert Shipment.objects.count() == 1
    assert paid.lines.get().shipped_quantity == 1
    assert LogEntry.objects.filter(object_id=str(paid.pk)).count() == 1


def test_a_double_click_sends_one_parcel(clerk: Client, paid: Order) -> None:
    url, form = ship_form(clerk, paid)
    answers = together([lambda: clerk.post(url, form) for _n in range(4)])

    assert [answer.status_code for answer in answers] == [302] * 4
    assert Shipment.objects.count() == 1


def test_a_lost_commit_sends_one_parcel(clerk: Client, paid: Order) -> None:
    url, form = ship_form(clerk, paid)
    with commit_without_answer(Shipment):
        answer = clerk.post(url, form)

    assert answer.status_code == 302
    assert Shipment.objects.count() == 1
    assert paid.lines.get().shipped_quantity == 1


def test_a_lost_commit_without_a_key_says_to_look(clerk: Client, paid: Order) -> None:
    url, form = ship_form(clerk, paid)
    del form["once"]
    with commit_without_answer(Shipment):
        answer = clerk.post(url, form, headers={"Accept-Language": "en"})

    assert answer.status_code == 503
    assert "look before you do it again" in answer.content.decode()
    assert Shipment.objects.count() == 1


def test_a_form_with_other_values_is_not_taken_for_the_first(clerk: Client, paid: Order) -> None:
    url, form = ship_form(clerk, paid)
    clerk.post(url, form)
    answer = clerk.post(url, {**form, "tracking_number": "SF999999"})

    assert (answer.status_code, answer.url) == (302, url)
    assert [parcel.tracking_number for parcel in Shipment.objects.all()] == ["SF123456"]


def test_a_form_with_errors_may_be_sent_again(clerk: Client, paid: Order) -> None:
    url, form = ship_form(clerk, paid)
    assert clerk.post(url, {**form, "tracking_number": "?"}).status_code == 200
    assert clerk.post(url, form).status_code == 302
    assert Shipment.objects.count() == 1


def test_a_refusal_leaves_the_key_free(clerk: Client, paid: Order) -> None:
    url, form = ship_form(clerk, paid)
    Order.objects.filter(pk=paid.pk).update(status="shipped")
    assert clerk.post(url, form).status_code == 302
    assert not IdempotencyKey.objects.exists()

    Order.objects.filter(pk=paid.pk).update(status="paid")
    clerk.post(url, form)
    assert Shipment.objects.count() == 1


def test_a_key_is_good_for_one_member_of_staff(clerk: Client, paid: Order) -> None:
    url, form = ship_form(clerk, paid)
    other = Client()
    other.force_login(make_staff(username="other"))
    clerk.post(url, form)
    other.post(url, {**form, "tracking_number": "SF654321"})

    assert Shipment.objects.count() == 2


def test_a_product_page_changes_stock_once(clerk: Client) -> None:
    sku = make_sku(stock=100)
    url = reverse("admin:catalog_product_change", args=[sku.product_id])
    page = clerk.get(url)
    form, _asked = page_as_opened(clerk, url)
    form |= {"once": key_in(page), "skus-0-stock_change": "10"}
    for _n in range(2):
        answer = clerk.post(url, form)
        assert answer.status_code == 302, answer.context["errors"]

    assert Sku.objects.get().stock == 110


def test_a_change_of_many_products_is_made_once(clerk: Client) -> None:
    skus = [make_sku(stock=100, product=make_product()) for _n in range(2)]
    url = reverse("admin:catalog_product_changelist")
    chosen = {"_selected_action": [sku.product_id for sku in skus], "action": "change_stocks"}
    asked = clerk.post(url, {**chosen, "once": key_in(clerk.get(url))})
    form = {**chosen, "sure": "1", "delta": "5", "note": "x", "once": key_in(asked)}
    for _n in range(2):
        assert clerk.post(url, form).status_code == 302

    assert [sku.stock for sku in Sku.objects.all()] == [105, 105]


def test_a_coupon_is_given_once(clerk: Client) -> None:
    coupon, customer = make_coupon(per_customer=5), make_customer()
    url = reverse("admin:orders_claimedcoupon_add")
    form = {"coupon": coupon.pk, "user": customer.pk, "once": key_in(clerk.get(url))}
    first, again = clerk.post(url, form), clerk.post(url, form)

    assert (first.status_code, first.url) == (again.status_code, again.url)
    assert ClaimedCoupon.objects.count() == 1


def test_a_product_is_copied_once(clerk: Client) -> None:
    product = make_sku().product
    page = clerk.get(reverse("admin:catalog_product_change", args=[product.pk]))
    forms = page.content.decode().split('id="duplicate"')
    found = re.search(r'name="once" value="(\w+)"', forms[1])
    assert found
    url = reverse("admin:catalog_product_duplicate", args=[product.pk])
    first, again = (clerk.post(url, {"once": found[1]}) for _n in range(2))

    assert first.url == again.url
    assert Product.objects.count() == 2


def test_every_form_of_ours_has_a_key() -> None:
    for template in Path("templates/admin").rglob("*.html"):
        text = template.read_text()
        assert text.count("{% csrf_token %}") == text.count("{% csrf_token %}{% once %}"), template
