"""What staff book about money that moved outside the shop."""

from typing import Any

from orders.models import (
    BillDifference,
    DifferenceKind,
    Payment,
)
from orders.services.corrections import book_amount, explain_difference, mark_foreign
from orders.services.difference_rows import (
    resolve_by_itself,
)
from orders.services.payment_corrections import give_back, keep_money, void_payment
from orders.services.refund_corrections import book_external_refund, reverse_refund
from orders.services.refund_decisions import (
    approve_refund,
)
from orders.services.refund_steps import reapply_refund
from tests.history.life import compare_bill
from tests.history.shop import Shop


def correct(shop: Shop) -> None:
    """Let staff resolve differences of every kind; the first is in a bill."""
    by: Any = {"user": shop.clerk, "note": "已与平台核对"}
    kinds = DifferenceKind
    for difference in BillDifference.objects.filter(status="open"):
        book_external_refund(difference, **by)
    compare_bill(shop)
    for resolve in (keep_money, give_back, mark_foreign):
        resolve(shop.find_unknown(), **by)
    for is_shipped in (False, True):
        payment = shop.paid_now()
        if is_shipped:
            assert payment.order
            shop.ship(payment.order)
        ours = {"ours_fen": int(payment.amount_fen)}
        void_payment(shop.differ(payment, kinds.NOT_THEIRS, **ours), **by)
    payment = shop.paid_now()
    fen = {"ours_fen": int(payment.amount_fen), "theirs_fen": int(payment.amount_fen) + 1}
    book_amount(shop.differ(payment, kinds.AMOUNT, **fen), **by)
    same = {"ours_fen": int(payment.amount_fen), "theirs_fen": int(payment.amount_fen)}
    explain_difference(shop.differ(payment, kinds.TRANSACTION, **same), **by)
    correct_refunds(shop, by)
    resolve_by_itself(BillDifference.objects.filter(pk=shop.find_unknown().pk), "再次核对时已一致")


def correct_refunds(shop: Shop, by: dict[str, Any]) -> None:
    """Two refunds were never paid: one is applied for again."""
    for is_retried in (True, False):
        order = shop.pay(shop.place())
        refund = approve_refund(shop.want_back(order), user=shop.clerk)
        shop.settle(refund)
        payment = Payment.objects.get(order=order)
        ours = {"ours_fen": int(refund.amount_fen)}
        reverse_refund(shop.differ(payment, DifferenceKind.NOT_THEIRS, refund, **ours), **by)
        if is_retried:
            shop.settle(reapply_refund(refund, user=shop.clerk))
