"""Is it alive, and may it take traffic."""

import logging
import secrets

from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse

from miniback.core.clock import clock_offset, is_clock_off
from miniback.core.leases import are_silent

logger = logging.getLogger(__name__)

OK, DEGRADED, DOWN = "ok", "degraded", "down"


def healthz(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers."""
    return HttpResponse("ok", content_type="text/plain")


def readyz(request: HttpRequest) -> HttpResponse:
    """503 only without a database or with pending migrations; cache, jobs and clock are merely degraded."""
    parts = {"database": _database()}
    parts["cache"] = _cache()
    parts["jobs"] = _jobs() if parts["database"] == OK else DEGRADED
    parts["clock"] = _clock() if parts["database"] == OK else DEGRADED
    ready = parts["database"] == OK
    return JsonResponse({"ready": ready, **parts}, status=200 if ready else 503)


def _database() -> str:
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        logger.exception("the database does not answer")
        return DOWN
    return "migrations pending" if pending else OK


def _cache() -> str:
    mark = secrets.token_hex(4)
    try:
        cache.set("readyz", mark, 10)
        return OK if cache.get("readyz") == mark else DEGRADED
    except Exception:
        # Each cache engine raises errors of its own library.
        logger.exception("the cache does not answer")
        return DEGRADED


def _jobs() -> str:
    return DEGRADED if are_silent() else OK


def _clock() -> str:
    """Whether this machine's clock is the database's."""
    offset = clock_offset()
    return f"off by {offset.total_seconds():.0f} s" if is_clock_off(offset) else OK
