"""The main job in a real browser: the phone pays, the admin ships, the phone confirms."""

import pytest
import requests

from tests.browser.stage import PASSWORD, Demo, Page
from tests.sandbox_process import until

pytestmark = pytest.mark.browser


def order_status(page) -> str:
    return page.locator("[data-status]").get_attribute("data-status")


def test_phone_pays_admin_ships_phone_confirms(demo: Demo, browser) -> None:
    phone = Page(browser)
    page = phone.page
    page.goto(demo.phone)
    page.locator(".product").first.wait_for()
    phone.shoot("phone-home")
    page.locator(".product").first.click()
    page.get_by_role("button", name="加入购物车").wait_for()
    phone.shoot("phone-product")
    page.get_by_role("button", name="加入购物车").click()
    page.locator("#badge:not([hidden])").wait_for()
    page.locator("[data-tab=cart]").click()
    page.get_by_role("button", name="去结算").wait_for()
    phone.shoot("phone-cart")
    page.get_by_role("button", name="去结算").click()
    page.get_by_role("button", name="添加收货地址").click()
    page.get_by_role("button", name="保存").click()
    page.get_by_role("button", name="提交订单").wait_for()
    phone.shoot("phone-confirm")
    page.get_by_role("button", name="提交订单").click()

    page.get_by_role("button", name="允许").wait_for()
    phone.shoot("phone-subscribe")
    page.get_by_role("button", name="允许").click()
    page.get_by_label("支付密码").fill("000000")
    page.get_by_role("button", name="确认支付").click()
    page.get_by_text("支付密码错误").wait_for()
    phone.shoot("phone-pay")
    page.locator("#sheet .second").click()
    assert order_status(page) == "pending_payment"
    page.get_by_role("button", name="去支付").click()
    page.get_by_role("button", name="拒绝").click()
    page.get_by_label("支付密码").fill("123456")
    page.get_by_role("button", name="确认支付").click()
    page.locator("[data-status=paid]").wait_for()
    phone.shoot("phone-paid")

    desk = Page(browser, height=1400)
    admin = desk.page
    admin.goto(f"{demo.shop}/admin/")
    admin.fill("#id_username", "admin")
    admin.fill("#id_password", PASSWORD)
    admin.click("input[type=submit]")
    desk.shoot("admin-index")
    admin.goto(f"{demo.shop}/admin/orders/order/")
    desk.shoot("admin-orders")
    admin.locator("#result_list .field-number a").first.click()
    admin.wait_for_url("**/change/**")
    admin.locator(".object-tools a.addlink").wait_for()
    desk.shoot("admin-order")
    admin.locator(".object-tools a.addlink").click()
    admin.select_option("#id_carrier", index=1)
    admin.fill("#id_tracking_number", "SF1234567890")
    desk.shoot("admin-ship")
    admin.click("input[type=submit]")
    admin.get_by_text("SF1234567890").first.wait_for()
    desk.shoot("admin-shipped")
    admin.goto(f"{demo.shop}/admin/catalog/product/")
    desk.shoot("admin-products")
    admin.locator("#result_list .field-name a").first.click()
    admin.locator("#id_name").wait_for()
    desk.shoot("admin-product")

    page.locator("[data-status=shipped]").wait_for()
    page.get_by_role("button", name="确认收货").click()
    page.locator("[data-status=completed]").wait_for()
    phone.shoot("phone-completed")
    # What WeChat sent the customer, and what it knows of the parcel.
    page.get_by_text("收到的订阅消息").click()
    page.get_by_text("demo-template-shipped", exact=False).wait_for()
    page.get_by_text("微信里的订单与包裹").click()
    page.locator("#panel").get_by_text("SF1234567890").wait_for()
    phone.shoot("phone-panel")
    assert phone.errors == []
    assert desk.errors == []
    ledger = requests.get(f"{demo.phone}/ledger/", timeout=10).json()
    assert len(ledger["payments"]) == 1


