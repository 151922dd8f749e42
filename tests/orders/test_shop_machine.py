"""Any sequence of buying, paying, sending and giving back, beside a plain model of the shop."""

import os
import time
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from catalog.models import FreightRule, FreightTemplate, Sku
from miniback.core.errors import DomainError
from miniback.core.idempotency import run_once
from miniback.jobs import deliver_outbox
from orders.models import Carrier, ClaimedCoupon, Order, Payment, Refund
from orders.services import after_sales, desk, refund_decisions
from orders.services.audit import try_rules
from orders.services.cancellation import cancel_order
from orders.services.checkout import place_order
from orders.services.fulfillment import confirm_receipt, ship_order
from orders.services.payment import start_payment
from orders.services.refunds import send_due_refunds
from orders.services.settlement import check_payment
from orders.status import Actor, RefundKind
from tests.factories import (
    make_address,
    make_claim,
    make_customer,
    make_product,
    make_sku,
    make_staff,
)
from tests.orders.conftest import due_now
from tests.orders.shop_model import LIMIT, Article, Coupon, ShopModel
from tests.sandbox_process import SandboxProcess

# More by hand: MACHINE_EXAMPLES=500 pytest tests/orders/test_shop_machine.py
EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "20"))
# Steps ask a platform over HTTP: a failure is shortened, but not explained for minutes.
PHASES = [Phase.explicit, Phase.generate] + [Phase.shrink] * ("MACHINE_SHRINK" in os.environ)
SKUS, USERS = range(3), range(2)

wanted = st.dictionaries(st.sampled_from(SKUS), st.integers(1, 3), min_size=1, max_size=3)
pick = st.integers(0, 1_000)


