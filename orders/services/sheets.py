"""Many orders shipped at once, by a sheet of order numbers, carriers and tracking numbers."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from miniback.core.errors import DomainError
from miniback.core.models import Task
from miniback.core.tables import UnreadableFile, read_lines
from orders.models import Carrier, Order, Shipment
from orders.services.fulfillment import ship_order
from orders.status import Actor, OrderStatus, may_move

MOST_ROWS = 5000
# A column's name in the first row, in either language; without names they come in this order.
COLUMNS = {"number": "订单号", "carrier": "快递公司", "tracking_number": "快递单号"}
TRACKING = re.compile(r"[0-9A-Za-z-]{4,50}")
READY, THERE, SHIPPED, REFUSED = "ready", "there", "shipped", "refused"


class Row(NamedTuple):
    line: int
    number: str
    carrier: str
    tracking_number: str


class Outcome(NamedTuple):
    """What may or did become of a row: ready, there (shipped by this parcel before), shipped, refused."""

    row: Row
    kind: str
    message: str = ""


def read_sheet(lines: Iterable[list[str]]) -> list[Row]:
    """Rows of a sheet, in any order of columns if the first row names them.

    Raises UnreadableFile where there are none, or more than MOST_ROWS.
    """
    places, rows = list(range(len(COLUMNS))), []
    names = {name: at for at, pair in enumerate(COLUMNS.items()) for name in pair}
    for line, cells in enumerate(lines, start=1):
        cells = [cell.strip() for cell in cells]
        if line == 1 and all(name in cells for name in COLUMNS.values()):
            places = [cells.index(name) for name in COLUMNS.values()]
        elif line == 1 and all(name in cells for name in COLUMNS):
            places = [cells.index(name) for name in COLUMNS]
        elif any(cells) and not set(cells) <= names.keys():
            found = [cells[place] if place < len(cells) else "" for place in places]
            rows.append(Row(line, found[0].upper(), *found[1:]))
    if not rows or len(rows) > MOST_ROWS:
        raise UnreadableFile(_("Give 1 to %(most)d rows.") % {"most": MOST_ROWS})
    return rows


def read_pasted(text: str) -> list[Row]:
    """The same of text: cells are parted by tabs or commas, or else by spaces."""
    return read_sheet(
        re.split(r"[\t,，;；]" if re.search(r"[\t,，;；]", line) else r"\s+", line.strip())
        for line in text.splitlines()
    )


def write_pasted(rows: Iterable[Row]) -> str:
    """Text that `read_pasted` reads as these rows."""
    return "\n".join("\t".join(row[1:]) for row in rows)


def check_sheet(rows: list[Row]) -> list[Outcome]:
    """What would become of each row, by a bounded number of queries; nothing changes."""
    orders = Order.objects.in_bulk({row.number for row in rows}, field_name="number")
    parcels = _parcels(orders.values())
    carriers, seen, found = _carriers(), set[str](), []
    for row in rows:
        problem = _problem(row, orders.get(row.number), carriers)
        if (row.number, row.tracking_number) in parcels:
            found.append(Outcome(row, THERE, _("This parcel is shipped already.")))
        elif not problem and row.number in seen:
            found.append(Outcome(row, REFUSED, _("This order stands twice.")))
        else:
            found.append(Outcome(row, REFUSED if problem else READY, problem))
        seen.add(row.number)
    return found


def _parcels(orders: Iterable[Order]) -> set[tuple[str, str]]:
    ids = [order.pk for order in orders]
    rows = Shipment.objects.filter(order__in=ids).values_list("order__number", "tracking_number")
    return set(rows)


def _carriers() -> dict[str, Carrier]:
    active = Carrier.objects.filter(is_active=True)
    return {name.lower(): carrier for carrier in active for name in (carrier.code, carrier.name)}


def _problem(row: Row, order: Order | None, carriers: dict[str, Carrier]) -> str:
    if order is None:
        return _("There is no such order.")
    if row.carrier.lower() not in carriers:
        return _("There is no such carrier.")
    if not TRACKING.fullmatch(row.tracking_number):
        return _("4 to 50 letters, digits or hyphens")
    if not may_move(OrderStatus(order.status), OrderStatus.SHIPPED, Actor.STAFF):
        status = OrderStatus(order.status).label
        return _("The order is %(status)s.") % {"status": status}
    return ""


def ship_sheet(task: Task) -> Iterator[list[Any]]:
    """Ship what is ready, each order in a transaction of its own, and report every row.

    Begun again after a crash it finds its own parcels there.
    """
    rows = read_sheet(read_lines(Path(task.source.path)))
    task.total = len(rows)
    yield [_("line"), _("order number"), _("outcome"), _("message")]
    carriers = _carriers()
    for row in rows:
        outcome = _ship(row, carriers, task.user)
        task.done += 1
        task.counts[outcome.kind] = task.counts.get(outcome.kind, 0) + 1
        yield [row.line, row.number, outcome.kind, outcome.message]


def _ship(row: Row, carriers: dict[str, Carrier], user: Any) -> Outcome:
    checked = check_sheet([row])[0]
    if checked.kind != READY:
        return checked
    try:
        ship_order(
            Order.objects.get(number=row.number), carrier=carriers[row.carrier.lower()],
            tracking_number=row.tracking_number, user=user,
        )  # fmt: skip
    except DomainError as error:
        return Outcome(row, REFUSED, error.reason)
    return Outcome(row, SHIPPED)
