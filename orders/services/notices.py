"""Notices of the platforms: verified, kept, applied once, answered in time."""

import logging
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from miniback.core.clock import database_now
from miniback.core.due import try_due
from miniback.core.providers import payment_provider
from miniback.core.transactions import assert_no_transaction, retry
from miniback.platforms.contract import Notice as PlatformNotice
from miniback.platforms.contract import PlatformRefund, Trade, TradeState
from miniback.platforms.errors import PlatformError
from orders.models import Channel, Notice, NoticeOutcome, Payment
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
    parsed = payment_provider(channel).parse_notice(headers, body)
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
    """Apply a kept notice; safe to repeat, because what it applies is. Raises PlatformError."""
    parsed = _unpack(notice.content)
    payment: Payment | None = None
    outcome, note = NoticeOutcome.APPLIED, ""
    try:
        if parsed["refund"]:
            refund = PlatformRefund(**parsed["refund"])
            payment, note = _apply_refund(notice.channel, refund, parsed["merchant_id"])
        elif not parsed["trade"] or parsed["trade"]["state"] == TradeState.WAITING:
            trade = parsed["trade"] or {"platform_state": ""}
            outcome, note = NoticeOutcome.IGNORED, trade["platform_state"]
        else:
            payment = record_trade(notice.channel, Trade(**parsed["trade"]))
    except Mismatch as mismatch:
        outcome, note = NoticeOutcome.ANOMALY, str(mismatch)
        logger.error("notice %s does not match our books: %s", notice, mismatch)
    Notice.objects.filter(pk=notice.pk, outcome=NoticeOutcome.NEW).update(
        outcome=outcome, note=note[:300], payment=payment, processed_at=timezone.now(), due_at=None
    )


def _apply_refund(channel: str, refund: PlatformRefund, merchant_id: str) -> tuple[Payment, str]:
    """A refund may be told before its payment: then the payment is asked for first."""
    payment = Payment.objects.filter(channel=channel, number=refund.payment_number).first()
    if payment is None or merchant_id != payment_provider(channel).merchant_id:
        raise Mismatch(f"no payment of ours has the number {refund.payment_number[:40]}")
    if payment.status != PaymentStatus.PAID:
        check_payment(payment)
    if record_refund(refund) is None:
        raise Mismatch(f"no refund of ours is {refund.number[:40]} over {refund.amount_fen} fen")
    return payment, refund.status


def _pack(parsed: PlatformNotice) -> dict[str, Any]:
    return {
        "trade": parsed.trade and parsed.trade._asdict() | {"paid_at": _iso(parsed.trade.paid_at)},
        "refund": parsed.refund and parsed.refund._asdict(),
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
