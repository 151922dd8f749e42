"""Notices of the platforms: verified, kept, applied once, answered in time."""

import logging
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from miniback.core.clock import database_now
from miniback.core.due import try_due
from miniback.core.providers import former_payment_providers, payment_provider
from miniback.core.transactions import assert_no_transaction, retry
from miniback.platforms.contract import Notice as PlatformNotice
from miniback.platforms.contract import (
    PlatformRefund,
    PlatformRefundStatus,
    RefundedSum,
    Trade,
    TradeState,
)
from miniback.platforms.errors import Misconfigured, NoSuchTrade, NoticeRejected, PlatformError
from orders.models import Channel, Notice, NoticeOutcome, Payment, Refund
from orders.services.channels import provider_of
from orders.services.discrepancies import (
    forget_unknown_refund,
    known_back_fen,
    record_refund_of_notice,
    record_unknown_refund,
)
from orders.services.refunds import record_refund
from orders.services.settlement import Mismatch, check_payment, record_trade
from orders.status import PaymentStatus

logger = logging.getLogger(__name__)

PROCESS_LEASE = timedelta(seconds=30)
KEPT_HEADERS = ("Wechatpay-Serial", "Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature")


def receive_notice(channel: Channel, headers: Mapping[str, str], body: bytes) -> None:
    """Verify a notice, commit it to the inbox, apply it. Raises NoticeRejected; a repeat is welcome.

    Once this returns the platform may forget it: what could not be applied now stands in the
    inbox and a job applies it.
    """
    assert_no_transaction()
    parsed = _parse(channel, headers, body)
    # Its id is unique at the platform: stored twice, the second finds the first.
    notice = retry(lambda: _store(channel, parsed, headers, body), is_keyed=True)
    if notice.outcome == NoticeOutcome.NEW:
        try:
            process_notice(notice)
        except PlatformError as error:
            logger.warning("notice %s is left to the job: %s", notice, error)
        except Exception:
            # It is kept: whoever sent it need not send it again.
            logger.exception("notice %s is left to the job", notice)


def _parse(channel: Channel, headers: Mapping[str, str], body: bytes) -> PlatformNotice:
    """Verify it with the keys of the current account, then with those of former ones."""
    try:
        return payment_provider(channel).parse_notice(headers, body)
    except (NoticeRejected, Misconfigured) as error:
        refusal = error
    for provider in former_payment_providers(channel):
        try:
            return provider.parse_notice(headers, body)
        except NoticeRejected:
            continue
    raise refusal


def _store(
    channel: Channel, parsed: PlatformNotice, headers: Mapping[str, str], body: bytes
) -> Notice:
    try:
        with transaction.atomic():
            return Notice.objects.create(
                channel=channel,
                notice_id=parsed.id,
                event_type=parsed.event_type[:40],
                headers={name: headers[name] for name in KEPT_HEADERS if name in headers},
                body=body.decode(),
                content=_pack(parsed),
                received_at=timezone.now(),
                due_at=database_now() + PROCESS_LEASE,
            )
    except IntegrityError:
        return Notice.objects.get(channel=channel, notice_id=parsed.id)


def process_due_notices(channels: Collection[str] = Channel.values) -> None:
    """Apply notices that were kept but not applied: the process died, or the platform was needed."""
    kept = Notice.objects.filter(outcome=NoticeOutcome.NEW, channel__in=channels)
    try_due(kept, process_notice, lease=PROCESS_LEASE)


def process_notice(notice: Notice) -> None:
    """Apply a kept notice; safe to repeat, because what it applies is. Raises PlatformError.

    What does not match our books is listed as a difference, with the notice.
    """
    parsed = _unpack(notice.content)
    payment: Payment | None = None
    outcome, note = NoticeOutcome.APPLIED, ""
    try:
        if parsed["refund"]:
            refund = PlatformRefund(**parsed["refund"])
            payment, note = _apply_refund(notice, refund, parsed["merchant_id"])
        elif parsed.get("refunded"):
            payment = _apply_sum(notice, RefundedSum(**parsed["refunded"]), parsed["merchant_id"])
        elif parsed["trade"] and parsed["trade"]["state"] != TradeState.WAITING:
            payment = record_trade(notice.channel, Trade(**parsed["trade"]), notice=notice)
        if payment is None:
            outcome, note = NoticeOutcome.IGNORED, (parsed["trade"] or {}).get("platform_state", "")
    except Mismatch as mismatch:
        outcome, note = NoticeOutcome.ANOMALY, str(mismatch)
        logger.error("notice %s does not match our books: %s", notice, mismatch)
    Notice.objects.filter(pk=notice.pk, outcome=NoticeOutcome.NEW).update(
        outcome=outcome, note=note[:300], payment=payment, processed_at=timezone.now(), due_at=None
    )


