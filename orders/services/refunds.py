"""Money back: one row and one number a refund, committed before the platform is asked."""

import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from miniback.core import providers
from miniback.core.due import try_due
from miniback.core.errors import Conflict, PlatformUnavailable
from miniback.core.providers import payment_provider
from miniback.core.transactions import assert_no_transaction, atomic
from miniback.platforms.contract import PlatformRefund
from miniback.platforms.errors import Misconfigured, NoSuchTrade, PlatformError
from miniback.platforms.errors import Refused as PlatformRefused
from miniback.platforms.wechatpay import BankCard
from orders.models import Channel, MessageKind, Order, Payment, Refund
from orders.services.books import post_refund
from orders.services.channels import notify_url
from orders.services.coupons import give_back_coupon
from orders.services.life import move_order
from orders.services.messages import tell_customer
from orders.status import Actor, OrderStatus, RefundStatus

logger = logging.getLogger(__name__)

SEND_LEASE = timedelta(seconds=30)
UNSETTLED = [RefundStatus.APPROVED, RefundStatus.PROCESSING, RefundStatus.FAILED]
ABNORMAL = "ABNORMAL"


class NotAbnormal(Conflict):
    code = "refund_not_abnormal"
    detail = _("Only what WeChat Pay could not give back (ABNORMAL) is sent another way.")


class RedirectRefused(Conflict):
    code = "refund_redirect_refused"
    detail = _("WeChat Pay refused.")


def refund_payment(payment: Payment, *, reason: str, now: datetime) -> Refund:
    """Decide, in the current transaction, to give a payment back whole; a job does it.

    The number is made from the payment's, so a second decision breaks its unique key.
    """
    number = f"R{payment.number}"
    return Refund.objects.create(
        order_id=payment.order_id,
        payment=payment,
        number=number,
        out_refund_no=number,
        amount_fen=payment.amount_fen,
        status=RefundStatus.APPROVED,
        reason=reason,
        created_at=now,
        due_at=now,
    )


def send_due_refunds(channels: Collection[str] = Channel.values) -> None:
    """Ask the platform to pay back, or how far it is, for every refund that is due."""
    due = Refund.objects.filter(status__in=UNSETTLED, payment__channel__in=channels)
    try_due(due.select_related("payment"), _send, lease=SEND_LEASE)


def _send(refund: Refund) -> None:
    try:
        record_refund(_ask_platform(refund))
    except PlatformError as error:
        # Visible to staff, and tried again with the same number: a new one would pay twice.
        logger.warning("refund %s: %s", refund.number, error)
        _note_failure(refund, str(error))


def _ask_platform(refund: Refund) -> PlatformRefund:
    """Query what was sent before; send what the platform does not know."""
    assert_no_transaction()
    payment = refund.payment
    platform = payment_provider(payment.channel)
    if refund.attempts > 1:
        try:
            return platform.query_refund(refund.out_refund_no, payment.number)
        except NoSuchTrade:
            pass
    return platform.refund(
        number=refund.out_refund_no,
        payment_number=payment.number,
        amount_fen=refund.amount_fen,
        total_fen=payment.amount_fen,
        reason=refund.reason,
        notify_url=notify_url(payment.channel),
    )


def redirect_refund(
    refund: Refund, *, user: Any, bank_type: str = "", account: str = "", holder: str = ""
) -> Refund:
    """Send money that WeChat Pay could not give back (ABNORMAL: the card is gone) another way.

    To a card of the customer, of which nothing is kept; without one to the shop's own account, from
    where staff pay him by hand. Calls the platform. Raises NotAbnormal, RedirectRefused,
    PlatformUnavailable.
    """
    assert_no_transaction()
    fresh = Refund.objects.select_related("payment").get(pk=refund.pk)
    is_abnormal = fresh.status == RefundStatus.FAILED and fresh.last_error == ABNORMAL
    if fresh.payment.channel != Channel.WECHAT or not is_abnormal:
        raise NotAbnormal
    card = BankCard(bank_type, account, holder) if account else None
    try:
        answer = providers.wechatpay().redirect_refund(
            fresh.platform_id, fresh.out_refund_no, card=card
        )
    except (PlatformRefused, Misconfigured) as error:
        # A card that its bank does not know is a wrong parameter.
        raise RedirectRefused(_("WeChat Pay refused: %(why)s") % {"why": error}) from error
    except PlatformError as error:
        logger.warning("refund %s: %s", fresh.number, error)
        raise PlatformUnavailable(retry_after=5) from error
    logger.info("refund %s is sent another way by %s", fresh.number, user)
    record_refund(answer)
    fresh.refresh_from_db()
    return fresh


@atomic
def record_refund(answer: PlatformRefund) -> Refund | None:
    """Write how far a refund is, from a verified answer or notice; a repeat changes nothing.

    Returns None when the number, the payment or the amount is not ours.
    """
    now = timezone.now()
    refund = Refund.objects.select_related("payment").filter(out_refund_no=answer.number).first()
    if refund is None or refund.payment.number != answer.payment_number:
        return None
    if (answer.amount_fen, answer.currency) != (refund.amount_fen, "CNY"):
        return None
    order = Order.objects.lock(refund.order_id)
    unsettled = Refund.objects.filter(pk=refund.pk, status__in=UNSETTLED)
    if answer.status == "SUCCESS":
        first_time = unsettled.update(
            status=RefundStatus.SUCCEEDED,
            platform_id=answer.platform_id,
            succeeded_at=now,
            due_at=None,
            last_error="",
        )
        if first_time:
            post_refund(refund, now=now)
            tell_customer(order, MessageKind.REFUNDED, refund=refund)
            _cancel_if_all_is_back(order, now)
    elif answer.status == "PROCESSING":
        unsettled.update(
            status=RefundStatus.PROCESSING,
            platform_id=answer.platform_id,
            due_at=refund.next_try_at(now),
        )
    else:
        # ABNORMAL, CLOSED: the money did not arrive, and our claim on it stays.
        _note_failure(refund, answer.status, platform_id=answer.platform_id)
    return refund


def _cancel_if_all_is_back(order: Order, now: datetime) -> None:
    """Nothing is left to ship, and all money has gone back."""
    if order.status != OrderStatus.PAID:
        return
    if order.lines.filter(released_quantity__lt=F("quantity")).exists():
        return
    if Refund.objects.filter(order=order, status__in=UNSETTLED).exists():
        return
    reason = "已全额退款"
    give_back_coupon(order)
    move_order(
        order,
        OrderStatus.CANCELLED,
        actor=Actor.PLATFORM,
        now=now,
        note=reason,
        cancelled_at=now,
        cancel_reason=reason,
    )


def _note_failure(refund: Refund, error: str, **columns: str) -> None:
    Refund.objects.filter(pk=refund.pk, status__in=UNSETTLED).update(
        status=RefundStatus.FAILED,
        last_error=error[:300],
        **columns,
        due_at=refund.next_try_at(timezone.now()),
    )
