"""What the platform says of a payment, and what becomes of it: paid, refunded, closed.

The account that the payment's row names is asked, whatever the settings say by now. Where its
credentials are gone nobody can know, so the payment stays open and shows why.
"""

import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from catalog.services.products import count_sales
from miniback.core import outbox
from miniback.core.clock import database_now
from miniback.core.due import try_due
from miniback.core.errors import PlatformUnavailable, Throttled
from miniback.core.transactions import assert_no_transaction, atomic
from miniback.platforms.contract import Trade, TradeState
from miniback.platforms.errors import NoSuchTrade, PlatformError
from miniback.platforms.errors import Refused as PlatformRefused
from orders.models import (
    Channel,
    DifferenceKind,
    MessageKind,
    Notice,
    Order,
    Payment,
    new_number,
)
from orders.services.books import post_payment, post_payment_returned, post_sale
from orders.services.channels import LANES, provider_of
from orders.services.discrepancies import (
    forget_payment_discrepancies,
    record_payment_discrepancy,
    record_refund_started,
    record_unknown_payment,
)
from orders.services.life import move_order
from orders.services.messages import tell_customer
from orders.services.refunds import refund_payment
from orders.status import Actor, OrderStatus, PaymentStatus

logger = logging.getLogger(__name__)

CLOSE_PAYMENT = "payment.close"
CHECK_LEASE = timedelta(seconds=30)
CUSTOMER_CHECK_EVERY = timedelta(seconds=2)
NEVER_ARRIVED = timedelta(minutes=10)
AUTO_REASON = "订单已关闭或重复支付，自动退款"


class Mismatch(Exception):
    """What the platform says does not fit our books; it is listed as a difference."""


def check_payment(payment: Payment) -> None:
    """Ask the platform about a payment and record its answer. Raises PlatformError, Mismatch.

    Reads ``order``: load it with the payment.
    """
    assert_no_transaction()
    try:
        trade = provider_of(payment).query(payment.number)
    except NoSuchTrade:
        # It never arrived there, or is still on its way; after its time it can no longer be paid.
        if payment.order and database_now() > payment.order.pay_before + NEVER_ARRIVED:
            close_payment_row(payment)
        return
    record_trade(payment.channel, trade)


def check_payment_for_customer(payment: Payment) -> Payment:
    """As ``check_payment``, at most once in two seconds. Raises Throttled, PlatformUnavailable."""
    now = timezone.now()
    mine = Payment.objects.filter(pk=payment.pk).exclude(checked_at__gt=now - CUSTOMER_CHECK_EVERY)
    if not mine.update(checked_at=now):
        raise Throttled(retry_after=2)
    try:
        check_payment(payment)
    except (PlatformError, Mismatch) as error:
        logger.warning("payment %s: %s", payment.number, error)
        raise PlatformUnavailable(retry_after=2) from error
    payment.refresh_from_db()
    return payment


def record_trade(channel: str, trade: Trade, *, notice: Notice | None = None) -> Payment | None:
    """Write what the platform says of a payment, once; a repeat changes nothing.

    ``trade`` must come from a verified notice or answer. Money that is not ours, or of another amount,
    is listed as a difference and raises Mismatch; what is neither ours nor money gives None.
    """
    payment = Payment.objects.filter(channel=channel, number=trade.number).first()
    is_money = _is_money(trade)
    if payment is None or not _is_of_account(trade, payment):
        if not is_money:
            return None
        record_unknown_payment(trade, channel=channel, notice=notice)
        raise Mismatch(
            f"no payment of app {trade.app_id[:40]}, merchant {trade.merchant_id[:40]}"
            f" has the number {trade.number[:40]}"
        )
    if is_money:
        _check_money(payment, trade, notice)
        apply_trade(payment.pk, payment.order_id, trade)
    elif trade.state == TradeState.CLOSED:
        close_payment_row(payment)
    return payment


def _is_money(trade: Trade) -> bool:
    """Say whether the payer paid, even if the platform has given all of it back since."""
    return trade.is_paid or (trade.refund_started and bool(trade.transaction_id))


def _is_of_account(trade: Trade, payment: Payment) -> bool:
    """A row from before accounts were kept is of the account that serves it."""
    ours = payment if payment.merchant_id else provider_of(payment)
    return (trade.app_id, trade.merchant_id) == (ours.app_id, ours.merchant_id)


def _check_money(payment: Payment, trade: Trade, notice: Notice | None) -> None:
    # What the payer paid may be less (the platform's own coupons); the total must be ours.
    if (trade.amount_fen, trade.currency) != (payment.amount_fen, "CNY"):
        record_payment_discrepancy(payment, trade, DifferenceKind.AMOUNT, notice=notice)
        raise Mismatch(
            f"{trade.amount_fen} {trade.currency[:8]} instead of {payment.amount_fen} CNY"
        )
    same = Payment.objects.filter(channel=payment.channel, transaction_id=trade.transaction_id)
    if same.exclude(pk=payment.pk).exists():
        record_payment_discrepancy(payment, trade, DifferenceKind.TRANSACTION, notice=notice)
        raise Mismatch(f"transaction {trade.transaction_id} belongs to another payment")


