"""The daily bill against our books, on both payment platforms (RELIABILITY P25, I23)."""

from datetime import date, datetime, time, timedelta
from io import StringIO
from typing import Any, NamedTuple

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from miniback.platforms.contract import BillRow
from miniback.platforms.errors import NoBill
from orders.models import Bill, BillDifference, Channel, Payment, Refund
from orders.services.bill_comparison import (
    compare_payments,
    compare_refunds,
    payment_rows,
    refund_rows,
)
from orders.services.cancellation import cancel_order
from orders.services.difference_rows import account_of, record_discrepancies
from orders.services.reconciliation import (
    bills_of,
    open_bills,
    reconcile,
    reconcile_due_days,
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

    def reconcile(self, day: date | None = None) -> Bill:
        (bill,) = bills_of(self.channel, day or self.day)
        return reconcile(bill)

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
    with pytest.raises(NoBill):
        day.reconcile(before)
    day.sandbox.age_trade(day.payments[1].number, 1, platform=day.channel)
    day.reconcile(before)
    assert found() == [("not_theirs", False, first.number, None, 1999)]
    day.reconcile()
    assert found() == []
    assert str(day.day) in BillDifference.objects.get().note
    assert day.reconcile(before).agreed_at is not None


def test_a_day_whose_only_payment_stands_in_the_next_bill_agrees(day: Day) -> None:
    """Without a bill of its own."""
    first = day.payments[0]
    before = day.day - timedelta(days=1)
    Payment.objects.filter(pk=first.pk).update(paid_at=first.created_at - timedelta(days=1))
    with pytest.raises(NoBill):
        day.reconcile(before)
    day.reconcile()
    assert (found(), day.reconcile(before).agreed_at is not None) == ([], True)


def test_nothing_is_compared_when_the_bill_cannot_be_trusted(day: Day) -> None:
    for fault, code in {"http_500": "HTTP 500", "unsigned": "", "bill_creating": ""}.items():
        day.fault(fault)
        with pytest.raises(CommandError):
            call_command("reconcile", date=day.day, channel=day.channel)
        bill = Bill.objects.get()
        assert (bill.compared_at, bill.row_count, bill.last_error != "") == (None, 0, True), code
    assert not Payment.objects.exclude(billed_on=None).exists()


# The job


def noon_after(day: Day) -> datetime:
    return timezone.make_aware(datetime.combine(day.day + timedelta(days=1), time(12)))


def run_job(day: Day) -> Bill:
    """All that is written down to be compared is compared, whatever the clock says."""
    open_bills(day.channel, now=noon_after(day))
    due_now(Bill)
    reconcile_due_days([day.channel])
    return Bill.objects.get(channel=day.channel, day=day.day)


def test_the_job_compares_what_is_over_until_it_agrees(day: Day) -> None:
    open_bills(day.channel, now=noon_after(day) - timedelta(hours=4))
    # Before ten in the morning yesterday's bill is not asked for.
    assert not Bill.objects.filter(day=day.day).exists()
    day.fault("http_500")
    bill = run_job(day)
    assert (bill.compared_at, bill.last_error != "") == (None, True)
    assert timedelta(0) < bill.due_at - timezone.now() <= timedelta(hours=1)
    bill = run_job(day)
    assert (bill.due_at, bill.last_error, bill.row_count) == (None, "", 4)
    assert bill.agreed_at == bill.compared_at
    again = run_job(day)
    assert again.compared_at == bill.compared_at


def test_the_job_fetches_a_day_that_was_missed_for_weeks(day: Day) -> None:
    """Not only a week back: also after a month with a wrong key."""
    payment = day.payments[0]
    Payment.objects.filter(pk=payment.pk).update(created_at=payment.created_at - timedelta(days=40))
    open_bills(day.channel, now=noon_after(day))
    assert Bill.objects.count() == 41
    assert Bill.objects.earliest("day").day == day.day - timedelta(days=40)
    # Three months is all that a platform has.
    Bill.objects.all().delete()
    Payment.objects.filter(pk=payment.pk).update(
        created_at=payment.created_at - timedelta(days=400)
    )
    open_bills(day.channel, now=noon_after(day))
    assert Bill.objects.earliest("day").day == day.day - timedelta(days=90)


def test_a_difference_is_compared_again_and_may_come_back(day: Day) -> None:
    day.fault("row_differs")
    bill = run_job(day)
    assert len(found()) == 1
    assert bill.agreed_at is None
    assert timedelta(0) < bill.due_at - timezone.now() <= timedelta(hours=1)
    bill = run_job(day)
    assert (found(), bill.due_at) == ([], None)
    assert BillDifference.objects.get().resolution == "agrees"
    day.fault("row_differs")
    bill = day.reconcile()
    assert len(found()) == 1
    assert bill.agreed_at is None


def test_a_bill_that_does_not_agree_is_compared_at_least_daily(day: Day) -> None:
    day.fault("row_differs", times=100)
    for _ in range(8):
        bill = run_job(day)
    assert timedelta(hours=23) < bill.due_at - timezone.now() <= timedelta(days=1)


def test_a_payment_whose_query_fails_meanwhile_is_compared_again(day: Day) -> None:
    """One 500 while comparing is no difference for ever."""
    day.sandbox.advance(-24 * 3600)
    order = place(day.api, make_sku(price_fen=100), quantity=1, key="key-lost-0001")
    asked = day.api.post(f"orders/{order}/pay/", {"channel": day.channel}).json()
    day.sandbox.fault(f"{day.target}.notice", "dropped")
    assert day.sandbox.pay(asked["params"]).ok
    day.sandbox.advance(24 * 3600)
    day.sandbox.fault(f"{day.target}.query", "http_500")
    bill = run_job(day)
    assert found() == [("not_ours", False, asked["payment"], 100, None)]
    assert bill.due_at is not None
    bill = run_job(day)
    assert (found(), bill.due_at) == ([], None)
    assert Payment.objects.get(number=asked["payment"]).billed_on == day.day


def test_no_bill_of_a_day_with_money_is_no_empty_bill(day: Day) -> None:
    """The platforms say "no bill" of a quiet day and of a late bill alike."""
    day.sandbox.advance(-24 * 3600)
    quiet = day.day - timedelta(days=3)
    bill = day.reconcile(quiet)
    assert (bill.row_count, bill.agreed_at is not None) == (0, True)
    Payment.objects.filter(pk=day.payments[0].pk).update(
        paid_at=timezone.make_aware(datetime.combine(quiet, time(12)))
    )
    with pytest.raises(NoBill):
        day.reconcile(quiet)
    Bill.objects.update(compared_at=None, agreed_at=None)
    due_now_and_run(day)
    bill = Bill.objects.get(day=quiet)
    assert (bill.compared_at, found()) == (None, [])
    assert bill.due_at is not None
    # After a week nobody asks any more; the error stands where staff see it.
    long_ago = day.day - timedelta(days=12)
    Payment.objects.filter(pk=day.payments[0].pk).update(
        paid_at=timezone.make_aware(datetime.combine(long_ago, time(12)))
    )
    Bill.objects.filter(pk=bill.pk).update(day=long_ago)
    due_now_and_run(day)
    bill.refresh_from_db()
    assert (bill.due_at, bill.last_error != "") == (None, True)


def due_now_and_run(day: Day) -> None:
    Bill.objects.update(due_at=timezone.now())
    reconcile_due_days([day.channel])


def test_an_account_without_credentials_shows_why(day: Day, settings: Any) -> None:
    """Its money is not forgotten with the setting."""
    for name in ("WECHAT_APP_ID", "WECHATPAY_MCH_ID", "ALIPAY_APP_ID", "ALIPAY_SELLER_ID"):
        setattr(settings, name, "changed")
    bill = run_job(day)
    assert bill.last_error.startswith("ACCOUNT_GONE")
    assert (bill.compared_at, bill.due_at is not None) == (None, True)


def test_the_command_prints_and_fails(day: Day) -> None:
    out = StringIO()
    call_command("reconcile", date=day.day, channel=day.channel, stdout=out)
    assert "4 rows, 119.94 yuan in, 59.97 yuan back" in out.getvalue()
    day.fault("row_differs")
    with pytest.raises(SystemExit) as end:
        call_command("reconcile", date=day.day, channel=day.channel, stdout=out)
    assert end.value.code == 1
    assert f"amount payment {day.payments[1].number}: theirs 39.99, ours 39.98" in out.getvalue()


def test_the_query_settles_it_first(day: Day) -> None:
    due_now(Payment)
    check_due_payments()
    day.reconcile()
    assert found() == []


# What a bill may hold


def row_of(payment: Payment, **changes: Any) -> BillRow:
    row = BillRow(
        payment_number=payment.number,
        transaction_id=payment.transaction_id or "",
        refund_number="",
        amount_fen=int(payment.amount_fen),
        at=timezone.now(),
        is_refund=False,
        app_id=payment.app_id,
    )
    return row._replace(**changes)


def compare(day: Day, rows: list[BillRow]) -> list[tuple[Any, ...]]:
    """What differs if the bill's rows are these; nothing is written about it."""
    account = account_of(day.payments[0])
    differing = [
        *compare_payments(account, day.day, payment_rows(rows)),
        *compare_refunds(account, day.day, refund_rows(account, rows)),
    ]
    return [
        (one.kind, one.is_refund, one.number, one.theirs_fen, one.ours_fen) for one in differing
    ]


def good_rows(day: Day) -> list[BillRow]:
    payments = [row_of(Payment.objects.get(pk=payment.pk)) for payment in day.payments]
    refund = day.refund
    back = payments[2]._replace(
        is_refund=True, refund_number=refund.out_refund_no, amount_fen=int(refund.amount_fen)
    )
    return [*payments, back]


def test_rows_are_compared_by_number_amount_and_transaction(day: Day) -> None:
    first, second, third, back = good_rows(day)
    assert compare(day, [first, second, third, back]) == []
    other = first._replace(transaction_id="4200000000000000000000000000")
    assert compare(day, [other, second, third, back]) == [
        ("transaction", False, first.payment_number, 1999, 1999)
    ]
    # The same number twice is money twice.
    again = second._replace(transaction_id="4200000000000000000000000001")
    assert compare(day, [first, second, again, third, back]) == [
        ("twice", False, second.payment_number, 3998, None)
    ]
    assert compare(day, [first, second, third, back, back]) == [
        ("twice", True, back.refund_number, 5997, None)
    ]


def test_a_refund_row_of_another_payment_is_not_ours(day: Day) -> None:
    first, second, third, back = good_rows(day)
    stray = back._replace(payment_number=first.payment_number)
    assert compare(day, [first, second, third, stray]) == [
        ("not_ours", True, back.refund_number, 5997, None),
    ]


@pytest.mark.parametrize("status", ["rejected", "withdrawn", "requested", "written_off"])
def test_a_refund_paid_there_and_not_agreed_here_differs(day: Day, status: str) -> None:
    Refund.objects.update(status=status)
    assert compare(day, good_rows(day)) == [
        ("not_ours", True, day.refund.out_refund_no, 5997, None)
    ]


def test_a_refund_row_without_a_number_is_the_only_one_it_can_be(day: Day) -> None:
    """Alipay may leave the request number empty; it is never taken for a payment."""
    first, second, third, back = good_rows(day)
    unnamed = back._replace(refund_number="", at=timezone.localtime())
    assert compare(day, [first, second, third, unnamed]) == []
    less = unnamed._replace(amount_fen=1000)
    number = f"{back.payment_number}@{unnamed.at:%y%m%d%H%M%S}"
    assert compare(day, [first, second, third, back, less]) == [
        ("not_ours", True, number, 1000, None)
    ]
    # A full refund on the day of its payment is no payment of nothing.
    whole = row_of(day.payments[0], is_refund=True)
    assert [row[:2] for row in compare(day, [first, second, third, back, whole])] == [
        ("not_ours", True)
    ]


def test_what_the_bill_loses_later_is_missing(day: Day) -> None:
    rows = good_rows(day)
    assert compare(day, rows) == []
    assert compare(day, rows[1:]) == [("not_theirs", False, rows[0].payment_number, None, 1999)]
    assert Payment.objects.get(pk=day.payments[0].pk).billed_on is None


def test_rows_of_other_apps_are_counted_apart(day: Day) -> None:
    if day.channel != "wechat":
        pytest.skip("Alipay's bill is the app's own")
    day.fault("row_of_other_app")
    bill = day.reconcile()
    assert (bill.row_count, bill.other_count, found()) == (4, 1, [])
    assert bill.other_fen > 0
    assert bill.agreed_at is not None


def test_two_thousand_unknown_rows_are_written_in_short_transactions(day: Day) -> None:
    rows = [
        row_of(day.payments[0], payment_number=f"X{number:05d}", transaction_id=f"T{number}")
        for number in range(2000)
    ]
    account = account_of(day.payments[0])
    with CaptureQueriesContext(connection) as queries:
        for _ in range(2):
            record_discrepancies(
                account, compare_payments(account, day.day, payment_rows(rows)), bill=None
            )
    assert BillDifference.objects.filter(kind="not_ours").count() == 2000
    assert sum(query["sql"].startswith("BEGIN") for query in queries) >= 8
    assert len(queries) < 150
