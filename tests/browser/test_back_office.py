"""A morning at the desk, in a real browser: what staff do, in how many clicks, and whether all can do it."""

import io
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
from PIL import Image

from tests.browser.people import Customer, Desk
from tests.browser.stage import Demo, Page
from tests.sandbox_process import until

pytestmark = pytest.mark.browser
SHANGHAI = ZoneInfo("Asia/Shanghai")
# As many as a product with nine SKUs, three orders and a sheet may cost, with little to spare.
MOST_CLICKS = {
    "product": 16,
    "ship one": 4,
    "ship two": 4,
    "price": 4,
    "refund": 3,
    "reject": 3,
    "review": 2,
    "home": 2,
    "difference": 3,
    "dashboard": 1,
}
PAGES = [
    "", "orders/order/", "orders/order/1/change/", "orders/order/ship-sheet/", "orders/order/export/",
    "orders/refund/", "catalog/product/", "catalog/product/1/change/", "catalog/product/1/preview/",
    "catalog/product/import/", "catalog/review/", "orders/coupon/", "accounts/customer/",
    "core/task/", "admin/logentry/", "catalog/sku/", "catalog/category/", "catalog/homerow/",
    "orders/refund/side-by-side/", "accounts/customer/2/change/", "orders/billdifference/",
    "catalog/banner/", "catalog/homerow/1/change/", "accounts/staff/1/change/",
]  # fmt: skip


@pytest.fixture(scope="module")
def desk(demo: Demo, browser: Any) -> Iterator[Desk]:
    desk = Desk(browser, demo, height=1400)
    yield desk
    assert desk.errors == []


def png(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (400, 400), colour).save(buffer, "PNG")
    return buffer.getvalue()


def make_product(desk: Desk) -> None:
    page = desk.page
    desk.open("catalog/product/")
    desk.click(".object-tools a.addlink")
    desk.pick("category", "服饰")
    page.fill("#id_name", "云感针织开衫")
    desk.click(".desk-editor")
    page.keyboard.type("一件顶两件。")
    picture = {"name": "detail.png", "mimeType": "image/png", "buffer": png("gold")}
    page.set_input_files(".desk-bar input[type=file]", picture)
    page.locator(".desk-editor img").wait_for()
    desk.clicks += 1
    desk.choose("#id_status", value="on_sale")
    files = [
        {"name": f"{colour}.png", "mimeType": "image/png", "buffer": png(colour)}
        for colour in ("teal", "tomato")
    ]
    desk.clicks += 1
    page.set_input_files("#id_new_pictures", files)
    for number, (name, values) in enumerate((("颜色", "米白, 雾蓝, 燕麦"), ("尺码", "S, M, L"))):
        desk.click("#options-group .add-row a")
        page.fill(f"#id_options-{number}-name", name)
        page.fill(f"#id_options-{number}-values", values)
    bar = page.locator("#skus-group .desk-bar")
    desk.click(bar.locator("button").nth(0))
    for number, value in ((0, "199"), (1, "20")):
        bar.locator("input").nth(number).fill(value)
        desk.click(bar.locator("button").nth(number + 1))
    assert page.locator("#skus-group tr.form-row:not(.empty-form)").count() == 9
    desk.shoot("desk-product-new")
    desk.click("input[name=_save]")
    page.locator(".success").wait_for()


