"""People and situations."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.core.management.commands import flush
from django.test import Client

from accounts.models import User
from catalog.models import Sku
from miniback.core import clock
from miniback.platforms import http
from orders.models import Order
from tests.factories import make_access, make_address, make_customer, make_order, make_sku
from tests.flushing import sql_flush_written
from tests.sandbox_process import SandboxProcess


class Api:
    """A client of the API: JSON in, JSON out, the customer's token."""

    def __init__(self, user: User | None = None, *, access: str = "") -> None:
        self.client = Client(raise_request_exception=False)
        self.access = access or (make_access(user) if user else "")

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        if self.access:
            headers.setdefault("Authorization", f"Bearer {self.access}")
        kwargs = {}
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            kwargs = {"data": data, "content_type": "application/json"}
        return self.client.generic(method, f"/api/v1/{path}", headers=headers, **kwargs)

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, body, **headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("PUT", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.call("DELETE", path, **headers)

    def place(self, key: str = "key-00000001", **body: Any) -> Any:
        return self.call("POST", "orders/", body, **{"Idempotency-Key": key})

    def ask_refund(self, number: str, body: Any, key: str = "") -> Any:
        """Each with a key of its own, unless told."""
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        return self.call("POST", f"orders/{number}/refunds/", body, **headers)


@pytest.fixture(autouse=True, scope="session")
def _flush_what_was_written() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "sql_flush", sql_flush_written)
        patch.setattr(flush, "emit_post_migrate_signal", lambda *args: None)
        yield


@pytest.fixture(autouse=True)
def _fresh_cache() -> None:
    cache.clear()


@pytest.fixture(autouse=True)
def _platforms_are_up() -> None:
    """What did not answer in one test is called in the next."""
    http.breaker.reset()


@pytest.fixture(autouse=True)
def _database_travels_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever travels in time takes the database's clock along: it is later everywhere."""
    ask = clock.ask_database

    def ask_traveler() -> Any:
        return datetime.now(UTC) if time_machine.escape_hatch.is_travelling() else ask()

    monkeypatch.setattr(clock, "ask_database", ask_traveler)


@pytest.fixture
def anonymous() -> Api:
    return Api()


@pytest.fixture
def customer(db: None) -> User:
    return make_customer(openid="o-customer")


@pytest.fixture
def stranger(db: None) -> User:
    return make_customer(openid="o-stranger")


@pytest.fixture
def api(customer: User) -> Api:
    return Api(customer)


@pytest.fixture
def stranger_api(stranger: User) -> Api:
    return Api(stranger)


@pytest.fixture
def sku(db: None) -> Sku:
    return make_sku()


@pytest.fixture
def order(customer: User, sku: Sku) -> Order:
    make_address(customer)
    return make_order(customer, sku=sku, quantity=2)


@pytest.fixture(scope="session")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    process = SandboxProcess(tmp_path_factory.mktemp("sandbox"))
    yield process
    process.stop()


@pytest.fixture
def sandbox(sandbox_process: SandboxProcess, settings: Any) -> SandboxProcess:
    """The platforms, with empty books; the shop is connected to them."""
    sandbox_process.reset()
    for name, value in sandbox_process.env.items():
        if name.startswith(("WECHAT", "ALIPAY", "DOUYIN")):
            setattr(settings, name, value)
    settings.WECHATPAY_CERTIFICATES = False
    return sandbox_process


@pytest.fixture
def shop(live_server: Any, sandbox: SandboxProcess, settings: Any) -> Iterator[SandboxProcess]:
    """A real server that the platforms' notices reach; the sandbox."""
    settings.PUBLIC_URL = live_server.url
    yield sandbox
    # What is still on its way must land before the tables are emptied, not in the next test.
    sandbox.reset()


@pytest.fixture
def payer(shop: SandboxProcess, settings: Any) -> Api:
    """A customer who logged in at the sandbox and has an address."""
    api = Api()
    answer = api.post("auth/login/", {"platform": "wechat", "code": shop.code()})
    api.access = answer.json()["access"]
    make_address(User.objects.get(pk=answer.json()["user"]["id"]))
    return api
