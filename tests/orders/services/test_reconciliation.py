"""The daily bill against our books, on both payment platforms (RELIABILITY P25, I23)."""

from datetime import date, datetime, time, timedelta
from io import StringIO
from typing import Any, NamedTuple

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from miniback.core import clock
from orders.models import Bill, BillDifference, Channel, Payment, Refund
from orders.services.cancellation import cancel_order
from orders.services.reconciliation import (
    AlreadyResolved,
    reconcile,
    reconcile_due_days,
    resolve_difference,
)
from orders.services.settlement import check_due_payments
from orders.status import Actor
from tests.conftest import Api
from tests.factories import make_sku
from tests.orders.conftest import Deal, due_now, place
from tests.orders.services.test_alipay import log_in
from tests.orders.services.test_payment import settle_refunds
from tests.sandbox_process import SandboxProcess, until

pytestmark = pytest.mark.django_db(transaction=True)


class Day(NamedTuple):
    """Three payments of one customer; the third came too late and went back. The day is over."""

    sandbox: SandboxProcess
    channel: Channel
    api: Api
    day: date
    payments: list[Payment]
    refund: Refund

    @property
    def target(self) -> str:
        return {"wechat": "wechatpay", "alipay": "alipay"}[self.channel]

    def reconcile(self) -> Bill:
        return reconcile(self.channel, self.day)

    def fault(self, fault: str, **more: Any) -> None:
        self.sandbox.fault(f"{self.target}.bill", fault, **more)


def open_bill(channel: str, shop: SandboxProcess) -> Day:
    api, sku, payments = log_in(shop, channel), make_sku(price_fen=1999, stock=10), []
    for number in range(3):
        order = place(api, sku, quantity=number + 1, key=f"key-{number:08d}")
        asked = api.post(f"orders/{order}/pay/", {"channel": channel}).json()
        payment = Payment.objects.select_related("order").get(number=asked["payment"])
        if number == 2:
            cancel_order(payment.order, actor=Actor.CUSTOMER, user=payment.order.user, reason="")
        assert shop.pay(asked["params"]).ok
        payments.append(payment)
    until(lambda: Payment.objects.filter(status="paid").count() == 3)
    deal = Deal(api, shop, payments[0].order.user, sku, "", payments[0], {})
    settle_refunds(deal)
    day = timezone.localdate(shop_now(shop))
    shop.advance(24 * 3600)
    return Day(shop, Channel(channel), api, day, payments, Refund.objects.get())


def shop_now(shop: SandboxProcess) -> Any:
    return Payment.objects.filter(status="paid").latest("paid_at").paid_at


@pytest.fixture(params=["wechat", "alipay"])
def day(request: Any, shop: SandboxProcess) -> Day:
    return open_bill(request.param, shop)


def found() -> list[tuple[str, bool, str, Any, Any]]:
    rows = BillDifference.objects.filter(status="open").order_by("id")
    return [(row.kind, row.is_refund, row.number, row.theirs_fen, row.ours_fen) for row in rows]


def test_a_day_that_agrees(day: Day) -> None:
    bill = day.reconcile()
    assert (bill.row_count, bill.paid_fen, bill.refunded_fen) == (4, 1999 * 6, 1999 * 3)
    assert found() == []
    assert set(Payment.objects.values_list("billed_on", flat=True)) == {day.day}
    assert Refund.objects.get().billed_on == day.day
    day.reconcile()
    assert (Bill.objects.count(), found()) == (1, [])
    call_command("audit")


def test_three_kinds_of_difference(day: Day) -> None:
    """P25: none missed, none invented, each to the fen."""
    for fault in ("row_missing", "row_differs", "row_added"):
        day.fault(fault)
    day.reconcile()
    first, second, _late = day.payments
    invented = BillDifference.objects.get(kind="not_ours")
    assert sorted(found()) == sorted([
        ("amount", False, second.number, 3999, 3998),
        ("not_theirs", False, first.number, None, 1999),
        ("not_ours", False, invented.number, 1999, None),
    ])  # fmt: skip
    with pytest.raises(SystemExit):
        call_command("audit")
    # The next bill of that day is right: so are we, and what was found stays as a record.
    day.reconcile()
    assert found() == []
    assert BillDifference.objects.filter(status="resolved", resolved_by=None).count() == 3
    call_command("audit")


