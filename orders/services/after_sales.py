"""Refunds on request: customers ask, and withdraw.

Pieces that were not shipped stay, and their stock comes back at once; of those that were, the goods
may have to come back first. A refund is of one or the other. Freight goes back with the last piece
of an order of which nothing was shipped, once all others are agreed back, and otherwise stays unless
staff give it back.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from miniback.core.errors import Conflict, InvalidFields
from miniback.core.models import UploadPurpose
from miniback.core.transactions import atomic
from miniback.core.uploads import refuse_foreign_uploads
from orders.models import Order, Payment, Refund, new_number
from orders.services.life import OrderStatusConflict
from orders.services.owed_refunds import lower_refund, save_claims
from orders.services.refund_claims import (
    OverRefund as OverRefund,
)
from orders.services.refund_claims import (
    claim_pieces,
    claimed_pieces,
    claiming,
    freight_due,
    left_of,
    release_claims,
)
from orders.services.refund_life import (
    RefundStatusConflict as RefundStatusConflict,
)
from orders.services.refund_life import (
    lock_refund,
    move_refund,
    order_of,
)
from orders.status import Actor, OrderStatus, RefundKind, RefundStatus

# How long after receipt a customer may ask.
REFUND_WINDOW = timedelta(days=15)
# WeChat Pay takes no more for one payment.
MAX_REFUNDS = 50


class RefundWindowOver(Conflict):
    code = "refund_window_over"
    detail = _("The time to ask for a refund has ended.")


class Request(NamedTuple):
    """What is asked back. Of what is None the shop's rules decide.

    ``is_shipped`` says which pieces of a partly shipped order are meant; ``freight_fen`` and
    ``amount_fen`` only staff set.
    """

    quantities: Mapping[int, int]
    kind: RefundKind
    reason: str
    images: Sequence[str] = ()
    is_shipped: bool | None = None
    freight_fen: int | None = None
    amount_fen: int | None = None
    opened_by: Any = None


@atomic
def request_refund(
    order: Order,
    *,
    quantities: Mapping[int, int],
    kind: RefundKind,
    reason: str,
    images: Sequence[str] = (),
) -> Refund:
    """Ask for pieces of an order's lines back; ``quantities`` maps line id to pieces.

    The amount is a forecast: freight is decided when staff agree. Raises OrderStatusConflict,
    RefundWindowOver, OverRefund, NotFound (a line or an upload that is not the order's),
    InvalidFields (a return of what was not shipped).
    """
    order = Order.objects.lock(order.pk)
    if "refund" not in order.actions:
        raise OrderStatusConflict(status=order.status)
    if order.completed_at and timezone.now() - order.completed_at > REFUND_WINDOW:
        raise RefundWindowOver
    refuse_foreign_uploads(images, user_id=order.user_id, purpose=UploadPurpose.REFUND)
    return open_refund(order, Request(quantities, kind, reason, images))


def open_refund(order: Order, request: Request) -> Refund:
    """Write a request about a locked order, and claim its pieces. Raises as ``request_refund``."""
    if request.kind == RefundKind.RETURN and order.status == OrderStatus.PAID:
        raise InvalidFields(kind=_("Nothing was shipped yet: ask for refund_only."))
    payment = Payment.objects.filter(order=order, is_applied=True).first()
    if payment and claiming(payment).filter(amount_fen__gt=0).count() >= MAX_REFUNDS:
        raise OverRefund
    is_shipped = _is_of_shipped(order, request)
    left = left_of(payment) if payment else 0
    claims = [claim_pieces(order, *part) for part in sorted(request.quantities.items())]
    refund = Refund.objects.create(
        order=order,
        payment=payment,
        number=new_number("R"),
        kind=request.kind,
        status=RefundStatus.REQUESTED,
        reason=request.reason,
        images=list(request.images),
        is_shipped=is_shipped,
        is_amount_fixed=request.freight_fen is not None,
        opened_by=request.opened_by,
        amount_fen=0,
        created_at=timezone.now(),
    )
    save_claims(refund, claims)
    _set_amount(refund, request, left)
    refund.save(update_fields=["amount_fen", "freight_fen", "is_amount_fixed"])
    return refund


def _set_amount(refund: Refund, request: Request, left: int) -> None:
    """By its pieces and the freight; no more than is ``left`` of the payment, or less if staff say so."""
    pieces = {} if refund.is_shipped else request.quantities
    freight = request.freight_fen
    refund.freight_fen = freight_due(order_of(refund), pieces) if freight is None else freight
    asked = sum(int(line.amount_fen) for line in refund.lines.all()) + int(refund.freight_fen)
    refund.amount_fen = asked
    if left < asked:
        lower_refund(refund, left)
    if request.amount_fen is not None:
        agree_to_less(refund, request.amount_fen)


def agree_to_less(refund: Refund, amount_fen: int) -> None:
    """Set an amount by hand, up to what would go back. Raises InvalidFields."""
    if amount_fen == refund.amount_fen:
        return
    if not 0 < amount_fen < refund.amount_fen:
        raise InvalidFields(amount_fen=_("Agree to something, and not to more than was asked."))
    refund.is_amount_fixed = True
    lower_refund(refund, amount_fen)


def _is_of_shipped(order: Order, request: Request) -> bool:
    """Say which pieces are meant: of a partly shipped order those that are not, as far as they last."""
    if order.status != OrderStatus.PARTLY_SHIPPED:
        return order.status != OrderStatus.PAID
    left_unsent, left_sent = _are_left(order, request.quantities)
    is_unsent_meant = request.kind == RefundKind.REFUND_ONLY and not request.is_shipped
    if is_unsent_meant and left_unsent:
        return False
    if request.is_shipped is False:
        raise OverRefund
    if not left_sent:
        raise OverRefund(_("Ask for shipped pieces and for others apart."))
    return True


def _are_left(order: Order, quantities: Mapping[int, int]) -> tuple[bool, bool]:
    """Say whether so many pieces are left of those that were not shipped, and of those that were."""
    unsent = claimed_pieces(order, is_shipped=False)
    sent = claimed_pieces(order, is_shipped=True)
    lines = {line.pk: line for line in order.lines.all()}
    left_unsent, left_sent = True, True
    for line_id, count in quantities.items():
        if line := lines.get(line_id):
            stay = line.quantity - line.shipped_quantity - unsent.get(line_id, 0)
            left_unsent &= count <= stay
            left_sent &= count <= line.shipped_quantity - sent.get(line_id, 0)
    return left_unsent, left_sent


@atomic
def withdraw_refund(refund: Refund) -> Refund:
    """The customer thinks better of it. Withdrawing again changes nothing."""
    if refund.status == RefundStatus.WITHDRAWN:
        return refund
    return give_up(refund, RefundStatus.WITHDRAWN, actor=Actor.CUSTOMER)


@atomic
def register_return(refund: Refund, *, carrier: str, tracking_number: str) -> Refund:
    """The customer has sent the goods back. Raises RefundStatusConflict."""
    refund = lock_refund(refund)
    if refund.status != RefundStatus.RETURNING:
        raise RefundStatusConflict(status=refund.status)
    refund.return_carrier, refund.return_tracking = carrier, tracking_number
    refund.save(update_fields=["return_carrier", "return_tracking"])
    return refund


def give_up(refund: Refund, to: RefundStatus, *, actor: Actor) -> Refund:
    decided = (refund.decided_by, refund.decided_at, refund.decision)
    refund = lock_refund(refund)
    refund.decided_by, refund.decided_at, refund.decision = decided
    refund = move_refund(refund, to, actor=actor)
    release_claims(refund)
    return refund
