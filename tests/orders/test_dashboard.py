"""The start page of the back office, and the daily totals it reads."""

import csv
import itertools
import random
from datetime import date, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from catalog.models import Product, Review, Sku
from miniback.core.models import OutboxMessage
from miniback.dashboard import bars, figures
from orders.models import DailyProduct, DailyTotal, LedgerEntry, Order, OrderLine, Refund
from orders.services.after_sales import request_refund
from orders.services.daily import INCOME, compute_day, refresh_daily_totals
from orders.services.refund_decisions import approve_refund
from orders.status import RefundKind
from tests.broken_rows import refusing
from tests.factories import make_customer, make_order, make_product, make_sku, make_staff, pay

pytestmark = pytest.mark.django_db
BEGIN = datetime(2026, 1, 1, tzinfo=timezone.get_default_timezone())
serial = itertools.count(1)


@pytest.fixture
def merchant(sandbox: Any) -> None:
    """The shop knows whose payments are its own."""


def live_a_year(chance: random.Random) -> None:
    """Orders at any moment of a year, also around midnight; most paid, some given back later."""
    skus = [make_sku(product=make_product(), stock=10_000, price_fen=990 + n) for n in range(4)]
    users = [make_customer() for _ in range(6)]
    times = [0, 1, 86_399, *(chance.randrange(86_400) for _ in range(20))]
    moments = sorted(
        BEGIN + timedelta(days=chance.randrange(365), seconds=chance.choice(times))
        for _ in range(90)
    )
    for moment in moments:
        with time_machine.travel(moment, tick=False):
            order = make_order(chance.choice(users), sku=chance.choice(skus), quantity=2)
        if chance.random() < 0.25:
            continue
        with time_machine.travel(moment + timedelta(minutes=chance.randrange(20)), tick=False):
            pay(order)
        if chance.random() < 0.4:
            later = moment + timedelta(days=chance.randrange(3), hours=chance.randrange(24))
            with time_machine.travel(max(later, moment + timedelta(hours=1)), tick=False):
                line = order.lines.get().pk
                refund = request_refund(
                    order, quantities={line: 1}, kind=RefundKind.REFUND_ONLY, reason="x"
                )
                approve_refund(refund, user=make_staff(username=f"clerk{next(serial)}"))


@pytest.mark.parametrize("seed", [1, 2])
def test_every_day_of_a_year_is_the_ledgers(merchant: None, seed: int) -> None:
    live_a_year(random.Random(seed))
    with time_machine.travel(BEGIN + timedelta(days=370), tick=False):
        refresh_daily_totals()
        before = list(DailyTotal.objects.order_by("day").values())
        refresh_daily_totals()
    assert [row["day"] for row in before][-1] == date(2027, 1, 6)
    for total in DailyTotal.objects.all():
        booked = LedgerEntry.objects.filter(
            transaction__posted_on=total.day, account__in=INCOME
        ).aggregate(sum=Sum("amount_fen"))["sum"]
        assert int(total.sale_fen) - int(total.back_fen) == -(booked or 0), total.day
        # Asked of the orders themselves, by their own column.
        start = timezone.make_aware(datetime.combine(total.day, datetime.min.time()))
        paid = Order.objects.filter(paid_at__gte=start, paid_at__lt=start + timedelta(days=1))
        assert total.sale_count == paid.count()
        assert (
            int(total.sale_fen) == sum(int(order.payable_fen) for order in paid) == sum(total.hours)
        )
        assert total.payer_count == paid.values("user").distinct().count()
        assert total.placed_count == Order.objects.filter(placed_on=total.day).count()
        sold = DailyProduct.objects.filter(day=total.day).aggregate(sum=Sum("pieces"))["sum"]
        lines = OrderLine.objects.filter(order__in=paid).aggregate(sum=Sum("quantity"))["sum"]
        assert sold == lines
    assert DailyTotal.objects.aggregate(sum=Sum("back_fen"))["sum"] > 0


