"""Who the browser tests play: a customer over HTTP, and staff in the back office."""

import uuid
from typing import Any

import requests

from tests.browser.stage import PASSWORD, Demo, Page
from tests.sandbox_process import until


class Customer:
    """Buys over HTTP, as a mini program does."""

    def __init__(self, demo: Demo, openid: str) -> None:
        self.demo, self.openid, self.http = demo, openid, requests.Session()
        self.http.trust_env = False
        code = self.phone("login", openid=openid)["code"]
        token = self.post("auth/login/", platform="wechat", code=code)["access"]
        self.http.headers["Authorization"] = f"Bearer {token}"
        place = {
            "province": "浙江省",
            "city": "杭州市",
            "district": "西湖区",
            "detail": "文三路 100 号",
        }
        self.address = self.post("addresses/", recipient="李明", phone="13812345678", **place)["id"]

    def phone(self, what: str, **body: Any) -> Any:
        address = f"{self.demo.phone}/phone/wechat/{what}/"
        return self.http.post(address, json=body, timeout=20).json()

    def post(self, path: str, **body: Any) -> Any:
        keys = {"Idempotency-Key": uuid.uuid4().hex}
        address = f"{self.demo.shop}/api/v1/{path}"
        answer = self.http.post(address, json=body, headers=keys, timeout=20)
        assert answer.ok, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        return self.http.get(f"{self.demo.shop}/api/v1/{path}", timeout=20).json()

    def order(self, sku: int, *, quantity: int = 1, is_paid: bool = True) -> Any:
        lines = {"lines": [{"sku": sku, "quantity": quantity}], "address": self.address}
        payable = self.post("orders/quote/", **lines)["payable_fen"]
        order = self.post("orders/", **lines, payable_fen=payable)
        if is_paid:
            pay = self.post(f"orders/{order['number']}/pay/", channel="wechat")
            self.phone("pay", **pay["params"], openid=self.openid)
            until(lambda: self.get(f"orders/{order['number']}/")["status"] == "paid", seconds=20)
        return self.get(f"orders/{order['number']}/")


class Desk(Page):
    """The back office; counts clicks and choices."""

    def __init__(self, browser: Any, demo: Demo, *, username: str = "admin", **more: Any) -> None:
        super().__init__(browser, **more)
        self.demo, self.clicks = demo, 0
        self.open("")
        self.page.fill("#id_username", username)
        self.page.fill("#id_password", PASSWORD)
        self.page.click("input[type=submit]")

    def open(self, path: str) -> None:
        self.page.goto(f"{self.demo.shop}/admin/{path}")

    def click(self, target: Any) -> None:
        self.clicks += 1
        (self.page.locator(target) if isinstance(target, str) else target).first.click()

    def choose(self, target: str, **what: Any) -> None:
        self.clicks += 1
        self.page.select_option(target, **what)

    def pick(self, field: str, word: str) -> None:
        """From a list that is searched while one types."""
        self.click(f".field-{field} .select2-selection")
        self.page.fill(".select2-search__field", word)
        self.click(self.page.locator(".select2-results__option", has_text=word))

    def counted(self) -> int:
        clicks, self.clicks = self.clicks, 0
        return clicks
