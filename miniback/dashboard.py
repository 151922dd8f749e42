"""The start page of the back office: what waits, and how the shop is doing."""

import csv
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Model, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.models import Moderation, Review, Sku
from miniback.core.models import OutboxMessage
from miniback.core.money import format_yuan
from orders.models import (
    Bill,
    BillDifference,
    DailyProduct,
    DailyTotal,
    DifferenceStatus,
    Order,
    Refund,
)
from orders.status import OrderStatus, RefundStatus

# A queue longer than this is only said to be longer.
MOST = 999
DAYS, BEST = 30, 10


class Queue(NamedTuple):
    title: Any
    url: str
    length: int

    @property
    def shown(self) -> str:
        return f"{MOST}+" if self.length > MOST else str(self.length)


class Waiting(NamedTuple):
    """A list of the back office and its filters; ``rows`` where the filter is more than a column."""

    title: Any
    model: type[Model]
    query: dict[str, Any]
    rows: Callable[[], QuerySet[Any]] | None = None


WAITING: list[Waiting] = [
    Waiting(_("to ship"), Order, {"status__exact": OrderStatus.PAID}),
    Waiting(_("partly shipped"), Order, {"status__exact": OrderStatus.PARTLY_SHIPPED}),
    Waiting(_("refunds to decide"), Refund, {"status__exact": RefundStatus.REQUESTED}),
    Waiting(_("returns on their way"), Refund, {"status__exact": RefundStatus.RETURNING}),
    Waiting(_("refunds that failed"), Refund, {"status__exact": RefundStatus.FAILED}),
    Waiting(_("refunds to pay out"), Refund, {"status__exact": RefundStatus.TO_PAY_OUT}),
    Waiting(
        _("refunds that a second person must confirm"),
        Refund,
        {"second": "1"},
        lambda: Refund.objects.awaiting_second(),
    ),
    Waiting(
        _("differences to the platforms"), BillDifference, {"status__exact": DifferenceStatus.OPEN}
    ),
    Waiting(
        _("bills that do not come"), Bill, {"state": "missing"}, lambda: Bill.objects.missing()
    ),
    Waiting(_("reviews to check"), Review, {"moderation__exact": Moderation.STAFF}),
    Waiting(
        _("low on stock"),
        Sku,
        {"stock": "low"},
        lambda: Sku.objects.low_on_stock(settings.LOW_STOCK),
    ),
    Waiting(
        _("messages that fail"),
        OutboxMessage,
        {"done_at__isempty": 1, "last_error__isempty": 0},
        lambda: OutboxMessage.objects.filter(done_at=None).exclude(last_error=""),
    ),
]


def queues(request: HttpRequest) -> Iterator[Queue]:
    """What waits for staff, as far as this member may see it; each links to exactly that list."""
    for waiting in WAITING:
        app, name = waiting.model._meta.app_label, waiting.model._meta.model_name
        if not request.user.has_perm(f"{app}.view_{name}"):
            continue
        if waiting.rows is not None:
            rows = waiting.rows()
        else:
            rows = waiting.model._default_manager.filter(**waiting.query)
        url = f"{reverse(f'admin:{app}_{name}_changelist')}?{urlencode(waiting.query)}"
        yield Queue(waiting.title, url, rows.values("pk")[: MOST + 1].count())


class Figure(NamedTuple):
    title: Any
    now: str
    before: str


def figures(first: date, earlier: date, today: date) -> list[Figure]:
    """From ``first`` to today, beside as many days from ``earlier`` on, none of them in both."""
    days = (today - first).days + 1
    now, before = _sums(first, days), _sums(earlier, min(days, (first - earlier).days))
    shown: list[tuple[Any, Callable[[dict[str, int]], str]]] = [
        (_("sales"), lambda s: f"¥{format_yuan(s['sale_fen'])}"),
        (_("given back"), lambda s: f"¥{format_yuan(s['back_fen'])}"),
        (_("orders paid"), lambda s: str(s["sale_count"])),
        (_("payers, day by day"), lambda s: str(s["payer_count"])),
        (_("average order"), lambda s: f"¥{format_yuan(s['sale_fen'] // (s['sale_count'] or 1))}"),
        (_("paid of placed"), lambda s: _percent(s["sale_count"], s["placed_count"])),
        (_("given back of sales"), lambda s: _percent(s["back_fen"], s["sale_fen"])),
    ]
    return [Figure(title, show(now), show(before)) for title, show in shown]


COLUMNS = ("placed_count", "sale_count", "sale_fen", "back_fen", "payer_count")


