"""A platform that hangs delays nobody else; a row that fails stops no other."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.utils import timezone

from catalog.models import Product
from catalog.services.products import publish_due_products
from miniback.core import leases, outbox
from miniback.core.models import JobLease, Lane, OutboxMessage
from miniback.jobs import JOBS, jobs_by_lane
from orders.models import DailyTotal, MessageConsent, MessageTemplate, Notice, Order, Payment
from orders.services.cancellation import (
    close_unpaid_orders,
    remind_unpaid_orders,
)
from orders.services.daily import refresh_daily_totals
from orders.services.fulfillment import confirm_old_shipments
from orders.services.messages import SEND_MESSAGE
from orders.services.notices import process_due_notices
from orders.services.settlement import check_due_payments
from orders.status import OrderStatus
from tests.broken_rows import refusing
from tests.conftest import Api
from tests.factories import make_customer, make_order, make_product, make_sku
from tests.orders.conftest import Deal, due_now, place
from tests.orders.services.test_alipay import log_in
from tests.sandbox_process import SandboxProcess, until

pytestmark = pytest.mark.django_db(transaction=True)
HEALTHY_SECONDS = 10


@pytest.fixture
def alipay(shop: SandboxProcess, deal: Deal) -> Api:
    return log_in(shop, "alipay", "o-other")


def ask_to_pay(api: Api, deal: Deal, channel: str, key: str) -> tuple[str, dict[str, str]]:
    number = place(api, deal.sku, quantity=1, key=key)
    asked = api.post(f"orders/{number}/pay/", {"channel": channel})
    assert asked.status_code == 200, asked.content
    return number, asked.json()["params"]


def hang(sandbox: SandboxProcess, target: str) -> None:
    """Its connections are accepted and never answered."""
    sandbox.fault(target, "timeout_before", times="always", seconds=20)


@contextmanager
def running() -> Iterator[None]:
    """All lanes, once, beside the test."""

    def run() -> None:
        try:
            call_command("run_jobs", "--once", stdout=StringIO())
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def seconds_until(look: Callable[[], Any]) -> float:
    started = time.monotonic()
    until(look, seconds=60)
    return time.monotonic() - started


def overdue() -> None:
    Order.objects.update(pay_before=timezone.now() - timedelta(minutes=1))


# Platforms


def test_payments_settle_while_the_other_platform_hangs(deal: Deal, alipay: Api) -> None:
    for n in range(3):
        ask_to_pay(alipay, deal, "alipay", f"alipay-key-{n}")
    deal.sandbox.fault("wechatpay.notice", "dropped")
    deal.pay()
    hang(deal.sandbox, "alipay.*")
    due_now(Payment)
    # All of Alipay's were due before.
    Payment.objects.filter(channel="alipay").update(due_at=timezone.now() - timedelta(minutes=40))
    with running():
        seconds = seconds_until(lambda: deal.order.status == OrderStatus.PAID)
    assert seconds < HEALTHY_SECONDS
    # Two filled the time of the run; the third was not claimed, and is due.
    waiting = Payment.objects.filter(channel="alipay").order_by("-attempts")
    assert list(waiting.values_list("attempts", "last_error")) == [
        (1, "NO_ANSWER ReadTimeout"),
        (1, "NO_ANSWER ReadTimeout"),
        (0, ""),
    ]


def test_orders_close_while_the_other_platform_hangs(deal: Deal, alipay: Api) -> None:
    """Overdue orders of WeChat Pay, and those that no platform was asked for."""
    stuck = [ask_to_pay(alipay, deal, "alipay", f"alipay-key-{n}")[0] for n in range(2)]
    unasked = place(deal.api, deal.sku, quantity=1, key="key-00000009")
    overdue()
    hang(deal.sandbox, "alipay.*")
    with running():
        seconds = seconds_until(
            lambda: (
                Order.objects.filter(number__in=[deal.number, unasked], status="cancelled").count()
                == 2
            )
        )
    assert seconds < HEALTHY_SECONDS
    assert Order.objects.filter(number__in=stuck, status="pending_payment").count() == 2


@pytest.mark.broken_books
def test_money_does_not_wait_for_messages(deal: Deal) -> None:
    """A hundred messages are due, and WeChat's API hangs."""
    late = place(deal.api, deal.sku, quantity=1, key="key-00000009")
    Order.objects.filter(number=late).update(pay_before=timezone.now() - timedelta(minutes=1))
    deal.sandbox.fault("wechatpay.notice", "dropped")
    deal.pay()
    due_now(Payment)
    template = MessageTemplate.objects.create(kind="paid", template_id="t", fields={})
    identity = deal.payment.payer
    MessageConsent.objects.create(identity=identity, template=template, count=50)
    payload = {"kind": "paid", "number": deal.number, "refund": None, "shipment": None}
    for n in range(100):
        outbox.post(topic=SEND_MESSAGE, event_key=f"x:{n}", payload=payload, lane=Lane.WECHAT)
    hang(deal.sandbox, "wechat.*")

    def is_settled() -> bool:
        is_closed = Order.objects.get(number=late).status == OrderStatus.CANCELLED
        return is_closed and deal.order.status == OrderStatus.PAID

    with running():
        assert seconds_until(is_settled) < HEALTHY_SECONDS
    messages = OutboxMessage.objects.filter(topic=SEND_MESSAGE, event_key__startswith="x:")
    assert messages.filter(done_at=None).count() == 100
    assert messages.filter(attempts=0, due_at__lte=timezone.now()).count() == 98


