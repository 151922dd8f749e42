"""Calls to the outside that must happen after a transaction, even if the process dies."""

import logging
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any

from miniback.core.clock import database_now
from miniback.core.due import try_due
from miniback.core.models import Lane, OutboxMessage

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=1)


class Undeliverable(Exception):
    """Of a handler: trying again is useless. The message ends, and keeps why."""


Handler = Callable[[dict[str, Any]], None]


def post(
    *, topic: str, event_key: str, payload: dict[str, Any], lane: str = Lane.SHOP
) -> OutboxMessage:
    """Leave a message in the current transaction; ``event_key`` makes it once only.

    ``lane`` says whom its handler calls.
    """
    return OutboxMessage.objects.create(
        topic=topic, event_key=event_key, payload=payload, lane=lane, due_at=database_now()
    )


def deliver(handlers: Mapping[str, Handler], lanes: Collection[str] = Lane.values) -> None:
    """Hand the due messages of these lanes to their topics' handlers, which may be called more than once.

    A handler that raises is tried again later, with growing pauses, unless it raises Undeliverable;
    the message keeps the error.
    """

    def hand_over(message: OutboxMessage) -> None:
        try:
            handlers[message.topic](message.payload)
        except Undeliverable as error:
            logger.error("outbox message %s is given up: %s", message.event_key, error)
            _end(message, str(error)[:300])
        else:
            _end(message, "")

    try_due(OutboxMessage.objects.filter(lane__in=lanes), hand_over, lease=LEASE)


def _end(message: OutboxMessage, error: str) -> None:
    message.due_at, message.done_at, message.last_error = None, database_now(), error
    message.save(update_fields=["due_at", "done_at", "last_error"])
