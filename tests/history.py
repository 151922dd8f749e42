"""A shop that lived: orders that went every way, each through the services and a real platform.

The audit's tests, its bench and the bench of mutations look at it.
"""

import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import time_machine
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings
from django.utils import timezone
from PIL import Image
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import Session, User
from accounts.services.profile import change_profile, save_address
from accounts.services.sessions import end_session, log_in, read_session_id, refresh_session
from catalog.models import FreightRule, FreightTemplate, Sku
from catalog.services.reviews import follow_up_review, reply_to_review
from miniback.core.idempotency import run_once
from miniback.core.leases import Job, run_due
from miniback.core.models import TaskKind
from miniback.core.providers import payment_provider
from miniback.core.tasks import begin_task, prepare_task
from miniback.core.uploads import store_upload
from miniback.jobs import deliver_outbox, run_due_tasks
from miniback.platforms.contract import Trade, TradeState
from orders.models import (
    BillDifference,
    Carrier,
    Channel,
    ClaimedCoupon,
    DifferenceKind,
    Order,
    Payment,
    Refund,
)
from orders.services import desk
from orders.services.after_sales import register_return, request_refund, withdraw_refund
from orders.services.cancellation import cancel_order
from orders.services.checkout import place_order
from orders.services.corrections import book_amount, explain_difference, mark_foreign
from orders.services.daily import compute_day
from orders.services.difference_rows import (
    Discrepancy,
    account_of,
    record_discrepancies,
    resolve_by_itself,
)
from orders.services.discrepancies import record_unknown_payment
from orders.services.fulfillment import confirm_receipt, hide_order, ship_order
from orders.services.notices import receive_notice
from orders.services.payment import start_payment
from orders.services.payment_corrections import give_back, keep_money, void_payment
from orders.services.reconciliation import bills_of, reconcile
from orders.services.refund_corrections import book_external_refund, reverse_refund
from orders.services.refund_decisions import (
    approve_refund,
    receive_return,
    refund_order,
    reject_refund,
)
from orders.services.refund_redirects import redirect_refund
from orders.services.refund_steps import pay_out_refund, reapply_refund, write_off_refund
from orders.services.refunds import send_due_refunds
from orders.services.reviews import review_order
from orders.services.settlement import check_payment, record_trade
from orders.status import Actor, RefundKind
from tests.factories import (
    ADDRESS,
    make_address,
    make_claim,
    make_product,
    make_sku,
    make_staff,
)
from tests.notices import headers, message, transaction
from tests.sandbox_process import SandboxProcess, until

UNIT_FEN, FREIGHT_FEN, OFF_FEN = 3333, 800, 700
YESTERDAY = timedelta(hours=25)


def connect_settings(sandbox: SandboxProcess) -> dict[str, Any]:
    """Return the settings of a shop that is connected to this platform."""
    named = {
        name: value for name, value in sandbox.env.items() if name.startswith(("WECHAT", "ALIPAY"))
    }
    return {**named, "WECHATPAY_CERTIFICATES": False, "WECHAT_CONTENT_CHECK": False}