def test_staff_refund_what_the_phone_asks_for(demo: Demo, browser) -> None:
    """Follows the main job: its completed order is asked back whole, and staff agree."""
    phone = Page(browser)
    page = phone.page
    page.goto(demo.phone)
    page.locator(".product").first.wait_for()
    page.locator("[data-tab=orders]").click()
    page.get_by_role("button", name="查看").first.click()
    page.get_by_role("button", name="申请退款").click()
    page.get_by_text("等待商家处理").wait_for()
    phone.shoot("phone-refund")

    desk = Page(browser, height=1400)
    admin = desk.page
    admin.goto(f"{demo.shop}/admin/orders/refund/")
    admin.fill("#id_username", "admin")
    admin.fill("#id_password", PASSWORD)
    admin.click("input[type=submit]")
    admin.locator("#result_list .field-number a").first.click()
    admin.locator(".object-tools a.addlink").wait_for()
    desk.shoot("admin-refund")
    admin.locator(".object-tools a.addlink").click()
    admin.fill("#id_decision", "同意")
    desk.shoot("admin-approve")
    admin.click("input[type=submit]")

    page.get_by_text("已退回").wait_for()
    ledger = requests.get(f"{demo.phone}/ledger/", timeout=10).json()
    assert ledger["totals"]["paid_fen"] == ledger["totals"]["refunded_fen"] > 0
    assert phone.errors == desk.errors == []


def test_phone_fits_a_phone(demo: Demo, browser) -> None:
    phone = Page(browser, width=390, height=844, device_scale_factor=2)
    phone.page.goto(demo.phone)
    phone.page.locator(".product").first.wait_for()
    phone.shoot("phone-small")
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert phone.errors == []


def test_phone_claims_a_coupon(demo: Demo, browser) -> None:
    """Follows the main job, which used the one for new customers."""
    phone = Page(browser)
    page = phone.page
    page.goto(demo.phone)
    page.locator(".product").first.wait_for()
    page.locator("[data-tab=me]").click()
    offers = page.get_by_role("button", name="领取")
    offers.first.wait_for()
    phone.shoot("phone-coupons")
    count = offers.count()
    offers.first.click()
    until(lambda: page.get_by_role("button", name="领取").count() == count - 1)
    assert phone.errors == []


def test_phone_pays_by_alipay(demo: Demo, browser) -> None:
    """The same mini program by `my` instead of `wx`; on the way a query fails, and it is told again."""
    phone = Page(browser)
    page = phone.page
    page.goto(demo.phone)
    page.locator(".product").first.wait_for()
    page.select_option("#platform", "alipay")
    page.locator("[data-tab=me]").click()
    page.get_by_role("button", name="绑定手机号").click()
    page.get_by_text("138****8000").wait_for()
    page.get_by_text("捣乱").click()
    page.select_option("[name=target]", "alipay.query")
    page.select_option("[name=fault]", "http_500")
    page.get_by_role("button", name="注入故障").click()
    page.get_by_text("故障", exact=True).first.click()
    page.get_by_text("还有 1 次").wait_for()
    phone.shoot("phone-alipay-me")

    page.locator("[data-tab=home]").click()
    page.locator(".product").nth(2).click()
    page.get_by_role("button", name="立即购买").click()
    page.get_by_role("button", name="添加收货地址").click()
    page.get_by_role("button", name="保存").click()
    page.get_by_role("button", name="提交订单").click()
    page.get_by_text("支付宝支付 · 沙箱").wait_for()
    phone.shoot("phone-alipay-pay")
    page.get_by_role("button", name="确认支付").click()
    page.locator("[data-status=paid]").wait_for()
    page.locator("#panel").get_by_text("TRADE_SUCCESS").first.wait_for()
    page.locator("#panel").get_by_role("button", name="重发").first.click()
    assert phone.errors == []


def test_phone_logs_in_by_douyin(demo: Demo, browser) -> None:
    phone = Page(browser)
    page = phone.page
    page.goto(demo.phone)
    page.locator(".product").first.wait_for()
    page.select_option("#platform", "douyin")
    page.locator("[data-tab=me]").click()
    page.get_by_text("抖音用户").wait_for()
    assert phone.errors == []


def test_api_pages_open_without_the_internet(demo: Demo, browser) -> None:
    desk = Page(browser)
    outside: set[str] = set()
    blocked: set[str] = set()
    desk.page.on("request", lambda request: outside.add(request.url))
    # Redoc asks for its maker's logo; our page's policy stops that before it leaves.
    desk.page.on("requestfailed", lambda r: blocked.add(r.url) if r.failure == "csp" else None)
    for name, landmark in {"docs": ".opblock", "redoc": "[data-section-id]"}.items():
        desk.page.goto(f"{demo.shop}/api/v1/{name}/")
        desk.page.locator(landmark).first.wait_for()
        desk.shoot(f"api-{name}")
    elsewhere = {url for url in outside if not url.startswith((demo.shop, "data:", "blob:"))}
    assert elsewhere <= blocked
    assert desk.errors == []