def _apply_refund(
    notice: Notice, refund: PlatformRefund, merchant_id: str
) -> tuple[Payment | None, str]:
    """A refund may be told before its payment: then the payment is asked for first."""
    payment = _payment_of(notice.channel, refund.payment_number, merchant_id)
    if payment is not None and payment.status != PaymentStatus.PAID:
        check_payment(payment)
    if payment is not None and record_refund(refund) is not None:
        return payment, refund.status
    if refund.status == PlatformRefundStatus.CLOSED:
        # It was made elsewhere, and ended without money.
        forget_unknown_refund(notice.channel, refund.number)
        return None, ""
    record_refund_of_notice(notice, refund, payment, merchant_id)
    raise Mismatch(f"no refund of ours is {refund.number[:40]} over {refund.amount_fen} fen")


def _apply_sum(notice: Notice, told: RefundedSum, merchant_id: str) -> Payment:
    """Alipay tells the sum of all refunds of a payment: is there one that we do not know?"""
    payment = _payment_of(notice.channel, told.payment_number, merchant_id)
    if payment is None:
        refund = PlatformRefund(
            told.refund_number, told.payment_number, "", "SUCCESS", told.refunded_fen, "CNY"
        )
        record_refund_of_notice(notice, refund, None, merchant_id)
        raise Mismatch(f"no payment of ours has the number {told.payment_number[:40]}")
    if payment.status != PaymentStatus.PAID:
        check_payment(payment)
    named = _ask_for_unknown(payment, told.refund_number)
    if named is not None:
        record_refund_of_notice(notice, named, payment, merchant_id)
        raise Mismatch(f"no refund of ours is {named.number[:40]} over {named.amount_fen} fen")
    unknown_fen = told.refunded_fen - known_back_fen(payment)
    if unknown_fen > 0:
        record_unknown_refund(
            payment,
            number="",
            transaction_id=payment.transaction_id or "",
            theirs_fen=unknown_fen,
            notice=notice,
        )
        raise Mismatch(f"{told.refunded_fen} fen went back, {unknown_fen} more than we know of")
    return payment


def _ask_for_unknown(payment: Payment, refund_number: str) -> PlatformRefund | None:
    """A refund of ours is asked for by its own job."""
    is_ours = Refund.objects.filter(payment=payment, out_refund_no=refund_number).exists()
    if not refund_number or is_ours:
        return None
    try:
        return provider_of(payment).query_refund(refund_number, payment.number)
    except NoSuchTrade:
        return None


def _payment_of(channel: str, number: str, merchant_id: str) -> Payment | None:
    found = Payment.objects.select_related("order").filter(channel=channel, number=number).first()
    if found is None:
        return None
    ours = found.merchant_id or provider_of(found).merchant_id
    return found if ours == merchant_id else None


def _pack(parsed: PlatformNotice) -> dict[str, Any]:
    return {
        "trade": parsed.trade and parsed.trade._asdict() | {"paid_at": _iso(parsed.trade.paid_at)},
        "refund": parsed.refund and parsed.refund._asdict(),
        "refunded": parsed.refunded and parsed.refunded._asdict(),
        "merchant_id": parsed.merchant_id,
    }


def _unpack(content: dict[str, Any]) -> dict[str, Any]:
    trade = content["trade"]
    if trade and trade["paid_at"]:
        moment = datetime.fromisoformat(trade["paid_at"])
        return content | {"trade": trade | {"paid_at": moment}}
    return content


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
