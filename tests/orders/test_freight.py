"""Freight: the arithmetic, and what a quote and an order make of it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from catalog.models import FreightRule, FreightTemplate, Product, Sku
from orders.freight import FIXED, PIECE, WEIGHT, Load, Place, Rule, freight_of, rule_for
from orders.models import Order
from tests.conftest import Api
from tests.factories import make_address, make_product, make_sku

HANGZHOU = Place("浙江省", "杭州市", "330106")
URUMQI = Place("新疆维吾尔自治区", "乌鲁木齐市", "650102")


def rule(*regions: str, **changes: Any) -> Rule:
    values = {
        "is_served": True, "first_units": 1, "first_fen": 600, "extra_units": 1, "extra_fen": 100,
        "free_from_fen": None, "free_from_units": None,
    }  # fmt: skip
    return Rule(regions=regions, **{**values, **changes})


def load(
    *rules: Rule, unit: str = PIECE, pieces: int = 1, weight_g: int = 0, fen: int = 1000
) -> Load:
    return Load(unit, rules, pieces, weight_g, fen)


@pytest.mark.parametrize(("pieces", "fen"), [(1, 600), (2, 700), (5, 1000)])
def test_by_piece(pieces: int, fen: int) -> None:
    assert freight_of(load(rule(), pieces=pieces), HANGZHOU) == fen


@pytest.mark.parametrize(
    ("weight", "fen"), [(0, 600), (1000, 600), (1001, 800), (1500, 800), (1501, 1000)]
)
def test_by_weight(weight: int, fen: int) -> None:
    kilo = rule(first_units=1000, extra_units=500, extra_fen=200)
    assert freight_of(load(kilo, unit=WEIGHT, weight_g=weight), HANGZHOU) == fen


def test_fixed_and_free() -> None:
    assert freight_of(load(rule(), unit=FIXED, pieces=9), HANGZHOU) == 600
    assert freight_of(load(rule(free_from_fen=9900), fen=9899), HANGZHOU) == 600
    assert freight_of(load(rule(free_from_fen=9900), fen=9900), HANGZHOU) == 0
    assert freight_of(load(rule(free_from_units=3), pieces=3), HANGZHOU) == 0
    assert freight_of(load(rule(extra_units=0), pieces=9), HANGZHOU) == 600


def test_the_most_exact_rule_counts() -> None:
    everywhere, province, city = rule(), rule("浙江省", "65"), rule("杭州市")
    district = rule("330106")
    rules = [everywhere, province, city, district]
    assert rule_for(rules, HANGZHOU) == district
    assert rule_for(rules[:3], HANGZHOU) == city
    assert rule_for(rules[:2], HANGZHOU) == province
    assert rule_for(rules, URUMQI) == province
    assert rule_for(rules, None) == everywhere
    assert rule_for([province], Place("广东省", "广州市", "")) is None


def test_places_that_are_not_served() -> None:
    rules = (rule(), rule("新疆维吾尔自治区", is_served=False))
    assert freight_of(load(*rules), HANGZHOU) == 600
    assert freight_of(load(*rules), URUMQI) is None
    assert freight_of(load(), HANGZHOU) is None


@given(st.integers(1, 5000), st.integers(0, 5000), st.integers(0, 5000))
def test_more_never_costs_less(units: int, extra: int, fen: int) -> None:
    one = rule(first_units=3, extra_units=extra, extra_fen=fen)
    assert freight_of(load(one, pieces=units), HANGZHOU) <= freight_of(
        load(one, pieces=units + 1), HANGZHOU
    )


# In the shop


@pytest.fixture
def charged(db: None) -> Sku:
    """Six yuan for the first piece, one for each further; not to Xinjiang; free from 100 yuan."""
    template = FreightTemplate.objects.create(name="普通")
    FreightRule.objects.create(
        template=template, first_fen=600, extra_fen=100, free_from_fen=10_000
    )
    FreightRule.objects.create(template=template, regions=["新疆维吾尔自治区"], is_served=False)
    return make_sku(product=make_product(freight_template=template), price_fen=1990)


def lines(sku: Sku, quantity: int) -> list[dict[str, int]]:
    return [{"sku": sku.pk, "quantity": quantity}]


def test_quote_and_order_agree(api: Api, customer: User, charged: Sku) -> None:
    address = make_address(customer).pk
    quote = api.post("orders/quote/", {"lines": lines(charged, 2), "address": address}).json()
    assert (quote["freight_fen"], quote["payable_fen"]) == (700, 4680)
    assert api.post("orders/quote/", {"lines": lines(charged, 6)}).json()["freight_fen"] == 0

    wrong = api.place(lines=lines(charged, 2), address=address, payable_fen=3980)
    assert wrong.json()["code"] == "price_changed"
    placed = api.place(lines=lines(charged, 2), address=address, payable_fen=4680)
    assert placed.status_code == 201
    order = Order.objects.get()
    assert (order.goods_fen, order.freight_fen, order.payable_fen) == (3980, 700, 4680)


def test_two_templates_charge_each(api: Api, customer: User, charged: Sku) -> None:
    template = FreightTemplate.objects.create(name="大件", unit="weight")
    FreightRule.objects.create(
        template=template, first_units=1000, first_fen=2000, extra_units=1000, extra_fen=500
    )
    heavy = make_sku(product=make_product(freight_template=template), weight_g=1500)
    free = make_sku()
    wanted = lines(charged, 1) + lines(heavy, 1) + lines(free, 5)
    assert api.post("orders/quote/", {"lines": wanted}).json()["freight_fen"] == 600 + 2500


def test_where_it_is_not_delivered(api: Api, customer: User, charged: Sku) -> None:
    far = make_address(
        customer, province="新疆维吾尔自治区", city="乌鲁木齐市", region_code="650102"
    ).pk
    quote = api.post("orders/quote/", {"lines": lines(charged, 1), "address": far}).json()
    assert quote["problems"] == [{"sku": charged.pk, "code": "not_delivered"}]
    answer = api.place(lines=lines(charged, 1), address=far, payable_fen=1990)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_delivered")
    assert not Order.objects.exists()
    assert Sku.objects.get().stock == 100


def test_a_quote_needs_ones_own_address(api: Api, charged: Sku, stranger: User) -> None:
    theirs = make_address(stranger).pk
    answer = api.post("orders/quote/", {"lines": lines(charged, 1), "address": theirs})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("count", [1, 50])
def test_queries_of_a_quote_with_freight(
    api: Api, customer: User, charged: Sku, django_assert_num_queries: Any, count: int
) -> None:
    address = make_address(customer).pk
    wanted = [
        line for _ in range(count) for line in lines(make_sku(product=Product.objects.get()), 1)
    ]
    with django_assert_num_queries(6):
        api.post("orders/quote/", {"lines": wanted, "address": address})
