"""Posting to the ledger, inside the transaction of the event that is posted."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
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
from orders.status import AGREED, RefundKind

INCOME = [Account.GOODS, Account.FREIGHT, Account.COUPONS]
EXTERNAL_REFUND = "external-refund:"
EXTERNAL_REFUND_VOID = "external-refund-void:"
REFUND_TO_SHOP = "refund-to-shop:"


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
    """An order that cost nothing is cancelled: what was sold and given away is taken back.

    What refunds of its pieces have taken back already is not taken twice.
    """
    amounts = {account: -fen for account, fen in _income_of(order.pk).items()}
    _post(f"sale-undone:{order.number}", order.pk, now, amounts)


def post_payment(payment: Payment, *, is_applied: bool, now: datetime) -> None:
    """Money arrived: for the order, or (late, or twice) only to go back."""
    _post_money(payment, Account.RECEIVABLE if is_applied else Account.CUSTOMER_REFUNDS, now)


def post_payment_returned(payment: Payment, *, now: datetime) -> None:
    """A payment was voided after its goods had left, and the platform has the money all the same."""
    _post_money(payment, Account.CORRECTIONS, now)


def _post_money(payment: Payment, whose: Account, now: datetime) -> None:
    _post(
        f"payment:{payment.number}{_round(f'payment-void:{payment.number}')}",
        payment.order_id,
        now,
        {_at_platform(payment): payment.amount_fen, whose: -payment.amount_fen},
    )


def post_refund_due(order: Order, refund: Refund, *, now: datetime) -> None:
    """Staff have agreed: what was sold and charged is owed back, with its share of the discount."""
    _post(f"refund-due:{refund.number}", order.pk, now, _owed(order, refund))


@contextmanager
def post_refund_lowered(order: Order | None, refund: Refund, *, now: datetime) -> Iterator[None]:
    """What was agreed is lowered inside the block, because the platform has paid a part before.

    The customer is owed less; what was sold stays sold for as much.
    """
    before = _owed_of(order, refund)
    yield
    after = _owed_of(order, refund)
    amounts = {account: after[account] - before[account] for account in before}
    # Of a late payment nothing was sold: what went back elsewhere stands in corrections.
    amounts[Account.CORRECTIONS] = -sum(amounts.values())
    # Never twice to the same amount: it only falls.
    key = f"refund-lowered:{refund.number}:{int(refund.amount_fen)}"
    _post(key, refund.order_id, now, amounts)


def _owed_of(order: Order | None, refund: Refund) -> dict[Account, int]:
    if order is None or refund.kind == RefundKind.AUTO:
        return {Account.CUSTOMER_REFUNDS: -int(refund.amount_fen)}
    return _owed(order, refund)


def _owed(order: Order, refund: Refund) -> dict[Account, int]:
    """Return what a refund takes back of each account.

    The share of a line's discount grows with what is back in all, so that the last refund of a line
    takes the rest: by its fen, or, of a line that cost nothing, by its pieces.
    """
    goods = coupons = 0
    parts = list(refund.lines.select_related("line"))
    before = _owed_before(refund, [part.line_id for part in parts])
    for part in parts:
        line, (back_fen, back) = part.line, before.get(part.line_id, (0, 0))
        amount, pieces = int(part.amount_fen), part.quantity
        share = _discount_of(line, back_fen + amount, back + pieces)
        share -= _discount_of(line, back_fen, back)
        goods, coupons = goods + amount + share, coupons - share
    freight = int(refund.freight_fen)
    if freight:
        share = int(order.freight_discount_fen) * freight // order.freight_paid_fen
        freight, coupons = freight + share, coupons - share
    return {
        Account.GOODS: goods,
        Account.COUPONS: coupons,
        Account.FREIGHT: freight,
        Account.CUSTOMER_REFUNDS: -int(refund.amount_fen),
    }


def _discount_of(line: OrderLine, paid_fen: int, pieces: int) -> int:
    """The part of a line's discount that belongs to a part of what was paid for it."""
    if line.payable_fen:
        return int(line.discount_fen) * paid_fen // line.payable_fen
    return int(line.discount_fen) * pieces // line.quantity


def _owed_before(refund: Refund, line_ids: list[int]) -> dict[int, tuple[int, int]]:
    """What earlier refunds that were agreed to owe of lines: line id -> fen, pieces."""
    earlier = RefundLine.objects.filter(line__in=line_ids, refund__status__in=AGREED)
    by_line = earlier.exclude(refund=refund).values("line_id").order_by("line_id")
    sums = by_line.annotate(fen=Sum("amount_fen"), pieces=Sum("quantity"))
    return {row["line_id"]: (int(row["fen"]), int(row["pieces"])) for row in sums}