class ShopMachine(RuleBasedStateMachine):
    sandbox: SandboxProcess

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        # As a test case's own: services open and retry theirs inside it.
        self.atomic._from_testcase = True  # type: ignore[attr-defined]
        self.atomic.__enter__()

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    @initialize()
    def open_the_shop(self) -> None:
        self.sandbox.reset()
        template = FreightTemplate.objects.create(name="包裹", unit="fixed")
        FreightRule.objects.create(template=template, first_fen=300)
        limited = make_product(purchase_limit=LIMIT)
        heavy = make_product(freight_template=template)
        self.skus = [
            make_sku(product=limited, price_fen=333, stock=60),
            make_sku(product=heavy, price_fen=1000, stock=40),
            make_sku(price_fen=1, stock=60),
        ]
        app_id = self.sandbox.env["WECHAT_APP_ID"]
        self.users = [make_customer(app_id=app_id) for _ in USERS]
        for user in self.users:
            self.sandbox.code(user.identities.get().openid)
        self.addresses = [make_address(user).pk for user in self.users]
        self.staff = make_staff()
        self.carrier = Carrier.objects.get_or_create(code="SF", defaults={"name": "SF"})[0]
        offers = [(0, 100, 0), (0, 5000, 0), (1, 250, 1000)]
        self.claims = [
            make_claim(self.users[user], off=off, threshold_fen=threshold).pk
            for user, off, threshold in offers
        ]
        self.model = ShopModel(
            [Article(333, 60, True, 0), Article(1000, 40, False, 300), Article(1, 60, False, 0)],
            [Coupon(*offer) for offer in offers],
        )
        self.numbers: list[str] = []
        self.refunds: list[str] = []
        self.params: list[tuple[str, dict[str, str], str]] = []
        self.keys = 0

    def attempt(self, act: Any) -> tuple[str, Any]:
        try:
            # A refusal rolls back what it did, as it does outside of a test.
            with transaction.atomic():
                transaction.get_connection().atomic_blocks[-1]._from_testcase = True
                return "ok", act()
        except DomainError as error:
            return error.code, None

    def likely(self, n: int, statuses: set[str]) -> int:
        """Mostly an order in one of these states, so that a machine gets somewhere; sometimes any."""
        fit = [i for i, order in enumerate(self.model.orders) if order.status in statuses]
        return fit[n % len(fit)] if fit and n % 7 else n

    def has(self, *statuses: str) -> bool:
        return any(order.status in statuses for order in self.model.orders)

    def order(self, n: int) -> Order:
        return Order.objects.get(number=self.numbers[n % len(self.numbers)])

    def model_order(self, n: int) -> Any:
        return self.model.orders[n % len(self.numbers)]

    def refund(self, n: int, status: str) -> tuple[Refund, Any]:
        """Mostly one in this state."""
        every = [refund for order in self.model.orders for refund in order.refunds]
        fit = [refund for refund in every if refund.status == status]
        chosen = fit[n % len(fit)] if fit and n % 7 else every[n % len(every)]
        return Refund.objects.get(number=self.refunds[chosen.index]), chosen

    # Buying

    @rule(user=st.sampled_from(USERS), wanted=wanted, coupon=st.none() | st.sampled_from(range(3)),
          lie=st.sampled_from([0, 0, 0, 1]), repeats=st.integers(1, 2))  # fmt: skip
    def place(
        self, user: int, wanted: dict[int, int], coupon: int | None, lie: int, repeats: int
    ) -> None:
        if coupon is not None and self.model.coupons[coupon].user != user:
            coupon = None
        chosen = None if coupon is None else self.model.coupons[coupon]
        goods, freight, off = self.model.cost(wanted, chosen)
        paid = goods + freight - sum(off) + lie
        expected = self.model.place(user, wanted, chosen, paid)
        quantities = {self.skus[sku].pk: count for sku, count in wanted.items()}
        self.keys += 1

        def act() -> Order:
            return place_order(
                self.users[user],
                quantities=quantities,
                address_id=self.addresses[user],
                payable_fen=paid,
                coupon_id=None if coupon is None else self.claims[coupon],
            )

        key = f"key-{self.keys:08d}"
        once = partial(run_once, user=self.users[user], key=key, body=quantities, act=act)
        for _time in range(repeats):
            code, outcome = self.attempt(once)
            assert code == expected
        if outcome:
            assert outcome.is_replay == (repeats == 2)
            self.numbers.append(outcome.made.number)

    @rule(user=st.sampled_from(USERS), wanted=wanted, coupon=st.none() | st.sampled_from(range(3)))
    def sell(self, user: int, wanted: dict[int, int], coupon: int | None) -> None:
        """The usual way: placed, and paid."""
        known = len(self.numbers)
        self.place(user, wanted, coupon, 0, 1)
        if len(self.numbers) > known and self.model.orders[-1].status == "pending_payment":
            self.open_sheet(known)
            self.pay(len(self.params) - 1)

    def cancel(self, n: int, actor: Actor) -> None:
        n = self.likely(n, {"paid", "pending_payment"})
        expected = self.model.cancel(self.model_order(n))
        assert self.attempt(lambda: cancel_order(self.order(n), actor=actor))[0] == expected

    def adjust_price(self, n: int, off: int) -> None:
        expected = self.model.adjust(self.model_order(n), off)
        act = self.attempt(
            lambda: desk.adjust_price(self.order(n), discount_fen=off, reason="x", user=self.staff)
        )
        assert act[0] == expected

    # Paying

    def open_sheet(self, n: int) -> None:
        order, known = self.order(n), len(self.model.sheets)
        expected = self.model.open_sheet(self.model_order(n))
        code, asked = self.attempt(
            lambda: start_payment(order, channel="wechat", payer=order.user.identities.get())
        )
        assert code == expected
        if asked and len(self.model.sheets) > known:
            openid = order.user.identities.get().openid
            self.params.append((asked.payment.number, asked.params, openid))

    def pay(self, n: int) -> None:
        """On time, late, or twice: whatever sheet is still open on the phone."""
        n %= len(self.params)
        number, params, openid = self.params[n]
        expected = self.model.pay(self.model.sheets[n])
        assert self.sandbox.pay(params, openid=openid).ok == (expected == "ok")
        check_payment(Payment.objects.select_related("order").get(number=number))

    def jobs(self) -> None:
        self.model.settle()
        for _pass in range(100):
            deliver_outbox()
            due_now(Refund)
            send_due_refunds()
            if not Refund.objects.filter(status__in=["approved", "processing", "failed"]).exists():
                break
            time.sleep(0.01)
        assert self.sandbox.net_fen() == self.model.at_platform

    # Sending

    def ship(self, n: int, count: int, everything: bool) -> None:
        n = self.likely(n, {"paid", "partly_shipped"})
        order, known = self.order(n), self.model_order(n)
        sku = sorted(known.lines)[n % len(known.lines)]
        pieces = {sku: count}
        if everything:
            pieces = {s: known.to_ship(s) for s in known.lines if known.to_ship(s)}
        expected = self.model.ship(known, pieces)
        quantities = {order.lines.get(sku=self.skus[s]).pk: c for s, c in pieces.items()}
        code, _made = self.attempt(
            lambda: ship_order(
                order,
                carrier=self.carrier,
                tracking_number=f"SF{self.step()}",
                user=self.staff,
                quantities=quantities,
            )  # fmt: skip
        )
        assert code == expected

    def step(self) -> int:
        self.keys += 1
        return self.keys

    def confirm(self, n: int) -> None:
        n = self.likely(n, {"shipped"})
        expected = self.model.confirm(self.model_order(n))
        code = self.attempt(lambda: confirm_receipt(self.order(n), actor=Actor.CUSTOMER))[0]
        assert code == expected

    # Giving back

    def ask(self, n: int, count: int, kind: str) -> None:
        n = self.likely(n, {"paid", "partly_shipped", "shipped", "completed"})
        order, known = self.order(n), self.model_order(n)
        sku = sorted(known.lines)[n % len(known.lines)]
        line = order.lines.get(sku=self.skus[sku]).pk
        expected = self.model.ask(known, sku, count, kind)
        code, made = self.attempt(
            lambda: after_sales.request_refund(
                order, quantities={line: count}, kind=RefundKind(kind), reason="x"
            )
        )
        assert code == expected
        if made:
            known.refunds[-1].index = len(self.refunds)
            self.refunds.append(made.number)
            assert made.amount_fen == known.refunds[-1].amount

    def give(self, n: int, count: int, freight: int | None, kind: str) -> None:
        """Staff begin it: of one line, or only freight; sometimes a fen less."""
        n = self.likely(n, {"paid", "partly_shipped", "shipped", "completed"})
        order, known = self.order(n), self.model_order(n)
        sku, less = sorted(known.lines)[n % len(known.lines)], n % 2
        pieces = {sku: count} if count else {}
        expected = self.model.give(known, pieces, freight, less, kind)
        asked = known.refunds[-1] if expected == "ok" else None
        quantities = {order.lines.get(sku=self.skus[s]).pk: c for s, c in pieces.items()}
        amount = asked.amount if asked and less else None
        if expected == "invalid" and less:
            # What it would have been does not matter: this is less than nothing.
            amount = -1
        code, made = self.attempt(
            lambda: refund_decisions.refund_order(
                order,
                quantities=quantities,
                freight_fen=freight,
                amount_fen=amount,
                kind=RefundKind(kind),
                reason="x",
                user=self.staff,
            )  # fmt: skip
        )
        assert code == expected
        if made:
            asked.index = len(self.refunds)
            self.refunds.append(made.number)
            assert (made.amount_fen, made.status) == (asked.amount, asked.status)

    def approve(self, n: int, less: int) -> None:
        refund, known = self.refund(n, "requested")
        amount = known.amount - less if less else None
        expected = self.model.approve(known, amount)
        code = self.attempt(
            lambda: refund_decisions.approve_refund(refund, user=self.staff, amount_fen=amount)
        )[0]
        assert code == expected
        refund.refresh_from_db()
        assert (refund.amount_fen, refund.status) == (known.amount, known.status)

    def receive(self, n: int, is_restocked: bool) -> None:
        refund, known = self.refund(n, "returning")
        expected = self.model.receive(known, is_restocked)
        code = self.attempt(
            lambda: refund_decisions.receive_return(
                refund, user=self.staff, is_restocked=is_restocked
            )
        )[0]
        assert code == expected

    def give_up(self, n: int, by_staff: bool) -> None:
        refund, known = self.refund(n, "returning" if by_staff else "requested")
        expected = self.model.give_up(known, "rejected" if by_staff else "withdrawn")
        if by_staff:
            code = self.attempt(
                lambda: refund_decisions.reject_refund(refund, user=self.staff, decision="x")
            )[0]
        else:
            code = self.attempt(lambda: after_sales.withdraw_refund(refund))[0]
        assert code == expected

    # Verbs share a rule: Hypothesis leaves out whole rules of an example, and few would get far.

    @precondition(lambda self: self.numbers)
    @rule(verb=st.sampled_from(["cancel", "adjust", "open", "pay", "pay", "jobs"]), n=pick,
          actor=st.sampled_from([Actor.CUSTOMER, Actor.STAFF]), off=st.integers(0, 700))  # fmt: skip
    def before_shipment(self, verb: str, n: int, actor: Actor, off: int) -> None:
        match verb:
            case "cancel":
                self.cancel(n, actor)
            case "adjust":
                self.adjust_price(n, off)
            case "open":
                self.open_sheet(n)
            case "pay" if self.params:
                self.pay(n)
            case _:
                self.jobs()

    @precondition(lambda self: self.has("paid", "partly_shipped", "shipped", "completed"))
    @rule(verb=st.sampled_from(["ship", "ship", "confirm", "ask", "ask", "give"]), n=pick,
          count=st.integers(1, 3), everything=st.booleans(),
          freight=st.none() | st.integers(0, 301),
          kind=st.sampled_from(["refund_only", "return"]))  # fmt: skip
    def after_payment(
        self, verb: str, n: int, count: int, everything: bool, freight: int | None, kind: str
    ) -> None:
        match verb:
            case "ship":
                self.ship(n, count, everything)
            case "confirm":
                self.confirm(n)
            case "give":
                self.give(n, 0 if everything and freight else count, freight, kind)
            case _:
                self.ask(n, count, kind)

    @precondition(lambda self: self.refunds)
    @rule(verb=st.sampled_from(["approve", "approve", "receive", "withdraw", "reject", "jobs"]),
          n=pick, less=st.just(0) | st.integers(0, 400), is_restocked=st.booleans())  # fmt: skip
    def refunds_go_on(self, verb: str, n: int, less: int, is_restocked: bool) -> None:
        match verb:
            case "approve":
                self.approve(n, less)
            case "receive":
                self.receive(n, is_restocked)
            case "jobs":
                self.jobs()
            case _:
                self.give_up(n, by_staff=verb == "reject")

    # What must hold after every step

    @invariant()
    def the_books_agree(self) -> None:
        """The audit, on what this transaction sees."""
        with connection.cursor() as cursor:
            assert [failure for _rule, failure in try_rules(cursor) if failure] == []

    @invariant()
    def shop_and_model_agree(self) -> None:
        assert [Sku.objects.get(pk=sku.pk).stock for sku in self.skus] == [
            article.stock for article in self.model.articles
        ]
        statuses = dict(Order.objects.values_list("number", "status"))
        assert [statuses[number] for number in self.numbers] == [
            order.status for order in self.model.orders
        ]
        used = dict(ClaimedCoupon.objects.values_list("pk", "used_at"))
        assert [used[pk] is not None for pk in self.claims] == [
            coupon.is_used for coupon in self.model.coupons
        ]
        amounts = dict(Order.objects.values_list("number", "payable_fen"))
        assert [amounts[n] for n in self.numbers] == [o.payable for o in self.model.orders]


@pytest.mark.django_db
def test_the_shop_behaves_as_its_model(sandbox: SandboxProcess) -> None:
    ShopMachine.sandbox = sandbox
    run_state_machine_as_test(
        ShopMachine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=PHASES,
        ),
    )
