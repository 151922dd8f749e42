"""Payments that the platform and the books disagree about: never received, or never heard of."""

from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from catalog.services.stock import give_back_stock
from miniback.core.errors import Conflict, InvalidFields
from miniback.core.transactions import atomic
from miniback.platforms.contract import PlatformRefundStatus, Trade, TradeState
from orders.models import (
    BillDifference,
    Order,
    Payment,
    Refund,
    Resolution,
)
from orders.services.after_sales import Request, give_up, open_refund
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
from orders.services.owed_refunds import decide_amount, owe_refund
from orders.services.refund_approvals import SecondApproval, drop_proposal, is_large
from orders.services.refunds import keep_attempt, refund_payment
from orders.services.settlement import apply_trade
from orders.status import (
    Actor,
    OrderStatus,
    PaymentStatus,
    RefundKind,
    RefundMethod,
    RefundStatus,
)

# The platform may be paying them back right now, or has done so.
UNDER_WAY = [
    RefundStatus.APPROVED, RefundStatus.RETURNING, RefundStatus.PROCESSING, RefundStatus.TO_PAY_OUT,
]  # fmt: skip


# What customers read; the notes of staff stay with the difference.
NOT_RECEIVED, NOT_OF_AN_ORDER = "未收到付款", "非订单款项退回"


class RefundUnderWay(Conflict):
    code = "refund_under_way"


# Never received


@atomic
def void_payment(difference: BillDifference, *, user: Any, note: str) -> BillDifference:
    """Book that the platform never got a payment.

    An order of which nothing was shipped is cancelled; what was shipped is the shop's loss, and no
    more of it is shipped. Raises AlreadyResolved, CorrectionDoesNotFit, RefundUnderWay (money of it is
    being given back, or may have been).
    """
    now = timezone.now()
    difference, payment, order = begin_correction(difference, Correction.VOID_PAYMENT)
    if payment is None or payment.status != PaymentStatus.PAID:
        raise CorrectionDoesNotFit
    _end_refunds(payment, user=user, now=now)
    if order is not None and payment.is_applied and order.status == OrderStatus.PARTLY_SHIPPED:
        _release_the_rest(order, user=user)
    is_undone = payment.is_applied and order is not None and order.status == OrderStatus.PAID
    post_payment_voided(payment, is_sale_undone=is_undone, now=now)
    Payment.objects.filter(pk=payment.pk).update(
        status=PaymentStatus.VOIDED, voided_at=now, billed_on=None
    )
    if order is not None and is_undone:
        _cancel(order, user=user, now=now)
    return finish_correction(difference, Resolution.PAYMENT_VOIDED, user=user, note=note, now=now)


def _end_refunds(payment: Payment, *, user: Any, now: datetime) -> None:
    """Nothing can be given back of what never came. Raises RefundUnderWay for what may have been."""
    refunds = Refund.objects.filter(payment=payment)
    is_paid = Q(status=RefundStatus.SUCCEEDED, method=RefundMethod.PLATFORM, amount_fen__gt=0)
    # Of what was sent only the platform can say that it will not pay it.
    in_doubt = Q(status=RefundStatus.FAILED, sent_at__isnull=False, out_refund_no__isnull=False)
    in_doubt &= ~Q(platform_status=PlatformRefundStatus.CLOSED)
    under_way = refunds.filter(Q(status__in=UNDER_WAY) | is_paid | in_doubt)
    if blocking := under_way.order_by("pk").first():
        raise RefundUnderWay(
            _("Refund %(number)s of this payment is not at its end: see to that first.")
            % {"number": blocking.number}
        )
    for refund in refunds.filter(status=RefundStatus.REQUESTED):
        refund.decided_by, refund.decided_at, refund.decision = user, now, NOT_RECEIVED
        give_up(refund, RefundStatus.REJECTED, actor=Actor.STAFF)
    for refund in refunds.filter(status=RefundStatus.FAILED).select_related("payment"):
        _write_off(refund, now)


def _write_off(refund: Refund, now: datetime) -> None:
    """Its money never came. Should the platform pay it after all, that is a refund of its own."""
    drop_proposal(refund)
    if refund.out_refund_no and refund.sent_at:
        keep_attempt(refund, refund.platform_status, now=now)
    post_write_off(refund, now=now)
    Refund.objects.filter(pk=refund.pk).update(
        status=RefundStatus.WRITTEN_OFF, out_refund_no=None, is_to_shop=False, due_at=None
    )


def _release_the_rest(order: Order, *, user: Any) -> None:
    """Take back the sale of what was not shipped, by a refund that nobody pays: its stock is free."""
    rest = {line.pk: line.to_ship for line in order.lines.all() if line.to_ship}
    request = Request(rest, RefundKind.REFUND_ONLY, NOT_RECEIVED, is_shipped=False, opened_by=user)
    refund = open_refund(order, request)
    now = timezone.now()
    refund.order, refund.decided_by, refund.decided_at = order, user, now
    decide_amount(refund)
    refund = owe_refund(refund, now=now)
    if refund.status == RefundStatus.APPROVED:
        _write_off(refund, now)


def _cancel(order: Order, *, user: Any, now: datetime) -> None:
    columns: dict[str, Any] = {"cancelled_at": now, "cancel_reason": NOT_RECEIVED}
    move_order(
        order,
        OrderStatus.CANCELLED,
        actor=Actor.STAFF,
        now=now,
        user=user,
        note=NOT_RECEIVED,
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
    if not _is_approved(difference, Correction.GIVE_BACK, user, now):
        return difference
    payment = _create(difference, now, status=PaymentStatus.PAID)
    post_payment(payment, is_applied=False, now=now)
    refund = refund_payment(payment, reason=NOT_OF_AN_ORDER, now=now)
    Refund.objects.filter(pk=refund.pk).update(
        decided_by=user,
        decided_at=now,
        first_approved_by=difference.first_approved_by_id,
    )
    return finish_correction(difference, Resolution.MONEY_RETURNED, user=user, note=note, now=now)


@atomic
def keep_money(difference: BillDifference, *, user: Any, note: str) -> BillDifference:
    """Book money that belongs to no order as the shop's own. By two, and raises, as `give_back`."""
    now = timezone.now()
    difference, _payment, _order = begin_correction(difference, Correction.KEEP)
    if not _is_approved(difference, Correction.KEEP, user, now):
        return difference
    payment = _create(difference, now, status=PaymentStatus.PAID)
    post_payment(payment, is_applied=False, now=now)
    post_payment_kept(payment, now=now)
    return finish_correction(difference, Resolution.MONEY_KEPT, user=user, note=note, now=now)


def _is_approved(
    difference: BillDifference, correction: Correction, user: Any, now: datetime
) -> bool:
    """Say whether enough people agree to a correction; the first of two is written down.

    Whoever agreed to another one did not agree to this. Raises SecondApproval (the same person again).
    """
    if not is_large(Refund(amount_fen=difference.theirs_fen), user, now=now):
        return True
    if difference.first_approved_for == correction:
        if difference.first_approved_by_id == user.pk:
            raise SecondApproval
        return True
    difference.first_approved_by, difference.first_approved_for = user, correction
    difference.save(update_fields=["first_approved_by", "first_approved_for"])
    return False


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
