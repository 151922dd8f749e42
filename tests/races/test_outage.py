"""Every platform down at once: the shop keeps selling, and settles itself when they are back.

Refused, hanging, 5xx, garbage, unsigned: one after the other, in one shop that nobody touches.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import requests
from django.db import connection
from django.db.models import Sum

from catalog.models import Sku
from miniback.core.models import OutboxMessage
from orders.models import Carrier, Notice, Order, Payment, Refund
from orders.services.fulfillment import ship_order
from orders.services.refund_decisions import approve_refund
from orders.status import OrderStatus, RefundStatus
from tests.factories import make_sku, make_staff
from tests.orders.conftest import due_now
from tests.races.conftest import Buyer, together
from tests.races.crowd import OpenShop, assert_stock_adds_up, report
from tests.sandbox_process import SandboxProcess, until

pytestmark = [pytest.mark.races]

PRICE = 1990
KINDS = ["refused", "hanging", "5xx", "garbage", "unsigned"]
FAULTS = {"hanging": "timeout_before", "5xx": "http_500", "garbage": "html", "unsigned": "unsigned"}
# WeChat's server API and Douyin are trusted by TLS alone: no signature, nothing to be missed.
NEVER_SIGNED = {"login wechat", "login douyin"}


@contextmanager
def outage(platform: SandboxProcess, kind: str) -> Iterator[None]:
    if kind == "refused":
        port = platform.port
        platform.stop()
        yield
        platform.start(port)
        platform.end_faults()
        return
    platform.post("/faults/", target="*", fault=FAULTS[kind], times="always")
    yield
    platform.end_faults()


class Customers:
    """One of each platform that takes money, in one shop."""

    def __init__(self, open_shop: OpenShop, platform: SandboxProcess) -> None:
        self.platform = platform
        self.shop = open_shop(jobs=True)
        self.sku = make_sku(stock=1000)
        self.staff = make_staff(username="night-shift")
        self.carrier = Carrier.objects.get_or_create(code="SF", defaults={"name": "顺丰速运"})[0]
        self.buyers = {
            name: Buyer(self.shop, platform, f"o-{name}", name).settle()
            for name in ("wechat", "alipay")
        }
        self.keys = (f"outage-{number:08d}" for number in range(10_000))

    def place(self, channel: str) -> str:
        lines = [{"sku": self.sku.pk, "quantity": 1}]
        answer = self.buyers[channel].place(next(self.keys), PRICE, lines=lines)
        assert answer.status_code == 201, answer.text
        number: str = answer.json()["number"]
        return number

    def ask_to_pay(self, channel: str, number: str) -> requests.Response:
        return self.buyers[channel].call("POST", f"orders/{number}/pay/", {"channel": channel})

    def pay(self, channel: str, number: str) -> str:
        """Money moves; return the payment's number."""
        # A host that did not answer is left alone for half a minute.
        asked = until(lambda: self.ask_to_pay(channel, number), seconds=45)
        assert self.platform.pay(asked.json()["params"], f"o-{channel}").ok
        payment: str = asked.json()["payment"]
        return payment

    def paid(self, channel: str) -> Order:
        number = self.place(channel)
        self.pay(channel, number)
        until(lambda: status(number) == OrderStatus.PAID, seconds=60)
        return Order.objects.get(number=number)

    def ask_for_refund(self, channel: str) -> Refund:
        order = self.paid(channel)
        lines = [{"line": order.lines.get().pk, "quantity": 1}]
        body = {"lines": lines, "kind": "refund_only", "reason": "x", "images": []}
        answer = self.buyers[channel].ask_refund(order.number, body)
        assert answer.status_code == 201, answer.text
        return Refund.objects.get(number=answer.json()["number"])


def status(number: str) -> str:
    return Order.objects.get(number=number).status


def timed(act: Callable[[], requests.Response]) -> tuple[requests.Response, float]:
    began = time.monotonic()
    return act(), time.monotonic() - began


