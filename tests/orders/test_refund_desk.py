"""Refunds at the desk: yes and no side by side, and two clicks or two people that decide once."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from orders.models import Order, Refund
from orders.services.after_sales import request_refund
from orders.status import RefundKind
from tests.factories import make_order, make_staff, pay

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(deal: Any) -> Refund:
    order = pay(make_order(quantity=2))
    line = order.lines.get()
    return request_refund(
        Order.objects.get(pk=order.pk),
        quantities={line.pk: 1},
        kind=RefundKind.REFUND_ONLY,
        reason="大了",
    )


def decide(client: Any, refund: Refund, name: str, **form: str) -> Any:
    return client.post(reverse(f"admin:orders_refund_{name}", args=[refund.pk]), form, follow=True)


def test_yes_and_no_stand_side_by_side_until_it_is_decided(client: Any, asked: Refund) -> None:
    client.force_login(make_staff())
    address = reverse("admin:orders_refund_change", args=[asked.pk])
    page = client.get(address).content.decode()
    assert 'name="amount_fen"' in page and page.count('name="decision"') == 2
    decide(client, asked, "reject", decision="已拆封")
    assert 'name="decision"' not in client.get(address).content.decode()


def test_a_double_click_approves_once(client: Any, asked: Refund) -> None:
    client.force_login(make_staff())
    for _click in range(2):
        decide(client, asked, "approve", amount_fen="10", decision="好")
    asked.refresh_from_db()
    assert (asked.status, asked.amount_fen) == ("approved", 1000)
    assert LogEntry.objects.count() == 1 and Refund.objects.count() == 1


def test_two_members_of_staff_decide_once(client: Any, asked: Refund) -> None:
    client.force_login(make_staff(username="one"))
    decide(client, asked, "reject", decision="已拆封")
    client.force_login(make_staff(username="two"))
    page = decide(client, asked, "approve", decision="好").content.decode()
    asked.refresh_from_db()
    assert asked.status == "rejected" and asked.decision == "已拆封"
    assert "messagelist" in page and 'class="error"' in page