def test_a_day_at_the_desk(demo: Demo, browser: Any, desk: Desk) -> None:
    page, spent = desk.page, {}
    make_product(desk)
    spent["product"] = desk.counted()

    customer = Customer(demo, "o-day")
    [card] = customer.get("products/?search=云感针织")["results"]
    product = customer.get(f"products/{card['id']}/")
    assert len(product["skus"]) == 9 and {sku["stock"] for sku in product["skus"]} == {20}
    assert "一件顶两件" in product["detail_html"] and "<img" in product["detail_html"]
    assert card["cover_url"]
    phone = Page(browser)
    phone.page.goto(demo.phone)
    phone.page.get_by_text("云感针织开衫").first.wait_for()

    sku = product["skus"][0]["id"]
    one, two, three = (customer.order(sku, quantity=2) for _ in range(3))
    desk.open("")
    desk.click(page.locator(".queues a").first)
    page.get_by_role("link", name=one["number"]).wait_for()
    assert page.locator("#result_list tbody tr").count() == 3
    desk.click(page.get_by_role("link", name=one["number"]))
    desk.click(".object-tools a.addlink")
    desk.choose("#id_carrier", label="顺丰速运")
    page.fill("#id_tracking_number", "SF0000000001")
    page.keyboard.press("Enter")
    page.get_by_text("SF0000000001").first.wait_for()
    desk.shoot("desk-order")
    spent["ship one"] = desk.counted()

    desk.open("orders/order/")
    desk.click(page.get_by_role("link", name="批量发货"))
    rows = [f"{two['number']}\t顺丰速运\tSF0000000002", f"{three['number']}\tSF\tSF0000000003"]
    page.fill("#id_pasted", "\n".join(rows))
    desk.click("input.default")
    desk.shoot("desk-sheet")
    desk.click("input[name=ship]")
    page.get_by_text("下载结果").wait_for(timeout=30_000)
    desk.shoot("desk-task")
    spent["ship two"] = desk.counted()
    for order in (one, two, three):
        assert customer.get(f"orders/{order['number']}/")["status"] == "shipped"

    unpaid = customer.order(sku, is_paid=False)
    desk.open(f"orders/order/?q={unpaid['number']}")
    desk.click(page.get_by_role("link", name=unpaid["number"]))
    desk.click(page.get_by_role("link", name="改价"))
    page.fill("#id_discount_fen", "19")
    page.fill("#id_reason", "老顾客")
    desk.click("input.default")
    page.get_by_text("老顾客").wait_for()
    spent["price"] = desk.counted()
    assert customer.get(f"orders/{unpaid['number']}/")["payable_fen"] == 18000

    for order in (one, two):
        line = customer.get(f"orders/{order['number']}/")["lines"][0]["id"]
        lines = [{"line": line, "quantity": 1}]
        customer.post(
            f"orders/{order['number']}/refunds/", lines=lines, reason="大了", kind="refund_only"
        )
    for name, action in (("refund", "approve"), ("reject", "reject")):
        desk.open("orders/refund/?status__exact=requested")
        desk.click("#result_list .field-number a")
        if name == "refund":
            page.fill("#id_approve_amount_fen", "50")
        page.fill(f"#id_{action}_decision", "按约定")
        desk.shoot(f"desk-{name}")
        desk.click(f"form[action$='/{action}/'] input[type=submit]")
        page.locator(".messagelist .success").wait_for()
        spent[name] = desk.counted()
    refunds = customer.get("refunds/")["results"]
    assert sorted(refund["status"] == "rejected" for refund in refunds) == [False, True]
    until(
        lambda: any(r["status"] == "succeeded" for r in customer.get("refunds/")["results"]),
        seconds=30,
    )

    customer.post(f"orders/{three['number']}/confirm-receipt/")
    line = customer.get(f"orders/{three['number']}/")["lines"][0]["id"]
    words = [{"line": line, "rating": 5, "text": "软糯不扎人"}]
    customer.post(f"orders/{three['number']}/reviews/", reviews=words)
    desk.open("catalog/review/")
    desk.click("#result_list .field-created_at a")
    page.fill("#id_reply", "谢谢，常来！")
    desk.click("input[name=_save]")
    page.locator(".messagelist .success").wait_for()
    spent["review"] = desk.counted()
    about = f"products/{product['id']}/reviews/"
    until(
        lambda: [r["reply"] for r in customer.get(about)["results"]] == ["谢谢，常来！"], seconds=20
    )

    desk.open("catalog/homerow/")
    desk.click("#result_list .field-title a")
    page.fill("#id_title", "冬日上新")
    desk.click("input[name=_save]")
    page.locator(".messagelist .success").wait_for()
    spent["home"] = desk.counted()
    until(lambda: "冬日上新" in str(customer.get("home/")), seconds=5)

    # The bill of the day says a fen more than our books.
    clock = {"advance_seconds": 24 * 3600}
    fault = {"target": "wechatpay.bill", "fault": "row_differs", "times": 1}
    for path, body in (("clock", clock), ("faults", fault)):
        assert requests.post(f"{demo.phone}/{path}/", json=body, timeout=20).ok
    today = datetime.now(SHANGHAI).date().isoformat()
    told = demo.manage("reconcile", "--channel", "wechat", "--date", today)
    assert "amount" in told, told
    desk.open("")
    desk.click(page.locator(".queues a", has_text="对账差异"))
    desk.click("#result_list .field-number a")
    desk.click(".object-tools a.addlink")
    page.fill("#id_note", "平台多记了一分，已联系")
    page.keyboard.press("Enter")
    page.locator(".messagelist .success").wait_for()
    desk.shoot("desk-difference")
    spent["difference"] = desk.counted()

    desk.click("#site-name a")
    page.locator(".queues a", has_text="对账差异").locator("b", has_text="0").wait_for()
    # Totals are counted once a minute.
    until(lambda: page.reload() and "1194.00" in page.content(), seconds=90)
    desk.shoot("desk-start")
    spent["dashboard"] = desk.counted()
    sys.stdout.write(f"clicks: {spent}\n")
    assert {name: count for name, count in spent.items() if count > MOST_CLICKS[name]} == {}, spent


