"""Many clients at once against real server processes (RELIABILITY 2.1)."""

import random
import time
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db.models import Sum
from django.utils import timezone

from accounts.models import User
from catalog.models import Sku, StockMovement
from miniback.core.models import JobLease
from orders.models import Order, Payment, Refund
from tests.factories import make_product, make_sku
from tests.races.conftest import Buyer, Shop, in_turns, together
from tests.races.crowd import OpenShop, assert_stock_adds_up, buyers, report, sold
from tests.sandbox_process import SandboxProcess, until

pytestmark = pytest.mark.races

PAIRS = 500


def rush(crowd: list[Buyer], sku: Sku, quantities: list[int]) -> tuple[Counter[int], list[float]]:
    """Everybody orders at the same instant. Answers by status, and seconds."""

    def order(number: int, buyer: Buyer) -> tuple[int, float]:
        started = time.monotonic()
        lines = [{"sku": sku.pk, "quantity": quantities[number]}]
        answer = buyer.place(f"key-{number:08d}", sku.price_fen * quantities[number], lines=lines)
        if answer.status_code == 409:
            assert answer.json()["code"] == "out_of_stock"
        return answer.status_code, time.monotonic() - started

    answers = together([partial(order, number, buyer) for number, buyer in enumerate(crowd)])
    return Counter(status for status, _s in answers), sorted(
        seconds for _status, seconds in answers
    )


