"""Changes of thousands of products: a task that goes on where it was cut off, and says what it refused."""

import csv
import io
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from catalog.models import Product, Sku, StockMovement
from catalog.services import bulk
from miniback.core import tasks
from miniback.core.models import Task
from miniback.jobs import TASK_HANDLERS, run_due_tasks
from tests.factories import make_category, make_product, make_sku, make_staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Three products are many here."""
    monkeypatch.setattr(bulk, "MOST", 3)
    monkeypatch.setattr("catalog.admin.product_pages.MOST", 3)
    client.force_login(make_staff())
    category = make_category()
    for number in range(6):
        make_sku(
            product=make_product(name=f"茶{number}", category=category), price_fen=1000, stock=5
        )
    return client


def ask(desk: Client, action: str, **form: Any) -> Any:
    """Of everything in the list, also on its other pages."""
    chosen = {"_selected_action": Product.objects.order_by("pk")[0].pk, "select_across": 1}
    address = reverse("admin:catalog_product_changelist")
    return desk.post(address, {"action": action, **chosen, **form})


def report_of(task: Task) -> list[list[str]]:
    task.refresh_from_db()
    with task.report.open("rb") as file:
        return list(csv.reader(io.StringIO(file.read().decode("utf-8-sig"))))


def prices() -> list[int]:
    return list(Sku.objects.order_by("pk").values_list("price_fen", flat=True))


def test_how_many_are_chosen_is_said_before(desk: Client) -> None:
    page = ask(desk, "change_prices")
    assert page.context["count"] == 6
    assert 'name="select_across" value="1"' in page.content.decode()


def test_more_than_a_page_is_a_task(desk: Client) -> None:
    answer = ask(desk, "change_prices", sure=1, percent=10)
    task = Task.objects.get()
    assert answer.url == reverse("admin:core_task_change", args=[task.pk])
    assert prices() == [1000] * 6
    run_due_tasks()
    task.refresh_from_db()
    assert (task.total, task.done, task.counts) == (6, 6, {"changed": 6, "refused": 0})
    assert prices() == [1100] * 6
    assert set(Product.objects.values_list("price_fen", flat=True)) == {1100}
    changed = LogEntry.objects.filter(content_type__model="product")
    assert changed.count() == 6 and "10" in changed[0].change_message


def test_what_is_refused_is_told_and_keeps_no_other(desk: Client) -> None:
    poor = Sku.objects.order_by("pk")[2]
    Sku.objects.filter(pk=poor.pk).update(stock=1)
    ask(desk, "change_stocks", sure=1, delta=-2, note="盘点")
    run_due_tasks()
    task = Task.objects.get()
    [row] = report_of(task)[1:]
    assert row[0] == str(poor.product_id) and row[1]
    assert task.counts == {"changed": 5, "refused": 1}
    assert sorted(Sku.objects.values_list("stock", flat=True)) == [1, 3, 3, 3, 3, 3]
    assert StockMovement.objects.filter(note="盘点").count() == 5


def test_cut_off_nothing_is_done_twice(desk: Client) -> None:
    ask(desk, "change_prices", sure=1, percent=10)
    task = Task.objects.get()
    handler = TASK_HANDLERS[task.kind]

    def dies(task: Task) -> Any:
        for number, row in enumerate(handler(task)):
            if number == 3:
                raise ConnectionError("the machine went away")
            yield row

    tasks.run_due_tasks({task.kind: dies})
    assert 0 < prices().count(1100) < 6
    Task.objects.update(due_at=timezone.now())
    run_due_tasks()
    assert prices() == [1100] * 6
    assert "3" in report_of(task)[1][1]
    # Two runners at once: what the other has done is left alone.
    bulk._step(task, 1, Product.objects.order_by("pk")[0].pk)
    assert prices() == [1100] * 6


def test_off_sale_and_on_again(desk: Client) -> None:
    for action, status in (("take_off_sale", "off_sale"), ("put_on_sale", "on_sale")):
        ask(desk, action)
        run_due_tasks()
        assert set(Product.objects.values_list("status", flat=True)) == {status}


def test_a_page_of_them_is_changed_at_once(desk: Client) -> None:
    chosen = list(Product.objects.order_by("pk").values_list("pk", flat=True)[:2])
    data = {"action": "change_prices", "_selected_action": chosen, "sure": 1, "percent": -10}
    assert desk.post(reverse("admin:catalog_product_changelist"), data).status_code == 302
    assert prices() == [900, 900, 1000, 1000, 1000, 1000] and not Task.objects.exists()
