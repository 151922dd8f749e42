"""Many orders at once: shipped by a sheet, exported, printed; and who looked at whom is kept."""

import csv
import io
from typing import Any
from zipfile import ZipFile

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from openpyxl import Workbook, load_workbook

from accounts.models import Staff
from miniback.core.models import Task
from miniback.jobs import run_due_tasks
from orders.models import Carrier, Order, Shipment
from orders.services.finding import find_orders
from tests.factories import make_order, make_product, make_sku, make_staff

pytestmark = pytest.mark.django_db


# The first row is whole, so that it breaks while it is read, not when it is opened.
SPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
BROKEN = f'<worksheet xmlns="{SPACE}"><dimension ref="A1:A2"/><sheetData><row r="1"/><row'


@pytest.fixture
def staff(client: Any) -> Staff:
    member = make_staff()
    client.force_login(member)
    return member


@pytest.fixture
def sf() -> Carrier:
    return Carrier.objects.get_or_create(code="SF", defaults={"name": "顺丰速运"})[0]


def paid_orders(count: int) -> list[Order]:
    orders = [make_order() for _ in range(count)]
    Order.objects.filter(pk__in=[order.pk for order in orders]).update(status="paid")
    return orders


def report_of(task: Task) -> list[list[str]]:
    task.refresh_from_db()
    assert task.finished_at is not None and task.last_error == ""
    with task.report.open("rb") as file:
        return list(csv.reader(io.StringIO(file.read().decode("utf-8-sig"))))


def ship(client: Any, **form: Any) -> Any:
    return client.post(reverse("admin:orders_order_ship-sheet"), form)


def test_a_pasted_sheet_is_shown_first_and_shipped_then(
    staff: Staff, client: Any, sf: Carrier
) -> None:
    one, two = paid_orders(2)
    pasted = f"{one.number}\t顺丰速运\tSF0001\n{two.number.lower()}, sf ,SF0002\nO1\tSF\tSF3\n"
    shown = ship(client, pasted=pasted).content.decode()
    assert "<b>2</b>" in shown and "<b>1</b>" in shown and not Shipment.objects.exists()
    done = ship(client, pasted=pasted, ship="1")
    task = Task.objects.get()
    assert done.url == reverse("admin:core_task_change", args=[task.pk])
    run_due_tasks()
    rows = report_of(task)
    assert [row[2] for row in rows[1:]] == ["shipped", "shipped", "refused"]
    assert task.counts == {"shipped": 2, "refused": 1}
    assert sorted(Shipment.objects.values_list("tracking_number", flat=True)) == [
        "SF0001",
        "SF0002",
    ]
    one.refresh_from_db()
    assert one.status == "shipped" and one.events.get(to_status="shipped").user == staff
    page = client.get(done.url).content.decode()
    assert reverse("admin:task_report", args=[task.pk]) in page


def test_a_sheet_sent_twice_ships_once(staff: Staff, client: Any, sf: Carrier) -> None:
    [order] = paid_orders(1)
    for _click in range(2):
        ship(client, pasted=f"{order.number} SF SF0001", ship="1")
    run_due_tasks()
    run_due_tasks()
    first, second = Task.objects.order_by("pk")
    assert (first.counts, second.counts) == ({"shipped": 1}, {"there": 1})
    assert Shipment.objects.count() == 1


def test_a_task_begun_again_finds_its_parcels(staff: Staff, client: Any, sf: Carrier) -> None:
    orders = paid_orders(3)
    ship(client, pasted="\n".join(f"{o.number} SF SF000{o.pk}" for o in orders), ship="1")
    task = Task.objects.get()
    run_due_tasks()
    # As if the runner had been killed before it could note the end.
    Task.objects.filter(pk=task.pk).update(finished_at=None, due_at=task.created_at)
    run_due_tasks()
    assert [row[2] for row in report_of(task)[1:]] == ["there"] * 3
    assert Shipment.objects.count() == 3