@dataclass
class Shop:
    sandbox: SandboxProcess
    # Whether the platform hears of each payment; otherwise it is recorded as if it had told.
    is_real: bool = True
    serial: Any = field(default_factory=lambda: itertools.count(1))

    def open(self, *, customers: int = 2, skus: int = 2, stock: int = 1000) -> "Shop":
        template = FreightTemplate.objects.create(name="包裹", unit="fixed")
        FreightRule.objects.create(template=template, first_fen=FREIGHT_FEN)
        product = make_product(freight_template=template)
        self.skus: list[Sku] = [
            make_sku(product=product, stock=stock, price_fen=UNIT_FEN + number)
            for number in range(skus)
        ]
        self.users: list[User] = [self.log_in(f"o-history-{n}") for n in range(customers)]
        self.addresses = {user.pk: make_address(user).pk for user in self.users}
        self.carrier = Carrier.objects.get_or_create(code="SF", defaults={"name": "顺丰速运"})[0]
        self.clerk = make_staff(username="clerk")
        self.second = make_staff(username="second")
        return self

    def log_in(self, openid: str) -> User:
        return log_in(platform="wechat", code=self.sandbox.code(openid)).user

    def place(self, *, pieces: int = 2, coupon: ClaimedCoupon | None = None) -> Order:
        """An order of two lines, by the customer whose turn it is, with an idempotency key."""
        number = next(self.serial)
        user = coupon.user if coupon else self.users[number % len(self.users)]
        first = number % len(self.skus)
        chosen = [self.skus[first], self.skus[(first + 1) % len(self.skus)]]
        goods = sum(sku.price_fen * pieces for sku in chosen)
        off = 0
        if coupon:
            off = FREIGHT_FEN if coupon.coupon.kind == "freight" else OFF_FEN
        options: dict[str, Any] = {
            "quantities": {sku.pk: pieces for sku in chosen},
            "address_id": self.addresses[user.pk],
            "payable_fen": goods + FREIGHT_FEN - off,
            "coupon_id": coupon.pk if coupon else None,
        }
        key = f"history-{number:08d}"
        return run_once(
            user=user, key=key, body=options, act=lambda: place_order(user, **options)
        ).made

    def ask(self, order: Order) -> tuple[Payment, dict[str, str]]:
        request = start_payment(order, channel="wechat", payer=order.user.identities.get())
        return request.payment, request.params

    def pay(self, order: Order) -> Order:
        if self.is_real:
            payment, params = self.ask(order)
            self.collect(payment, params)
        else:
            self.record(order)
        order.refresh_from_db()
        return order

    def collect(self, payment: Payment, params: dict[str, str]) -> None:
        self.hand_over(payment, params)
        check_payment(payment)

    def hand_over(self, payment: Payment, params: dict[str, str]) -> None:
        assert payment.payer
        assert self.sandbox.pay(params, openid=payment.payer.openid).ok

    def record(self, order: Order) -> None:
        """As if the platform had told of it, without asking it."""
        number = next(self.serial)
        payment = Payment.objects.create(
            order=order, channel="wechat", number=f"P{number:021d}",
            app_id=settings.WECHAT_APP_ID, merchant_id=settings.WECHATPAY_MCH_ID,
            amount_fen=order.payable_fen, payer=order.user.identities.get(),
            created_at=timezone.now(),
        )  # fmt: skip
        trade = Trade(
            number=payment.number, state=TradeState.PAID, platform_state="SUCCESS",
            transaction_id=f"42{number:026d}", amount_fen=payment.amount_fen, currency="CNY",
            app_id=settings.WECHAT_APP_ID, merchant_id=settings.WECHATPAY_MCH_ID,
            paid_at=timezone.now(),
        )  # fmt: skip
        record_trade("wechat", trade)

    def ship(self, order: Order, pieces: int | None = None) -> None:
        quantities = {order.lines.order_by("id")[0].pk: pieces} if pieces else None
        ship_order(
            order, carrier=self.carrier, tracking_number=f"SF{next(self.serial):010d}",
            user=self.clerk, quantities=quantities,
        )  # fmt: skip

    def complete(self, order: Order) -> Order:
        self.ship(self.pay(order))
        return confirm_receipt(order, actor=Actor.CUSTOMER, user=order.user)

    def notify(self, content: dict[str, Any]) -> None:
        """Let the platform tell of a payment."""
        body = message(self.sandbox, content)
        receive_notice(Channel.WECHAT, headers(self.sandbox, body), body)

    def upload(self, user: User, purpose: str) -> str:
        buffer = io.BytesIO()
        Image.new("RGB", (60, 40), "teal").save(buffer, "PNG")
        file = SimpleUploadedFile("picture.png", buffer.getvalue())
        return store_upload(user=user, purpose=purpose, file=file).pk

    def want_back(self, order: Order, pieces: int = 1, **more: Any) -> Refund:
        line = order.lines.order_by("id")[0]
        more.setdefault("kind", RefundKind.REFUND_ONLY)
        return request_refund(order, quantities={line.pk: pieces}, reason="不想要了", **more)

    def paid_now(self) -> Payment:
        return Payment.objects.get(order=self.pay(self.place()))

    def give_back_elsewhere(self, payment: Payment, fen: int) -> None:
        """In the merchant's console, until the customer has it."""
        number = self.sandbox.console_refund(payment.number, fen)
        platform = payment_provider("wechat")
        until(lambda: platform.query_refund(number, payment.number).status == "SUCCESS")

    def differ(
        self, payment: Payment, kind: DifferenceKind, refund: Refund | None = None, **fen: Any
    ) -> BillDifference:
        """Let the platform's view of a payment, or of its refund, be another one."""
        number = (refund and refund.out_refund_no) or payment.number
        one = Discrepancy(
            kind, refund is not None, number, payment.number, payment.transaction_id or "",
            fen.get("theirs_fen"), fen.get("ours_fen"), payment,
        )  # fmt: skip
        (row,) = record_discrepancies(account_of(payment), [one])
        return row

    def find_unknown(self) -> BillDifference:
        """Let the platform tell of money that is nobody's."""
        number = next(self.serial)
        trade = Trade(
            number=f"X{number:021d}", state=TradeState.PAID, platform_state="SUCCESS",
            transaction_id=f"43{number:026d}", amount_fen=UNIT_FEN, currency="CNY",
            app_id=settings.WECHAT_APP_ID, merchant_id=settings.WECHATPAY_MCH_ID,
            paid_at=timezone.now(),
        )  # fmt: skip
        record_unknown_payment(trade, channel="wechat")
        return BillDifference.objects.latest("pk")

    def settle(self, refund: Refund) -> None:
        """Send what is owed until the platform has paid it."""

        def is_settled() -> bool:
            Refund.objects.filter(pk=refund.pk, due_at__isnull=False).update(due_at=timezone.now())
            send_due_refunds()
            refund.refresh_from_db()
            return refund.due_at is None or bool(refund.platform_status == "ABNORMAL")

        until(is_settled)


