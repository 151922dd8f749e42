"""Notices that anyone can post, beside real ones (PLATFORMS B2, RELIABILITY P8-P12).

    make bench-notices

Ten days old, signed by a stranger, with an unknown serial, one bit off, and the platform's own probes:
how long each answer takes, what it leaves behind, and whether ten thousand of them slow real ones.
"""

import argparse
import json
import re
import secrets
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.stage import say, stage  # first: it sets Django up

import requests  # isort: skip
from cryptography.hazmat.primitives.asymmetric import rsa  # isort: skip
from django.conf import settings as shop_settings  # isort: skip
from django.db import connection  # isort: skip
from django.utils import timezone  # isort: skip

from bench.server import pin
from orders.models import Notice, Order, Payment
from tests.factories import make_address, make_customer, make_order, make_product, make_sku
from tests.notices import headers, message, transaction
from tests.races.conftest import Shop
from tests.sandbox_process import SandboxProcess

CONNECTIONS, ROUNDS, WARM = 4, 10, 40
Posted = tuple[bytes, dict[str, str]]


def payments(count: int) -> Iterator[Payment]:
    user = make_customer(openid="o-bench")
    make_address(user)
    sku = make_sku(product=make_product(), stock=count)
    for number in range(count):
        order = make_order(user, sku=sku)
        yield Payment.objects.create(
            order=order, channel="wechat", number=f"PBENCH{number:08d}", amount_fen=order.payable_fen,
            payer=user.identities.get(), created_at=timezone.now(), prepay_id="x",
        )  # fmt: skip


def genuine(sandbox: SandboxProcess, payment: Payment) -> Posted:
    number = f"42{payment.pk:026d}"
    body = message(sandbox, transaction(sandbox, payment, transaction_id=number))
    return body, headers(sandbox, body)


def forged(sandbox: SandboxProcess, body: bytes) -> dict[str, Posted]:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    good = headers(sandbox, body)
    old = headers(sandbox, body, timestamp=int(time.time()) - 10 * 24 * 3600)
    flipped = bytearray(body)
    flipped[len(body) // 2] ^= 1
    return {
        "ten days old": (body, old),
        "signed by a stranger": (body, headers(sandbox, body, key=stranger)),
        "unknown serial": (body, {**good, "Wechatpay-Serial": secrets.token_hex(20).upper()}),
        "one bit off": (bytes(flipped), good),
        "probe": (body, {**good, "Wechatpay-Signature": f"WECHATPAY/SIGNTEST/{'A' * 300}"}),
    }


class Poster:
    def __init__(self, shop: Shop) -> None:
        self.url = f"{shop.url}/api/v1/callbacks/wechatpay/"
        self.http = requests.Session()
        self.http.trust_env = False

    def post(self, posted: Posted) -> tuple[int, float]:
        body, sent = posted
        began = time.monotonic()
        answer = self.http.post(
            self.url, data=body, headers={"Content-Type": "application/json", **sent}, timeout=60
        )
        return answer.status_code, time.monotonic() - began


def real_ms(poster: Poster, posted: list[Posted]) -> list[float]:
    """What each real one took, ten a second; each must be taken."""
    times = []
    for one in posted:
        status, seconds = poster.post(one)
        assert status == 204, status
        times.append(1000 * seconds)
        time.sleep(0.1)
    return times


@contextmanager
def flood(shop: Shop, script: Path, *, seconds: float) -> Iterator[list[int]]:
    """Forged ones from another process, which is wrk: ours would slow its own measuring.

    The list has, afterwards, how many were answered.
    """
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "-s", str(script), shop.url]
    done: list[int] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as wrk:
        yield done
        said, _nothing = wrk.communicate()
    done.append(int(re.search(r"(\d+) requests in", said)[1]))  # type: ignore[index]
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    assert refused is not None and int(refused[1]) == done[0], said


def write_script(path: Path, kinds: list[Posted], *, a_second: float) -> Path:
    """The forged ones in turn, as wrk's own language wants them."""
    requests_ = [
        "wrk.format('POST', '/api/v1/callbacks/wechatpay/', "
        f"{_lua({'Content-Type': 'application/json', **sent})}, {json.dumps(body.decode('ascii'))})"
        for body, sent in kinds
    ]
    path.write_text(
        f"local all, n = {{}}, 0\n"
        f"function init() all = {{{', '.join(requests_)}}} end\n"
        f"function request() n = n % #all + 1; return all[n] end\n"
        f"function delay() return {1000 * CONNECTIONS / a_second:.0f} end\n",
        encoding="ascii",
    )
    return path


def _lua(headers_: dict[str, str]) -> str:
    pairs = (f"[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers_.items())
    return "{" + ", ".join(pairs) + "}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--forged", type=int, default=10_000)
    parser.add_argument("--real", type=int, default=40, help="in each of the rounds")
    parser.add_argument("--rate", type=float, default=100.0, help="forged ones a second")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        say("wrk is needed (Debian: apt-get install wrk).")
        return 1
    with stage() as (sandbox, folder):
        for name, value in sandbox.env.items():
            setattr(shop_settings, name, value)
        shop = Shop(sandbox, folder / "server.log", jobs=False, workers=1)
        pin(shop)
        try:
            made = [genuine(sandbox, one) for one in payments(ROUNDS * 2 * options.real + WARM)]
            poster = Poster(shop)
            real_ms(poster, [made.pop() for _ in range(WARM)])
            kinds = forged(sandbox, made[0][0])
            print_answers(poster, kinds)
            script = write_script(
                folder / "forged.lua", list(kinds.values()), a_second=options.rate
            )
            report(shop, poster, made, script, options)
        finally:
            shop.stop()
    return 0


def print_answers(poster: Poster, kinds: dict[str, Posted]) -> None:
    rows = Notice.objects.count()
    for name, posted in kinds.items():
        answers = [poster.post(posted) for _ in range(50)]
        times = sorted(1000 * seconds for _status, seconds in answers)
        statuses = json.dumps(sorted({status for status, _seconds in answers}))
        say(f"{name:24}{statuses:8} median {times[25]:6.2f} ms, slowest {times[-1]:6.2f} ms (50)")
    say(f"rows they left: {Notice.objects.count() - rows}")


def report(
    shop: Shop, poster: Poster, made: list[Posted], script: Path, options: argparse.Namespace
) -> None:
    """Rounds with and without the flood take turns: both see the machine as it happens to be."""
    alone: list[float] = []
    beside: list[float] = []
    answered = 0
    for _round in range(ROUNDS):
        alone += real_ms(poster, [made.pop() for _ in range(options.real)])
        # A tenth longer: wrk waits after each answer.
        seconds = 1.1 * options.forged / ROUNDS / options.rate
        with flood(shop, script, seconds=seconds) as done:
            time.sleep(0.5)
            beside += real_ms(poster, [made.pop() for _ in range(options.real)])
        answered += done[0]
    say(f"{connection.vendor}: {answered:,} forged refused, {options.rate:g} a second")
    for name, times in (("alone", alone), ("beside them", beside)):
        median, slow = statistics.median(times), sorted(times)[int(len(times) * 0.99)]
        ratio = median / statistics.median(alone)
        say(f"real, {name:14}median {median:6.2f} ms, 99 % {slow:6.2f} ms, {ratio:.2f} (must 1.1)")
    paid = Order.objects.filter(status="paid").count()
    say(f"orders paid: {paid} of {ROUNDS * 2 * options.real + WARM}")


if __name__ == "__main__":
    sys.exit(main())