def _sums(first: date, days: int) -> dict[str, int]:
    rows = DailyTotal.objects.filter(day__gte=first, day__lt=first + timedelta(days=days))
    found = rows.aggregate(**{name: Sum(name) for name in COLUMNS})
    return {name: int(found[name] or 0) for name in COLUMNS}


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


class Bar(NamedTuple):
    """Of a chart 100 units high; ``label`` stands below every few of them."""

    x: float
    height: float
    title: str
    label: str

    @property
    def middle(self) -> float:
        return round(self.x + 9, 1)

    @property
    def top(self) -> float:
        return round(100 - self.height, 1)


def bars(values: Sequence[int], titles: Sequence[str], labels: Sequence[str]) -> list[Bar]:
    most = max(values, default=0) or 1
    width = 600 / max(len(values), 1)
    rows = zip(values, titles, labels, strict=True)
    return [
        Bar(round(n * width, 1), round(100 * max(value, 0) / most, 1), title, label)
        for n, (value, title, label) in enumerate(rows)
    ]


def last_days(days: int) -> list[DailyTotal]:
    """A row for each of the last days, oldest first, also where nothing happened."""
    today = timezone.localdate()
    known = {
        row.day: row for row in DailyTotal.objects.filter(day__gt=today - timedelta(days=days))
    }
    wanted = [today - timedelta(days=ago) for ago in reversed(range(days))]
    return [known.get(day) or DailyTotal(day=day, hours=[0] * 24) for day in wanted]


def dashboard(request: HttpRequest) -> dict[str, Any]:
    """What the template shows. Reads kept totals only: a million orders cost what ten cost."""
    context: dict[str, Any] = {"queues": list(queues(request))}
    if not request.user.has_perm("orders.view_dailytotal"):
        return context
    today, rows = timezone.localdate(), last_days(DAYS)
    hours = rows[-1].hours or [0] * 24
    sales = [int(row.sale_fen) for row in rows]
    week, month = today - timedelta(days=today.weekday()), today.replace(day=1)
    last_month = (month - timedelta(days=1)).replace(day=1)
    context |= {
        "periods": [
            (_("Today"), figures(today, today - timedelta(days=1), today)),
            (_("This week"), figures(week, week - timedelta(days=7), today)),
            (_("This month"), figures(month, last_month, today)),
        ],
        "by_day": bars(
            sales,
            [f"{row.day} ¥{format_yuan(int(row.sale_fen))}" for row in rows],
            [f"{row.day:%m-%d}" if n % 5 == 4 else "" for n, row in enumerate(rows)],
        ),
        "by_hour": bars(
            hours,
            [f"{hour}:00 ¥{format_yuan(fen)}" for hour, fen in enumerate(hours)],
            [str(hour) if hour % 4 == 0 else "" for hour in range(24)],
        ),
        "days": [
            (row, format_yuan(int(row.sale_fen)), format_yuan(int(row.back_fen)))
            for row in reversed(rows)
        ],
        "best": best_sellers(today - timedelta(days=DAYS - 1)),
        "categories": category_shares(today - timedelta(days=DAYS - 1)),
    }
    return context


def best_sellers(first: date) -> list[dict[str, Any]]:
    sold = DailyProduct.objects.filter(day__gte=first).values("product", "product__name")
    best = sold.annotate(count=Sum("pieces"), fen=Sum("goods_fen")).order_by("-count", "product")
    return [{**row, "yuan": format_yuan(int(row["fen"]))} for row in best[:BEST]]


def category_shares(first: date) -> list[dict[str, Any]]:
    sold = DailyProduct.objects.filter(day__gte=first).values("product__category__name")
    rows = list(sold.annotate(fen=Sum("goods_fen")).order_by("-fen"))
    whole, most = sum(int(row["fen"]) for row in rows), int(rows[0]["fen"]) if rows else 0
    return [
        {
            "name": row["product__category__name"],
            "yuan": format_yuan(int(row["fen"])),
            "share": _percent(int(row["fen"]), whole),
            "width": round(100 * int(row["fen"]) / (most or 1), 1),
        }
        for row in rows[:BEST]
    ]


def sales_csv(request: HttpRequest) -> HttpResponse:
    """The figures behind the chart, a year of them, for a spreadsheet."""
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="sales.csv"'
    # Without the mark spreadsheets take it for another encoding.
    answer.write("\ufeff")
    writer = csv.writer(answer)
    writer.writerow(
        [_("day"), _("orders placed"), _("orders paid"), _("sales"), _("given back"), _("payers")]
    )
    for row in last_days(365):
        money = [format_yuan(int(fen)) for fen in (row.sale_fen, row.back_fen)]
        writer.writerow([row.day, row.placed_count, row.sale_count, *money, row.payer_count])
    return answer
