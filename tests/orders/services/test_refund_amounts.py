"""What goes back of orders with discounts and freight, and what the ledger says of it."""

from typing import Any

import pytest

from accounts.models import User
from catalog.models import FreightRule, FreightTemplate
from orders.models import LedgerEntry, Order, Payment, Refund
from orders.services.refund_decisions import approve_refund
from tests.conftest import Api
from tests.factories import make_claim, make_product, make_sku, make_staff
from tests.orders.conftest import place
from tests.orders.services.test_audit import run
from tests.orders.services.test_payment import settle_refunds
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)


class Bought:
    """Three pieces at 10.00, freight 5.00, bought with a coupon."""

    def __init__(self, api: Api, sandbox: SandboxProcess, **coupon: Any) -> None:
        self.api, self.sandbox = api, sandbox
        template = FreightTemplate.objects.create(name="包裹", unit="fixed")
        FreightRule.objects.create(template=template, first_fen=500)
        sku = make_sku(product=make_product(freight_template=template), price_fen=1000, stock=10)
        user = User.objects.get()
        claimed = make_claim(user, **coupon)
        body = {"lines": [{"sku": sku.pk, "quantity": 3}], "coupon": claimed.pk}
        body["address"] = user.addresses.get().pk
        quote = api.post("orders/quote/", body).json()
        self.payable = quote["payable_fen"]
        self.number = place(api, sku, quantity=3, off=3000 - self.payable, coupon=claimed.pk)
        params = api.post(f"orders/{self.number}/pay/", {"channel": "wechat"}).json()["params"]
        assert sandbox.pay(params).ok
        api.post(f"payments/{Payment.objects.get().number}/check/")
        self.staff = make_staff()

    def give_back(self, count: int = 1, amount_fen: int | None = None) -> Refund:
        line = Order.objects.get().lines.get().pk
        body = {"lines": [{"line": line, "quantity": count}], "kind": "refund_only", "reason": "x"}
        answer = self.api.ask_refund(self.number, body)
        assert answer.status_code == 201, answer.content
        refund = Refund.objects.get(number=answer.json()["number"])
        return approve_refund(refund, user=self.staff, amount_fen=amount_fen)

    def settle(self) -> None:
        while Refund.objects.exclude(status="succeeded").exists():
            settle_refunds(self)  # type: ignore[arg-type]


def balances() -> dict[str, int]:
    sums: dict[str, int] = {}
    for account, fen in LedgerEntry.objects.values_list("account", "amount_fen"):
        sums[account] = sums.get(account, 0) + fen
    return {account: fen for account, fen in sums.items() if fen}


def test_a_discount_comes_back_to_the_fen(payer: Api, shop: SandboxProcess) -> None:
    """D5: 1.00 off three pieces; one by one, the last with the freight, nothing is left anywhere."""
    bought = Bought(payer, shop, off=100)
    assert bought.payable == 3400
    assert balances() == {"platform:wechat": 3400, "goods": -3000, "freight": -500, "coupons": 100}
    amounts = [bought.give_back().amount_fen for _piece in range(3)]
    assert (amounts, sum(amounts)) == ([966, 967, 1467], 3400)
    assert balances() == {"platform:wechat": 3400, "customer_refunds": -3400}
    bought.settle()
    assert (Order.objects.get().status, shop.net_fen(), balances()) == ("cancelled", 0, {})
    assert run()[0] == 0


def test_freight_that_was_free_does_not_come_back(payer: Api, shop: SandboxProcess) -> None:
    bought = Bought(payer, shop, off=0, kind="freight")
    assert bought.payable == 3000
    order = payer.get(f"orders/{bought.number}/").json()
    assert (order["freight_fen"], order["freight_discount_fen"]) == (500, 500)
    assert bought.give_back(3).amount_fen == 3000
    bought.settle()
    # What was charged and given away in one breath stays in the book as that.
    assert balances() == {"freight": -500, "coupons": 500}
    assert shop.net_fen() == 0
    assert Order.objects.get().claimed_coupon.used_at is None
    assert run()[0] == 0


def test_an_agreement_to_less_keeps_the_rest(payer: Api, shop: SandboxProcess) -> None:
    bought = Bought(payer, shop, off=100)
    bought.give_back(2, amount_fen=1000)
    last = bought.give_back(1)
    assert last.amount_fen == 3400 - 1933
    bought.settle()
    assert shop.net_fen() == 3400 - 1000 - last.amount_fen
    assert run()[0] == 0


def test_the_discount_of_a_lowered_refund_is_its_share(payer: Api, shop: SandboxProcess) -> None:
    bought = Bought(payer, shop, off=300)
    bought.give_back(1, amount_fen=450)
    # Half of a piece of 9.00 that had cost 10.00.
    assert balances()["coupons"] == 250
    assert balances()["goods"] == -2500
