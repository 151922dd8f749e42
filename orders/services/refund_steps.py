"""What staff do with money that the platform could not give back: each failed refund has a way out."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from miniback.core.errors import Conflict, PlatformUnavailable
from miniback.core.transactions import assert_no_transaction, atomic
from miniback.platforms.contract import PlatformRefund, PlatformRefundStatus
from miniback.platforms.errors import Misconfigured, NoSuchTrade, PlatformError
from miniback.platforms.errors import Refused as PlatformRefused
from orders.models import Refund
from orders.services.books import post_payout, post_refund_lowered, post_write_off
from orders.services.owed_refunds import lower_refund
from orders.services.refund_approvals import (
    Proposal,
    approve_step,
    confirm_step,
    drop_proposal,
    has_second_member,
)
from orders.services.refund_claims import (
    left_to_agree,
    next_refund_number,
    refuse_unknown_refunds,
)
from orders.services.refund_life import (
    RefundStatusConflict,
    lock_refund,
    payment_of,
)
from orders.services.refunds import (
    SEND_LEASE,
    end_refund,
    keep_attempt,
    query_refund,
    read_refund,
    record_refund,
)
from orders.status import UNSETTLED, RefundMethod, RefundStatus, RefundStep

logger = logging.getLogger(__name__)

# Of these nothing is on its way to the customer.
BY_HAND = {RefundStatus.FAILED, RefundStatus.TO_PAY_OUT}
IN_FLIGHT = {PlatformRefundStatus.SUCCESS, PlatformRefundStatus.PROCESSING}
ACCOUNT_GONE = "ACCOUNT_GONE"
# Of a number that the platform never took on.
GIVEN_UP = "GIVEN_UP"
CHANGED_BY_RETRY = [
    "status", "out_refund_no", "sent_at", "platform_id", "platform_status", "platform_reason",
    "amount_fen", "freight_fen", "due_at", "attempts", "last_error", "succeeded_at", "is_to_shop",
]  # fmt: skip
CHANGED_BY_HAND = [
    "status", "method", "payout_reference", "succeeded_at", "out_refund_no", "due_at", "last_error",
]  # fmt: skip


class RefundNotRetryable(Conflict):
    code = "refund_not_retryable"
    detail = _("Applying again would fail: send it another way, or pay it out by yourself.")


class RefundLowered(Conflict):
    code = "refund_lowered"
    detail = _(
        "A part was given back elsewhere: the refund is lowered to what is left. Look again."
    )


class RefundAtPlatform(RefundStatusConflict):
    detail = _("The platform has paid it back, or is about to: nothing else is needed.")


# Again


def reapply_refund(refund: Refund, *, user: Any, reason: str = "") -> Refund:
    """Apply again for a refund that failed, after the platform has said how far it is.

    Under a new number where it closed the old one, or knew it before this shop had sent it; else under
    the same one. ``reason`` is told to the platform instead of the customer's. Calls the platform.
    Raises RefundStatusConflict, RefundNotRetryable, RefundUnknown, PlatformUnavailable.
    """
    assert_no_transaction()
    refund = read_refund(refund)
    if refund.status != RefundStatus.FAILED:
        raise RefundStatusConflict(status=refund.status)
    answer = _ask_before_retry(refund)
    if answer and answer.status != PlatformRefundStatus.CLOSED:
        record_refund(answer)
        if answer.status not in IN_FLIGHT:
            raise RefundNotRetryable
        return read_refund(refund)
    logger.info("refund %s is applied for again by %s", refund.number, user)
    return _apply_again(refund, reason, is_closed=answer is not None)


def _ask_before_retry(refund: Refund) -> PlatformRefund | None:
    """Return what the platform says of a number that was sent; None if it does not know it."""
    if refund.sent_at is None:
        return None
    try:
        return query_refund(refund)
    except NoSuchTrade:
        return None
    except (PlatformRefused, Misconfigured) as error:
        raise RefundNotRetryable(f"{error}") from error
    except PlatformError as error:
        raise PlatformUnavailable(retry_after=5) from error


@atomic
def _apply_again(refund: Refund, reason: str, *, is_closed: bool) -> Refund:
    now, number = timezone.now(), refund.out_refund_no
    refund = lock_refund(refund)
    if (refund.status, refund.out_refund_no) != (RefundStatus.FAILED, number):
        raise RefundStatusConflict(status=refund.status)
    refuse_unknown_refunds(refund.payment)
    drop_proposal(refund)
    _lower_to_what_is_left(refund)
    if refund.out_refund_no and (is_closed or not refund.amount_fen):
        keep_attempt(refund, PlatformRefundStatus.CLOSED if is_closed else GIVEN_UP, now=now)
        refund.out_refund_no = None
    refund.platform_reason = reason or refund.platform_reason
    refund.last_error = refund.platform_status = ""
    refund.is_to_shop = False
    if refund.amount_fen:
        if refund.out_refund_no is None:
            refund.out_refund_no = next_refund_number(payment_of(refund))
            refund.sent_at, refund.platform_id = None, ""
        refund.status, refund.due_at, refund.attempts = RefundStatus.APPROVED, now, 0
    else:
        # All of it was given back elsewhere meanwhile.
        refund.status, refund.due_at, refund.succeeded_at = RefundStatus.SUCCEEDED, None, now
    refund.save(update_fields=CHANGED_BY_RETRY)
    if refund.status == RefundStatus.SUCCEEDED:
        end_refund(refund, now=now, is_paid=False)
    return refund


def _lower_to_what_is_left(refund: Refund) -> None:
    """A part, or all, was given back outside the shop, and is booked since."""
    left = left_to_agree(refund)
    if left < refund.amount_fen:
        with post_refund_lowered(refund.order, refund, now=timezone.now()):
            lower_refund(refund, left)


@atomic
def _lower_failed(refund: Refund) -> bool:
    """Say whether a refund had to be lowered; nobody is to pay a sum that they have not seen."""
    refund = lock_refund(refund)
    if refund.status != RefundStatus.FAILED or left_to_agree(refund) >= refund.amount_fen:
        return False
    drop_proposal(refund)
    _lower_to_what_is_left(refund)
    refund.save(update_fields=["amount_fen", "freight_fen"])
    return True


# By the shop itself


def pay_out_refund(refund: Refund, *, user: Any, reference: str) -> Refund:
    """Note that the shop has paid a refund by itself, which the platform could not, or sent to the shop.

    ``reference`` says how, such as the bank's number of the transfer. A second member of staff
    confirms it, where there is one. Calls the platform, so that nothing is paid twice. Raises
    RefundStatusConflict, RefundLowered, RefundUnknown, SecondApproval, PlatformUnavailable.
    """
    proposal = Proposal(RefundStep.PAY_OUT, note=reference)
    return _end_by_hand(refund, proposal, RefundStatus.SUCCEEDED, user)


def write_off_refund(refund: Refund, *, user: Any, note: str) -> Refund:
    """Give up paying a refund: its customer renounced it, or cannot be found. As `pay_out_refund`."""
    proposal = Proposal(RefundStep.WRITE_OFF, note=note)
    return _end_by_hand(refund, proposal, RefundStatus.WRITTEN_OFF, user)


def _end_by_hand(refund: Refund, proposal: Proposal, to: RefundStatus, user: Any) -> Refund:
    assert_no_transaction()
    with _held(refund) as fresh:
        if fresh.status not in BY_HAND:
            raise RefundStatusConflict(status=fresh.status)
        if fresh.status == RefundStatus.FAILED:
            _refuse_if_at_platform(fresh)
            if _lower_failed(fresh):
                raise RefundLowered
        return _end(fresh, proposal, to, user)


@contextmanager
def _held(refund: Refund) -> Iterator[Refund]:
    """Keep the job from sending a refund while a person ends it otherwise. Raises PlatformUnavailable.

    A lease as the job's own: whoever dies with it delays the refund.
    """
    lease = timezone.now() + SEND_LEASE
    due_at, taken = _take_lease(refund, lease)
    fresh = read_refund(refund)
    try:
        recently = timezone.now() - SEND_LEASE
        is_sent = not fresh.last_error and fresh.sent_at and fresh.sent_at > recently
        if not taken or (is_sent and fresh.status in UNSETTLED):
            # It is on its way to the platform in this moment.
            raise PlatformUnavailable(retry_after=int(SEND_LEASE.total_seconds()))
        yield fresh
    finally:
        if due_at:
            held = Refund.objects.filter(pk=refund.pk, due_at=lease)
            held.update(due_at=due_at)


@atomic
def _take_lease(refund: Refund, lease: datetime) -> tuple[datetime | None, bool]:
    """Return when the refund was due, and whether the job left it alone meanwhile.

    Under the lock a notice, which makes it due at another time, comes before or after.
    """
    due_at = lock_refund(refund).due_at
    held = Refund.objects.filter(pk=refund.pk, due_at=due_at)
    return due_at, bool(held.update(due_at=lease if due_at else None))


def _refuse_if_at_platform(refund: Refund) -> None:
    """Raise unless the platform has not paid a refund, and will not, or can never say."""
    refuse_unknown_refunds(refund.payment)
    if refund.out_refund_no is None:
        return
    try:
        answer = query_refund(refund)
    except PlatformRefused:
        return
    except Misconfigured as error:
        if error.code == ACCOUNT_GONE:
            return
        raise PlatformUnavailable(retry_after=5) from error
    except PlatformError as error:
        raise PlatformUnavailable(retry_after=5) from error
    if refund.sent_at is None and answer.status != PlatformRefundStatus.CLOSED:
        # A number that the platform knew before: the job notes that.
        raise RefundAtPlatform(status=refund.status)
    if answer.status in IN_FLIGHT:
        record_refund(answer)
        raise RefundAtPlatform(status=refund.status)


@atomic
def _end(refund: Refund, proposal: Proposal, to: RefundStatus, user: Any) -> Refund:
    now, before = timezone.now(), (refund.status, refund.out_refund_no, refund.sent_at)
    refund = lock_refund(refund)
    is_same = before == (refund.status, refund.out_refund_no, refund.sent_at)
    if refund.status not in BY_HAND or not is_same:
        raise RefundStatusConflict(status=refund.status)
    if not approve_step(refund, proposal, user=user, by_two=has_second_member(user)):
        return refund
    confirm_step(refund, user=user)
    refund.status, refund.due_at, refund.last_error = to, None, ""
    is_paid = to == RefundStatus.SUCCEEDED
    if is_paid:
        refund.method, refund.payout_reference = RefundMethod.SHOP, proposal.note
        refund.succeeded_at = now
    if not refund.is_to_shop and refund.out_refund_no:
        # Should the platform pay it after all, that is a refund of its own.
        keep_attempt(refund, refund.platform_status or GIVEN_UP, now=now)
        refund.out_refund_no = None
    refund.save(update_fields=CHANGED_BY_HAND)
    post = post_payout if is_paid else post_write_off
    post(refund, now=now)
    end_refund(refund, now=now, is_paid=is_paid)
    return refund
