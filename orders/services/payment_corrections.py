"""Payments that the platform and the books disagree about: never received, or never heard of."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from catalog.services.stock import give_back_stock
from miniback.core.errors import Conflict, InvalidFields
from miniback.core.transactions import atomic
from miniback.platforms.contract import Trade, TradeState
from orders.models import (
    BillDifference,
    Order,
    Payment,
    Refund,
    Resolution,
)
from orders.services.after_sales import give_up
from orders.services.books import (
    post_payment,
    post_payment_kept,
    post_payment_voided,
    post_write_off,
)
from orders.services.corrections import (
    Correction,
    CorrectionDoesNotFit,
    begin_correction,
    finish_correction,
)
from orders.services.coupons import give_back_coupon
from orders.services.life import move_order
from orders.services.refund_approvals import SecondApproval, is_large
from orders.services.refunds import refund_payment
from orders.services.settlement import apply_trade
from orders.status import (
    Actor,
    OrderStatus,
    PaymentStatus,
    RefundMethod,
    RefundStatus,
)

# The platform may be paying them back right now, or has done so.
UNDER_WAY = [
    RefundStatus.APPROVED, RefundStatus.RETURNING, RefundStatus.PROCESSING, RefundStatus.TO_PAY_OUT,
]  # fmt: skip


class RefundUnderWay(Conflict):
    code = "refund_under_way"


# Never received


@atomic
def void_payment(difference: BillDifference, *, user: Any, note: str) -> BillDifference:
    """Book that the platform never got a payment.

    An order of which nothing was shipped is cancelled; what was shipped is the shop's loss. Raises
    AlreadyResolved, CorrectionDoesNotFit, RefundUnderWay (money of it is being given back).
    """
    now = timezone.now()
    difference, payment, order = begin_correction(difference, Correction.VOID_PAYMENT)
    if payment is None or payment.status != PaymentStatus.PAID:
        raise CorrectionDoesNotFit
    _end_refunds(payment, user=user, note=note, now=now)
    is_undone = payment.is_applied and order is not None and order.status == OrderStatus.PAID
    post_payment_voided(payment, is_sale_undone=is_undone, now=now)
    Payment.objects.filter(pk=payment.pk).update(
        status=PaymentStatus.VOIDED, voided_at=now, billed_on=None
    )
    if order is not None and is_undone:
        _cancel(order, user=user, note=note, now=now)
    return finish_correction(difference, Resolution.PAYMENT_VOIDED, user=user, note=note, now=now)


def _end_refunds(payment: Payment, *, user: Any, note: str, now: datetime) -> None:
    """Nothing can be given back of what never came. Raises RefundUnderWay for what may have been."""
    refunds = Refund.objects.filter(payment=payment)
    under_way = refunds.filter(status__in=UNDER_WAY) | refunds.filter(
        status=RefundStatus.SUCCEEDED, method=RefundMethod.PLATFORM, amount_fen__gt=0
    )
    if blocking := under_way.order_by("pk").first():
        raise RefundUnderWay(
            _("Refund %(number)s of this payment is not at its end: see to that first.")
            % {"number": blocking.number}
        )
    for refund in refunds.filter(status=RefundStatus.REQUESTED):
        refund.decided_by, refund.decided_at, refund.decision = user, now, note
        give_up(refund, RefundStatus.REJECTED, actor=Actor.STAFF)
    for refund in refunds.filter(status=RefundStatus.FAILED).select_related("payment"):
        post_write_off(refund, now=now)
        Refund.objects.filter(pk=refund.pk).update(status=RefundStatus.WRITTEN_OFF, due_at=None)


def _cancel(order: Order, *, user: Any, note: str, now: datetime) -> None:
    columns: dict[str, Any] = {"cancelled_at": now, "cancel_reason": note[:200]}
    move_order(
        order,
        OrderStatus.CANCELLED,
        actor=Actor.STAFF,
        now=now,
        user=user,
        note=note,
        **columns,
    )
    give_back_coupon(order)
    kept = {line.sku_id: line.to_ship for line in order.lines.all() if line.to_ship}
    if kept:
        give_back_stock(kept, reference=order.number)


# Never heard of


@atomic
def book_payment(difference: BillDifference, *, user: Any, note: str) -> BillDifference:
    """Believe the platform about a payment of ours that is not settled: take in what it says came.

    The order is paid if it waits for exactly that; else the money goes back by itself. Raises
    AlreadyResolved, CorrectionDoesNotFit.
    """
    now = timezone.now()
    difference, payment, _order = begin_correction(difference, Correction.BOOK_PAYMENT)
    if payment is None:
        raise CorrectionDoesNotFit
    Payment.objects.filter(pk=payment.pk).update(amount_fen=difference.theirs_fen)
    # Before the money is applied, which would resolve it by itself.
    difference = finish_correction(
        difference, Resolution.PAYMENT_BOOKED, user=user, note=note, now=now
    )
    _apply(difference, payment)
    return difference


@atomic
def book_to_order(
    difference: BillDifference, *, user: Any, note: str, order_number: str
) -> BillDifference:
    """Book money that we did not know of to an order, as if the platform had told of it just now.

    The order is paid if it waits for exactly that; else the money goes back by itself. Raises
    AlreadyResolved, CorrectionDoesNotFit, InvalidFields (there is no such order).
    """
    now = timezone.now()
    order = Order.objects.filter(number=order_number.strip().upper()).first()
    if order is None:
        raise InvalidFields(order_number=_("There is no order with this number."))
    Order.objects.lock(order.pk)
    difference, _payment, _order = begin_correction(difference, Correction.BOOK_TO_ORDER)
    payment = _create(difference, now, order=order, status=PaymentStatus.UNKNOWN)
    # Before the money is applied, which would resolve it by itself.
    difference = finish_correction(
        difference, Resolution.PAYMENT_BOOKED, user=user, note=note, now=now
    )
    _apply(difference, payment)
    return difference


@atomic
def give_back(difference: BillDifference, *, user: Any, note: str) -> BillDifference:
    """Give money that belongs to no order back to its payer, through the platform.

    From REFUND_SECOND_APPROVAL_FEN up it only notes who agreed; it goes on when somebody else agrees
    too. Raises AlreadyResolved, CorrectionDoesNotFit, SecondApproval (the same person again).
    """
    now = timezone.now()
    difference, _payment, _order = begin_correction(difference, Correction.GIVE_BACK)
    if is_large(Refund(amount_fen=difference.theirs_fen), user, now=now):
        if difference.first_approved_by_id == user.pk:
            raise SecondApproval
        if difference.first_approved_by_id is None:
            BillDifference.objects.filter(pk=difference.pk).update(first_approved_by=user)
            return difference
    payment = _create(difference, now, status=PaymentStatus.PAID)
    post_payment(payment, is_applied=False, now=now)
    refund = refund_payment(payment, reason=note[:80], now=now)
    Refund.objects.filter(pk=refund.pk).update(
        decided_by=user,
        decided_at=now,
        first_approved_by=difference.first_approved_by_id,
    )
    return finish_correction(difference, Resolution.MONEY_RETURNED, user=user, note=note, now=now)


@atomic
def keep_money(difference: BillDifference, *, user: Any, note: str) -> BillDifference:
    """Book money that belongs to no order as the shop's own. Raises as `give_back`."""
    now = timezone.now()
    difference, _payment, _order = begin_correction(difference, Correction.KEEP)
    payment = _create(difference, now, status=PaymentStatus.PAID)
    post_payment(payment, is_applied=False, now=now)
    post_payment_kept(payment, now=now)
    return finish_correction(difference, Resolution.MONEY_KEPT, user=user, note=note, now=now)


def _create(
    difference: BillDifference,
    now: datetime,
    *,
    status: PaymentStatus,
    order: Order | None = None,
) -> Payment:
    """Write the payment that the platform tells of, under its number, of its account."""
    payment = Payment.objects.create(
        order=order,
        channel=difference.channel,
        app_id=difference.app_id,
        merchant_id=difference.merchant_id,
        number=difference.number,
        amount_fen=difference.theirs_fen,
        status=status,
        transaction_id=difference.transaction_id or None,
        created_at=now,
        paid_at=now if status == PaymentStatus.PAID else None,
        billed_on=difference.bill.day if difference.bill else None,
    )
    # Also what is known of its refunds.
    BillDifference.objects.filter(
        channel=payment.channel, payment_number=payment.number, payment=None
    ).update(payment=payment)
    return payment


def _apply(difference: BillDifference, payment: Payment) -> None:
    trade = Trade(
        number=payment.number,
        state=TradeState.PAID,
        platform_state="",
        transaction_id=difference.transaction_id,
        amount_fen=int(difference.theirs_fen or 0),
        currency="CNY",
        app_id=payment.app_id,
        merchant_id=payment.merchant_id,
        paid_at=None,
    )
    apply_trade(payment.pk, payment.order_id, trade)
