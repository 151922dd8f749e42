"""Money back through the platform: one number a refund, committed before the platform is asked."""

import logging
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from miniback.core.due import try_due
from miniback.core.money import format_yuan
from miniback.core.transactions import assert_no_transaction, atomic
from miniback.platforms.contract import PaymentProvider, PlatformRefund, PlatformRefundStatus
from miniback.platforms.errors import NoSuchTrade, PlatformError
from orders.models import (
    BillDifference,
    Channel,
    DifferenceKind,
    DifferenceStatus,
    MessageKind,
    Payment,
    Refund,
    RefundAttempt,
    Resolution,
)
from orders.services.books import post_refund, post_refund_to_shop
from orders.services.channels import notify_url, provider_of
from orders.services.difference_rows import KNOWN_BEFORE
from orders.services.discrepancies import record_refund_amount, record_unknown_refund
from orders.services.messages import tell_customer
from orders.services.owed_refunds import cancel_if_all_is_back
from orders.services.refund_approvals import drop_proposal
from orders.services.refund_claims import next_refund_number
from orders.services.refund_life import lock_refund, payment_of, platform_number
from orders.status import UNSETTLED, RefundKind, RefundStatus

logger = logging.getLogger(__name__)

# Longer than the calls that it covers.
SEND_LEASE = timedelta(seconds=30)


class KnownBefore(Exception):
    """The platform knows a number that this shop has not sent, or a refund that it knows nothing of."""

    def __init__(self, payment: Payment, refund: PlatformRefund | None) -> None:
        super().__init__(refund.number if refund else payment.number)
        self.refund = refund


class LeaseLost(Exception):
    """Somebody else has taken the refund meanwhile: a member of staff, or another run of the job."""


def refund_payment(payment: Payment, *, reason: str, now: datetime, number: str = "") -> Refund:
    """Decide, in the current transaction, to give a payment back whole; a job does it.

    Call it under the lock of the payment's order. The customer's number is made from the payment's,
    so a second decision breaks its unique key; a payment that was voided meanwhile brings its own.
    """
    return Refund.objects.create(
        order_id=payment.order_id,
        payment=payment,
        number=number or f"R{payment.number}",
        out_refund_no=next_refund_number(payment),
        amount_fen=payment.amount_fen,
        status=RefundStatus.APPROVED,
        reason=reason,
        created_at=now,
        due_at=now,
    )


def send_due_refunds(channels: Collection[str] = Channel.values) -> None:
    """Ask the platform to pay back, or how far it is, for every refund that is due."""
    due = Refund.objects.filter(status__in=UNSETTLED, payment__channel__in=channels)
    try_due(due.select_related("payment"), send_refund, lease=SEND_LEASE)


def send_refund(refund: Refund) -> None:
    """Ask about a claimed refund, or send it, and record the answer. Reads ``payment``."""
    try:
        if record_refund(_ask_platform(refund)) is None:
            note_failure(refund, _("The platform answered about another payment."))
    except LeaseLost:
        logger.info("refund %s was taken by somebody else", refund.number)
    except KnownBefore as error:
        logger.error("refund %s: the platform knows %s already", refund.number, error)
        _hold_known_before(refund, error.refund)
    except PlatformError as error:
        # Visible to staff, and tried again with the same number: a new one would pay twice.
        logger.warning("refund %s: %s", refund.number, error)
        note_failure(refund, str(error))


def _ask_platform(refund: Refund) -> PlatformRefund:
    """Query what was sent before; send what the platform does not know."""
    assert_no_transaction()
    payment, number = payment_of(refund), platform_number(refund)
    platform = provider_of(payment)
    if refund.sent_at is None:
        _refuse_what_is_known(platform, payment, number)
    else:
        try:
            return platform.query_refund(number, payment.number)
        except NoSuchTrade:
            pass
    _note_sending(refund)
    return platform.refund(
        number=number,
        payment_number=payment.number,
        amount_fen=refund.amount_fen,
        total_fen=payment.amount_fen,
        reason=refund.platform_reason or refund.reason,
        notify_url=notify_url(payment.channel),
    )


