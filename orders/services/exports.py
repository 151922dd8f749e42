"""Orders as a table: chosen columns, a row an order or a row a line."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, Final

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from miniback.core.models import Task
from miniback.core.money import format_yuan
from orders.models import Order, OrderLine

BATCH = 500

Column = tuple[Any, Callable[[Order, OrderLine], Any]]
# Who lives where: only those get it who may change orders.
PERSONAL: Final = ("recipient", "phone", "address")
COLUMNS: Final[dict[str, Column]] = {
    "number": (_("order number"), lambda order, line: order.number),
    "status": (_("status"), lambda order, line: order.get_status_display()),
    "placed_at": (_("placed at"), lambda order, line: _moment(order.placed_at)),
    "paid_at": (_("paid at"), lambda order, line: _moment(order.paid_at)),
    "shipped_at": (_("shipped at"), lambda order, line: _moment(order.shipped_at)),
    "goods": (_("goods"), lambda order, line: format_yuan(order.goods_fen)),
    "freight": (_("freight"), lambda order, line: format_yuan(order.freight_fen)),
    "discount": (_("discount"), lambda order, line: format_yuan(order.discount_fen)),
    "payable": (_("to pay"), lambda order, line: format_yuan(order.payable_fen)),
    "note": (_("customer's note"), lambda order, line: order.note),
    "staff_note": (_("staff's note"), lambda order, line: order.staff_note),
    "region": (_("region"), lambda order, line: order.region),
    "recipient": (_("recipient"), lambda order, line: order.recipient),
    "phone": (_("phone"), lambda order, line: order.phone),
    "address": (_("street and number"), lambda order, line: order.detail),
    "sku": (_("SKU code"), lambda order, line: line.sku_code),
    "name": (_("name"), lambda order, line: f"{line.name} {line.options_text}".strip()),
    "quantity": (_("quantity"), lambda order, line: line.quantity),
    "unit": (_("unit price"), lambda order, line: format_yuan(line.unit_fen)),
}
# With one of these a row is a line of an order.
OF_LINES: Final = frozenset({"sku", "name", "quantity", "unit"})


def _moment(moment: Any) -> str:
    return timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def chosen_orders(params: dict[str, Any]) -> QuerySet[Order]:
    """Placed from ``first`` to ``last`` (Shanghai days), of these statuses (none: all)."""
    first, last = (date.fromisoformat(params[name]) for name in ("first", "last"))
    orders = Order.objects.filter(placed_on__gte=first, placed_on__lte=last)
    return orders.filter(status__in=params["statuses"]) if params["statuses"] else orders


def export_orders(task: Task) -> Iterator[list[Any]]:
    columns = [COLUMNS[name] for name in task.params["columns"]]
    orders = chosen_orders(task.params)
    task.total = orders.count()
    yield [title for title, _show in columns]
    by_line = not OF_LINES.isdisjoint(task.params["columns"])
    last = 0
    while batch := list(
        orders.filter(pk__gt=last).order_by("pk").prefetch_related("lines")[:BATCH]
    ):
        for order in batch:
            lines = order.lines.all()
            for line in lines if by_line else lines[:1]:
                task.counts["rows"] = task.counts.get("rows", 0) + 1
                yield [show(order, line) for _title, show in columns]
            task.done += 1
        last = batch[-1].pk
