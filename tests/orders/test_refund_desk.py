"""Refunds at the desk: yes and no side by side, and two clicks or two people that decide once."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from orders.admin.refunds import NEEDS_ANOTHER
from orders.models import Order, OrderLine, Refund
from orders.services.after_sales import request_refund
from orders.services.refund_decisions import approve_refund
from orders.status import RefundKind
from tests.factories import make_order, make_staff, pay
from tests.orders.test_states import say

pytestmark = pytest.mark.django_db


def ask_back(line: OrderLine, quantity: int = 1) -> Refund:
    return request_refund(
        Order.objects.get(pk=line.order_id),
        quantities={line.pk: quantity},
        kind=RefundKind.REFUND_ONLY,
        reason="大了",
    )


@pytest.fixture
def asked(deal: Any) -> Refund:
    return ask_back(pay(make_order(quantity=2)).lines.get())


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


def test_all_that_wait_stand_side_by_side(client: Any, asked: Refund) -> None:
    client.force_login(make_staff())
    address = reverse("admin:orders_refund_side-by-side")
    [card] = client.get(address).context["cards"]
    assert (card["refund"], card["amount"], len(card["asked"])) == (asked, "¥19.90", 2)
    answer = client.post(
        reverse("admin:orders_refund_reject", args=[asked.pk]),
        {"decision": "已拆封", "from": "side-by-side"},
    )
    assert answer.url == address
    page = client.get(address)
    assert page.context["cards"] == [] and 'class="nothing"' in page.content.decode()


def test_as_many_queries_for_one_as_for_many(client: Any, deal: Any) -> None:
    client.force_login(make_staff())
    counts = []
    for _round in range(2):
        for _refund in range(3):
            line = pay(make_order(quantity=2)).lines.get()
            ask_back(line)
        with CaptureQueriesContext(connection) as captured:
            client.get(reverse("admin:orders_refund_side-by-side"))
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_many_are_approved_each_by_itself(client: Any, deal: Any, settings: Any) -> None:
    settings.REFUND_SECOND_APPROVAL_FEN = 3000
    member = make_staff()
    client.force_login(member)
    small, large = (ask_back(pay(make_order(quantity=n)).lines.get(), n) for n in (1, 2))
    Refund.objects.filter(pk=large.pk).update(first_approved_by=member)
    data = {"action": "approve_selected", "_selected_action": [small.pk, large.pk]}
    address = reverse("admin:orders_refund_changelist")
    assert client.post(address, data).context["count"] == 2
    page = client.post(address, {**data, "sure": 1, "decision": "好"}, follow=True)
    small.refresh_from_db()
    large.refresh_from_db()
    assert (small.status, small.decision, large.status) == ("approved", "好", "requested")
    assert large.number in page.content.decode()


def test_the_second_member_sees_what_the_first_proposed(client: Any, asked: Refund) -> None:
    one, two = make_staff(username="one"), make_staff(username="two")
    refund = approve_refund(asked, user=one)
    say(refund, "CLOSED")
    page = reverse("admin:orders_refund_change", args=[refund.pk])
    client.force_login(one)
    shown = [button["action"].url for button in client.get(page).context["buttons"]]
    assert shown == ["reapply", "pay-out", "write-off"]
    answer = decide(client, refund, "pay-out", reference="ICBC 1")
    assert [str(message) for message in answer.context["messages"]] == [str(NEEDS_ANOTHER)]

    client.force_login(two)
    form = client.get(reverse("admin:orders_refund_pay-out", args=[refund.pk])).context["form"]
    assert form["reference"].value() == "ICBC 1"
    assert "one" in str(form.fields["reference"].help_text)
    decide(client, refund, "pay-out", reference="ICBC 1")
    refund.refresh_from_db()
    assert (refund.status, refund.payout_reference) == ("succeeded", "ICBC 1")
    assert "ICBC 1" in client.get(page).content.decode()


def test_an_abnormal_refund_can_be_sent_another_way(client: Any, asked: Refund) -> None:
    refund = approve_refund(asked, user=make_staff(username="one"))
    say(refund, "ABNORMAL")
    client.force_login(make_staff(username="two"))
    page = client.get(reverse("admin:orders_refund_change", args=[refund.pk]))
    shown = [button["action"].url for button in page.context["buttons"]]
    assert shown == ["redirect", "pay-out", "write-off"]
