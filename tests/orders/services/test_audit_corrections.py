"""The audit is green in every state that corrections bring about, and red where money is lost by mistake."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts.models import User
from miniback.core import outbox
from miniback.core.models import OutboxMessage
from miniback.platforms.contract import PlatformRefund
from orders.models import (
    Bill,
    BillDifference,
    DifferenceKind,
    Order,
    Payment,
    Refund,
    RefundAttempt,
)
from orders.services import desk
from orders.services.after_sales import request_refund
from orders.services.audit import audit
from orders.services.corrections import book_amount
from orders.services.missing_bills import accept_missing_bill
from orders.services.payment_corrections import give_back, keep_money
from orders.services.refund_corrections import book_external_refund, reverse_refund
from orders.services.refund_decisions import refund_order
from orders.services.refund_steps import pay_out_refund, reapply_refund, write_off_refund
from orders.services.refunds import record_refund
from orders.status import RefundKind
from tests.factories import make_address, make_customer, make_order, make_sku, make_staff, pay
from tests.orders.services.test_corrections import (
    differ,
    ledger,
    make_pending,
    payment_of,
    unknown_payment,
    unknown_refund,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.broken_books]
STRAY = "P-stray-00000000000001"


@pytest.fixture
def clerk(sandbox: Any) -> User:
    return make_staff()


@pytest.fixture
def second(sandbox: Any) -> User:
    return make_staff(username="second")


@pytest.fixture
def bought(sandbox: Any) -> Order:
    """Two pieces at 19.90, paid by WeChat."""
    return pay(make_pending())


def reds() -> set[str]:
    """The rules that find something."""
    return {rule.name for rule, failure in audit() if failure}


def called_off(order: Order, clerk: User, *, platform_status: str = "") -> Refund:
    """The refund of the whole order, sent and failed."""
    desk.call_off(order, reason="x", user=clerk)
    Refund.objects.filter(order=order).update(
        status="failed",
        sent_at=timezone.now(),
        last_error=platform_status or "timeout",
        platform_status=platform_status,
    )
    return Refund.objects.select_related("payment", "order").get(order=order)


def stray(clerk: User, fen: int = 3980) -> BillDifference:
    """Money that belongs to no order."""
    return unknown_payment(
        Payment(
            channel="wechat",
            app_id=settings.WECHAT_APP_ID,
            merchant_id=settings.WECHATPAY_MCH_ID,
        ),
        theirs_fen=fen,
        number=STRAY,
    )


def success(refund: Refund, status: str = "SUCCESS") -> PlatformRefund:
    assert refund.payment is not None
    assert refund.out_refund_no is not None
    return PlatformRefund(
        refund.out_refund_no,
        refund.payment.number,
        f"50{refund.pk:020d}",
        status,
        int(refund.amount_fen),
        "CNY",
    )


# What the platform pays although the shop has ended it


def test_late_success_after_pay_out_is_a_loss_and_no_alarm(
    bought: Order, clerk: User, second: User
) -> None:
    refund = called_off(bought, clerk, platform_status="ABNORMAL")
    number = refund.out_refund_no or ""
    for user in (clerk, second):
        pay_out_refund(refund, user=user, reference="cash")
    row = unknown_refund(payment_of(bought), 3980, number)
    assert reds() == {"bill-difference"}
    book_external_refund(row, user=clerk, note="late")
    assert reds() == set()
    assert ledger(bought) == {"shop_bank": -3980, "corrections": 3980}


def test_late_success_after_write_off_is_no_alarm(bought: Order, clerk: User, second: User) -> None:
    refund = called_off(bought, clerk)
    number = refund.out_refund_no or ""
    for user in (clerk, second):
        write_off_refund(refund, user=user, note="renounced")
    book_external_refund(unknown_refund(payment_of(bought), 3980, number), user=clerk, note="late")
    assert reds() == set()
    assert ledger(bought) == {}


def test_late_success_after_pay_out_of_a_stray_payment_is_no_alarm(
    clerk: User, second: User
) -> None:
    give_back(stray(clerk), user=clerk, note="n")
    Refund.objects.update(status="failed", sent_at=timezone.now(), last_error="ABNORMAL",
                          platform_status="ABNORMAL")  # fmt: skip
    refund = Refund.objects.select_related("payment").get()
    for user in (clerk, second):
        pay_out_refund(refund, user=user, reference="cash")
    number = RefundAttempt.objects.get().out_refund_no
    book_external_refund(
        unknown_refund(Payment.objects.get(), 3980, number), user=clerk, note="late"
    )
    assert reds() == set()


def test_kept_money_that_is_refunded_elsewhere_is_no_alarm(clerk: User) -> None:
    keep_money(stray(clerk), user=clerk, note="n")
    book_external_refund(unknown_refund(Payment.objects.get()), user=clerk, note="n")
    assert reds() == set()
    assert ledger() == {"platform:wechat": 2980, "corrections": -2980}


def test_stray_money_given_back_before_by_a_part_is_no_alarm(clerk: User) -> None:
    give_back(stray(clerk), user=clerk, note="n")
    Refund.objects.update(status="failed", due_at=None, last_error="KNOWN_BEFORE",
                          platform_status="KNOWN_BEFORE")  # fmt: skip
    book_external_refund(unknown_refund(Payment.objects.get()), user=clerk, note="n")
    reapply_refund(Refund.objects.get(kind="auto"), user=clerk)
    assert Refund.objects.get(kind="auto").amount_fen == 2980
    assert reds() == set()


def test_request_and_refund_made_elsewhere_are_no_alarm(bought: Order, clerk: User) -> None:
    line = bought.lines.get()
    request_refund(bought, quantities={line.pk: 2}, kind=RefundKind.REFUND_ONLY, reason="r")
    book_external_refund(unknown_refund(payment_of(bought)), user=clerk, note="n")
    assert reds() == set()


def test_failed_refund_and_one_made_elsewhere_are_no_alarm(bought: Order, clerk: User) -> None:
    called_off(bought, clerk, platform_status="CLOSED")
    Refund.objects.update(due_at=None)
    book_external_refund(unknown_refund(payment_of(bought), 3980), user=clerk, note="n")
    assert reds() == set()


def test_many_refunds_of_nothing_are_no_alarm(clerk: User, sandbox: Any) -> None:
    customer = make_customer()
    make_address(customer)
    order = make_order(customer, sku=make_sku(price_fen=1990, stock=100), quantity=60)
    desk.adjust_price(order, discount_fen=1990 * 60 - 5, reason="x", user=clerk)
    order.refresh_from_db()
    order = pay(order)
    line = order.lines.get()
    for _ in range(52):
        refund_order(order, quantities={line.pk: 1}, freight_fen=None,
                     kind=RefundKind.REFUND_ONLY, reason="r", user=clerk)  # fmt: skip
    assert reds() == set()


# Booked, taken back, and booked again


def test_refund_booked_without_a_number_and_named_later_is_no_alarm(
    bought: Order, clerk: User
) -> None:
    payment = payment_of(bought)
    row = unknown_refund(payment, None, "")
    book_external_refund(row, user=clerk, note="n", amount_fen=1000)
    row = differ(payment, DifferenceKind.NOT_THEIRS, is_refund=True, number=row.number,
                 theirs_fen=None, ours_fen=1000)  # fmt: skip
    reverse_refund(row, user=clerk, note="n")
    book_external_refund(unknown_refund(payment, 1000, "X1"), user=clerk, note="n")
    assert reds() == set()


def test_refund_booked_under_a_typed_number_is_no_alarm(bought: Order, clerk: User) -> None:
    row = unknown_refund(payment_of(bought), None, "")
    book_external_refund(row, user=clerk, note="n", amount_fen=1000, refund_number="typed")
    assert reds() == set()


def test_refund_lowered_after_its_reversal_is_no_alarm(bought: Order, clerk: User) -> None:
    refund = called_off(bought, clerk)
    record_refund(success(refund))
    payment = payment_of(bought)
    row = differ(payment, DifferenceKind.NOT_THEIRS, is_refund=True,
                 number=refund.out_refund_no or "", theirs_fen=None, ours_fen=3980)  # fmt: skip
    reverse_refund(row, user=clerk, note="never paid")
    assert reds() == set()
    book_external_refund(unknown_refund(payment), user=clerk, note="n")
    reapply_refund(Refund.objects.get(pk=refund.pk), user=clerk)
    refund.refresh_from_db()
    assert (refund.amount_fen, reds()) == (2980, set())
    Refund.objects.filter(pk=refund.pk).update(sent_at=timezone.now())
    refund.refresh_from_db()
    record_refund(success(refund))
    refund.refresh_from_db()
    assert (refund.status, reds()) == ("succeeded", set())


def test_external_refund_lowered_after_its_reversal_is_no_alarm(bought: Order, clerk: User) -> None:
    payment = payment_of(bought)
    book_external_refund(unknown_refund(payment, 3980, "X1"), user=clerk, note="n")
    row = differ(payment, DifferenceKind.NOT_THEIRS, is_refund=True, number="X1",
                 theirs_fen=None, ours_fen=3980)  # fmt: skip
    reverse_refund(row, user=clerk, note="never paid")
    assert reds() == set()
    book_external_refund(unknown_refund(payment, 1000, "X2"), user=clerk, note="n")
    refund = Refund.objects.get(out_refund_no="X1")
    reapply_refund(refund, user=clerk)
    refund.refresh_from_db()
    assert (refund.amount_fen, reds()) == (2980, set())


def test_amount_booked_of_a_refund_is_no_alarm_once_all_is_back(bought: Order, clerk: User) -> None:
    payment = payment_of(bought)
    book_external_refund(unknown_refund(payment, 1000, "X1"), user=clerk, note="n")
    row = differ(payment, DifferenceKind.AMOUNT, is_refund=True, number="X1",
                 theirs_fen=1200, ours_fen=1000)  # fmt: skip
    book_amount(row, user=clerk, note="n")
    assert reds() == set()


# What the platform sent to the shop's account


def sent_to_shop(order: Order, clerk: User, *, days: int) -> None:
    """A refund that reached the shop's own account so many days ago."""
    refund = called_off(order, clerk, platform_status="ABNORMAL")
    Refund.objects.filter(pk=refund.pk).update(is_to_shop=True, platform_id="5")
    refund.refresh_from_db()
    record_refund(success(refund))
    Bill.objects.create(
        channel="wechat",
        app_id=settings.WECHAT_APP_ID,
        merchant_id=settings.WECHATPAY_MCH_ID,
        day=timezone.localdate() - timedelta(days=30),
        compared_at=timezone.now(),
        due_at=timezone.now(),
    )
    moment = timezone.now() - timedelta(days=days)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orders_ledgertransaction SET posted_at = %s"
            " WHERE event_key LIKE 'refund-to-shop:%%'",
            [connection.ops.adapt_datetimefield_value(moment)],
        )


