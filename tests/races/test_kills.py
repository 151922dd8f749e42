"""Processes killed at every step: everything or nothing, and once (RELIABILITY 2.3)."""

import random
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import requests
from django.db.models import Model
from django.utils import timezone

from accounts.models import User
from bench.kill import kill_run
from catalog.models import Sku
from miniback.core.leases import run_due
from miniback.core.models import JobLease, OutboxMessage
from miniback.jobs import JOBS
from orders.models import Notice, Order, Payment, Refund
from orders.services.audit import audit
from tests.factories import make_claim, make_product, make_sku
from tests.orders.conftest import due_now
from tests.races.conftest import Buyer, in_turns
from tests.races.crowd import OpenShop, assert_stock_adds_up, buyers, report
from tests.sandbox_process import ROOT, SandboxProcess, until

pytestmark = [pytest.mark.races, pytest.mark.usefixtures("connected")]

WITH_BOMB = "tests.races.bomb:application"
KILLED = -9


def insist(call: Callable[[], requests.Response]) -> requests.Response:
    """As a client on a bad line: the same request until there is an answer."""
    for _try in range(50):
        try:
            answer = call()
        except requests.ConnectionError:
            time.sleep(0.1)
            continue
        if answer.status_code != 503:
            return answer
    raise AssertionError("no answer")


def ask_to_pay(buyer: Buyer, number: str) -> Any:
    return buyer.call("POST", f"orders/{number}/pay/", {"channel": "wechat"}).json()["params"]


def leases_end() -> None:
    """Whoever was killed held something; its time is over."""
    models: list[type[Model]] = [JobLease, Refund, Payment, Notice, OutboxMessage]
    for model in models:
        due_now(model)


def run_jobs() -> None:
    """All that is due, in this process (see ``connected``)."""
    leases_end()
    run_due(JOBS)


@pytest.fixture
def connected(platform: SandboxProcess, settings: Any) -> None:
    """The jobs that this process runs know the platform."""
    for name, value in platform.env.items():
        if name.startswith("WECHAT"):
            setattr(settings, name, value)


# Placing an order