def test_200_buyers_of_50_pieces(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """C1: exactly 50 sold, 150 told so, no 5xx."""
    sku = make_sku(stock=50)
    crowd = buyers(open_shop(), platform, 200)
    answers, seconds = rush(crowd, sku, [1] * 200)

    report(case="C1", answers=dict(answers), p50=seconds[100], p99=seconds[197])
    assert answers == {201: 50, 409: 150}
    assert (sold(sku), Sku.objects.get().stock) == (50, 0)
    assert StockMovement.objects.filter(kind="reserve").count() == 50
    assert_stock_adds_up()


def test_mixed_quantities(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """C2: sold and left make 50; nothing is partly filled."""
    sku = make_sku(stock=50)
    crowd = buyers(open_shop(), platform, 60)
    answers, _seconds = rush(crowd, sku, [1 + n % 3 for n in range(60)])

    assert set(answers) == {201, 409}
    assert sold(sku) + Sku.objects.get().stock == 50
    assert Order.objects.filter(lines__isnull=True).count() == 0
    assert_stock_adds_up()


def test_the_control_oversells(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """C3: with the guard off it goes wrong, so the races above can fail."""
    sku = make_sku(stock=50)
    crowd = buyers(open_shop("tests.races.control:application"), platform, 200)
    answers, _seconds = rush(crowd, sku, [1] * 200)

    report(case="C3 control", answers=dict(answers), sold=sold(sku), left=Sku.objects.get().stock)
    assert sold(sku) > 50


def test_carts_in_any_order(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """C4: no deadlock reaches a customer."""
    product = make_product()
    skus = [make_sku(product=product, stock=1000) for _ in range(8)]
    crowd = buyers(open_shop(), platform, 100)
    chance = random.Random(4)

    def order(number: int, buyer: Buyer) -> int:
        chosen = chance.sample(skus, chance.randrange(2, 6))
        lines = [{"sku": sku.pk, "quantity": 1} for sku in chosen]
        return buyer.place(f"key-{number:08d}", 1990 * len(lines), lines=lines).status_code

    acts = [partial(order, number, crowd[number % 100]) for number in range(200)]
    assert Counter(together(acts)) == {201: 200}
    assert_stock_adds_up()


def test_one_key_twenty_times(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """C5: one order, and everybody gets it."""
    sku = make_sku(stock=50)
    [buyer] = buyers(open_shop(), platform, 1)
    lines = [{"sku": sku.pk, "quantity": 1}]
    answers = together([partial(buyer.place, "key-00000001", 1990, lines=lines)] * 20)

    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 19}
    assert len({answer.json()["number"] for answer in answers}) == 1
    assert (Order.objects.count(), Sku.objects.get().stock) == (1, 49)


def test_one_cart_twenty_keys(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """C6: a cart line is spent once."""
    sku = make_sku(stock=50)
    [buyer] = buyers(open_shop(), platform, 1)
    buyer.call("POST", "cart/lines/", {"sku": sku.pk, "quantity": 2})
    acts = [partial(buyer.place, f"key-{n:08d}", 3980, from_cart=True) for n in range(20)]
    answers = together(acts)

    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 19}
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"cart_empty"}
    assert (Order.objects.count(), Sku.objects.get().stock) == (1, 48)


def test_fifty_cancels_over_http(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """C12."""
    sku = make_sku(stock=10)
    [buyer] = buyers(open_shop(), platform, 1)
    lines = [{"sku": sku.pk, "quantity": 3}]
    number = buyer.place("key-00000001", 5970, lines=lines).json()["number"]
    answers = together([partial(buyer.call, "POST", f"orders/{number}/cancel/", {})] * 50)

    assert Counter(answer.status_code for answer in answers) == {200: 50}
    assert Sku.objects.get().stock == 10
    assert_stock_adds_up()


def test_first_logins_of_one_person(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """C19: 20 at once, one user."""
    shop = open_shop()
    together([partial(Buyer, shop, platform, "o-same")] * 20)
    assert User.objects.count() == 1


def test_fifty_customers_log_in_at_the_same_instant(
    open_shop: OpenShop, platform: SandboxProcess
) -> None:
    """50 answers of 200 (Buyer asserts each)."""
    shop = open_shop()
    together([partial(Buyer, shop, platform, f"o-{n}") for n in range(50)])
    assert User.objects.count() == 50


# Cancel, or time, against the notice


def open_payments(
    shop: Shop, platform: SandboxProcess, count: int, price_fen: int = 1990
) -> list[tuple[Buyer, str, dict[str, str]]]:
    sku = make_sku(stock=10_000, price_fen=price_fen)
    crowd = buyers(shop, platform, 20)

    def prepare(number: int) -> tuple[Buyer, str, dict[str, str]]:
        buyer = crowd[number % 20]
        lines = [{"sku": sku.pk, "quantity": 1}]
        order = buyer.place(f"key-{number:08d}", price_fen, lines=lines).json()["number"]
        # A host that was too slow twice is left alone for half a minute.
        path = f"orders/{order}/pay/"
        asked = until(lambda: buyer.call("POST", path, {"channel": "wechat"}), seconds=90)
        return buyer, order, asked.json()["params"]

    return in_turns([partial(prepare, number) for number in range(count)])


def assert_settled(platform: SandboxProcess) -> Counter[str]:
    """Each order is paid and kept, or cancelled with its money back; the platform agrees to the fen."""

    def unsettled() -> list[Any]:
        waiting = Payment.objects.filter(status__in=["created", "unknown"])
        return [
            *waiting.values_list("number", flat=True),
            *Refund.objects.exclude(status="succeeded").values_list("number", flat=True),
        ]

    until(lambda: not unsettled(), seconds=120)
    outcomes: Counter[str] = Counter()
    for order in Order.objects.prefetch_related("payments__refunds"):
        [payment] = order.payments.all()
        back = sum(refund.amount_fen for refund in payment.refunds.all())
        kept = (payment.amount_fen if payment.status == "paid" else 0) - back
        assert order.status in {"paid", "cancelled"}, order.status
        assert kept == (order.payable_fen if order.status == "paid" else 0)
        assert payment.is_applied == (order.status == "paid")
        outcomes["refunded" if back else order.status] += 1
    paid = Order.objects.filter(status="paid").aggregate(sum=Sum("payable_fen"))["sum"] or 0
    assert platform.net_fen() == paid
    numbers = [row["out_refund_no"] for row in platform.ledger()["refunds"]]
    assert len(numbers) == len(set(numbers)) == outcomes["refunded"]
    assert_stock_adds_up()
    return outcomes


def test_cancel_against_notice(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """C10, T15: 500 pairs."""
    shop = open_shop(jobs=True)
    deals = open_payments(shop, platform, PAIRS)
    chance = random.Random(10)

    def pair(buyer: Buyer, number: str, params: dict[str, str], lead: float) -> list[int]:
        def cancel() -> int:
            time.sleep(max(lead, 0))
            return buyer.call("POST", f"orders/{number}/cancel/", {}).status_code

        def pay() -> int:
            time.sleep(max(-lead, 0))
            return platform.pay(params, openid=buyer.openid).status_code

        return together([cancel, pay])

    leads = [chance.uniform(-0.05, 0.4) for _deal in deals]
    answers = in_turns(
        [partial(pair, *deal, lead) for deal, lead in zip(deals, leads, strict=True)], 8
    )
    outcomes = assert_settled(platform)

    report(case="C10", outcomes=dict(outcomes))
    assert {status for cancel, _pay in answers for status in [cancel]} <= {200, 409}
    assert outcomes["paid"] > 0
    assert outcomes["refunded"] + outcomes["cancelled"] > 0


def test_time_against_notice(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """C11: the sweep that closes unpaid orders, against 500 payments."""
    shop = open_shop(jobs=True)
    deals = open_payments(shop, platform, PAIRS)
    chance = random.Random(11)
    # The sweep goes by age; payments come in any order.
    chance.shuffle(deals)

    def pay(buyer: Buyer, number: str, params: dict[str, str]) -> int:
        time.sleep(chance.uniform(0, 2))
        return platform.pay(params, openid=buyer.openid).status_code

    Order.objects.update(pay_before=timezone.now() - timedelta(seconds=30))
    JobLease.objects.filter(name__startswith="close_unpaid_orders").update(due_at=timezone.now())
    # However late the sweep sets out, the payments come while it is at work.
    until(lambda: Order.objects.filter(status="cancelled").exists(), seconds=120)
    in_turns([partial(pay, *deal) for deal in deals], 64)
    until(lambda: not Order.objects.filter(status="pending_payment").exists(), seconds=120)
    outcomes = assert_settled(platform)

    report(case="C11", outcomes=dict(outcomes))
    assert outcomes["paid"] > 0
    assert outcomes["cancelled"] > 0
