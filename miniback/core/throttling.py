"""Counting tries in the shared cache: exact in parallel, forgotten by themselves."""

from django.core.cache import cache

from miniback.core.errors import Throttled


def count_try(name: str, *, limit: int, window_seconds: int) -> None:
    """Count one try of ``name``. Raises Throttled after ``limit`` of them in a window.

    ``add`` and ``incr`` are each one step for the cache, so that a hundred at once count as a
    hundred. Without a cache nothing is counted.
    """
    key = f"tries:{name}"
    if cache.add(key, 1, window_seconds):
        return
    try:
        tries = cache.incr(key)
    except ValueError:
        # It ended between the two steps: a new window.
        return
    if tries > limit:
        raise Throttled(retry_after=window_seconds)
