"""Rules of the shop under many clients at once, against real server processes (RELIABILITY 2.1)."""

from collections import Counter
from functools import partial
from typing import Any

import pytest
from django.urls import reverse

from accounts.models import Session
from catalog.models import Product, Review, Sku
from orders.models import Carrier, ClaimedCoupon, Coupon, Order, Refund
from tests.factories import make_claim, make_coupon, make_product, make_sku
from tests.races.conftest import Buyer, Clerk, in_turns, together
from tests.races.crowd import OpenShop, assert_stock_adds_up, buyers, report
from tests.sandbox_process import SandboxProcess, until

pytestmark = pytest.mark.races


def codes(answers: list[Any]) -> Counter[str]:
    return Counter(
        answer.json()["code"] if answer.status_code >= 400 else "ok" for answer in answers
    )


def paid_order(buyer: Buyer, platform: SandboxProcess, sku: Sku, quantity: int = 2) -> Order:
    lines = [{"sku": sku.pk, "quantity": quantity}]
    number = buyer.place("key-00000001", sku.price_fen * quantity, lines=lines).json()["number"]
    asked = buyer.call("POST", f"orders/{number}/pay/", {"channel": "wechat"}).json()
    assert platform.pay(asked["params"], openid=buyer.openid).ok
    until(lambda: Order.objects.get(number=number).status == "paid")
    return Order.objects.get(number=number)


# Coupons