def test_customers_do_not_wait_for_a_host_that_is_down(deal: Deal) -> None:
    """Two have found out; the third is told at once."""
    orders = [place(deal.api, deal.sku, quantity=1, key=f"key-0000001{n}") for n in range(3)]
    hang(deal.sandbox, "wechatpay.*")
    times, answers = [], []
    for number in orders:
        started = time.monotonic()
        answers.append(deal.api.post(f"orders/{number}/pay/", {"channel": "wechat"}).status_code)
        times.append(time.monotonic() - started)
    assert answers == [503, 503, 503]
    assert times[0] > 2
    assert times[2] < 1


@pytest.mark.broken_books
def test_an_order_of_two_channels_closes_when_both_are_closed(deal: Deal, alipay: Api) -> None:
    """Each lane closes its own; whoever is last cancels the order."""
    number, _params = ask_to_pay(alipay, deal, "alipay", "alipay-key-1")
    Payment.objects.filter(order__number=number).update(order=deal.order)
    overdue()
    close_unpaid_orders(["wechat"])
    assert deal.order.status == OrderStatus.PENDING_PAYMENT
    assert set(Payment.objects.values_list("channel", "status")) == {
        ("wechat", "closed"),
        ("alipay", "created"),
    }
    close_unpaid_orders(["alipay"])
    assert deal.order.status == OrderStatus.CANCELLED


def test_each_lane_has_the_jobs_of_one_platform() -> None:
    lanes = {lane: {job.name for job in jobs} for lane, jobs in jobs_by_lane().items()}
    asks = ("process_due_notices", "check_due_payments", "send_due_refunds", "close_unpaid_orders")
    for lane, channel in (("wechatpay", "wechat"), ("alipay", "alipay")):
        assert {f"{name}:{channel}" for name in asks} <= lanes[lane]
    assert lanes["wechat"] == {"deliver_outbox:wechat"}
    assert "close_unpaid_orders:shop" in lanes["shop"]
    assert not any(name.startswith(asks[:3]) for name in lanes["shop"])


# Rows that fail


@pytest.mark.broken_books
def test_a_poison_notice_waits_with_its_error_and_the_good_one_is_applied(deal: Deal) -> None:
    deal.pay()
    until(lambda: Notice.objects.filter(outcome="applied").exists())
    good = Notice.objects.get()
    Notice.objects.create(
        channel="wechat", notice_id="poison", event_type="TRANSACTION.SUCCESS", headers={},
        body="{}", content={"merchant_id": "1"}, received_at=timezone.now(),
    )  # fmt: skip
    Notice.objects.update(outcome="new", processed_at=None, due_at=timezone.now())
    Notice.objects.filter(pk=good.pk).update(due_at=timezone.now() + timedelta(microseconds=1))

    process_due_notices()

    good.refresh_from_db()
    poison = Notice.objects.get(notice_id="poison")
    assert good.outcome == "applied"
    assert (poison.outcome, poison.last_error) == ("new", "KeyError: 'trade'")
    assert poison.due_at > timezone.now() + timedelta(seconds=10)