def test_money_nobody_told_us_of_is_found(day: Day) -> None:
    """A payment whose notice and queries were all lost settles itself by the bill."""
    day.sandbox.advance(-24 * 3600)
    order = place(day.api, make_sku(price_fen=100), quantity=1, key="key-lost-0001")
    asked = day.api.post(f"orders/{order}/pay/", {"channel": day.channel}).json()
    day.sandbox.fault(f"{day.target}.notice", "dropped")
    assert day.sandbox.pay(asked["params"]).ok
    day.sandbox.advance(24 * 3600)
    assert Payment.objects.get(number=asked["payment"]).status == "created"
    day.reconcile()
    assert Payment.objects.get(number=asked["payment"]).status == "paid"
    assert found() == []
    call_command("audit")


def test_a_payment_at_midnight_stands_in_the_next_bill(day: Day) -> None:
    """Our clock and theirs need not agree to the second."""
    first = day.payments[0]
    before = day.day - timedelta(days=1)
    Payment.objects.filter(pk=first.pk).update(paid_at=first.created_at - timedelta(days=1))
    reconcile(day.channel, before)
    assert found() == [("not_theirs", False, first.number, None, 1999)]
    day.reconcile()
    assert found() == []
    assert str(day.day) in BillDifference.objects.get().note


def test_nothing_is_written_when_the_bill_cannot_be_trusted(day: Day) -> None:
    for fault in ("http_500", "unsigned", "bill_creating"):
        day.fault(fault)
        with pytest.raises(CommandError):
            call_command("reconcile", date=day.day, channel=day.channel)
    assert not Bill.objects.exists()
    assert not Payment.objects.exclude(billed_on=None).exists()


def test_the_job_fetches_what_is_over_once(day: Day, monkeypatch: Any) -> None:
    tomorrow = datetime.combine(day.day + timedelta(days=1), time(12))
    noon = timezone.make_aware(tomorrow)

    def stand_at(moment: datetime) -> None:
        monkeypatch.setattr(clock, "ask_database", lambda: moment)

    stand_at(noon)
    day.fault("http_500")
    reconcile_due_days()
    assert not Bill.objects.filter(day=day.day).exists()
    reconcile_due_days()
    bill = Bill.objects.get(day=day.day)
    reconcile_due_days()
    assert Bill.objects.get(day=day.day).compared_at == bill.compared_at
    # Before ten in the morning yesterday's bill is not asked for.
    Bill.objects.all().delete()
    stand_at(noon - timedelta(hours=4))
    reconcile_due_days()
    assert not Bill.objects.filter(day=day.day).exists()


def test_the_command_prints_and_fails(day: Day) -> None:
    out = StringIO()
    call_command("reconcile", date=day.day, channel=day.channel, stdout=out)
    assert "4 rows, 119.94 yuan in, 59.97 yuan back" in out.getvalue()
    day.fault("row_differs")
    with pytest.raises(SystemExit) as end:
        call_command("reconcile", date=day.day, channel=day.channel, stdout=out)
    assert end.value.code == 1
    assert f"amount payment {day.payments[1].number}: theirs 39.99, ours 39.98" in out.getvalue()


def test_staff_say_what_it_was(day: Day, client: Any) -> None:
    day.fault("row_added")
    day.reconcile()
    row = BillDifference.objects.get()
    boss = User.objects.create_superuser(username="boss")
    client.force_login(boss)
    page = client.get(reverse("admin:orders_bill_change", args=[row.bill_id])).content.decode()
    assert row.number in page
    answer = client.post(
        reverse("admin:orders_billdifference_resolve", args=[row.pk]), {"note": "线下收款"}
    )
    assert answer.status_code == 302
    row.refresh_from_db()
    assert (row.status, row.note, row.resolved_by) == ("resolved", "线下收款", boss)
    with pytest.raises(AlreadyResolved):
        resolve_difference(row, user=boss, note="again")
    assert found() == []
    client.force_login(User.objects.create_user(username="clerk", is_staff=True))
    refused = client.post(
        reverse("admin:orders_billdifference_resolve", args=[row.pk]), {"note": "x"}
    )
    assert refused.status_code == 403


def test_a_channel_that_is_not_set_up_is_left_alone(day: Day, settings: Any) -> None:
    setattr(settings, f"{day.channel.upper()}_APP_ID", "")
    reconcile_due_days()
    assert not Bill.objects.exists()


def test_the_query_settles_it_first(day: Day) -> None:
    due_now(Payment)
    check_due_payments()
    day.reconcile()
    assert found() == []