# What may become of an order, from the ordinary to the odd.


def unpaid(shop: Shop) -> None:
    shop.ask(shop.place())


def cancelled(shop: Shop) -> None:
    order = shop.place(coupon=make_claim(shop.users[0], off=OFF_FEN))
    cancel_order(order, actor=Actor.CUSTOMER, user=order.user, reason="不想要了")
    hide_order(order)


def paid_too_late(shop: Shop) -> None:
    order = shop.place()
    payment, params = shop.ask(order)
    cancel_order(order, actor=Actor.JOB, reason="超时未支付")
    shop.collect(payment, params)
    shop.settle(Refund.objects.get(payment=payment))


def paid(shop: Shop) -> None:
    order = shop.pay(shop.place(coupon=make_claim(shop.users[0], off=OFF_FEN)))
    desk.write_note(order, staff_note="送礼", is_flagged=True, user=shop.clerk)


def adjusted(shop: Shop) -> None:
    order = shop.place()
    desk.adjust_price(order, discount_fen=1001, reason="老客户", user=shop.clerk)
    order.refresh_from_db()
    shop.pay(order)


def called_off(shop: Shop) -> None:
    order = shop.pay(shop.place(coupon=make_claim(shop.users[0], off=OFF_FEN)))
    desk.call_off(order, reason="缺货", user=shop.clerk)
    shop.settle(Refund.objects.get(order=order))


def partly_back(shop: Shop) -> None:
    order = shop.pay(shop.place(pieces=3, coupon=make_claim(shop.users[0], off=OFF_FEN)))
    for _ in range(2):
        refund = approve_refund(shop.want_back(order), user=shop.clerk)
    shop.settle(refund)


def owed(shop: Shop) -> None:
    order = shop.pay(shop.place())
    approve_refund(shop.want_back(order), user=shop.clerk)


def partly_shipped(shop: Shop) -> None:
    shop.ship(shop.pay(shop.place()), pieces=1)


def wanted_back(shop: Shop) -> None:
    order = shop.pay(shop.place())
    shop.ship(order)
    order.refresh_from_db()
    shop.want_back(order, images=[shop.upload(order.user, "refund")])


def completed(shop: Shop) -> None:
    order = shop.complete(shop.place(coupon=make_claim(shop.users[1], off=OFF_FEN)))
    content = {"rating": 4, "text": "很好", "is_anonymous": False}
    images = [[], [shop.upload(order.user, "review")]]
    reviews = [
        {"line": line.pk, "images": pictures, **content}
        for line, pictures in zip(order.lines.order_by("id"), images, strict=True)
    ]
    written = review_order(order, reviews=reviews, user=order.user)
    reply_to_review(written[0], "谢谢")
    follow_up_review(written[1], text="还是很好", images=[])