@pytest.mark.broken_books
def test_a_payment_that_does_not_fit_our_books_keeps_why(deal: Deal) -> None:
    deal.sandbox.fault("wechatpay.notice", "dropped")
    deal.pay()
    Payment.objects.update(amount_fen=1)
    due_now(Payment)
    check_due_payments()
    assert Payment.objects.get().last_error == "Mismatch: 3980 CNY instead of 1 CNY"


@pytest.fixture
def orders(db: None) -> list[Order]:
    user, sku = make_customer(), make_sku(stock=100)
    return [make_order(user, sku=sku, quantity=1) for _ in range(4)]


def test_an_order_that_cannot_be_closed_stops_no_other(orders: list[Order]) -> None:
    overdue()
    with refusing("orders_order", "id", orders[0].pk):
        close_unpaid_orders()
    statuses = Order.objects.order_by("id").values_list("status", flat=True)
    assert list(statuses) == ["pending_payment", "cancelled", "cancelled", "cancelled"]
    close_unpaid_orders()
    assert Order.objects.filter(status="cancelled").count() == 4


def test_an_order_that_cannot_be_reminded_of_stops_no_other(orders: list[Order]) -> None:
    Order.objects.update(pay_before=timezone.now() + timedelta(minutes=5))
    with refusing("orders_order", "id", orders[0].pk):
        remind_unpaid_orders()
    reminded = Order.objects.exclude(reminded_at=None).order_by("id")
    assert list(reminded) == orders[1:]


def test_a_shipment_that_cannot_be_confirmed_stops_no_other(orders: list[Order]) -> None:
    long_ago = timezone.now() - timedelta(days=100)
    Order.objects.update(status=OrderStatus.SHIPPED, paid_at=long_ago, shipped_at=long_ago)
    with refusing("orders_order", "id", orders[0].pk):
        confirm_old_shipments()
    statuses = Order.objects.order_by("id").values_list("status", flat=True)
    assert list(statuses) == ["shipped", "completed", "completed", "completed"]


def test_a_product_that_cannot_be_published_stops_no_other(db: None) -> None:
    products = [make_product() for _ in range(3)]
    Product.objects.update(status="scheduled", published_at=timezone.now() - timedelta(minutes=1))
    with refusing("catalog_product", "id", products[0].pk):
        publish_due_products()
    statuses = Product.objects.order_by("id").values_list("status", flat=True)
    assert list(statuses) == ["scheduled", "on_sale", "on_sale"]


# Clocks


@contextmanager
def a_day_ahead() -> Iterator[None]:
    """Of this machine's clock alone: the database's stays right."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timezone, "now", lambda: datetime.now(UTC) + timedelta(days=1))
        patch.setattr(leases, "_complained", {})
        yield


def test_a_runner_a_day_ahead_changes_nothing(deal: Deal, caplog: pytest.LogCaptureFixture) -> None:
    before = list(Order.objects.values()), list(Payment.objects.values())
    with a_day_ahead():
        with pytest.raises(CommandError, match="this machine's clock is off by 86400 s"):
            call_command("run_jobs", "--once")
        assert leases.run_due(JOBS) == 0
    assert (list(Order.objects.values()), list(Payment.objects.values())) == before
    assert not JobLease.objects.exists()
    assert not DailyTotal.objects.exists()
    assert "clock is off" in caplog.text


def test_jobs_decide_by_the_databases_clock(deal: Deal) -> None:
    """Each by itself, whoever calls it."""
    with a_day_ahead():
        close_unpaid_orders()
        remind_unpaid_orders()
        confirm_old_shipments()
        check_due_payments()
        refresh_daily_totals()
    assert deal.order.status == OrderStatus.PENDING_PAYMENT
    assert deal.order.reminded_at is None
    assert Payment.objects.get().attempts == 0
    assert [total.day for total in DailyTotal.objects.all()] == [timezone.localdate()]


def test_leases_of_a_runner_that_was_ahead_are_pulled_back(db: None) -> None:
    for job in JOBS:
        JobLease.objects.create(name=job.name, due_at=timezone.now() + timedelta(days=1))
    out = StringIO()
    call_command("run_jobs", "--once", stdout=out)
    assert out.getvalue() == f"{len(JOBS)} jobs ran\n"
