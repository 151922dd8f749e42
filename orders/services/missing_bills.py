"""Bills that a platform does not give: staff ask for them again, or say why that is no harm."""

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from miniback.core.errors import Conflict
from miniback.core.transactions import atomic
from orders.models import Bill


class BillNotMissing(Conflict):
    code = "bill_not_missing"
    detail = _("This bill has come, or may still come.")


class BillAgrees(Conflict):
    code = "bill_agrees"
    detail = _("This bill agrees: nothing is to be asked.")


@atomic
def accept_missing_bill(bill: Bill, *, user: Any, note: str) -> Bill:
    """Write that a bill will never come; it is not asked for any more. Raises BillNotMissing."""
    bill = Bill.objects.select_for_update().get(pk=bill.pk)
    if not Bill.objects.missing().filter(pk=bill.pk).exists():
        raise BillNotMissing
    bill.accepted_at, bill.accepted_by, bill.note = timezone.now(), user, note[:200]
    bill.due_at = None
    bill.save(update_fields=["accepted_at", "accepted_by", "note", "due_at"])
    return bill


@atomic
def ask_again(bill: Bill, *, user: Any) -> Bill:
    """Ask for a bill once more, also one that was accepted as missing. Raises BillAgrees."""
    bill = Bill.objects.select_for_update().get(pk=bill.pk)
    if bill.agreed_at:
        raise BillAgrees
    bill.accepted_at, bill.accepted_by, bill.note = None, None, ""
    bill.due_at = timezone.now()
    bill.save(update_fields=["accepted_at", "accepted_by", "note", "due_at"])
    return bill
