"""Money that went astray, brought in order by staff in a real browser: each way begins at the start page."""

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests

from tests.browser.people import Customer, Desk
from tests.browser.stage import Demo
from tests.sandbox_process import until

pytestmark = pytest.mark.browser
SHANGHAI = ZoneInfo("Asia/Shanghai")
# From the start page to the message that it is done.
MAX_CLICKS = {"reapply": 4, "pay out": 4, "confirm": 4, "console refund": 4, "void": 4}
SECOND = "second"


@pytest.fixture(scope="module")
def desk(demo: Demo, browser: Any) -> Iterator[Desk]:
    desk = Desk(browser, demo, height=1400)
    yield desk
    assert desk.errors == []


def sandbox(demo: Demo, path: str, **body: Any) -> Any:
    answer = requests.post(f"{demo.phone}/{path}/", json=body, timeout=20)
    assert answer.ok, answer.text
    return answer.json() if answer.content else None


def refund_status(customer: Customer) -> str:
    return customer.get("refunds/")["results"][0]["status"]


def ask_all_back(customer: Customer, order: dict[str, Any]) -> None:
    lines = [{"line": line["id"], "quantity": line["quantity"]} for line in order["lines"]]
    customer.post(
        f"orders/{order['number']}/refunds/", lines=lines, reason="不想要了", kind="refund_only"
    )


def fail_refund(demo: Demo, desk: Desk, openid: str, fault: str) -> Customer:
    """A refund that staff approved and that ended at the platform without the money."""
    customer = Customer(demo, openid)
    order = customer.order(first_sku(customer))
    ask_all_back(customer, order)
    sandbox(demo, "faults", target="wechatpay.refund", fault=fault, times=1)
    desk.open("orders/refund/?status__exact=requested")
    desk.page.locator("#result_list .field-number a").first.click()
    desk.page.locator("form[action$='/approve/'] input[type=submit]").click()
    desk.page.locator(".messagelist .success").wait_for()
    until(lambda: refund_status(customer) == "failed", seconds=40)
    desk.counted()
    return customer


def first_sku(customer: Customer) -> int:
    [card, *_rest] = customer.get("products/?in_stock=1")["results"]
    product = customer.get(f"products/{card['id']}/")
    return next(sku["id"] for sku in product["skus"] if sku["stock"] > 2)


def open_from_start(desk: Desk, query: str) -> None:
    """By the start page's queue whose list has this filter, to the newest row of it."""
    desk.open("")
    desk.click(f".queues a[href*='{query}']")
    desk.click("#result_list tbody th a")


def press(desk: Desk, action: str, **fields: str) -> None:
    desk.click(f".object-tools a[href$='/{action}/']")
    for name, value in fields.items():
        desk.page.fill(f"#id_{name}", value)
    desk.shoot(f"corrections-{action}")
    desk.click("input.default")
    desk.page.locator(".messagelist li").first.wait_for()


@pytest.fixture(scope="module")
def spent() -> Iterator[dict[str, int]]:
    spent: dict[str, int] = {}
    yield spent
    sys.stdout.write(f"clicks: {spent}\n")


def hold(spent: dict[str, int], name: str, desk: Desk) -> None:
    spent[name] = desk.counted()
    assert spent[name] <= MAX_CLICKS[name], spent


def test_staff_void_a_payment_that_the_platform_never_got(
    demo: Demo, desk: Desk, spent: dict[str, int]
) -> None:
    customer = Customer(demo, "o-void")
    order, _other = customer.order(first_sku(customer)), customer.order(first_sku(customer))
    sandbox(demo, "clock", advance_seconds=24 * 3600)
    # The first payment of the day is missing: this one.
    sandbox(demo, "faults", target="wechatpay.bill", fault="row_missing", times=1)
    today = datetime.now(SHANGHAI).date().isoformat()
    told = demo.manage("reconcile", "--channel", "wechat", "--date", today)
    sandbox(demo, "clock", advance_seconds=-24 * 3600)
    assert "not_theirs" in told, told
    open_from_start(desk, "billdifference")
    press(desk, "void-payment", note="平台确认未收到此款")
    hold(spent, "void", desk)
    assert desk.page.locator(".messagelist .success").count() == 1
    assert customer.get(f"orders/{order['number']}/")["status"] == "cancelled"
    desk.shoot("corrections-voided")


def test_staff_apply_again_for_a_closed_refund(
    demo: Demo, desk: Desk, spent: dict[str, int]
) -> None:
    customer = fail_refund(demo, desk, "o-closed", "closed")
    open_from_start(desk, "status__exact=failed")
    press(desk, "reapply")
    hold(spent, "reapply", desk)
    until(lambda: refund_status(customer) == "succeeded", seconds=40)
    desk.page.reload()
    # The number that the platform closed stays on record.
    desk.page.get_by_text("CLOSED").first.wait_for()
    desk.shoot("corrections-reapplied")


def test_two_people_pay_a_refund_out_another_way(
    demo: Demo, browser: Any, desk: Desk, spent: dict[str, int]
) -> None:
    told = demo.manage("createsuperuser", "--noinput", "--username", SECOND, "--email", "s@a.cn")
    assert "successfully" in told, told
    customer = fail_refund(demo, desk, "o-abnormal", "abnormal")
    open_from_start(desk, "status__exact=failed")
    press(desk, "pay-out", reference="招商银行 20261126-7")
    hold(spent, "pay out", desk)
    assert refund_status(customer) == "failed"
    second = Desk(browser, demo, username=SECOND, height=1400)
    second.counted()
    open_from_start(second, "second=1")
    press(second, "pay-out")
    hold(spent, "confirm", second)
    until(lambda: refund_status(customer) == "succeeded", seconds=20)
    refund = customer.get("refunds/")["results"][0]
    assert refund["method"] == "shop"
    second.shoot("corrections-paid-out")
    assert second.errors == []


def test_staff_book_a_refund_of_the_merchant_console(
    demo: Demo, desk: Desk, spent: dict[str, int]
) -> None:
    customer = Customer(demo, "o-console")
    order = customer.order(first_sku(customer))
    payment = requests.get(f"{demo.phone}/ledger/", timeout=20).json()["payments"][-1]
    assert payment["amount_fen"] == order["payable_fen"]
    sandbox(demo, "console/wechat/refunds", out_trade_no=payment["out_trade_no"], amount_fen=100)
    desk.open("")
    queue = desk.page.locator(".queues a[href*='billdifference']")
    until(lambda: desk.page.reload() and queue.locator("b").inner_text() != "0", seconds=40)
    open_from_start(desk, "billdifference")
    press(desk, "book-refund", note="在商户平台退款，客服补偿")
    hold(spent, "console refund", desk)
    refund = customer.get("refunds/")["results"][0]
    assert (refund["kind"], refund["amount_fen"], refund["status"]) == (
        "external", 100, "succeeded",
    )  # fmt: skip