def test_categories_and_rows_are_dragged(demo: Demo, browser: Any, desk: Desk) -> None:
    page, customer = desk.page, Customer(demo, "o-drag")

    def names() -> list[str]:
        return [text.strip() for text in page.locator(".tree .name").all_inner_texts()]

    def top() -> list[str]:
        return [row["name"] for row in customer.get("categories/")["results"]]

    desk.open("catalog/category/")
    before = names()
    last, first = page.locator(".tree li").nth(-1), page.locator(".tree li").nth(0)
    last.drag_to(first, target_position={"x": 200, "y": 4})
    page.locator(".tree li .name").first.get_by_text(before[-1]).wait_for()
    assert names() == [before[-1], *before[:-1]]
    # Onto the middle of another: below it.
    page.locator(".tree li").nth(1).drag_to(page.locator(".tree li").nth(2))
    page.locator(".tree li .name").nth(1).get_by_text(before[1]).wait_for()
    assert names()[1:3] == [before[1], before[0]]
    assert top()[:2] == [before[-1], before[1]]
    page.get_by_label(f"移出，与上级并列: {before[0]}").click()
    until(lambda: before[0] in top(), seconds=5)

    desk.open(
        f"catalog/product/{customer.get('products/?search=云感针织')['results'][0]['id']}/change/"
    )
    pictures = page.locator("#pictures-group tr.has_original")
    moved = pictures.nth(1).locator("input[type=hidden]").first.get_attribute("value")
    pictures.nth(1).get_by_role("button", name="↑").press("Enter")
    page.click("input[name=_continue]")
    page.locator(".messagelist .success").wait_for()
    first = pictures.first.locator("input[type=hidden]").first.get_attribute("value")
    assert pictures.count() == 2 and first == moved

    desk.open("catalog/homerow/")
    rows = page.locator("#result_list tbody tr")
    titles = [text.strip() for text in rows.locator(".field-title").all_inner_texts()]
    rows.nth(-1).drag_to(rows.nth(0), target_position={"x": 60, "y": 3})
    page.get_by_role("button", name="↓").first.click()
    page.click("input[name=_save]")
    page.locator(".messagelist .success").wait_for()
    assert page.locator(".phone h2").first.inner_text() == titles[0]
    shown = [text.strip() for text in rows.locator(".field-title").all_inner_texts()]
    assert shown == [titles[0], titles[-1], *titles[1:-1]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_everybody_can_use_the_pages(demo: Demo, browser: Any, scheme: str, width: int) -> None:
    """axe finds nothing serious: labels, contrast, names of controls. Follows the day at the desk."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    desk = Desk(browser, demo, width=width, height=900, color_scheme=scheme)
    found = []
    for path in PAGES:
        desk.open(path)
        desk.shoot(f"desk-{width}-{scheme}-{path.strip('/').replace('/', '-') or 'start'}")
        for violation in axe.run(desk.page).response["violations"]:
            if violation["impact"] in {"serious", "critical"}:
                nodes = [node["html"][:160] for node in violation["nodes"][:3]]
                found.append((path, violation["id"], nodes))
    assert found == []
    assert desk.errors == []
