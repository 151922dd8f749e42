"""A request that is sent twice is carried out once (Idempotency-Key)."""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Generic, NamedTuple, TypeVar

from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, transaction
from django.db.models import Model
from django.utils.translation import gettext_lazy as _

from miniback.core.clock import database_now
from miniback.core.due import in_batches
from miniback.core.errors import InvalidFields, KeyMismatch
from miniback.core.models import IdempotencyKey
from miniback.core.queries import insert, update
from miniback.core.transactions import retry

T = TypeVar("T", bound=Model)

KEY_LIFETIME = timedelta(days=7)


class Outcome(NamedTuple, Generic[T]):
    made: T
    is_replay: bool


class _UsedBefore(Exception):
    """The key's row is there already."""


def run_once(*, user: Any, key: str, body: Any, act: Callable[[], T]) -> Outcome[T]:
    """Carry out ``act`` in one transaction, once for this user and key; afterwards return what it made.

    ``key`` is the client's (8 to 64 visible ASCII characters), ``body`` whatever the key stands
    for, as JSON-like values. The key is inserted first and in the same transaction: if ``act``
    refuses or the process dies, nothing remains and the next try runs again. A parallel double
    waits for the first on the unique key. Raises KeyMismatch when the key was used for another
    body, and whatever ``act`` raises. Follows Stripe's idempotent requests.
    """
    if not 8 <= len(key) <= 64 or not key.isascii() or not key.isprintable():
        raise InvalidFields(**{"Idempotency-Key": _("Send 8 to 64 visible ASCII characters.")})
    packed = json.dumps(body, sort_keys=True, cls=DjangoJSONEncoder)
    request_hash = hashlib.sha256(packed.encode()).hexdigest()

    def attempt() -> T:
        with transaction.atomic(durable=True):
            try:
                [row] = insert(IdempotencyKey(user=user, key=key, request_hash=request_hash))
            except IntegrityError as error:
                raise _UsedBefore from error
            made = act()
            row.kind, row.object_id = made._meta.label, str(made.pk)
            update(row, "kind", "object_id")
            return made

    try:
        return Outcome(retry(attempt), is_replay=False)
    except _UsedBefore:
        row = IdempotencyKey.objects.get(user=user, key=key)
    if row.request_hash != request_hash:
        raise KeyMismatch
    made = apps.get_model(row.kind)._default_manager.get(pk=row.object_id)
    return Outcome(made, is_replay=True)


def forget_old_keys() -> None:
    """Delete keys that no client will send again."""
    old = IdempotencyKey.objects.filter(created_at__lt=database_now() - KEY_LIFETIME)
    for batch in in_batches(old):
        batch.delete()
