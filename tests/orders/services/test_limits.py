"""Purchase limits per product and customer."""

from typing import Any

import pytest

from accounts.models import User
from catalog.models import Product, Sku
from orders.models import Order
from orders.services.checkout import place_order
from tests.conftest import Api
from tests.factories import make_address, make_customer, make_product, make_sku
from tests.threads import together

pytestmark = pytest.mark.django_db


@pytest.fixture
def address(customer: User) -> int:
    return make_address(customer).pk


@pytest.fixture
def limited(db: None) -> Product:
    """Three a customer, of either size."""
    return make_product(purchase_limit=3)


def order(api: Api, address: int, *wanted: tuple[Sku, int], key: str = "key-00000001") -> Any:
    lines = [{"sku": sku.pk, "quantity": count} for sku, count in wanted]
    payable = sum(sku.price_fen * count for sku, count in wanted)
    return api.place(key, lines=lines, address=address, payable_fen=payable)


def test_a_limit_counts_every_size_and_every_order(
    api: Api, address: int, limited: Product
) -> None:
    small, large = make_sku(product=limited), make_sku(product=limited)
    assert order(api, address, (small, 1), (large, 1)).status_code == 201
    answer = order(api, address, (small, 2), key="key-00000002")
    assert (answer.status_code, answer.json()["code"]) == (409, "over_limit")
    assert (answer.json()["sku"], answer.json()["left"]) == (small.pk, 1)
    assert Sku.objects.get(pk=small.pk).stock == 99
    assert order(api, address, (large, 1), key="key-00000003").status_code == 201


def test_what_was_cancelled_does_not_count(api: Api, address: int, limited: Product) -> None:
    sku = make_sku(product=limited)
    number = order(api, address, (sku, 3)).json()["number"]
    assert order(api, address, (sku, 1), key="key-00000002").json()["code"] == "over_limit"
    api.post(f"orders/{number}/cancel/", {})
    assert order(api, address, (sku, 3), key="key-00000003").status_code == 201


def test_another_customer_has_his_own(api: Api, address: int, limited: Product) -> None:
    sku = make_sku(product=limited)
    order(api, address, (sku, 3))
    other = make_customer()
    assert order(Api(other), make_address(other).pk, (sku, 3)).status_code == 201


def test_quote_and_cart_say_it(api: Api, address: int, limited: Product) -> None:
    """Every problem of a line is named."""
    sku = make_sku(product=limited, stock=3)
    wanted = {"lines": [{"sku": sku.pk, "quantity": 4}]}
    assert api.post("orders/quote/", wanted).json()["problems"] == [
        {"code": "out_of_stock", "sku": sku.pk, "left": 3},
        {"code": "over_limit", "sku": sku.pk, "left": 3},
    ]
    order(api, address, (sku, 1))
    Sku.objects.update(stock=100)
    api.post("cart/lines/", {"sku": sku.pk, "quantity": 3})
    cart = api.get("cart/").json()
    assert [line["problem"] for line in cart["lines"]] == ["over_limit"]
    assert cart["goods_fen"] == 0


@pytest.mark.django_db(transaction=True)
def test_a_limit_holds_at_once() -> None:
    """Two sizes, so that no row of stock makes one order wait for the other."""
    user = make_customer()
    product = make_product(purchase_limit=3)
    skus = [make_sku(product=product) for _ in range(4)]
    address = make_address(user).pk

    def buy(sku: Sku) -> Order:
        return place_order(
            user, quantities={sku.pk: 2}, address_id=address, payable_fen=2 * sku.price_fen
        )

    outcomes = together([lambda sku=sku: buy(sku) for sku in skus * 2])
    assert sum(isinstance(outcome, Order) for outcome in outcomes) == 1
    assert {getattr(outcome, "code", "ok") for outcome in outcomes} == {"ok", "over_limit"}
