"""A request that is sent twice is carried out once (Idempotency-Key)."""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Generic, NamedTuple, TypeVar

from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError
from django.db.models import Model
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request

from miniback.core.clock import database_now
from miniback.core.due import in_batches
from miniback.core.errors import InvalidFields, KeyMismatch, NotFound
from miniback.core.models import IdempotencyKey
from miniback.core.queries import insert, update
from miniback.core.transactions import retry

T = TypeVar("T", bound=Model | None)

KEY_LIFETIME = timedelta(days=7)


class Outcome(NamedTuple, Generic[T]):
    made: T
    is_replay: bool


class UsedBefore(Exception):
    """The key's row is there already, as far as the insert's ``error`` tells."""

    def __init__(self, error: IntegrityError) -> None:
        self.error = error


def claim_key(user: Any, key: str, body: Any) -> IdempotencyKey:
    """Insert a key in the current transaction, which a double waits for. Raises UsedBefore."""
    try:
        [row] = insert(IdempotencyKey(user=user, key=key, request_hash=_hash(body)))
    except IntegrityError as error:
        raise UsedBefore(error) from error
    return row


def used_key(user: Any, key: str, body: Any, used: UsedBefore) -> IdempotencyKey:
    """Return the row that a claim met. Raises KeyMismatch when it stands for another body."""
    row = IdempotencyKey.objects.filter(user=user, key=key).first()
    if row is None:
        # It was not the key that the insert broke.
        raise used.error from used
    if row.request_hash != _hash(body):
        raise KeyMismatch
    return row


def _hash(body: Any) -> str:
    packed = json.dumps(body, sort_keys=True, cls=DjangoJSONEncoder)
    return hashlib.sha256(packed.encode()).hexdigest()


def run_once(*, user: Any, key: str, body: Any, act: Callable[[], T]) -> Outcome[T]:
    """Carry out ``act`` in one transaction, once for this user and key; afterwards return what it made.

    ``key`` is the client's (8 to 64 visible ASCII characters), ``body`` whatever the key stands
    for, as JSON-like values. The key is inserted first and in the same transaction: if ``act``
    refuses or the process dies, nothing remains and the next try runs again. A parallel double
    waits for the first on the unique key. Raises KeyMismatch when the key was used for another
    body, NotFound when what it made was deleted since, and whatever ``act`` raises. Follows Stripe's
    idempotent requests.
    """
    if not 8 <= len(key) <= 64 or not key.isascii() or not key.isprintable():
        raise InvalidFields(**{"Idempotency-Key": _("Send 8 to 64 visible ASCII characters.")})

    def attempt() -> T:
        row = claim_key(user, key, body)
        made = act()
        if made is not None:
            row.kind, row.object_id = made._meta.label, str(made.pk)
            update(row, "kind", "object_id")
        return made

    try:
        # After a COMMIT whose answer is lost the next attempt meets the key, or waits for it.
        return Outcome(retry(attempt, is_keyed=True), is_replay=False)
    except UsedBefore as used:
        return Outcome(_made_before(used_key(user, key, body, used)), is_replay=True)


def run_request_once(
    request: Request, act: Callable[[], T], *, is_required: bool = False, body: Any = None
) -> Outcome[T]:
    """Carry out ``act`` once for the request's Idempotency-Key; without one as often as it is sent.

    The key stands for method, path and body, so that it is good for one endpoint. ``body`` is what
    was sent, where that is not JSON. Raises InvalidFields for a missing key that ``is_required``,
    and what ``run_once`` raises.
    """
    key = request.headers.get("Idempotency-Key", "")
    if not key and not is_required:
        return Outcome(act(), is_replay=False)
    sent = request.data if body is None else body
    whole = {"method": request.method, "path": request.path.rstrip("/"), "body": sent}
    return run_once(user=request.user, key=key, body=whole, act=act)


def _made_before(row: IdempotencyKey) -> Any:
    """What a request made, as it is now. Raises NotFound if it was deleted since."""
    if not row.kind:
        return None
    made = apps.get_model(row.kind)._default_manager.filter(pk=row.object_id).first()
    if made is None:
        raise NotFound
    return made


def forget_old_keys() -> None:
    """Delete keys that no client will send again."""
    old = IdempotencyKey.objects.filter(created_at__lt=database_now() - KEY_LIFETIME)
    for batch in in_batches(old):
        batch.delete()
