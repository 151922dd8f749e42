"""The catalogue as a file of the back office: looked over, imported with bad rows, exported, taken back."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Staff
from catalog.models import Product, Sku, StockMovement
from miniback.core import tasks
from miniback.core.models import Task
from miniback.jobs import TASK_HANDLERS, run_due_tasks
from tests.factories import make_product, make_sku, make_staff

pytestmark = pytest.mark.django_db
HEADER = "商品编号,商品名称,分类,SKU编码,价格,库存,规格,状态\n"


@pytest.fixture
def member(client: Client) -> Staff:
    member = make_staff()
    client.force_login(member)
    return member


def table(products: int, *, bad: int = 0) -> bytes:
    """Three SKUs a product; the first ``bad`` products have a price that is none."""
    lines = [
        f"{number},茶{number},茶叶,T{number}-{size},{'x' if number < bad else '19.9'},5,规格={size},上架"
        for number in range(products)
        for size in ("小", "中", "大")
    ]
    return (HEADER + "\n".join(lines)).encode()


def upload(client: Client, content: bytes, name: str = "catalogue.csv") -> Any:
    address = reverse("admin:catalog_product_import")
    return client.post(address, {"file": SimpleUploadedFile(name, content)})


def begin(client: Client, task: Task) -> Any:
    return client.post(reverse("admin:catalog_product_import"), {"begin": task.pk})


def report_of(task: Task) -> list[list[str]]:
    with task.report.open("rb") as file:
        return list(csv.reader(io.StringIO(file.read().decode("utf-8-sig"))))


def test_a_file_is_looked_over_before_anything_is_made(member: Staff, client: Client) -> None:
    page = upload(client, table(4, bad=1))
    assert [problem.line for problem in page.context["problems"]] == [2, 3, 4]
    run_due_tasks()
    assert not Product.objects.exists()


def test_good_rows_are_made_and_bad_ones_told(member: Staff, client: Client) -> None:
    upload(client, table(100, bad=10))
    task = Task.objects.get()
    begin(client, task)
    run_due_tasks()
    task.refresh_from_db()
    assert (task.total, task.done, task.last_error) == (300, 300, "")
    assert task.counts == {"made": 90, "refused": 10}
    assert [row[0] for row in report_of(task)[1:]] == [str(line) for line in range(2, 32)]
    assert (Product.objects.count(), Sku.objects.count()) == (90, 270)


def test_begun_twice_nothing_is_doubled(member: Staff, client: Client) -> None:
    upload(client, table(5))
    task = Task.objects.get()
    begin(client, task)
    begin(client, task)
    run_due_tasks()
    begin(client, task)
    run_due_tasks()
    assert Sku.objects.count() == StockMovement.objects.count() == 15


def test_cut_off_in_the_middle_it_goes_on(
    member: Staff, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(client, table(20))
    task = Task.objects.get()
    begin(client, task)
    handler = TASK_HANDLERS[task.kind]

    def dies(task: Task) -> Any:
        for number, row in enumerate(handler(task)):
            if number == 10:
                raise ConnectionError("the machine went away")
            yield row

    tasks.run_due_tasks({task.kind: dies})
    task.refresh_from_db()
    assert task.finished_at is None and "went away" in task.last_error
    Task.objects.update(due_at=timezone.now())
    run_due_tasks()
    task.refresh_from_db()
    assert task.counts == {"there": 10, "made": 10}
    assert Sku.objects.count() == StockMovement.objects.count() == 60


def test_a_task_that_always_fails_ends_and_says_why(member: Staff) -> None:
    task = tasks.prepare_task("import_products", user=member)
    tasks.begin_task(task)

    def fails(task: Task) -> Any:
        raise RuntimeError("no")
        yield []

    for _try in range(tasks.TRIES):
        Task.objects.update(due_at=timezone.now())
        tasks.run_due_tasks({task.kind: fails})
    task.refresh_from_db()
    assert task.finished_at is not None and task.last_error == "RuntimeError: no"
    assert task.percent == 100


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"PK\x03\x04zip", b"\xff\xfe\x00\x01"])
def test_no_table_of_ours_is_refused(member: Staff, client: Client, content: bytes) -> None:
    answer = upload(client, content)
    assert answer.status_code == 200 and "errorlist" in answer.content.decode()
    assert not Task.objects.exclude(due_at=None).exists()


def test_nobody_begins_anothers_file(member: Staff, client: Client) -> None:
    upload(client, table(1))
    client.force_login(make_staff(username="other"))
    assert begin(client, Task.objects.get()).status_code == 404


def test_an_export_comes_back_as_it_went(member: Staff, client: Client) -> None:
    product = make_product(name="=龙井", tags=["新品"], attributes={"季节": ["春", "秋"]})
    sku = make_sku(product=product, options={"规格": "100克"}, stock=3)
    assert client.get(reverse("admin:catalog_product_export")).status_code == 405
    client.post(reverse("admin:catalog_product_export"))
    run_due_tasks()
    task = Task.objects.get()
    header, row = report_of(task)
    assert dict(zip(header, row, strict=True))["商品名称"] == "'=龙井"
    with task.report.open("rb") as file:
        upload(client, file.read())
    again = Task.objects.order_by("-pk")[0]
    begin(client, again)
    run_due_tasks()
    again.refresh_from_db()
    assert again.counts == {"there": 1}
    sku.refresh_from_db()
    assert sku.stock == 3


def test_files_are_forgotten_after_a_month(member: Staff, client: Client) -> None:
    upload(client, table(1))
    task = Task.objects.get()
    storage, name = task.source.storage, task.source.name
    tasks.forget_old_files()
    assert storage.exists(name)
    Task.objects.update(created_at=timezone.now() - timedelta(days=31))
    tasks.forget_old_files()
    task.refresh_from_db()
    assert not task.source and not storage.exists(name)
