import pytest

from accounts.models import User
from catalog.models import Product, ProductStatus, Sku
from orders.models import CartLine
from tests.conftest import Api
from tests.factories import make_product, make_sku

pytestmark = pytest.mark.django_db


def test_adding_merges_with_the_line_that_is_there(api: Api, sku: Sku) -> None:
    api.post("cart/lines/", {"sku": sku.pk, "quantity": 2})
    answer = api.post("cart/lines/", {"sku": sku.pk, "quantity": 3})

    assert answer.json()["quantity"] == 5
    assert api.get("cart/count/").json() == {"count": 5}
    assert CartLine.objects.count() == 1


def test_a_line_has_an_end(api: Api, sku: Sku) -> None:
    api.post("cart/lines/", {"sku": sku.pk, "quantity": 999})
    answer = api.post("cart/lines/", {"sku": sku.pk, "quantity": 1})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many")
    assert CartLine.objects.get().quantity == 999


def test_a_cart_has_an_end(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orders.services.cart.MAX_CART_LINES", 1)
    product = make_product()
    api.post("cart/lines/", {"sku": make_sku(product=product).pk, "quantity": 1})
    answer = api.post("cart/lines/", {"sku": make_sku(product=product).pk, "quantity": 1})
    assert answer.json()["code"] == "cart_full"


def test_what_is_not_on_sale_cannot_be_added(api: Api, sku: Sku) -> None:
    Product.objects.update(status=ProductStatus.OFF_SALE)
    for sku_id in (sku.pk, 999):
        answer = api.post("cart/lines/", {"sku": sku_id, "quantity": 1})
        assert (answer.status_code, answer.json()) == (
            409,
            {"code": "off_sale", "detail": answer.json()["detail"], "sku": sku_id},
        )


def test_lines_with_a_problem_stay_visible_and_are_not_counted(api: Api) -> None:
    product = make_product()
    good, short, gone = (make_sku(product=product, stock=5) for _ in range(3))
    for row in (good, short, gone):
        api.post("cart/lines/", {"sku": row.pk, "quantity": 2})
    Sku.objects.filter(pk=short.pk).update(stock=1)
    Sku.objects.filter(pk=gone.pk).update(is_active=False)

    cart = api.get("cart/").json()
    assert {line["sku"]: line["problem"] for line in cart["lines"]} == {
        good.pk: "", short.pk: "out_of_stock", gone.pk: "off_sale",
    }  # fmt: skip
    assert cart["goods_fen"] == 2 * good.price_fen


def test_prices_are_todays(api: Api, sku: Sku) -> None:
    api.post("cart/lines/", {"sku": sku.pk, "quantity": 1})
    Sku.objects.update(price_fen=1)
    assert api.get("cart/").json()["goods_fen"] == 1


def test_lines_can_be_changed_selected_and_removed(api: Api) -> None:
    product = make_product()
    lines = [
        api.post("cart/lines/", {"sku": make_sku(product=product).pk, "quantity": 1}).json()["id"]
        for _ in range(2)
    ]
    api.put(f"cart/lines/{lines[0]}/", {"quantity": 4, "is_selected": True})
    assert (
        api.put("cart/selection/", {"lines": [lines[1]], "is_selected": False}).status_code == 204
    )
    assert api.get("cart/").json()["goods_fen"] == 4 * 1990
    api.put("cart/selection/", {"lines": None, "is_selected": True})
    assert api.get("cart/").json()["goods_fen"] == 5 * 1990
    assert api.delete(f"cart/lines/{lines[0]}/").status_code == 204
    assert api.get("cart/count/").json() == {"count": 1}


def test_somebody_elses_line_is_not_found(api: Api, stranger_api: Api, sku: Sku) -> None:
    """T13."""
    line = api.post("cart/lines/", {"sku": sku.pk, "quantity": 1}).json()["id"]
    change = {"quantity": 9, "is_selected": True}
    assert stranger_api.put(f"cart/lines/{line}/", change).status_code == 404
    assert stranger_api.delete(f"cart/lines/{line}/").status_code == 404
    stranger_api.put("cart/selection/", {"lines": [line], "is_selected": False})
    row = CartLine.objects.get()
    assert (row.quantity, row.is_selected) == (1, True)


def test_queries_of_the_cart(api: Api, customer: User, django_assert_num_queries) -> None:
    product = make_product()
    for count in (1, 49):
        for _ in range(count):
            CartLine.objects.create(user=customer, sku=make_sku(product=product), quantity=1)
        with django_assert_num_queries(2):
            api.get("cart/")
        with django_assert_num_queries(2):
            api.get("cart/count/")