def test_hours_are_shanghais(merchant: None) -> None:
    for hour in (0, 7, 8, 23):
        with time_machine.travel(BEGIN + timedelta(hours=hour, minutes=59), tick=False):
            pay(make_order())
    hours = compute_day(BEGIN.date()).hours
    assert [hour for hour, fen in enumerate(hours) if fen] == [0, 7, 8, 23]


def test_a_day_is_computed_until_it_is_over(merchant: None) -> None:
    """What is posted just before midnight and committed just after is not forgotten."""
    with time_machine.travel(BEGIN + timedelta(hours=23), tick=False):
        pay(make_order())
        refresh_daily_totals()
    with time_machine.travel(BEGIN + timedelta(hours=23, minutes=59), tick=False):
        pay(make_order())
    with time_machine.travel(BEGIN + timedelta(days=1, minutes=11), tick=False):
        refresh_daily_totals()
        assert DailyTotal.objects.get(day=BEGIN.date()).sale_count == 2
    with time_machine.travel(BEGIN + timedelta(days=1, minutes=30), tick=False):
        with CaptureQueriesContext(connection) as captured:
            refresh_daily_totals()
        # Only today; the day before is done.
        assert not [
            row for row in captured if "2026-01-01" in row["sql"] and "INSERT" in row["sql"]
        ]
    assert DailyTotal.objects.count() == 2


def test_a_total_from_the_future_is_computed_again(merchant: None) -> None:
    """A runner whose clock was ahead wrote it when the day had just begun."""
    with time_machine.travel(BEGIN + timedelta(hours=9), tick=False):
        pay(make_order())
        refresh_daily_totals()
        DailyTotal.objects.update(computed_at=BEGIN + timedelta(days=1, hours=9))
        pay(make_order())
    # The day is over, and yet what stands there was not computed after its end.
    with time_machine.travel(BEGIN + timedelta(days=1, minutes=1), tick=False):
        refresh_daily_totals()
        assert DailyTotal.objects.get(day=BEGIN.date()).sale_count == 2


@pytest.mark.django_db(transaction=True)
def test_a_day_that_cannot_be_computed_keeps_no_other_from_it(
    merchant: None,
) -> None:
    for n in range(3):
        with time_machine.travel(BEGIN + timedelta(days=n), tick=False):
            pay(make_order())
    with time_machine.travel(BEGIN + timedelta(days=3), tick=False):
        with refusing("orders_dailytotal", "placed_count", 1):
            refresh_daily_totals()
        assert list(DailyTotal.objects.values_list("day", flat=True)) == [date(2026, 1, 4)]
        refresh_daily_totals()
    assert DailyTotal.objects.filter(placed_count=1).count() == 3


def test_totals_are_rebuilt(merchant: None, capsys: pytest.CaptureFixture[str]) -> None:
    for n in range(3):
        with time_machine.travel(BEGIN + timedelta(days=n), tick=False):
            pay(make_order())
    with time_machine.travel(BEGIN + timedelta(days=2, hours=1), tick=False):
        refresh_daily_totals()
        DailyTotal.objects.update(sale_count=0)
        call_command("rebuild_daily_totals", "--from", "2026-01-02", "--to", "2026-01-02")
        counts = DailyTotal.objects.order_by("day").values_list("sale_count", flat=True)
        assert list(counts) == [0, 1, 0]
        call_command("rebuild_daily_totals")
        assert list(counts.all()) == [1, 1, 1]
    assert capsys.readouterr().out == "1 days computed\n3 days computed\n"


# The page


@pytest.fixture
def owner(client: Any) -> Any:
    client.force_login(make_staff())
    return client


def waits(client: Any) -> dict[str, int]:
    page = client.get(reverse("admin:index"))
    assert page.status_code == 200
    return {queue.url: queue.length for queue in page.context["queues"]}


