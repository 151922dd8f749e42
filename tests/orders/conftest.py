"""An order at the platform, unpaid."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from django.utils import timezone

from accounts.models import User
from catalog.models import Sku
from miniback.core.transactions import retry
from orders.models import Order, Payment
from orders.services.audit import audit
from tests.conftest import Api
from tests.factories import make_sku
from tests.sandbox_process import SandboxProcess


class Deal(NamedTuple):
    api: Api
    sandbox: SandboxProcess
    user: User
    sku: Sku
    number: str
    payment: Payment
    params: dict[str, str]

    @property
    def order(self) -> Order:
        return Order.objects.get(number=self.number)

    def pay(self, **more: Any) -> None:
        answer = self.sandbox.pay(self.params, **more)
        assert answer.ok, answer.text

    def check(self) -> Any:
        Payment.objects.filter(number=self.payment.number).update(checked_at=None)
        return self.api.post(f"payments/{self.payment.number}/check/")

    def stock(self) -> int:
        return Sku.objects.get(pk=self.sku.pk).stock


def due_now(model: Any) -> None:
    """Nothing of a kind waits any longer."""
    waiting = model.objects.exclude(due_at=None)
    # A notice may be settling the same rows.
    retry(lambda: waiting.update(due_at=timezone.now()))


def place(
    api: Api, sku: Sku, *, quantity: int = 2, key: str = "key-00000001", off: int = 0, **more: Any
) -> str:
    address = api.get("addresses/").json()["results"][0]["id"]
    lines = [{"sku": sku.pk, "quantity": quantity}]
    payable = sku.price_fen * quantity - off
    answer = api.place(key, lines=lines, address=address, payable_fen=payable, **more)
    assert answer.status_code == 201, answer.content
    return answer.json()["number"]


def assert_audit_passes() -> None:
    """Not by the command: its SystemExit in a teardown would leave the rows to the next test."""
    assert [failure for _rule, failure in audit() if failure] == []


@pytest.fixture
def deal(payer: Api, shop: SandboxProcess, request: Any) -> Iterator[Deal]:
    """Two pieces at 19.90, stock of ten, the payment sheet is open. Afterwards the books must agree."""
    sku = make_sku(price_fen=1990, stock=10)
    number = place(payer, sku)
    asked = payer.post(f"orders/{number}/pay/", {"channel": "wechat"})
    assert asked.status_code == 200, asked.content
    payment = Payment.objects.get(number=asked.json()["payment"])
    user = payment.order.user
    yield Deal(payer, shop, user, sku, number, payment, asked.json()["params"])
    if request.node.get_closest_marker("broken_books") is None:
        assert_audit_passes()