def returning(shop: Shop) -> None:
    refund = shop.want_back(shop.complete(shop.place()), kind=RefundKind.RETURN)
    approve_refund(refund, user=shop.clerk)
    register_return(refund, carrier="顺丰速运", tracking_number="SF77")


def returned(shop: Shop) -> None:
    refund = shop.want_back(shop.complete(shop.place()), kind=RefundKind.RETURN)
    approve_refund(refund, user=shop.clerk)
    shop.settle(receive_return(refund, user=shop.clerk, is_restocked=True))


def rejected(shop: Shop) -> None:
    refund = shop.want_back(shop.complete(shop.place()))
    reject_refund(refund, user=shop.clerk, decision="已使用")


def withdrawn(shop: Shop) -> None:
    withdraw_refund(shop.want_back(shop.pay(shop.place())))


def abnormal(shop: Shop) -> None:
    fail(shop)


def paid_out(shop: Shop) -> None:
    refund = fail(shop)
    pay_out_refund(refund, user=shop.clerk, reference="ICBC 0099")
    pay_out_refund(refund, user=shop.second, reference="ICBC 0099")


def written_off(shop: Shop) -> None:
    refund = fail(shop)
    write_off_refund(refund, user=shop.clerk, note="顾客放弃")
    write_off_refund(refund, user=shop.second, note="顾客放弃")


def sent_to_the_shop(shop: Shop) -> None:
    """Of one the customer has it by now; another one waits, with a proposal."""
    for is_paid in (True, False):
        refund = redirect_refund(fail(shop), user=shop.clerk)
        shop.settle(refund)
        pay_out_refund(refund, user=shop.clerk, reference="ICBC 0100")
        if is_paid:
            pay_out_refund(refund, user=shop.second, reference="ICBC 0100")


def applied_for_again(shop: Shop) -> None:
    shop.sandbox.fault("wechatpay.refund", "closed")
    refund = approve_refund(shop.want_back(shop.pay(shop.place())), user=shop.clerk)
    shop.settle(refund)
    shop.settle(reapply_refund(refund, user=shop.clerk))


def fail(shop: Shop) -> Refund:
    shop.sandbox.fault("wechatpay.refund", "abnormal")
    refund = approve_refund(shop.want_back(shop.pay(shop.place())), user=shop.clerk)
    shop.settle(refund)
    return refund


def freight_back(shop: Shop) -> None:
    order = shop.complete(shop.place())
    refund = refund_order(
        order, quantities={}, freight_fen=FREIGHT_FEN, kind=RefundKind.REFUND_ONLY,
        reason="晚到", user=shop.clerk,
    )  # fmt: skip
    shop.settle(refund)


def free(shop: Shop) -> None:
    """It costs nothing: one of its lines goes back, the rest is cancelled."""
    coupon = make_claim(shop.users[1], off=OFF_FEN, kind="freight", amount_fen=0)
    order = shop.place(coupon=coupon)
    desk.adjust_price(order, discount_fen=int(order.goods_fen), reason="赠品", user=shop.clerk)
    order.refresh_from_db()
    refund = shop.want_back(order, pieces=2)
    approve_refund(refund, user=shop.clerk)


def noticed(shop: Shop) -> None:
    """Paid, and told by a notice; a second one is about nothing, a third about nobody's money."""
    order = shop.place()
    payment, params = shop.ask(order)
    shop.hand_over(payment, params)
    number = payment_provider("wechat").query(payment.number).transaction_id
    shop.notify(transaction(shop.sandbox, payment, transaction_id=number))
    shop.notify(transaction(shop.sandbox, payment, trade_state="NOTPAY"))


# Paid, however it goes on.
ORDINARY: tuple[Callable[[Shop], None], ...] = (
    cancelled, paid, adjusted, partly_shipped, wanted_back, completed, returning, rejected,
    withdrawn,
)  # fmt: skip
# These need the platform's answer.
WITH_PLATFORM: tuple[Callable[[Shop], None], ...] = (
    paid_too_late, called_off, partly_back, returned, abnormal, noticed, paid_out, written_off,
    sent_to_the_shop, applied_for_again, freight_back, free,
)  # fmt: skip
# Left as they are: a job would go on with them.
WAITING: tuple[Callable[[Shop], None], ...] = (unpaid, owed)


