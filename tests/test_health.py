from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone


@pytest.mark.django_db(transaction=True)
def test_ready_and_what_is_degraded(client: Any) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "database": "ok",
        "cache": "ok",
        "jobs": "degraded",
        "clock": "ok",
    }
    call_command("run_jobs", "--once")
    assert client.get("/readyz/").json()["jobs"] == "ok"


@pytest.mark.django_db
def test_a_clock_that_is_off_is_told(client: Any, monkeypatch: Any) -> None:
    wrong = timedelta(minutes=1)
    monkeypatch.setattr(timezone, "now", lambda: datetime.now(UTC) + wrong)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["clock"]) == (200, "off by 60 s")


@pytest.mark.django_db
def test_pending_migrations_are_not_ready(client: Any) -> None:
    MigrationRecorder.Migration.objects.filter(app="orders").order_by("name").last().delete()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["database"]) == (503, "migrations pending")


def test_without_a_database(client: Any, monkeypatch: Any) -> None:
    def broken(*_args: Any) -> None:
        raise OperationalError("down")

    monkeypatch.setattr("miniback.health.MigrationExecutor", broken)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert client.get("/healthz").content == b"ok"


@pytest.mark.django_db
def test_a_cache_that_is_down_is_only_degraded(client: Any, settings: Any) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:9",
        }
    }
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["cache"]) == (200, "degraded")
