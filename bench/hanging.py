"""One platform hangs, its connections accepted and never answered: how long do the others' payments take?"""

import time
from datetime import timedelta
from functools import partial
from typing import Any

import requests
from django.utils import timezone

from catalog.models import Sku
from miniback.core import outbox
from miniback.core.models import Lane
from orders.models import MessageConsent, MessageTemplate, Order, Payment
from orders.services.messages import SEND_MESSAGE
from tests.races.conftest import Buyer
from tests.sandbox_process import SandboxProcess, until

# What hangs, by the sandbox's name of it, and the wallet that goes on.
HEALTHY = {"alipay": "wechat", "wechatpay": "alipay", "wechat": "alipay"}
WALLETS = {"alipay": "alipay", "wechatpay": "wechat"}
WORK, SETTLEMENTS, MESSAGES = 20, 8, 100
LIMIT_SECONDS = 10.0


class Hanging:
    """``hanging`` has work waiting, all of it due; then it hangs."""

    def __init__(self, sandbox: SandboxProcess, hanging: str, crowd: list[Buyer], sku: Sku) -> None:
        self.sandbox, self.hanging, self.sku = sandbox, hanging, sku
        self.buyers = {buyer.platform: buyer for buyer in crowd}
        self.count = 0

    def open_payment(self, wallet: str) -> tuple[str, dict[str, str]]:
        number, asked = self.ask_to_pay(wallet)
        assert asked.status_code == 200, asked.text
        return number, asked.json()["params"]

    def ask_to_pay(self, wallet: str) -> tuple[str, requests.Response]:
        buyer, self.count = self.buyers[wallet], self.count + 1
        lines = [{"sku": self.sku.pk, "quantity": 1}]
        key = f"hang-{self.hanging}-{self.count:06d}"
        number = buyer.place(key, self.sku.price_fen, lines=lines).json()["number"]
        return number, buyer.call("POST", f"orders/{number}/pay/", {"channel": wallet})

    def prepare(self) -> None:
        """Payments to ask about, overdue orders to close; of WeChat's API, messages to send."""
        if wallet := WALLETS.get(self.hanging):
            numbers = [self.open_payment(wallet)[0] for _ in range(WORK)]
            mine = Order.objects.filter(number__in=numbers)
            Payment.objects.filter(order__in=mine).update(due_at=timezone.now())
            late = timezone.now() - timedelta(minutes=1)
            mine.filter(number__in=numbers[: WORK // 2]).update(pay_before=late)
            return
        number, _params = self.open_payment("wechat")
        payer = Payment.objects.get(order__number=number).payer
        template = MessageTemplate.objects.create(kind="paid", template_id="t", fields={})
        MessageConsent.objects.create(identity=payer, template=template, count=50)
        payload = {"kind": "paid", "number": number, "refund": None, "shipment": None}
        for n in range(MESSAGES):
            # Named as `tell_customer` names them: the audit compares key, topic and payload.
            key = f"{SEND_MESSAGE}:{number}:paid:{n}"
            outbox.post(topic=SEND_MESSAGE, event_key=key, payload=payload, lane=Lane.WECHAT)

    def settle_one(self, wallet: str) -> float:
        """Seconds from when a payment is due, whose notice never comes, until its order is paid."""
        number, params = self.open_payment(wallet)
        self.sandbox.fault("wechatpay.notice" if wallet == "wechat" else "alipay.notice", "dropped")
        assert self.sandbox.pay(params, openid=self.buyers[wallet].openid).ok
        # The first query comes after 15 seconds; due now, only the lane makes it wait.
        Payment.objects.filter(order__number=number).update(due_at=timezone.now())
        started = time.monotonic()
        until(partial(_is_paid, number), seconds=120)
        return time.monotonic() - started

    def slowest(self) -> float:
        """The slowest settlement by the healthy wallet."""
        self.prepare()
        self.sandbox.fault(f"{self.hanging}.*", "timeout_before", times="always", seconds=60)
        try:
            return max(self.settle_one(HEALTHY[self.hanging]) for _ in range(SETTLEMENTS))
        finally:
            self.sandbox.end_faults()

    def recover(self) -> float:
        """Seconds until the jobs have found out that it answers again."""
        started = time.monotonic()
        if wallet := WALLETS.get(self.hanging):
            until(partial(self.can_pay, wallet), seconds=120)
            self.settle_one(wallet)
        return time.monotonic() - started

    def can_pay(self, wallet: str) -> bool:
        """The server's processes find out each for itself."""
        return self.ask_to_pay(wallet)[1].status_code == 200


def _is_paid(number: str) -> Any:
    return Order.objects.filter(number=number, status="paid").exists()