def test_one_coupon_in_fifty_orders(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """C8, T09: one order has it, 49 are told so."""
    sku = make_sku(stock=100)
    [buyer] = buyers(open_shop(), platform, 1)
    address_owner = Session.objects.get().user
    claimed = make_claim(address_owner, off=100)
    lines = [{"sku": sku.pk, "quantity": 1}]
    answers = together(
        [
            partial(buyer.place, f"key-{n:08d}", 1890, lines=lines, coupon=claimed.pk)
            for n in range(50)
        ]
    )
    assert codes(answers) == {"ok": 1, "coupon_not_usable": 49}
    assert Order.objects.filter(claimed_coupon=claimed).count() == 1
    assert Sku.objects.get().stock == 99
    assert_stock_adds_up()


def test_300_customers_and_100_coupons(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """C9: three tries each at the same instant; 100 claims, nobody has two."""
    coupon = make_coupon(quota=100)
    shop = open_shop()
    crowd = in_turns([partial(Buyer, shop, platform, f"o-{n}") for n in range(300)])
    acts = [partial(buyer.call, "POST", f"coupons/{coupon.pk}/claim/") for buyer in crowd] * 3
    answers = in_turns(acts, width=100)

    report(case="C9", answers=dict(codes(answers)))
    assert codes(answers)["ok"] == 100
    assert set(codes(answers)) <= {"ok", "coupons_gone", "coupon_limit"}
    owners = list(ClaimedCoupon.objects.values_list("user", flat=True))
    assert len(owners) == len(set(owners)) == Coupon.objects.get().claimed_count == 100


# Refunds


def test_two_clerks_approve_at_once(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """C13: one refund goes out; the others see why not."""
    shop = open_shop(jobs=True)
    sku = make_sku(stock=10)
    [buyer] = buyers(shop, platform, 1)
    order = paid_order(buyer, platform, sku)
    body = {"lines": [{"line": order.lines.get().pk, "quantity": 2}], "reason": "不想要了"}
    buyer.ask_refund(order.number, {**body, "kind": "refund_only"})
    refund = Refund.objects.get()
    page = reverse("admin:orders_refund_approve", args=[refund.pk]).removeprefix("/admin/")
    clerks = [Clerk(shop, f"clerk{n}") for n in range(2)]
    answers = together([partial(clerk.post, page, decision="") for clerk in clerks])

    assert {answer.status_code for answer in answers} == {200}
    assert sum('class="error"' in answer.text for answer in answers) == 1
    until(lambda: Order.objects.get().status == "cancelled", seconds=60)
    assert [row["amount_fen"] for row in platform.ledger()["refunds"]] == [3980]
    assert platform.net_fen() == 0
    assert_stock_adds_up()


def test_ten_refunds_of_three_tenths(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """C14: three are taken, the rest is told that less is left."""
    sku = make_sku(stock=100)
    [buyer] = buyers(open_shop(), platform, 1)
    order = paid_order(buyer, platform, sku, quantity=10)
    body = {"lines": [{"line": order.lines.get().pk, "quantity": 3}], "reason": "不想要了"}
    answers = together(
        [partial(buyer.ask_refund, order.number, {**body, "kind": "refund_only"})] * 10
    )
    assert codes(answers) == {"ok": 3, "over_refund": 7}
    assert sum(Refund.objects.values_list("amount_fen", flat=True)) == 3 * 3 * 1990
    assert_stock_adds_up()


def test_shipping_against_a_refund(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """C18: if it was sent first, the refund is of sent goods; else it is not sent."""
    shop = open_shop()
    sku = make_sku(stock=10)
    [buyer] = buyers(shop, platform, 1)
    order = paid_order(buyer, platform, sku)
    body = {"lines": [{"line": order.lines.get().pk, "quantity": 2}], "reason": "不想要了"}
    clerk = Clerk(shop, "clerk")
    page = reverse("admin:orders_order_ship", args=[order.pk]).removeprefix("/admin/")
    carrier = Carrier.objects.get_or_create(code="SF", defaults={"name": "顺丰速运"})[0].pk
    together(
        [
            lambda: clerk.post(page, carrier=carrier, tracking_number="SF123456").status_code,
            lambda: buyer.ask_refund(order.number, {**body, "kind": "refund_only"}).status_code,
        ]
    )
    order.refresh_from_db()
    report(case="C18", status=order.status)
    assert Refund.objects.get().is_shipped == (order.status == "shipped")
    assert_stock_adds_up()


# Staff at work while customers buy


def product_form(sku: Sku, *, price: str, change: str = "") -> dict[str, str]:
    """What the product page sends, as it was opened."""
    product = sku.product
    form = {
        "name": product.name, "category": str(product.category_id), "status": "on_sale",
        "subtitle": "", "detail_html": "",
        "skus-TOTAL_FORMS": "1", "skus-INITIAL_FORMS": "1",
        "skus-0-id": str(sku.pk), "skus-0-product": str(product.pk), "skus-0-code": sku.code,
        "skus-0-options": '{"规格": "100克"}', "skus-0-price_fen": price, "skus-0-weight_g": "0",
        "skus-0-is_active": "on", "skus-0-stock_change": change,
    }  # fmt: skip
    for prefix in ("options", "pictures"):
        form |= {f"{prefix}-TOTAL_FORMS": "0", f"{prefix}-INITIAL_FORMS": "0"}
    return form


def test_staff_save_a_product_while_it_sells(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """C15: the form was opened before 30 orders; only staff's change counts."""
    shop = open_shop()
    sku = make_sku(product=make_product(), stock=100)
    form = product_form(sku, price="19.90", change="5")
    crowd = buyers(shop, platform, 30)
    clerk = Clerk(shop, "clerk")
    page = reverse("admin:catalog_product_change", args=[sku.product_id]).removeprefix("/admin/")
    lines = [{"sku": sku.pk, "quantity": 1}]
    acts = [partial(buyer.place, "key-00000001", 1990, lines=lines) for buyer in crowd]
    answers = together([*acts, partial(clerk.post, page, **form)])

    assert Counter(answer.status_code for answer in answers) == {201: 30, 200: 1}
    assert Sku.objects.get().stock == 100 - 30 + 5
    assert_stock_adds_up()


def test_the_price_changes_while_it_sells(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """C16: every order is of one price, whole, and the one its customer saw."""
    shop = open_shop()
    sku = make_sku(product=make_product(), stock=1000)
    crowd = buyers(shop, platform, 50)
    clerk = Clerk(shop, "clerk")
    page = reverse("admin:catalog_product_change", args=[sku.product_id]).removeprefix("/admin/")
    lines = [{"sku": sku.pk, "quantity": 2}]

    def order(buyer: Buyer, number: int) -> Any:
        seen = 2 * (1990 if number % 2 else 2990)
        return buyer.place(f"key-{number:08d}", seen, lines=lines)

    acts = [partial(order, crowd[n % 50], n) for n in range(100)]
    edits = [partial(clerk.post, page, **product_form(sku, price="29.90"))]
    answers = in_turns([*acts[:50], *edits, *acts[50:]], width=24)
    placed = [answer for answer in answers if answer.status_code == 201]

    assert {answer.status_code for answer in answers} == {200, 201, 409}
    assert len(placed) == Order.objects.count() > 0
    for made in Order.objects.prefetch_related("lines"):
        [line] = made.lines.all()
        assert (line.unit_fen, made.goods_fen) in {(1990, 3980), (2990, 5980)}
        assert made.payable_fen == made.goods_fen
    assert Product.objects.get().price_fen == 2990
    assert_stock_adds_up()


def test_the_cart_changes_while_it_is_ordered(
    open_shop: OpenShop, platform: SandboxProcess
) -> None:
    """C17, ACIDRain: the order is of one state of the cart, and costs what its lines cost."""
    shop = open_shop()
    product = make_product()
    skus = [make_sku(product=product, stock=10_000, price_fen=fen) for fen in (1000, 3000)]
    crowd = buyers(shop, platform, 20)

    def duel(buyer: Buyer, round_: int) -> list[int]:
        first = buyer.call("POST", "cart/lines/", {"sku": skus[0].pk, "quantity": 1}).json()
        seen = 1000

        def grow() -> int:
            more = {"quantity": 5, "is_selected": True}
            return buyer.call("PUT", f"cart/lines/{first['id']}/", more).status_code

        def add() -> int:
            return buyer.call("POST", "cart/lines/", {"sku": skus[1].pk, "quantity": 1}).status_code

        def buy() -> int:
            return buyer.place(f"key-{round_:08d}", seen, from_cart=True).status_code

        return together([grow, buy, add])

    outcomes = in_turns([partial(duel, buyer, n) for n, buyer in enumerate(crowd)], width=5)
    assert {status for trio in outcomes for status in trio} <= {200, 201, 404, 409}
    for made in Order.objects.prefetch_related("lines"):
        assert made.payable_fen == sum(line.total_fen for line in made.lines.all()) == 1000
    assert_stock_adds_up()


# Once


def test_twenty_reviews_of_one_line(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """C21."""
    sku = make_sku(stock=10)
    [buyer] = buyers(open_shop(), platform, 1)
    order = paid_order(buyer, platform, sku)
    Order.objects.update(status="completed")
    body = {"reviews": [{"line": order.lines.get().pk, "rating": 5}]}
    answers = together([partial(buyer.call, "POST", f"orders/{order.number}/reviews/", body)] * 20)
    assert codes(answers) == {"ok": 1, "already_reviewed": 19}
    assert Review.objects.count() == 1


def test_twenty_refreshes_of_one_token(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """C22: one gets tokens, the others are told of them; the session lives."""
    shop = open_shop()
    buyer = Buyer(shop, platform, "o-fresh")
    code = platform.code("o-fresh")
    tokens = buyer.call("POST", "auth/login/", {"platform": "wechat", "code": code}).json()
    body = {"refresh": tokens["refresh"]}
    answers = together([partial(buyer.call, "POST", "auth/refresh/", body)] * 20)
    assert codes(answers) == {"ok": 1, "refresh_superseded": 19}
    assert not Session.objects.exclude(revoked_at=None).exists()
