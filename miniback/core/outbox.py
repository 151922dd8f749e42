"""Calls to the outside that must happen after a transaction, even if the process dies."""

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.utils import timezone

from miniback.core.models import OutboxMessage

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=1)


class Undeliverable(Exception):
    """Of a handler: trying again is useless. The message ends, and keeps why."""


Handler = Callable[[dict[str, Any]], None]


def post(*, topic: str, event_key: str, payload: dict[str, Any]) -> OutboxMessage:
    """Leave a message in the current transaction; ``event_key`` makes it once only."""
    return OutboxMessage.objects.create(
        topic=topic, event_key=event_key, payload=payload, due_at=timezone.now()
    )


def deliver(handlers: Mapping[str, Handler]) -> None:
    """Hand every due message to its topic's handler, which may be called more than once.

    A handler that raises is tried again later, with growing pauses, unless it raises Undeliverable;
    the message keeps the error.
    """
    for message in OutboxMessage.objects.claim(lease=LEASE):
        try:
            handlers[message.topic](message.payload)
        except Undeliverable as error:
            logger.error("outbox message %s is given up: %s", message.event_key, error)
            _end(message, str(error)[:300])
        except Exception as error:
            logger.warning("outbox message %s failed", message.event_key, exc_info=True)
            message.due_at = message.next_try_at(timezone.now())
            message.last_error = f"{type(error).__name__}: {error}"[:300]
            message.save(update_fields=["due_at", "last_error"])
        else:
            _end(message, "")


def _end(message: OutboxMessage, error: str) -> None:
    message.due_at, message.done_at, message.last_error = None, timezone.now(), error
    message.save(update_fields=["due_at", "done_at", "last_error"])
