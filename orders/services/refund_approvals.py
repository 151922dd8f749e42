"""When two members of staff must stand for money that goes back, and who they were."""

from datetime import datetime, time
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from miniback.core.errors import Conflict
from orders.models import Refund, RefundApproval
from orders.status import NOT_AGREED, RefundKind, RefundStep

CHANGE_REFUND = "orders.change_refund"


class SecondApproval(Conflict):
    code = "second_approval"
    detail = _("This needs a second member of staff.")


# Agreeing


def is_large(refund: Refund, user: Any, *, now: datetime) -> bool:
    """Say whether a refund, with what was agreed before, is large enough for two members of staff.

    Counted with it: all refunds of its order; those of the day (of Shanghai) to its customer; those
    of the day that this member has agreed to. So nobody gets around the limit by small steps, nor by
    several at once: the member and the customer are locked, after the order.
    """
    limit = settings.REFUND_SECOND_APPROVAL_FEN
    if not limit or not refund.amount_fen:
        return False
    _lock_members(refund, user)
    agreed = Refund.objects.exclude(status__in=NOT_AGREED).exclude(pk=refund.pk)
    # What goes back by itself nobody has agreed to.
    agreed = agreed.exclude(kind=RefundKind.AUTO, decided_by__isnull=True)
    today = agreed.filter(decided_at__gte=_start_of_day(now))
    mine = Q(decided_by=user) | Q(first_approved_by=user)
    sums = [_sum(today.filter(mine))]
    if order := refund.order:
        sums += [_sum(agreed.filter(order=order)), _sum(today.filter(order__user=order.user_id))]
    return bool(int(refund.amount_fen) + max(sums) >= limit)


def _lock_members(refund: Refund, user: Any) -> None:
    ids = {user.pk, refund.order.user_id} if refund.order else {user.pk}
    # What merely refers to them need not wait, where the database can tell.
    no_key = connection.features.has_select_for_no_key_update
    list(User.objects.select_for_update(no_key=no_key).filter(pk__in=ids).order_by("pk"))


def _start_of_day(now: datetime) -> datetime:
    return timezone.make_aware(datetime.combine(timezone.localdate(now), time()))


def _sum(refunds: QuerySet[Refund]) -> int:
    return int(refunds.aggregate(sum=Sum("amount_fen"))["sum"] or 0)


def agree(refund: Refund, user: Any, *, before_fen: int, now: datetime) -> bool:
    """Say whether enough people agree to a locked refund; the first of two is written down.

    ``before_fen`` is the amount to which the first one agreed: if it has risen since, they did not
    agree to it. Raises SecondApproval (the same person again).
    """
    if not is_large(refund, user, now=now):
        return True
    if refund.first_approved_by_id is None or refund.amount_fen > before_fen:
        refund.first_approved_by = user
        columns = ["first_approved_by", "amount_fen", "freight_fen", "is_amount_fixed"]
        refund.save(update_fields=columns)
        return False
    if refund.first_approved_by_id == user.pk:
        raise SecondApproval
    return True


# Other ways for money that the platform could not give back


class Proposal(NamedTuple):
    """What one member of staff proposes, and another confirms with the same data."""

    step: RefundStep
    note: str = ""
    card_hash: str = ""
    card_tail: str = ""

    def is_that_of(self, approval: RefundApproval) -> bool:
        same = approval.step, approval.note, approval.card_hash
        return same == (self.step, self.note, self.card_hash)


def approve_step(refund: Refund, proposal: Proposal, *, user: Any, by_two: bool) -> bool:
    """Say whether enough people stand for a step with a locked refund; what they say is kept.

    A proposal that differs from the open one replaces it. Raises SecondApproval (the same person
    again). Until `confirm_step` the approval stays open, so that a step that fails can be repeated.
    """
    pending = open_approval(refund)
    if pending and not proposal.is_that_of(pending):
        drop_proposal(refund)
        pending = None
    if pending is None:
        pending = _propose(refund, proposal, user)
        return not by_two
    if by_two and pending.proposed_by_id == user.pk:
        raise SecondApproval
    return True


def open_approval(refund: Refund) -> RefundApproval | None:
    approvals = RefundApproval.objects.filter(open_key=refund.pk)
    return approvals.select_related("proposed_by").first()


def _propose(refund: Refund, proposal: Proposal, user: Any) -> RefundApproval:
    return RefundApproval.objects.create(
        refund=refund,
        open_key=refund.pk,
        proposed_by=user,
        proposed_at=timezone.now(),
        **proposal._asdict(),
    )


def confirm_step(refund: Refund, *, user: Any) -> None:
    """The step is carried out."""
    pending = RefundApproval.objects.filter(open_key=refund.pk)
    pending.update(open_key=None, confirmed_by=user, confirmed_at=timezone.now())


def drop_proposal(refund: Refund) -> None:
    """Nobody will confirm it: another one replaces it, or the refund went on without it."""
    pending = RefundApproval.objects.filter(open_key=refund.pk)
    pending.update(open_key=None, dropped_at=timezone.now())


def has_second_member(user: Any) -> bool:
    """Say whether anybody else of the staff could confirm."""
    backend = settings.AUTHENTICATION_BACKENDS[0]
    members = User.objects.with_perm(CHANGE_REFUND, backend=backend, is_active=True)
    return bool(members.filter(is_staff=True).exclude(pk=user.pk).exists())