@atomic
def apply_trade(payment_id: int, order_id: int | None, trade: Trade) -> None:
    """The order is paid; or, if it no longer waits for money, the money goes back by itself."""
    now = timezone.now()
    order = Order.objects.lock(order_id) if order_id else None
    payment = Payment.objects.get(pk=payment_id)
    # Before anything ships: the platform has given money of it back, or begun to.
    if trade.refund_started:
        record_refund_started(payment, trade)
    if order is None or payment.status == PaymentStatus.PAID:
        if payment.status == PaymentStatus.PAID:
            # Another amount that it told meanwhile does not hold any more.
            forget_payment_discrepancies(payment)
        return
    was_voided = payment.status == PaymentStatus.VOIDED
    if was_voided and payment.is_applied and order.status != OrderStatus.CANCELLED:
        # Voided when its goods had left: what was a loss is none.
        if _mark_paid(payment, trade, now, is_applied=True):
            post_payment_returned(payment, now=now)
        return
    # Its price may have been adjusted since the customer was asked to pay.
    is_due = payment.amount_fen == order.payable_fen
    is_applied = order.status == OrderStatus.PENDING_PAYMENT and is_due
    if not _mark_paid(payment, trade, now, is_applied=is_applied):
        return
    post_payment(payment, is_applied=is_applied, now=now)
    if is_applied:
        _pay_order(order, now)
    else:
        logger.warning("payment %s came too late or twice; it is refunded", payment.number)
        number = new_number("R") if was_voided else ""
        refund_payment(payment, reason=AUTO_REASON, now=now, number=number)


def _mark_paid(payment: Payment, trade: Trade, now: datetime, *, is_applied: bool) -> bool:
    """A closed payment too: the platform may have taken the money before it heard of the closing."""
    unpaid = Payment.objects.filter(pk=payment.pk).exclude(status=PaymentStatus.PAID)
    first_time = unpaid.update(
        status=PaymentStatus.PAID,
        is_applied=is_applied,
        transaction_id=trade.transaction_id or None,
        paid_at=trade.paid_at or now,
        voided_at=None,
        open_key=None,
        due_at=None,
        last_error="",
    )
    if first_time:
        forget_payment_discrepancies(payment)
    return bool(first_time)


def _pay_order(order: Order, now: datetime) -> None:
    move_order(order, OrderStatus.PAID, actor=Actor.PLATFORM, now=now, paid_at=now)
    post_sale(order, now=now)
    _count_sales(order)
    tell_customer(order, MessageKind.PAID)


def settle_free_order(order: Order, *, now: datetime) -> None:
    """An order that costs nothing is paid, without a platform. Call it under the order's lock."""
    if order.payable_fen:
        raise AssertionError(f"{order} costs something")
    move_order(order, OrderStatus.PAID, actor=Actor.JOB, now=now, paid_at=now)
    post_sale(order, now=now)
    _count_sales(order)


def _count_sales(order: Order) -> None:
    pieces: dict[int, int] = {}
    for product_id, quantity in order.lines.values_list("product_id", "quantity"):
        pieces[product_id] = pieces.get(product_id, 0) + quantity
    count_sales(pieces)


def close_payment_row(payment: Payment) -> None:
    """The platform will not collect it any more. Money that comes nevertheless is refunded."""
    Payment.objects.filter(pk=payment.pk).open().update(
        status=PaymentStatus.CLOSED, open_key=None, due_at=None
    )


def close_payment(payment: Payment) -> None:
    """Make a payment uncollectable at the platform, and with us; if it is paid, record that.

    May be repeated. Raises PlatformError, Mismatch.
    """
    assert_no_transaction()
    try:
        provider_of(payment).close(payment.number)
    except NoSuchTrade:
        pass
    except PlatformRefused:
        # ORDERPAID, or closed long ago: let the platform say.
        check_payment(payment)
        return
    close_payment_row(payment)


def close_open_payments(order: Order) -> None:
    """Let nobody pay the old amount: no new request reuses it, and the platform is told to close it."""
    # One without its key was let go before, and its message is on the way.
    opened = Payment.objects.filter(order=order, open_key__isnull=False).open()
    for number, channel in opened.values_list("number", "channel"):
        key = f"{CLOSE_PAYMENT}:{number}"
        lane = LANES[Channel(channel)]
        outbox.post(topic=CLOSE_PAYMENT, event_key=key, payload={"number": number}, lane=lane)
    opened.update(open_key=None)


def close_payment_by_number(payload: dict[str, Any]) -> None:
    """Outbox handler of ``payment.close``: ``{"number": ...}``."""
    close_payment(Payment.objects.select_related("order").get(number=payload["number"]))


# The job


def check_due_payments(channels: Collection[str] = Channel.values) -> None:
    """Ask the platform about payments whose notice has not come."""
    due = Payment.objects.open().filter(channel__in=channels).select_related("order")
    try_due(due, _check_again, lease=CHECK_LEASE, expected=(PlatformError, Mismatch))


def _check_again(payment: Payment) -> None:
    check_payment(payment)
    Payment.objects.filter(pk=payment.pk).open().update(
        due_at=payment.next_try_at(database_now()), last_error=""
    )
