"""What verified notices and answers of a platform say otherwise than the books: listed for staff."""

from django.db.models import Q, QuerySet, Sum
from django.utils.translation import gettext as _

from miniback.platforms.contract import PlatformRefund, Trade
from orders.models import (
    BillDifference,
    DifferenceKind,
    DifferenceStatus,
    Notice,
    Payment,
    Refund,
)
from orders.services.difference_rows import (
    KNOWN_BEFORE,
    MAX_NUMBER,
    MAX_PAYMENT_NUMBER,
    Account,
    Discrepancy,
    account_of,
    record_discrepancies,
    resolve_by_itself,
)
from orders.status import NOT_CLAIMING, RefundKind, RefundStatus


def record_unknown_payment(trade: Trade, *, channel: str, notice: Notice | None = None) -> None:
    """The platform took money under a number that is not ours, or that is another account's."""
    one = Discrepancy(
        kind=DifferenceKind.NOT_OURS,
        is_refund=False,
        number=trade.number[:MAX_NUMBER],
        payment_number=trade.number[:MAX_PAYMENT_NUMBER],
        transaction_id=trade.transaction_id[:MAX_PAYMENT_NUMBER],
        theirs_fen=trade.amount_fen,
        ours_fen=None,
    )
    account = Account(channel, trade.app_id[:64], trade.merchant_id[:64])
    record_discrepancies(account, [one], notice=notice)


def record_payment_discrepancy(
    payment: Payment, trade: Trade, kind: DifferenceKind, *, notice: Notice | None = None
) -> None:
    """The platform tells another amount or transaction of a payment of ours."""
    one = Discrepancy(
        kind=kind,
        is_refund=False,
        number=payment.number,
        payment_number=payment.number,
        transaction_id=trade.transaction_id,
        theirs_fen=trade.amount_fen,
        ours_fen=int(payment.amount_fen),
        payment=payment,
    )
    record_discrepancies(account_of(payment), [one], notice=notice)


def forget_payment_discrepancies(payment: Payment) -> None:
    """The platform's money for it is what it should be."""
    resolve_by_itself(
        BillDifference.objects.filter(
            channel=payment.channel,
            is_refund=False,
            number=payment.number,
            kind__in=[DifferenceKind.NOT_OURS, DifferenceKind.AMOUNT],
        ),
        _("paid, as the platform says now"),
    )


def record_unknown_refund(
    payment: Payment,
    *,
    number: str,
    transaction_id: str,
    theirs_fen: int | None,
    notice: Notice | None = None,
) -> BillDifference:
    """The platform gave money of our payment back, or began to, and we did not ask it to.

    Without a ``number`` nobody has named the refund yet; it is one difference for each payment, which
    ends by itself when a named one is found.
    """
    one = Discrepancy(
        kind=DifferenceKind.NOT_OURS,
        is_refund=True,
        number=number or payment.number,
        payment_number=payment.number,
        transaction_id=transaction_id,
        theirs_fen=theirs_fen,
        ours_fen=None,
        payment=payment,
    )
    (row,) = record_discrepancies(account_of(payment), [one], notice=notice)
    if number:
        unnamed = BillDifference.objects.filter(
            channel=payment.channel, is_refund=True, number=payment.number
        )
        resolve_by_itself(unnamed, _("it is the refund %(number)s") % {"number": number})
    return row


def record_refund_of_notice(
    notice: Notice, refund: PlatformRefund, payment: Payment | None, merchant_id: str
) -> None:
    """As `record_unknown_refund`, also where its payment is as unknown."""
    if payment is not None:
        record_unknown_refund(
            payment,
            number=refund.number,
            transaction_id=refund.platform_id,
            theirs_fen=refund.amount_fen,
            notice=notice,
        )
        return
    one = Discrepancy(
        kind=DifferenceKind.NOT_OURS,
        is_refund=True,
        number=(refund.number or refund.payment_number)[:MAX_NUMBER],
        payment_number=refund.payment_number[:MAX_PAYMENT_NUMBER],
        transaction_id=refund.platform_id[:MAX_PAYMENT_NUMBER],
        theirs_fen=refund.amount_fen,
        ours_fen=None,
    )
    record_discrepancies(Account(notice.channel, "", merchant_id), [one], notice=notice)


def forget_unknown_refund(channel: str, number: str) -> None:
    """The platform has closed it: no money went back."""
    listed = BillDifference.objects.filter(channel=channel, is_refund=True, number=number)
    resolve_by_itself(listed, _("closed at the platform, no money went back"))


def known_back_fen(payment: Payment) -> int:
    """What has gone back of a payment as far as we know: by us, by entries, and what is listed."""
    listed = BillDifference.objects.filter(
        payment=payment,
        is_refund=True,
        kind=DifferenceKind.NOT_OURS,
        status=DifferenceStatus.OPEN,
    ).exclude(number=payment.number)
    unknown = listed.aggregate(sum=Sum("theirs_fen"))["sum"] or 0
    return sum_of(sent_refunds(payment)) + int(unknown)


def record_refund_amount(
    refund: Refund, *, theirs_fen: int, transaction_id: str = "", notice: Notice | None = None
) -> BillDifference:
    """The platform gave another amount back than the refund's. Reads ``payment``."""
    payment = refund.payment
    if payment is None:
        raise AssertionError(f"{refund} has no payment")
    one = Discrepancy(
        kind=DifferenceKind.AMOUNT,
        is_refund=True,
        number=refund.out_refund_no or refund.number,
        payment_number=payment.number,
        transaction_id=transaction_id or refund.platform_id,
        theirs_fen=theirs_fen,
        ours_fen=int(refund.amount_fen),
        payment=payment,
    )
    (row,) = record_discrepancies(account_of(payment), [one], notice=notice)
    return row


def record_refund_started(payment: Payment, trade: Trade) -> None:
    """The platform's state of a payment says that money of it went back: are those refunds ours?

    Does nothing where this shop has sent or booked a refund of it, or where one is listed already.
    """
    known = sent_refunds(payment)
    # A platform that closes what it paid back whole names the amount; otherwise nobody does.
    theirs_fen = int(payment.amount_fen) if trade.platform_state == "TRADE_CLOSED" else None
    is_covered = known.exists()
    if theirs_fen is not None:
        theirs_fen -= sum_of(known)
        is_covered = theirs_fen <= 0
    listed = BillDifference.objects.filter(
        payment=payment, is_refund=True, kind=DifferenceKind.NOT_OURS
    )
    if is_covered or listed.exclude(number=payment.number).exists():
        return
    record_unknown_refund(
        payment, number="", transaction_id=trade.transaction_id, theirs_fen=theirs_fen
    )


def sent_refunds(payment: Payment) -> QuerySet[Refund]:
    """Refunds of a payment of which the platform may have heard from us, or that are booked."""
    refunds = Refund.objects.filter(payment=payment, out_refund_no__isnull=False)
    asked = (
        Q(sent_at__isnull=False) | Q(kind=RefundKind.EXTERNAL) | Q(status=RefundStatus.SUCCEEDED)
    )
    unsent = Q(platform_status=KNOWN_BEFORE)
    return refunds.filter(asked).exclude(unsent).exclude(status__in=NOT_CLAIMING)


def sum_of(refunds: QuerySet[Refund]) -> int:
    return int(refunds.aggregate(sum=Sum("amount_fen"))["sum"] or 0)