def test_a_kill_between_any_two_statements(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """F2, F3: before each statement, and after the commit; the client asks again with its key."""
    shop = open_shop(WITH_BOMB)
    product = make_product(purchase_limit=1000)
    skus = [make_sku(product=product, stock=100) for _ in range(2)]
    [buyer] = buyers(shop, platform, 1)
    user = User.objects.get()

    def place(key: str, at: str) -> requests.Response:
        """With a bomb, then, if it went off, without."""
        lines = [{"sku": sku.pk, "quantity": 1} for sku in skus]
        coupon = make_claim(user, off=80).pk
        body = {"lines": lines, "address": buyer.address, "payable_fen": 3900, "coupon": coupon}
        send = partial(buyer.call, "POST", "orders/", body, **{"Idempotency-Key": key})
        try:
            return send(**{"X-Kill-At": at})
        except requests.ConnectionError:
            killed.append(at)
            assert [failure for _rule, failure in audit() if failure] == []
            return insist(send)

    killed: list[str] = []
    step = 0
    while len(killed) == step:
        # Their number differs: a thread's first request also opens its connection.
        step += 1
        answer = place(f"key-{step:08d}", str(step))
        assert answer.status_code in {200, 201}, answer.text
        assert Order.objects.count() == step
        assert set(Sku.objects.values_list("stock", flat=True)) == {100 - step}
    report(case="F2", statements=len(killed))
    assert len(killed) > 10
    answer = place("key-after-commit", "answer")
    assert killed[-1] == "answer"
    # It had been placed: the repeat only shows it.
    assert answer.status_code == 200
    assert_stock_adds_up()


def test_a_promise_outlives_its_process(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """F4: killed after the commit; the message that stands in the outbox is sent by the sweep."""
    shop = open_shop(WITH_BOMB)
    sku = make_sku(stock=10)
    [buyer] = buyers(shop, platform, 1)
    lines = [{"sku": sku.pk, "quantity": 1}]
    number = buyer.place("key-00000001", 1990, lines=lines).json()["number"]
    params = ask_to_pay(buyer, number)
    with pytest.raises(requests.ConnectionError):
        buyer.call("POST", f"orders/{number}/cancel/", {}, **{"X-Kill-At": "answer"})
    assert OutboxMessage.objects.get().done_at is None
    run_jobs()
    assert OutboxMessage.objects.get().done_at
    assert not platform.pay(params, openid=buyer.openid).ok
    assert_stock_adds_up()


def test_orders_while_processes_are_killed(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """F1, briefly; `make bench-kill` is the long run."""
    result = kill_run(
        open_shop(jobs=True), platform, orders=60, clients=8, seed=1, every=2.0, hang=3.0
    )
    assert not any(result.values()), result


# Jobs

SEND = "orders.services.refunds.send_due_refunds"
DELIVER = "miniback.jobs.deliver_outbox"
CLOSE = "orders.services.cancellation.close_unpaid_orders"
PROCESS = "orders.services.notices.process_due_notices"


@pytest.mark.parametrize("job", [SEND, DELIVER, CLOSE, PROCESS])
def test_a_job_killed_at_every_statement(
    open_shop: OpenShop, platform: SandboxProcess, job: str
) -> None:
    """F5: whatever was done is done once; the next run does the rest."""
    shop = open_shop()
    sku = make_sku(stock=100)
    [buyer] = buyers(shop, platform, 1)
    lines = [{"sku": sku.pk, "quantity": 1}]
    steps = 0
    while True:
        steps += 1
        number = buyer.place(f"key-{steps:08d}", 1990, lines=lines).json()["number"]
        params = ask_to_pay(buyer, number)
        situation(job, buyer, platform, number, params)
        leases_end()
        ended = subprocess.run(
            [sys.executable, "-m", "tests.races.bomb", job, str(steps)],
            cwd=ROOT, env=shop.env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        run_jobs()
        if ended.returncode != KILLED:
            break
    report(case="F5", job=job, kills=steps - 1)
    assert ended.returncode == 0, ended.stderr
    assert steps > 3

    def settled() -> bool:
        run_jobs()
        return not Refund.objects.exclude(status="succeeded").exists()

    until(settled, seconds=60)
    assert platform.net_fen() == sum(
        Order.objects.filter(status="paid").values_list("payable_fen", flat=True)
    )
    refunds = [row["out_refund_no"] for row in platform.ledger()["refunds"]]
    assert len(refunds) == len(set(refunds)) == Refund.objects.count()
    assert_stock_adds_up()


def situation(job: str, buyer: Buyer, platform: SandboxProcess, number: str, params: Any) -> None:
    """Something for the job to do, with one order."""
    cancel = partial(buyer.call, "POST", f"orders/{number}/cancel/", {})
    if job == SEND:
        # The money comes although the customer has cancelled, before a job closes the payment.
        assert cancel().status_code == 200
        assert platform.pay(params, openid=buyer.openid).ok
        until(lambda: Refund.objects.filter(payment__order__number=number).exists())
    elif job == DELIVER:
        cancel()
    elif job == CLOSE:
        past = timezone.now() - timedelta(minutes=1)
        Order.objects.filter(number=number).update(pay_before=past)
    else:
        assert platform.pay(params, openid=buyer.openid).ok
        until(lambda: Order.objects.get(number=number).status == "paid")
        notice = Notice.objects.filter(payment__order__number=number)
        notice.update(outcome="new", due_at=timezone.now(), processed_at=None)


def test_three_runners_at_once(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """F6: late money of 40 orders goes back once, whoever does it."""
    shop = open_shop(jobs=True)
    shop.processes += [shop.start("run_jobs") for _ in range(2)]
    sku = make_sku(stock=1000)
    crowd = buyers(shop, platform, 20)
    chance = random.Random(6)

    def late(number: int) -> None:
        buyer = crowd[number % 20]
        lines = [{"sku": sku.pk, "quantity": 1}]
        placed = buyer.place(f"key-{number:08d}", 1990, lines=lines).json()["number"]
        params = ask_to_pay(buyer, placed)
        platform.fault("wechatpay.notice", "delayed", seconds=chance.uniform(0, 2))
        platform.pay(params, openid=buyer.openid)
        buyer.call("POST", f"orders/{placed}/cancel/", {})

    in_turns([partial(late, number) for number in range(40)], 8)
    waiting = Payment.objects.filter(status__in=["created", "unknown"])
    until(lambda: not waiting.exists(), seconds=60)
    until(lambda: not Refund.objects.exclude(status="succeeded").exists(), seconds=60)
    kept = sum(Order.objects.filter(status="paid").values_list("payable_fen", flat=True))
    assert platform.net_fen() == kept
    refunds = [row["out_refund_no"] for row in platform.ledger()["refunds"]]
    assert len(refunds) == len(set(refunds)) == Refund.objects.count()
    report(case="F6", refunds=len(refunds))
    assert_stock_adds_up()


def test_time_ends_while_nobody_runs(open_shop: OpenShop, platform: SandboxProcess) -> None:
    """T28: everything is killed while 100 orders wait; one sweep afterwards closes them all."""
    shop = open_shop(jobs=True)
    sku = make_sku(stock=1000)
    crowd = buyers(shop, platform, 20)
    lines = [{"sku": sku.pk, "quantity": 1}]
    acts = [partial(crowd[n % 20].place, f"key-{n:08d}", 1990, lines=lines) for n in range(100)]
    assert {answer.status_code for answer in in_turns(acts)} == {201}
    for process in shop.processes:
        process.kill()
    Order.objects.update(pay_before=timezone.now() - timedelta(minutes=1))
    run_jobs()
    assert set(Order.objects.values_list("status", flat=True)) == {"cancelled"}
    assert Sku.objects.get().stock == 1000
    assert_stock_adds_up()