def test_what_waits_leads_to_exactly_that(owner: Any, merchant: None) -> None:
    assert set(waits(owner).values()) == {0}
    paid = pay(make_order())
    partly = pay(make_order())
    Order.objects.filter(pk=partly.pk).update(status="partly_shipped")
    refund = request_refund(
        paid, quantities={paid.lines.get().pk: 1}, kind=RefundKind.REFUND_ONLY, reason="x"
    )
    sku = Sku.objects.first()
    assert sku is not None
    Review.objects.create(
        product=sku.product, sku=sku, user=paid.user, reference="O1:1", rating=5, moderation="staff",
        created_at=timezone.now(), written_at=timezone.now(),
    )  # fmt: skip
    OutboxMessage.objects.create(
        topic="x", event_key="x", payload={}, due_at=timezone.now(), last_error="no"
    )
    found = {url: count for url, count in waits(owner).items() if count}
    assert sorted(found.values()) == [1, 1, 1, 1, 1]
    for url in found:
        listed = owner.get(url).context["cl"]
        assert listed.result_count == 1, url
    refund.refresh_from_db()
    assert refund.status == "requested"


def test_a_long_queue_is_not_counted_to_its_end(
    owner: Any, monkeypatch: Any, merchant: None
) -> None:
    monkeypatch.setattr("miniback.dashboard.MOST", 2)
    for _ in range(4):
        pay(make_order())
    assert "<b>2+</b>" in owner.get(reverse("admin:index")).content.decode()


def test_the_page_shows_sales_and_nothing_grows(owner: Any, merchant: None) -> None:
    counts = []
    for many in (1, 6):
        for _ in range(many):
            pay(make_order())
        refresh_daily_totals()
        with CaptureQueriesContext(connection) as captured:
            page = owner.get(reverse("admin:index"))
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 26
    text = page.content.decode()
    assert "¥139.30" in text
    assert text.count("<rect") == 30 + 24
    [best, *_rest] = page.context["best"]
    assert best["count"] == 1
    assert Refund.objects.count() == 0


def test_the_figures_as_a_table_of_a_spreadsheet(owner: Any, merchant: None) -> None:
    pay(make_order())
    refresh_daily_totals()
    text = owner.get(reverse("admin:sales_csv")).content.decode("utf-8-sig")
    rows = list(csv.reader(StringIO(text)))
    assert (len(rows), rows[-1]) == (
        366,
        [str(timezone.localdate()), "1", "1", "19.90", "0.00", "1"],
    )


def test_who_may_see_what(client: Any) -> None:
    packer = make_staff(username="packer", is_superuser=False)
    packer.user_permissions.add(Permission.objects.get(codename="view_order"))
    client.force_login(packer)
    assert len(waits(client)) == 2
    page = client.get(reverse("admin:index"))
    assert "periods" not in page.context
    assert client.get(reverse("admin:sales_csv")).status_code == 403


def test_a_long_month_does_not_reach_into_itself() -> None:
    """30 days of March beside February's 28, and not beside its own first two."""
    for day, fen in ((date(2026, 2, 28), 100), (date(2026, 3, 1), 700), (date(2026, 3, 30), 50)):
        DailyTotal.objects.create(day=day, sale_fen=fen, computed_at=timezone.now())
    sales = figures(date(2026, 3, 1), date(2026, 2, 1), date(2026, 3, 30))[0]
    assert (sales.now, sales.before) == ("¥7.50", "¥1.00")


def test_bars_of_nothing() -> None:
    assert [bar.height for bar in bars([0, 0], ["", ""], ["", ""])] == [0, 0]
    assert bars([], [], []) == []
    assert [bar.height for bar in bars([5, 10, -3], ["", "", ""], ["", "", ""])] == [50, 100, 0]


def test_what_is_low_on_stock_waits_and_links_to_its_list(client: Any) -> None:
    client.force_login(make_staff())
    low, gone = make_sku(stock=10), make_sku(stock=0)
    make_sku(stock=11)
    draft = make_sku(stock=1)
    Product.objects.filter(pk=draft.product_id).update(status="draft")
    page = client.get(reverse("admin:index"))
    queue = next(queue for queue in page.context["queues"] if "stock" in queue.url)
    assert queue.length == 2
    shown = client.get(queue.url).context["cl"].result_list
    assert {sku.pk for sku in shown} == {low.pk, gone.pk}
    sold_out = client.get(queue.url.replace("low", "none")).context["cl"].result_list
    assert [sku.pk for sku in sold_out] == [gone.pk]