@pytest.mark.parametrize(
    ("pasted", "problem"),
    [
        ("{number} nobody SF0001", "carrier"),
        ("{number} SF ?!", "letters"),
        ("{number} SF", "letters"),
        ("{number} SF SF1234\n{number} SF SF1235", "twice"),
        ("{unpaid} SF SF1234", "waiting"),
    ],
)
def test_a_broken_row_says_why(
    staff: Staff, client: Any, sf: Carrier, pasted: str, problem: str
) -> None:
    [order], unpaid = paid_orders(1), make_order()
    text = pasted.format(number=order.number, unpaid=unpaid.number)
    page = ship(client, pasted=text).content.decode()
    ship(client, pasted=text, ship="1")
    run_due_tasks()
    refused = [row for row in report_of(Task.objects.get())[1:] if row[2] == "refused"]
    assert len(refused) == 1
    if problem != "twice":
        assert refused[0][3] in page and not Shipment.objects.exists()


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_file_with_named_columns(staff: Staff, client: Any, sf: Carrier, kind: str) -> None:
    [order] = paid_orders(1)
    rows = [["快递单号", "订单号", "备注", "快递公司"], ["SF0009", order.number, "急", "顺丰速运"]]
    if kind == "csv":
        content = "\n".join(",".join(row) for row in rows).encode("gb18030")
    else:
        book, buffer = Workbook(), io.BytesIO()
        for row in rows:
            book.active.append(row)
        book.save(buffer)
        content = buffer.getvalue()
    page = ship(client, file=SimpleUploadedFile(f"发货.{kind}", content)).content.decode()
    assert "SF0009" in page and "<b>1</b>" in page


@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff\xfe", b"PK\x03\x04 not a book", b"a" * (5 * 1024 * 1024 + 1)]
)
def test_a_broken_file_is_refused_with_a_reason(staff: Staff, client: Any, content: bytes) -> None:
    for name in ("sheet.csv", "sheet.xlsx"):
        answer = ship(client, file=SimpleUploadedFile(name, content), ship="1")
        assert answer.status_code == 200 and "errorlist" in answer.content.decode()
    assert not Task.objects.exists()


def test_a_workbook_with_a_broken_sheet_is_refused_with_a_reason(staff: Staff, client: Any) -> None:
    whole, broken = io.BytesIO(), io.BytesIO()
    Workbook().save(whole)
    with ZipFile(whole) as good, ZipFile(broken, "w") as bad:
        for name in good.namelist():
            sheet = name.startswith("xl/worksheets/")
            bad.writestr(name, BROKEN if sheet else good.read(name))
    for page in ("orders_order_ship-sheet", "catalog_product_import"):
        file = SimpleUploadedFile("sheet.xlsx", broken.getvalue())
        answer = client.post(reverse(f"admin:{page}"), {"file": file})
        assert answer.status_code == 200 and "errorlist" in answer.content.decode()


def test_an_export_has_the_chosen_columns_and_no_formula(staff: Staff, client: Any) -> None:
    order = make_order(sku=make_sku(product=make_product(name="=HYPERLINK(1)")))
    day = order.placed_on.isoformat()
    form = {"first": day, "last": day, "columns": ["number", "name", "phone"]}
    assert client.post(reverse("admin:orders_order_export"), form).status_code == 302
    task = Task.objects.get()
    run_due_tasks()
    header, row = report_of(task)
    assert len(header) == 3 and row == [order.number, "'=HYPERLINK(1) 100克", order.phone]
    fetched = client.get(reverse("admin:task_report", args=[task.pk]))
    assert b"HYPERLINK" in b"".join(fetched.streaming_content)
    kept = [entry.change_message for entry in LogEntry.objects.order_by("pk")]
    assert "phone" in kept[0] and len(kept) == 2


