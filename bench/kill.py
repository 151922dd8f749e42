"""The kill run (RELIABILITY F1): orders while processes are killed; nothing lost, nothing double.

    make bench-kill ORDERS=3000 SEED=1

Clients place, pay, cancel and ask for refunds over HTTP and repeat every request, with its key, until
it is answered. Every two seconds a web worker or a job runner is killed with -9. Notices are lost
and doubled. On MariaDB and PostgreSQL one COMMIT in two hundred is carried out and not answered. Half-way
WeChat Pay hangs for a while; one more runner of the jobs is stopped and continued, and one's clock is an
hour ahead. At the end the clients' own notes, the database, the audit and the platform's books must agree.
"""

import argparse
import random
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

# First: it sets Django up.
from bench.stage import commit_proxy, count_broken_rules, end_losses, lose_commits, say, stage

import requests  # isort: skip
from django.db import connection  # isort: skip
from django.db.models import Sum  # isort: skip

from bench.runners import bad_runners
from catalog.models import Sku, StockMovement
from miniback.core.models import IdempotencyKey, OutboxMessage
from orders.models import LedgerEntry, Notice, Order, Payment, Refund
from orders.services.refund_decisions import approve_refund
from tests.factories import make_claim, make_product, make_sku, make_staff
from tests.races.conftest import Buyer, Shop, in_turns
from tests.sandbox_process import SandboxProcess, until

PATIENCE_SECONDS = 120


class Run:
    """Who does what, and what the clients have been told."""

    def __init__(
        self, shop: Shop, sandbox: SandboxProcess, *, seed: int, every: float, hang: float
    ) -> None:
        self.shop, self.sandbox, self.every, self.hang_seconds = shop, sandbox, every, hang
        self.chance = random.Random(seed)
        self.seed = seed
        self.acknowledged: dict[str, str] = {}
        self.told: Counter[str] = Counter()
        self.is_half, self.stop = threading.Event(), threading.Event()

    # Clients

    def insist(self, call: Callable[[], requests.Response]) -> requests.Response:
        """The same request until somebody lives long enough to answer it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                answer = call()
            except requests.RequestException:
                self.told["no answer, repeated"] += 1
                time.sleep(0.2)
                continue
            if answer.status_code == 503:
                self.told["503, repeated"] += 1
                time.sleep(0.2)
                continue
            if answer.status_code >= 500:
                self.told[f"{answer.status_code}"] += 1
            return answer
        raise AssertionError("no answer for two minutes")

    def deal(self, number: int, buyer: Buyer, skus: list[Sku], coupon: int | None) -> None:
        """One order's story, decided by the seed and its number."""
        chance = random.Random(self.seed * 1_000_003 + number)
        lines = [
            {"sku": sku.pk, "quantity": chance.randint(1, 2)}
            for sku in chance.sample(skus, chance.randint(1, 3))
        ]
        key = f"kill-{self.seed}-{number:06d}"
        payable = sum(1990 * line["quantity"] for line in lines)
        body: dict[str, Any] = {"lines": lines}
        if coupon:
            body["coupon"], payable = coupon, payable - 100
        placed = self.insist(partial(buyer.place, key, payable, **body))
        if placed.status_code == 409:
            self.told[placed.json()["code"]] += 1
            return
        assert placed.status_code in {200, 201}, placed.text
        self.told["placed" if placed.status_code == 201 else "placed, told by the repeat"] += 1
        order = self.acknowledged[key] = placed.json()["number"]
        fate = chance.random()
        if fate < 0.15:
            self.cancel(buyer, order)
        elif fate < 0.9:
            self.pay(buyer, order, chance, is_cancelled=fate < 0.3)
            if fate > 0.8:
                self.ask_back(buyer, order)

    def cancel(self, buyer: Buyer, order: str) -> None:
        self.insist(partial(buyer.call, "POST", f"orders/{order}/cancel/", {}))
        self.told["cancelled"] += 1

    def pay(self, buyer: Buyer, order: str, chance: random.Random, *, is_cancelled: bool) -> None:
        asked = self.insist(
            partial(buyer.call, "POST", f"orders/{order}/pay/", {"channel": "wechat"})
        )
        if asked.status_code != 200:
            self.told[f"pay: {asked.json()['code']}"] += 1
            return
        fault = chance.random()
        if fault < 0.15:
            self.sandbox.fault("wechatpay.notice", "dropped" if fault < 0.05 else "duplicate")
        if is_cancelled:
            self.cancel(buyer, order)
        if self.sandbox.pay(asked.json()["params"], openid=buyer.openid).ok:
            self.told["paid, after cancelling" if is_cancelled else "paid"] += 1

    def ask_back(self, buyer: Buyer, order: str) -> None:
        shown = self.insist(partial(buyer.call, "GET", f"orders/{order}/")).json()
        lines = [{"line": line["id"], "quantity": 1} for line in shown["lines"][:1]]
        body = {"lines": lines, "kind": "refund_only", "reason": "不想要了"}
        asked = self.insist(partial(buyer.ask_refund, order, body, key=uuid.uuid4().hex))
        self.told["refund asked" if asked.status_code == 201 else "refund: too early"] += 1

    # Around them

    def kill(self) -> None:
        while not self.stop.wait(self.every):
            if self.shop.supervise():
                self.told["servers started again"] += 1
            # A busy machine starts processes more slowly than they would be killed.
            elif self.shop.is_ready():
                self.kill_one()

    def kill_one(self) -> None:
        if self.chance.random() < 0.3:
            index = self.chance.randrange(1, len(self.shop.processes))
            self.shop.processes[index].kill()
            self.shop.processes[index].wait()
            self.shop.processes[index] = self.shop.start("run_jobs")
            self.told["job runners killed"] += 1
        elif self.shop.kill_worker(self.chance):
            self.told["web workers killed"] += 1

    def hang(self) -> None:
        """WeChat Pay accepts calls and answers none, from the middle on."""
        self.is_half.wait()
        self.sandbox.hang("wechatpay.*")
        self.stop.wait(self.hang_seconds)
        self.sandbox.end_faults()

    def decide(self) -> None:
        """Staff at their desk."""
        staff = make_staff()
        while not self.stop.wait(0.5):
            for refund in Refund.objects.filter(status="requested"):
                approve_refund(refund, user=staff)
        connection.close()