# Money that was owed back has left, or will not


def post_refund(refund: Refund, *, now: datetime) -> None:
    """The platform has paid it back. Reads ``payment``: load it with the refund."""
    number = refund.out_refund_no
    key = f"refund:{number}{_round(f'refund-void:{number}')}"
    _post_refund(key, refund, now, _of_platform(refund), owed=True)


def post_refund_to_shop(refund: Refund, *, now: datetime) -> None:
    """The platform has sent it to the shop's own account: the customer is still owed it."""
    fen = int(refund.amount_fen)
    amounts = {_of_platform(refund): -fen, Account.SHOP_BANK: fen}
    _post(f"{REFUND_TO_SHOP}{refund.out_refund_no}", refund.order_id, now, amounts)


def post_payout(refund: Refund, *, now: datetime) -> None:
    """The shop has paid it out from its own account."""
    _post_refund(f"payout:{refund.number}", refund, now, Account.SHOP_BANK, owed=True)


def post_write_off(refund: Refund, *, now: datetime) -> None:
    """The customer will not get it; it is the shop's."""
    _post_refund(f"write-off:{refund.number}", refund, now, Account.CORRECTIONS, owed=True)


def post_refund_reversed(refund: Refund, *, now: datetime) -> None:
    """The platform never paid it, although it was booked: it is there still, and owed."""
    key = f"refund-void:{refund.out_refund_no}"
    key += _round(key)
    _post_refund(key, refund, now, _of_platform(refund), owed=False)


def post_external_refund(refund: Refund, *, now: datetime) -> None:
    """Money was given back outside the shop: nobody agreed to it here, and it has left."""
    key = f"{EXTERNAL_REFUND}{refund.number}"
    _post_refund(key, refund, now, Account.CORRECTIONS, owed=False)
    post_refund(refund, now=now)


def post_external_refund_reversed(refund: Refund, *, now: datetime) -> None:
    """It was never given back outside the shop: nothing is owed for it."""
    key = f"{EXTERNAL_REFUND_VOID}{refund.number}"
    _post_refund(key, refund, now, Account.CORRECTIONS, owed=True)


def _round(reversal: str) -> str:
    """Return what a key ends in after so many reversals: what was booked may be booked again, once each."""
    for count in itertools.count():
        key = f"{reversal}:{count + 1}" if count else reversal
        if not LedgerTransaction.objects.filter(event_key=key).exists():
            return f":{count + 1}" if count else ""
    raise AssertionError("unreachable")


def _post_refund(
    event_key: str, refund: Refund, now: datetime, account: Account, *, owed: bool
) -> None:
    """Move a refund from what is owed to its account, or back again."""
    fen = int(refund.amount_fen) if owed else -int(refund.amount_fen)
    amounts = {Account.CUSTOMER_REFUNDS: fen, account: -fen}
    _post(event_key, refund.order_id, now, amounts)


def _of_platform(refund: Refund) -> Account:
    if refund.payment is None:
        raise AssertionError(f"{refund} has no payment")
    return _at_platform(refund.payment)


# Corrections of payments


def post_payment_voided(payment: Payment, *, is_sale_undone: bool, now: datetime) -> None:
    """The platform never got the money: the sale is undone, or else the loss is the shop's.

    What refunds have taken back of the sale already stays taken back; they go to corrections.
    """
    amounts = {_at_platform(payment): -int(payment.amount_fen)}
    if is_sale_undone:
        amounts |= {account: -fen for account, fen in _income_of(payment.order_id).items()}
    amounts[Account.CORRECTIONS] = -sum(amounts.values())
    key = f"payment-void:{payment.number}"
    key += _round(key)
    _post(key, payment.order_id, now, amounts)


def _income_of(order_id: int | None) -> dict[Account, int]:
    entries = LedgerEntry.objects.filter(transaction__order=order_id, account__in=INCOME)
    sums = entries.values_list("account").annotate(Sum("amount_fen")).order_by("account")
    return {Account(account): int(fen) for account, fen in sums}


def post_payment_kept(payment: Payment, *, now: datetime) -> None:
    """Money that belongs to no order is nobody's: it becomes the shop's."""
    fen = int(payment.amount_fen)
    amounts = {Account.CUSTOMER_REFUNDS: fen, Account.CORRECTIONS: -fen}
    _post(f"payment-kept:{payment.number}", payment.order_id, now, amounts)


def post_amount_difference(payment: Payment, *, event_key: str, fen: int, now: datetime) -> None:
    """The platform holds ``fen`` more (less, if negative) than the books say."""
    amounts = {_at_platform(payment): fen, Account.CORRECTIONS: -fen}
    _post(f"difference:{event_key}", payment.order_id, now, amounts)


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