def _refuse_what_is_known(platform: PaymentProvider, payment: Payment, number: str) -> None:
    """Raise KnownBefore where this shop may have forgotten a refund, as after a restore from a backup."""
    try:
        known = platform.query_refund(number, payment.number)
    except NoSuchTrade:
        pass
    else:
        raise KnownBefore(payment, known)
    if not _knows_refunds(payment) and platform.query(payment.number).refund_started:
        raise KnownBefore(payment, None)


def _knows_refunds(payment: Payment) -> bool:
    """Whether a refund of the payment was sent or booked, or staff have said what an unknown one was."""
    known = Q(sent_at__isnull=False) | Q(past_attempts__isnull=False) | Q(kind=RefundKind.EXTERNAL)
    answered = BillDifference.objects.filter(
        payment=payment, is_refund=True, status=DifferenceStatus.RESOLVED
    )
    return Refund.objects.filter(known, payment=payment).exists() or answered.exists()


def _note_sending(refund: Refund) -> None:
    """Write that the number may be known from now on, if the refund is still this claimant's."""
    mine = Refund.objects.filter(
        pk=refund.pk,
        status__in=UNSETTLED,
        due_at=refund.due_at,
        out_refund_no=refund.out_refund_no,
    )
    # Without an error it is on its way.
    if not mine.update(sent_at=timezone.now(), last_error=""):
        raise LeaseLost


@atomic
def _hold_known_before(refund: Refund, answer: PlatformRefund | None) -> None:
    refund = lock_refund(refund)
    if refund.sent_at is None:
        _hold(refund, answer, timezone.now())


def _hold(refund: Refund, answer: PlatformRefund | None, now: datetime) -> None:
    """Send nothing until staff have said what the platform's refund is. Its number is not ours."""
    if refund.status not in UNSETTLED:
        return
    if answer and answer.status == PlatformRefundStatus.CLOSED:
        _take_next_number(refund, answer, now)
        return
    if answer:
        keep_attempt(refund, KNOWN_BEFORE, now=now)
        refund.out_refund_no = None
    refund.status, refund.platform_status, refund.due_at = RefundStatus.FAILED, KNOWN_BEFORE, None
    refund.last_error = _("The platform knows of a refund that this shop has not sent.")
    refund.save(
        update_fields=["status", "platform_status", "due_at", "last_error", "out_refund_no"]
    )
    record_unknown_refund(
        payment_of(refund),
        number=answer.number if answer else "",
        transaction_id=answer.platform_id if answer else "",
        theirs_fen=answer.amount_fen if answer else None,
    )


def _take_next_number(refund: Refund, closed: PlatformRefund, now: datetime) -> None:
    """Nothing was given back under a number that the platform closed: the next one is tried at once."""
    refund.platform_id = closed.platform_id
    keep_attempt(refund, closed.status, now=now)
    drop_proposal(refund)
    Refund.objects.filter(pk=refund.pk).update(
        out_refund_no=next_refund_number(payment_of(refund)),
        status=RefundStatus.APPROVED,
        last_error="",
        attempts=0,
        due_at=now,
    )


def keep_attempt(refund: Refund, platform_status: str, *, now: datetime) -> None:
    """Keep on record a number that a locked refund will not use any more."""
    RefundAttempt.objects.create(
        refund=refund,
        out_refund_no=platform_number(refund),
        platform_id=refund.platform_id,
        platform_status=platform_status,
        ended_at=now,
    )


@atomic
def record_refund(answer: PlatformRefund) -> Refund | None:
    """Write how far a refund is, from a verified answer or notice; a repeat changes nothing.

    Returns None when the number or the payment is not ours. Another amount is not taken, and listed.
    """
    now = timezone.now()
    refund = Refund.objects.filter(out_refund_no=answer.number).first()
    if refund is None:
        return None
    refund = lock_refund(refund)
    ours = payment_of(refund).number, refund.out_refund_no
    if ours != (answer.payment_number, answer.number):
        return None
    if refund.sent_at is None:
        # The notice of a refund that this shop has forgotten, and made again.
        _hold(refund, answer, now)
    elif not _is_our_amount(refund, answer):
        _note_other_amount(refund, answer)
    elif answer.status == PlatformRefundStatus.SUCCESS:
        _record_success(refund, answer, now)
    elif answer.status == PlatformRefundStatus.PROCESSING:
        _unsettled(refund).update(
            status=RefundStatus.PROCESSING,
            platform_id=answer.platform_id,
            platform_status=answer.status,
            due_at=refund.next_try_at(now),
        )
    else:
        # ABNORMAL, CLOSED: the money did not arrive, and our claim on it stays.
        status = answer.status[:20]
        note_failure(refund, status, platform_id=answer.platform_id, platform_status=status)
    _drop_if_moved(refund)
    return refund


