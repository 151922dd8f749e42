"""Posting to the ledger, inside the transaction of the event that is posted."""

from datetime import datetime

from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from orders.models import (
    Account,
    LedgerEntry,
    LedgerTransaction,
    Order,
    OrderLine,
    Payment,
    Refund,
    RefundLine,
)
from orders.status import AGREED


def post_sale(order: Order, *, now: datetime) -> None:
    """The order is paid for: what was sold, charged and given away is owed by its customer."""
    _post(
        f"sale:{order.number}",
        order.pk,
        now,
        {
            Account.RECEIVABLE: order.payable_fen,
            Account.COUPONS: order.discount_fen,
            Account.GOODS: -order.goods_fen,
            Account.FREIGHT: -order.freight_fen,
        },
    )


def post_free_sale_undone(order: Order, *, now: datetime) -> None:
    """An order that cost nothing is cancelled: what was sold and given away is taken back."""
    _post(
        f"sale-undone:{order.number}",
        order.pk,
        now,
        {
            Account.COUPONS: -order.discount_fen,
            Account.GOODS: order.goods_fen,
            Account.FREIGHT: order.freight_fen,
        },
    )


def post_payment(payment: Payment, *, is_applied: bool, now: datetime) -> None:
    """Money arrived: for the order, or (late, or twice) only to go back."""
    whose = Account.RECEIVABLE if is_applied else Account.CUSTOMER_REFUNDS
    _post(
        f"payment:{payment.number}",
        payment.order_id,
        now,
        {_at_platform(payment): payment.amount_fen, whose: -payment.amount_fen},
    )


def post_refund_due(refund: Refund, *, now: datetime) -> None:
    """Staff have agreed: what was sold and charged is owed back, with its share of the discount.

    The share grows with what is back in all, so that the last refund of a line takes the rest.
    Reads ``order``: load it with the refund.
    """
    goods = coupons = 0
    parts = list(refund.lines.select_related("line"))
    before = _owed_before(refund, [part.line_id for part in parts])
    for part in parts:
        line, amount = part.line, int(part.amount_fen)
        back = before.get(line.pk, 0)
        share = _discount_of(line, back + amount) - _discount_of(line, back)
        goods, coupons = goods + amount + share, coupons - share
    order = refund.order
    freight = int(refund.freight_fen)
    if freight:
        share = int(order.freight_discount_fen) * freight // order.freight_paid_fen
        freight, coupons = freight + share, coupons - share
    _post(
        f"refund-due:{refund.number}",
        refund.order_id,
        now,
        {
            Account.GOODS: goods,
            Account.COUPONS: coupons,
            Account.FREIGHT: freight,
            Account.CUSTOMER_REFUNDS: -refund.amount_fen,
        },
    )


def _discount_of(line: OrderLine, paid_fen: int) -> int:
    """The part of a line's discount that belongs to a part of what was paid for it."""
    return int(line.discount_fen) * paid_fen // line.payable_fen if line.payable_fen else 0


def _owed_before(refund: Refund, line_ids: list[int]) -> dict[int, int]:
    """What earlier refunds that were agreed to owe of lines: line id -> fen."""
    earlier = RefundLine.objects.filter(line__in=line_ids, refund__status__in=AGREED)
    sums = earlier.exclude(refund=refund).values_list("line_id").annotate(Sum("amount_fen"))
    return {line_id: int(fen) for line_id, fen in sums}


def post_refund(refund: Refund, *, now: datetime) -> None:
    """Money that was owed back has left. Reads ``payment``: load it with the refund."""
    _post(
        f"refund:{refund.number}",
        refund.order_id,
        now,
        {
            Account.CUSTOMER_REFUNDS: refund.amount_fen,
            _at_platform(refund.payment): -refund.amount_fen,
        },
    )


def _at_platform(payment: Payment) -> Account:
    return Account(f"platform:{payment.channel}")


def _post(event_key: str, order_id: int | None, now: datetime, amounts: dict[Account, int]) -> None:
    if sum(amounts.values()) or not connection.in_atomic_block:
        raise AssertionError(f"{event_key} does not balance, or is posted outside a transaction")
    if not any(amounts.values()):
        # A gift: nothing was charged, nothing moved.
        return
    made = LedgerTransaction.objects.create(
        event_key=event_key, order_id=order_id, posted_at=now, posted_on=timezone.localdate(now)
    )
    LedgerEntry.objects.bulk_create(
        LedgerEntry(transaction=made, account=account, amount_fen=amount)
        for account, amount in amounts.items()
        if amount
    )