def live(sandbox: SandboxProcess) -> Shop:
    """Return a shop in which every order went another way, twice each, some of them yesterday."""
    shop = Shop(sandbox).open()
    # The platform knows nothing of yesterday, so it is not told of its parcels.
    untold = override_settings(WECHAT_UPLOAD_SHIPPING=False)
    with time_machine.travel(timezone.now() - YESTERDAY), untold:
        shop.is_real = False
        for fate in ORDINARY * 2:
            fate(shop)
        shop.is_real = True
    for fate in (*ORDINARY, *WITH_PLATFORM) * 2:
        fate(shop)
    work(shop)
    shop.give_back_elsewhere(shop.paid_now(), 1000)
    compare_bill(shop)
    correct(shop)
    for fate in WAITING * 2:
        fate(shop)
    return shop


def work(shop: Shop) -> None:
    """Let jobs, tasks and customers leave their rows."""
    for day in (timezone.localdate() - timedelta(days=n) for n in (2, 1, 0)):
        compute_day(day)
    day = timezone.localdate().isoformat()
    params = {"columns": ["number"], "format": "csv", "first": day, "last": day, "statuses": []}
    for number in range(2):
        task = prepare_task(TaskKind.EXPORT_ORDERS, user=shop.clerk, params=params)
        begin_task(task)
        if not number:
            run_due_tasks()
        logged_in = log_in(platform="wechat", code=shop.sandbox.code(f"o-history-{number}"))
        refresh_session(logged_in.refresh)
        other = log_in(platform="wechat", code=shop.sandbox.code(f"o-history-{number}"))
        end_session(Session.objects.get(pk=read_session_id(AccessToken, other.access)))
        user = shop.users[number]
        change_profile(user, nickname=f"顾客{number}", avatar=shop.upload(user, "avatar"))
        save_address(user, **{**ADDRESS, "is_default": False})
    run_due([Job("deliver_outbox", deliver_outbox, every_seconds=2), Job("idle", list, 60)])


def compare_bill(shop: Shop) -> None:
    """Of today, once its day is over at the platform."""
    today = timezone.localdate()
    shop.sandbox.advance(24 * 3600)
    for bill in bills_of("wechat", today):
        reconcile(bill)
    shop.sandbox.advance(-24 * 3600)


def correct(shop: Shop) -> None:
    """Let staff resolve differences of every kind; the first is in a bill."""
    by: Any = {"user": shop.clerk, "note": "已与平台核对"}
    kinds = DifferenceKind
    for difference in BillDifference.objects.filter(status="open"):
        book_external_refund(difference, **by)
    compare_bill(shop)
    for resolve in (keep_money, give_back, mark_foreign):
        resolve(shop.find_unknown(), **by)
    for is_shipped in (False, True):
        payment = shop.paid_now()
        if is_shipped:
            assert payment.order
            shop.ship(payment.order)
        ours = {"ours_fen": int(payment.amount_fen)}
        void_payment(shop.differ(payment, kinds.NOT_THEIRS, **ours), **by)
    payment = shop.paid_now()
    fen = {"ours_fen": int(payment.amount_fen), "theirs_fen": int(payment.amount_fen) + 1}
    book_amount(shop.differ(payment, kinds.AMOUNT, **fen), **by)
    same = {"ours_fen": int(payment.amount_fen), "theirs_fen": int(payment.amount_fen)}
    explain_difference(shop.differ(payment, kinds.TRANSACTION, **same), **by)
    for is_retried in (True, False):
        order = shop.pay(shop.place())
        refund = approve_refund(shop.want_back(order), user=shop.clerk)
        shop.settle(refund)
        payment = Payment.objects.get(order=order)
        ours = {"ours_fen": int(refund.amount_fen)}
        reverse_refund(shop.differ(payment, kinds.NOT_THEIRS, refund, **ours), **by)
        if is_retried:
            shop.settle(reapply_refund(refund, user=shop.clerk))
    resolve_by_itself(BillDifference.objects.filter(pk=shop.find_unknown().pk), "再次核对时已一致")
