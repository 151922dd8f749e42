"""What a scraper sees, and who does not."""

from typing import Any

import pytest
from django.test import Client

from miniback.core.read_cache import HIT, MISS, ReadCache
from tests.core.test_read_cache import Client as CacheClient
from tests.core.test_read_cache import Origin


@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer wrong", "secret"])
def test_strangers_find_nothing(client: Client, settings: Any, header: str) -> None:
    settings.METRICS_TOKEN = "secret"
    assert client.get("/metrics", headers={"Authorization": header}).status_code == 404
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


def test_hits_and_misses_are_counted(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = "secret"
    hits, misses = HIT._value.get(), MISS._value.get()
    cached = CacheClient(Origin())
    assert isinstance(cached.cache, ReadCache)
    for query in ("a=1", "a=1", "a=1", "a=2"):
        cached.get(query=query)
    answer = client.get("/metrics", headers={"Authorization": "Bearer secret"})
    lines = answer.content.decode().splitlines()
    assert f'miniback_read_cache_answers_total{{how="hit"}} {hits + 2}' in lines
    assert f'miniback_read_cache_answers_total{{how="miss"}} {misses + 2}' in lines