def test_refund_to_the_shop_must_stand_in_a_bill(bought: Order, clerk: User) -> None:
    sent_to_shop(bought, clerk, days=4)
    assert "refund-billed" in reds()
    Refund.objects.update(billed_on=timezone.localdate() - timedelta(days=30))
    assert "refund-billed" not in reds()


def test_refund_to_the_shop_may_wait_for_its_bill(bought: Order, clerk: User) -> None:
    sent_to_shop(bought, clerk, days=1)
    assert "refund-billed" not in reds()


# Bills that never come


def test_bill_accepted_as_missing_is_no_alarm(bought: Order, clerk: User) -> None:
    now = timezone.now()
    payment = payment_of(bought)
    account = {"channel": "wechat", "app_id": payment.app_id, "merchant_id": payment.merchant_id}
    paid_at = now - timedelta(days=10)
    Payment.objects.update(paid_at=paid_at)
    compared = {"compared_at": now, "agreed_at": now}
    Bill.objects.create(day=timezone.localdate(now) - timedelta(days=20), **compared, **account)
    missing = Bill.objects.create(day=timezone.localdate(paid_at), due_at=now, attempts=5,
                                  last_error="NO_STATEMENT_EXIST", **account)  # fmt: skip
    assert {"bill-state", "payment-billed"} <= reds()
    accept_missing_bill(missing, user=clerk, note="closed that day")
    assert not {"bill-state", "payment-billed"} & reds()
    Bill.objects.filter(pk=missing.pk).update(note="")
    assert "bill-state" in reds()


# Messages


def test_message_that_was_never_sent_is_noticed(bought: Order, clerk: User) -> None:
    message = outbox.post(topic="x", event_key="x:1", payload={"a": "1"})
    assert "outbox-delivered" not in reds()
    OutboxMessage.objects.filter(pk=message.pk).update(done_at=timezone.now(), due_at=None)
    assert "outbox-delivered" in reds()