def settle(run: Run) -> float:
    """Until nothing is on its way any more; returns the seconds it took."""
    started = time.monotonic()

    def unsettled() -> list[Any]:
        paid = Payment.objects.filter(status="paid").aggregate(sum=Sum("amount_fen"))["sum"] or 0
        at_platform = run.sandbox.ledger()["totals"]["paid_fen"]
        return [
            *(["payments"] if paid != at_platform else []),
            *Refund.objects.exclude(status__in=["succeeded", "requested"]).values_list(
                "number", flat=True
            ),
            *Notice.objects.filter(outcome="new").values_list("notice_id", flat=True),
            *OutboxMessage.objects.filter(done_at=None).values_list("event_key", flat=True),
        ]

    until(lambda: not unsettled(), seconds=300)
    return time.monotonic() - started


def judge(run: Run) -> dict[str, int]:
    """What went wrong; every number must be 0."""
    numbers = set(Order.objects.values_list("number", flat=True))
    told = list(run.acknowledged.values())
    booked = LedgerEntry.objects.filter(account="platform:wechat")
    initial = StockMovement.objects.filter(kind="initial").aggregate(sum=Sum("delta"))["sum"]
    left = Sku.objects.aggregate(sum=Sum("stock"))["sum"]
    net = StockMovement.objects.exclude(kind="initial").aggregate(sum=Sum("delta"))["sum"] or 0
    refunds = [row["out_refund_no"] for row in run.sandbox.ledger()["refunds"]]
    return {
        "acknowledged orders lost": len(set(told) - numbers),
        "orders doubled": len(numbers) - len(set(told)),
        "keys without their order": IdempotencyKey.objects.filter(kind="orders.Order").count()
        - len(numbers),
        "answers of 500": run.told["500"],
        "audit rules broken": count_broken_rules(),
        "fen apart from the platform": run.sandbox.net_fen()
        - (booked.aggregate(sum=Sum("amount_fen"))["sum"] or 0),
        "refunds doubled": len(refunds) - len(set(refunds)),
        "pieces unaccounted for": initial + net - left,
    }


def kill_run(
    shop: Shop,
    sandbox: SandboxProcess,
    *,
    orders: int,
    clients: int,
    seed: int,
    every: float,
    hang: float,
    resume: Callable[[], None] = lambda: None,
) -> dict[str, int]:
    """Return what went wrong. ``resume`` is called when the last order is placed."""
    run = Run(shop, sandbox, seed=seed, every=every, hang=hang)
    shop.processes.append(shop.start("run_jobs"))
    product = make_product()
    # Not enough for all: some orders must be refused.
    skus = [make_sku(product=product, stock=orders // 4) for _ in range(10)]
    made = in_turns([partial(Buyer, shop, sandbox, f"o-{n}") for n in range(clients)])
    crowd = in_turns([buyer.settle for buyer in made])
    coupons = coupons_for(crowd, orders // 10)
    lose_commits(shop.proxy, seed)
    helpers = [threading.Thread(target=act) for act in (run.kill, run.hang, run.decide)]
    for helper in helpers:
        helper.start()
    deals = [
        partial(run.deal, number, crowd[number % clients], skus, coupons.get(number))
        for number in range(orders)
    ]
    started = time.monotonic()
    try:
        in_turns([*deals[: orders // 2], run.is_half.set, *deals[orders // 2 :]], width=clients)
    finally:
        run.is_half.set()
        run.stop.set()
        for helper in helpers:
            helper.join()
    seconds = time.monotonic() - started
    resume()
    waited = settle(run)
    took = f"in {seconds:.0f} s; settled {waited:.1f} s later"
    say(f"{connection.vendor}, seed {seed}: {orders} orders by {clients} clients {took}")
    for name, count in sorted(run.told.items()):
        say(f"  {count:6}  {name}")
    end_losses(shop.proxy)
    return judge(run)


def coupons_for(crowd: list[Buyer], count: int) -> dict[int, int]:
    """Some orders use a coupon: order -> claimed coupon of whoever places it."""
    users = [buyer.user() for buyer in crowd]
    return {
        number: make_claim(users[number % len(users)], off=100).pk
        for number in range(0, count * 10, 10)
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=3000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between kills")
    parser.add_argument("--hang", type=float, default=20.0, help="seconds that WeChat Pay hangs")
    options = parser.parse_args()
    with stage() as (sandbox, folder), commit_proxy() as proxy:
        shop = Shop(sandbox, folder / "server.log", jobs=True, proxy=proxy)
        try:
            with bad_runners(shop, folder) as runners:
                result = kill_run(shop, sandbox, resume=runners.resume, **vars(options))
                result |= runners.judge()
        finally:
            shop.stop()
        for name, count in result.items():
            say(f"  {count:6}  {name}")
    return 1 if any(result.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