def _drop_if_moved(refund: Refund) -> None:
    """What was proposed for a refund, as it was, does not fit it any more."""
    is_same = Refund.objects.filter(
        pk=refund.pk, status=refund.status, platform_status=refund.platform_status
    )
    if not is_same.exists():
        drop_proposal(refund)


def _unsettled(refund: Refund) -> QuerySet[Refund]:
    refunds: QuerySet[Refund] = Refund.objects.filter(pk=refund.pk, status__in=UNSETTLED)
    return refunds


def _is_our_amount(refund: Refund, answer: PlatformRefund) -> bool:
    if (answer.amount_fen, answer.currency) == (refund.amount_fen, "CNY"):
        return True
    # Staff have booked the difference: what the platform says is then true.
    booked = BillDifference.objects.filter(
        channel=payment_of(refund).channel,
        is_refund=True,
        kind=DifferenceKind.AMOUNT,
        number=answer.number,
        theirs_fen=answer.amount_fen,
        resolution=Resolution.AMOUNT_BOOKED,
    )
    return answer.currency == "CNY" and booked.exists()


def _note_other_amount(refund: Refund, answer: PlatformRefund) -> None:
    theirs = f"{format_yuan(answer.amount_fen)} {answer.currency[:8]}"
    error = _("The platform says %(theirs)s instead of %(ours)s CNY.")
    values = {"theirs": theirs, "ours": format_yuan(refund.amount_fen)}
    note_failure(refund, error % values, platform_id=answer.platform_id)
    record_refund_amount(refund, theirs_fen=answer.amount_fen, transaction_id=answer.platform_id)


def _record_success(refund: Refund, answer: PlatformRefund, now: datetime) -> None:
    # What was asked for may not have been done.
    to_shop = refund.is_to_shop if answer.is_to_shop is None else answer.is_to_shop
    first_time = _unsettled(refund).update(
        status=RefundStatus.TO_PAY_OUT if to_shop else RefundStatus.SUCCEEDED,
        platform_id=answer.platform_id,
        platform_status=answer.status,
        is_to_shop=to_shop,
        succeeded_at=None if to_shop else now,
        due_at=None,
        last_error="",
    )
    if not first_time:
        return
    refund.is_to_shop = to_shop
    if to_shop:
        post_refund_to_shop(refund, now=now)
    else:
        post_refund(refund, now=now)
        end_refund(refund, now=now)


def end_refund(refund: Refund, *, now: datetime, is_paid: bool = True) -> None:
    """Tell the customer of a locked refund that they have the money; the order may end with it."""
    if refund.order is None:
        return
    if is_paid:
        tell_customer(refund.order, MessageKind.REFUNDED, refund=refund)
    cancel_if_all_is_back(refund.order, now=now)


def note_failure(refund: Refund, error: str, **columns: str) -> None:
    """Show staff why; ask again later, unless the platform has closed it for good."""
    is_closed = columns.get("platform_status") == PlatformRefundStatus.CLOSED
    _unsettled(refund).update(
        status=RefundStatus.FAILED,
        last_error=error[:300],
        due_at=None if is_closed else refund.next_try_at(timezone.now()),
        **columns,
    )


def read_refund(refund: Refund) -> Refund:
    fresh: Refund = Refund.objects.select_related("payment").get(pk=refund.pk)
    return fresh


def query_refund(refund: Refund) -> PlatformRefund:
    payment = payment_of(refund)
    return provider_of(payment).query_refund(platform_number(refund), payment.number)