def test_every_platform_is_down(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """P18, for all of them and every way to be down."""
    them = Customers(open_shop, platform)
    # What the shop makes of it does not depend on the database; the worst case is tried on each.
    for kind in KINDS if connection.vendor == "sqlite" else ["hanging"]:
        live_through(them, kind)
    assert_stock_adds_up()
    ours = Payment.objects.filter(status="paid").aggregate(sum=Sum("amount_fen"))["sum"]
    ours -= Refund.objects.filter(status="succeeded").aggregate(sum=Sum("amount_fen"))["sum"]
    assert platform.net_fen() == ours
    assert Sku.objects.get().stock == 1000 - Order.objects.exclude(status="cancelled").count()


def live_through(them: Customers, kind: str) -> None:
    platform, channels = them.platform, list(them.buyers)
    refunds = [them.ask_for_refund(channel) for channel in channels]
    to_ship = them.paid("wechat")
    # Paid unheard: the platform's word of it is lost, and then the platform itself.
    for target in ("wechatpay.notice", "alipay.notice"):
        platform.fault(target, "dropped", times=9)
    unheard = {channel: them.place(channel) for channel in channels}
    payments = {channel: them.pay(channel, unheard[channel]) for channel in channels}
    codes = {name: platform.code(f"o-new-{kind}", platform=name) for name in (*channels, "douyin")}

    with outage(platform, kind):
        late = {channel: them.place(channel) for channel in channels}
        page = f"{them.shop.url}/api/v1/products/{them.sku.product_id}/"
        assert requests.get(page, timeout=9).status_code == 200
        asks = {**logins(them, codes), **payings(them, late, payments)}
        answers = together([partial(timed, act) for act in asks.values()])
        for refund in refunds:
            approve_refund(refund, user=them.staff)
        ship_order(to_ship, carrier=them.carrier, tracking_number=f"SF-{kind}", user=None)
        time.sleep(2)  # The jobs run into it.
        for what, (answer, _seconds) in zip(asks, answers, strict=True):
            if kind == "unsigned" and what in NEVER_SIGNED:
                assert answer.status_code == 200, what
                continue
            assert answer.status_code == 503, (what, answer.text)
            assert answer.json()["code"] == "platform_unavailable", what
            assert int(answer.headers["Retry-After"]) >= 1

    for channel in channels:
        them.pay(channel, late[channel])
    began = time.monotonic()
    until(lambda: settled([*unheard.values(), *late.values()], refunds), seconds=120)
    until(lambda: told(platform, f"SF-{kind}"), seconds=90)
    slowest = max(seconds for _answer, seconds in answers)
    report(case=kind, slowest=round(slowest, 1), settled_in=round(time.monotonic() - began, 1))


Asks = dict[str, Callable[[], requests.Response]]


def logins(them: Customers, codes: dict[str, str]) -> Asks:
    url = f"{them.shop.url}/api/v1/auth/login/"
    return {
        f"login {name}": partial(
            requests.post, url, json={"platform": name, "code": code}, timeout=60
        )
        for name, code in codes.items()
    }


def payings(them: Customers, late: dict[str, str], payments: dict[str, str]) -> Asks:
    asks: Asks = {}
    for channel, buyer in them.buyers.items():
        asks[f"pay {channel}"] = partial(them.ask_to_pay, channel, late[channel])
        path = f"payments/{payments[channel]}/check/"
        asks[f"check {channel}"] = partial(buyer.call, "POST", path)
    return asks


def settled(numbers: list[str], refunds: list[Refund]) -> bool:
    paid = Order.objects.filter(number__in=numbers, status=OrderStatus.PAID).count()
    back = Refund.objects.filter(pk__in=[one.pk for one in refunds], status=RefundStatus.SUCCEEDED)
    return (paid == len(numbers) and back.count() == len(refunds)) or bring_forward()


def told(platform: SandboxProcess, tracking_number: str) -> bool:
    """WeChat knows of the parcel."""
    orders = platform.get("/phone/wechat/parcels/?openid=o-wechat")["orders"]
    parcels = [parcel for one in orders for parcel in one["shipping"]["shipping_list"]]
    return tracking_number in {parcel["tracking_no"] for parcel in parcels} or bring_forward()


def bring_forward() -> bool:
    """What waits for its next try need not wait here; but let the jobs claim it in peace."""
    for model in (Refund, Payment, Notice, OutboxMessage):
        due_now(model)
    time.sleep(2)
    return False
