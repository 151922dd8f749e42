"""Reviews of what was bought: by its buyer, after receipt, each line once."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.models import Review
from catalog.services.reviews import write_review
from miniback.core.errors import Conflict, NotFound
from miniback.core.transactions import atomic
from orders.models import Order, OrderLine
from orders.services.life import OrderStatusConflict
from orders.status import OrderStatus


class AlreadyReviewed(Conflict):
    code = "already_reviewed"
    detail = _("This article was reviewed already.")


class NothingKept(Conflict):
    code = "nothing_kept"
    detail = _("All of it went back: there is nothing to review.")


@atomic
def review_order(order: Order, *, reviews: Sequence[Mapping[str, Any]], user: Any) -> list[Review]:
    """Write what the customer says of lines; each is ``line`` and what `write_review` takes.

    All or nothing. Raises OrderStatusConflict unless completed, NotFound (a line or an upload),
    AlreadyReviewed, NothingKept.
    """
    now = timezone.now()
    order = Order.objects.lock(order.pk)
    if order.status != OrderStatus.COMPLETED:
        raise OrderStatusConflict(status=order.status)
    lines = {line.pk: line for line in order.lines.all()}
    written = []
    for review in reviews:
        content = dict(review)
        line = lines.get(content.pop("line"))
        if line is None:
            raise NotFound(_("The order has no such line."))
        if line.refunded_quantity == line.quantity:
            raise NothingKept(line=line.pk)
        mine = OrderLine.objects.filter(pk=line.pk, reviewed_at=None)
        if not mine.update(reviewed_at=now):
            raise AlreadyReviewed(line=line.pk)
        reference = _reference(order, line.pk)
        written.append(
            write_review(
                user, product_id=line.product_id, sku_id=line.sku_id, reference=reference, **content
            )
        )
    left = order.lines.filter(reviewed_at=None, refunded_quantity__lt=F("quantity"))
    if not left.exists():
        Order.objects.filter(pk=order.pk).update(reviewed_at=now)
    return written


def reviews_of(order: Order, line_ids: Sequence[int]) -> list[Review]:
    """Return the reviews of these lines, in their order."""
    references = [_reference(order, line_id) for line_id in line_ids]
    found = {row.reference: row for row in Review.objects.filter(reference__in=references)}
    return [found[reference] for reference in references if reference in found]


def _reference(order: Order, line_id: int) -> str:
    return f"{order.number}:{line_id}"
