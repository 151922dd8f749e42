"""The one way staff and customers change a refund: under the lock of what it belongs to, by the table."""

from django.utils.translation import gettext_lazy as _

from miniback.core.errors import Conflict
from orders.models import Order, Payment, Refund
from orders.status import Actor, RefundStatus, may_move_refund

CHANGED_BY_A_DECISION = [
    "status",
    "out_refund_no",
    "amount_fen",
    "is_amount_fixed",
    "freight_fen",
    "due_at",
    "succeeded_at",
    "decision",
    "decided_at",
    "decided_by",
]


class RefundStatusConflict(Conflict):
    code = "refund_status"
    detail = _("The refund is in a state that does not allow this.")


def order_of(refund: Refund) -> Order:
    """Return the order of a refund that somebody decides on; money without an order goes back by itself."""
    if refund.order is None:
        raise RefundStatusConflict(status=refund.status)
    return refund.order


def payment_of(refund: Refund) -> Payment:
    """Return the payment, which every refund of more than nothing has."""
    if refund.payment is None:
        raise AssertionError(f"{refund} has no payment")
    return refund.payment


def lock_refund(refund: Refund) -> Refund:
    """Lock the order, as always first, or the payment that has none; return the refund as it is now."""
    order = None
    if refund.order_id is None:
        Payment.objects.select_for_update().get(pk=payment_of(refund).pk)
    else:
        order = Order.objects.lock(refund.order_id)
    refund = Refund.objects.select_related("payment").get(pk=refund.pk)
    refund.order = order
    return refund


def platform_number(refund: Refund) -> str:
    """Return the number that the platform is told, given when staff have agreed."""
    if refund.out_refund_no is None:
        raise AssertionError(f"{refund} has no number at the platform")
    return refund.out_refund_no


def move_refund(refund: Refund, to: RefundStatus, *, actor: Actor) -> Refund:
    """Write a locked refund's decision. Raises RefundStatusConflict."""
    start = RefundStatus(refund.status)
    # Staff end a refund at once only of nothing: money is sent, or paid out, before it has arrived.
    ends_with_money = to == RefundStatus.SUCCEEDED and refund.amount_fen
    if ends_with_money or not may_move_refund(start, to, actor):
        raise RefundStatusConflict(status=start)
    refund.status = to
    refund.save(update_fields=CHANGED_BY_A_DECISION)
    return refund