def test_a_workbook_counts_money_and_keeps_a_phone_as_text(staff: Staff, client: Any) -> None:
    order = make_order(sku=make_sku(product=make_product(name="=1+1")), quantity=2)
    day = order.placed_on.isoformat()
    columns = ["number", "payable", "phone", "name", "quantity"]
    form = {"first": day, "last": day, "columns": columns, "format": "xlsx"}
    client.post(reverse("admin:orders_order_export"), form)
    run_due_tasks()
    task = Task.objects.get()
    fetched = client.get(reverse("admin:task_report", args=[task.pk]))
    assert fetched.headers["Content-Disposition"].endswith('.xlsx"')
    book = load_workbook(io.BytesIO(b"".join(fetched.streaming_content)))
    [_header, row] = book.active.iter_rows(values_only=True)
    assert row == (order.number, 39.8, order.phone, "'=1+1 100克", 2)
    assert book.active["D2"].data_type == "s"


def test_who_may_not_change_orders_exports_nobody(client: Any) -> None:
    member = make_staff(username="looker", is_superuser=False)
    member.user_permissions.add(Permission.objects.get(codename="view_order"))
    client.force_login(member)
    order = make_order()
    day = order.placed_on.isoformat()
    form = {"first": day, "last": day, "columns": ["number", "phone"]}
    assert client.post(reverse("admin:orders_order_export"), form).status_code == 200
    assert not Task.objects.exists()


def test_a_task_is_its_owners_alone(staff: Staff, client: Any) -> None:
    other = make_staff(username="other", is_superuser=False)
    other.user_permissions.add(Permission.objects.get(codename="view_task"))
    task = Task.objects.create(kind="export_orders", user=staff)
    client.force_login(other)
    for name in ("task_progress", "task_report"):
        assert client.get(reverse(f"admin:{name}", args=[task.pk])).status_code == 404
    page = client.get(reverse("admin:core_task_changelist"))
    assert page.context["cl"].result_count == 0


def test_delivery_notes_of_the_chosen_are_printed_and_kept(staff: Staff, client: Any) -> None:
    orders = paid_orders(2)
    form = {"action": "print_selected", "_selected_action": [order.pk for order in orders]}
    page = client.post(reverse("admin:orders_order_changelist"), form).content.decode()
    for order in orders:
        assert order.number in page and order.phone in page and order.detail in page
    assert LogEntry.objects.filter(user=staff).count() == 2


def test_phones_are_masked_until_somebody_asks(staff: Staff, client: Any) -> None:
    order = make_order()
    pages = [
        reverse("admin:orders_order_changelist"),
        reverse("admin:orders_order_change", args=[order.pk]),
    ]
    for page in pages:
        shown = client.get(page).content.decode()
        assert order.phone not in shown and order.detail not in shown
    answer = client.post(reverse("admin:orders_order_reveal", args=[order.pk]), follow=True)
    assert order.phone in answer.content.decode() and order.detail in answer.content.decode()
    assert LogEntry.objects.get().object_id == str(order.pk)
    assert order.phone not in client.get(pages[1]).content.decode()


def test_orders_are_found_by_each_of_their_words(staff: Staff, sf: Carrier) -> None:
    product = make_product(name="云南古树普洱")
    order = make_order(sku=make_sku(product=product))
    other = make_order()
    Order.objects.filter(pk=order.pk).update(recipient="欧阳锋")
    Shipment.objects.create(
        order=order, carrier=sf, tracking_number="SF77", shipped_at=order.placed_at
    )
    words = [order.number, order.number[:15].lower(), "欧阳锋", "SF77", "普洱"]
    for word in words:
        assert list(Order.objects.filter(find_orders(word))) == [order], word
    assert not Order.objects.filter(find_orders("无此人")).exists()
    assert set(Order.objects.filter(find_orders(order.phone))) >= {order}
    assert other in Order.objects.filter(find_orders(other.phone[-4:]))


def test_tabs_count_their_orders(staff: Staff, client: Any) -> None:
    paid_orders(2)
    make_order()
    page = client.get(reverse("admin:orders_order_changelist"), {"status__exact": "paid"})
    tabs = {tab.query: tab for tab in page.context["tabs"]}
    assert tabs["?status__exact=paid"].shown == "2" and tabs["?status__exact=paid"].is_current
    assert tabs["?status__exact=pending_payment"].shown == "1"
