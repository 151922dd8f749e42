"""The shop, and what one does in it: place, pay, ship, give back."""

import io
import itertools
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from PIL import Image

from accounts.models import User
from accounts.services.sessions import log_in
from catalog.models import FreightRule, FreightTemplate, Sku
from miniback.core.idempotency import run_once
from miniback.core.providers import payment_provider
from miniback.core.uploads import store_upload
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
from orders.services.after_sales import request_refund
from orders.services.checkout import place_order
from orders.services.difference_rows import (
    Discrepancy,
    account_of,
    record_discrepancies,
)
from orders.services.discrepancies import record_unknown_payment
from orders.services.fulfillment import confirm_receipt, ship_order
from orders.services.notices import receive_notice
from orders.services.payment import start_payment
from orders.services.refunds import send_due_refunds
from orders.services.settlement import check_payment, record_trade
from orders.status import Actor, RefundKind
from tests.factories import (
    make_address,
    make_product,
    make_sku,
    make_staff,
)
from tests.notices import headers, message
from tests.sandbox_process import SandboxProcess, until

UNIT_FEN, FREIGHT_FEN, OFF_FEN = 3333, 800, 700


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
