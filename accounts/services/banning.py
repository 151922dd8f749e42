"""Keeping somebody out, and letting them in again."""

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Session, User
from miniback.core.errors import Conflict
from miniback.core.transactions import atomic


class AlreadySo(Conflict):
    code = "already_so"
    detail = _("Somebody else has done so already.")


@atomic
def ban(customer: User, *, user: Any, reason: str) -> None:
    """Keep a customer out: every session ends, and no new one begins. Orders go on. Raises AlreadySo."""
    _set_active(customer, is_active=False)
    Session.objects.filter(user=customer.pk, revoked_at=None).update(revoked_at=timezone.now())


@atomic
def unban(customer: User, *, user: Any, reason: str) -> None:
    """Let a customer log in again. Raises AlreadySo."""
    _set_active(customer, is_active=True)


def _set_active(customer: User, *, is_active: bool) -> None:
    other = User.objects.filter(pk=customer.pk, is_active=not is_active)
    if not other.update(is_active=is_active):
        raise AlreadySo
