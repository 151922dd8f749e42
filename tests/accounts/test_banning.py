"""A customer's page: what is known of them, and keeping them out."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Session
from tests.conftest import Api
from tests.factories import make_customer, make_order, make_staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(client: Any) -> Any:
    client.force_login(make_staff())
    return client


def act(desk: Any, name: str, customer: Any, **form: str) -> Any:
    return desk.post(reverse(f"admin:accounts_customer_{name}", args=[customer.pk]), form)


def test_a_banned_customer_is_out_at_once_and_back_when_let_in(desk: Any) -> None:
    customer = make_customer()
    api = Api(customer)
    assert api.get("me/").status_code == 200
    assert act(desk, "ban", customer, reason="刷单").status_code == 302
    assert api.get("me/").status_code == 401
    assert not Session.objects.filter(user=customer, revoked_at=None).exists()
    assert LogEntry.objects.get().change_message.endswith("刷单")
    act(desk, "unban", customer, reason="误判")
    assert Api(customer).get("me/").status_code == 200


def test_a_reason_is_needed(desk: Any) -> None:
    customer = make_customer()
    assert act(desk, "ban", customer, reason="").status_code == 200
    customer.refresh_from_db()
    assert customer.is_active


def test_two_members_of_staff_ban_once(desk: Any) -> None:
    customer = make_customer()
    act(desk, "ban", customer, reason="a")
    act(desk, "ban", customer, reason="b")
    assert LogEntry.objects.count() == 1


def test_the_page_shows_orders_and_spend_in_few_queries(desk: Any) -> None:
    customer = make_customer()
    address = reverse("admin:accounts_customer_change", args=[customer.pk])
    # Content types are looked up once.
    desk.get(address)
    counts = []
    for _round in range(2):
        orders = [make_order(customer, status="paid") for _ in range(3)]
        with CaptureQueriesContext(connection) as captured:
            page = desk.get(address).content.decode()
        counts.append(len(captured))
        assert all(order.number in page for order in orders)
    assert counts[0] == counts[1] < 30
    assert f"¥{6 * 19.9:.2f}" in page
