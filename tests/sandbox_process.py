"""A sandbox in a process of its own, and the hands to play a customer and misbehave with."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parent.parent


class SandboxProcess:
    def __init__(
        self, directory: Path, *, speed: int = 100, shop_url: str = "http://127.0.0.1:1"
    ) -> None:
        self.directory = directory
        self.speed = speed
        self.shop_url = shop_url
        self.http = requests.Session()
        self.http.trust_env = False
        self.start()

    def start(self, port: int = 0) -> None:
        command = [sys.executable, "-m", "miniback.sandbox", "--port", str(port)]
        command += ["--dir", str(self.directory), "--notice-speed", str(self.speed)]
        command += ["--shop-url", self.shop_url]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert "http://" in line, "the sandbox did not start"
        self.url = line.split()[-1]
        self.port = int(self.url.rsplit(":", 1)[1])

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()

    @property
    def env(self) -> dict[str, str]:
        return self._read_env("shop.env")

    @property
    def other_env(self) -> dict[str, str]:
        """Of the same shop with a second merchant at WeChat Pay and Alipay."""
        return self._read_env("other.env")

    def _read_env(self, name: str) -> dict[str, str]:
        lines = (self.directory / name).read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def get(self, path: str) -> Any:
        return self.http.get(self.url + path, timeout=30).json()

    def post(self, path: str, **body: Any) -> requests.Response:
        return self.http.post(self.url + path, json=body, timeout=30)

    def reset(self) -> None:
        assert self.post("/reset/").ok

    def code(self, openid: str = "o-customer", *, platform: str = "wechat", **more: Any) -> str:
        return self.post(f"/phone/{platform}/login/", openid=openid, **more).json()["code"]

    def pay(
        self, params: dict[str, str], openid: str = "o-customer", **more: Any
    ) -> requests.Response:
        if "tradeNO" in params:
            trade = params["tradeNO"]
            return self.post("/phone/alipay/pay/", openid=openid, trade_no=trade, **more)
        return self.post("/phone/wechat/pay/", openid=openid, **params, **more)

    def fault(self, target: str, fault: str, times: int | str = 1, **options: Any) -> None:
        answer = self.post("/faults/", target=target, fault=fault, times=times, **options)
        assert answer.ok, answer.text

    def end_faults(self) -> None:
        self.http.delete(f"{self.url}/faults/", timeout=30)

    def advance(self, seconds: float) -> None:
        self.post("/clock/", advance_seconds=seconds)

    def hang(self, target: str) -> None:
        """Accept and never answer, until ``end_faults``."""
        self.fault(target, "hang", times="always")

    def console_refund(
        self,
        out_trade_no: str,
        amount_fen: int | None = None,
        *,
        platform: str = "wechat",
        **more: Any,
    ) -> str:
        """Give money back in the merchant's console; return the refund's number."""
        if amount_fen is not None:
            more["amount_fen"] = amount_fen
        answer = self.post(f"/console/{platform}/refunds/", out_trade_no=out_trade_no, **more)
        assert answer.ok, answer.text
        number: str = answer.json()["out_refund_no"]
        return number

    def set_balance(self, amount_fen: int | None, *, platform: str = "wechat") -> None:
        """What the merchant has to refund from; None: it never runs out."""
        assert self.post(f"/console/{platform}/balance/", amount_fen=amount_fen).ok

    def age_trade(self, out_trade_no: str, days: int, *, platform: str = "wechat") -> None:
        """It was paid so many days earlier."""
        answer = self.post(f"/console/{platform}/age/", out_trade_no=out_trade_no, days=days)
        assert answer.ok, answer.text

    def finish_trade(self, out_trade_no: str) -> None:
        """Alipay's TRADE_FINISHED."""
        assert self.post("/console/alipay/finish/", out_trade_no=out_trade_no).ok

    def ledger(self) -> dict[str, Any]:
        return self.get("/ledger/")

    def notifications(self) -> list[dict[str, Any]]:
        return self.get("/notifications/")["notifications"]

    def wait_for_notices(self, count: int = 1) -> list[dict[str, Any]]:
        """Until ``count`` notices have had their first answer."""
        return until(lambda: [n for n in self.notifications() if n["attempts"]], at_least=count)

    def net_fen(self) -> int:
        totals = self.ledger()["totals"]
        return totals["paid_fen"] - totals["refunded_fen"]


def until(look: Callable[[], Any], *, at_least: int = 1, seconds: float = 30) -> Any:
    """Ask again until ``look`` gives something that is true (or long) enough."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        size = len(seen) if isinstance(seen, list) else int(bool(seen))
        if size >= at_least:
            return seen
        assert time.monotonic() < deadline, f"waited {seconds} s; saw {seen}"
        time.sleep(0.03)


def free_pair() -> int:
    """A port whose neighbour is free too; each worker of xdist looks among its own."""
    first = 18100 + 200 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    for port in range(first, first + 200, 2):
        with socket.socket() as one, socket.socket() as two:
            if one.connect_ex(("127.0.0.1", port)) and two.connect_ex(("127.0.0.1", port + 1)):
                return port
    raise AssertionError("no free ports")
