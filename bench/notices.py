"""Notices that anyone can post, beside real ones (PLATFORMS B2, RELIABILITY P8-P12).

    make bench-notices

Ten days old, signed by a stranger, with an unknown serial, one bit off, and the platform's own probes:
how long each answer takes, what it leaves behind, and whether ten thousand of them slow real ones.
"""

import argparse
import json
import random
import secrets
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from bench.stage import say, stage  # first: it sets Django up

import requests  # isort: skip
from cryptography.hazmat.primitives.asymmetric import rsa  # isort: skip
from django.conf import settings as shop_settings  # isort: skip
from django.db import connection  # isort: skip
from django.utils import timezone  # isort: skip

from orders.models import Notice, Order, Payment
from tests.factories import make_address, make_customer, make_order, make_product, make_sku
from tests.notices import headers, message, transaction
from tests.races.conftest import Shop
from tests.sandbox_process import SandboxProcess

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


def medians(poster: Poster, posted: list[Posted]) -> tuple[float, float]:
    """Median and 99th percentile in ms; each must be taken."""
    times = []
    for one in posted:
        status, seconds = poster.post(one)
        assert status == 204, status
        times.append(1000 * seconds)
    return statistics.median(times), sorted(times)[int(len(times) * 0.99)]


def flood(shop: Shop, kinds: list[Posted], count: int, *, a_second: float) -> None:
    """At a steady rate, from four connections."""
    begin = time.monotonic()

    def run(start: int) -> None:
        poster, chance = Poster(shop), random.Random(start)
        for number in range(start, count, 4):
            time.sleep(max(0.0, begin + number / a_second - time.monotonic()))
            status, _seconds = poster.post(chance.choice(kinds))
            assert 400 <= status < 500, status

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--forged", type=int, default=10_000)
    parser.add_argument("--real", type=int, default=200, help="of each phase")
    parser.add_argument("--rate", type=float, default=100.0, help="forged ones a second")
    options = parser.parse_args()
    with stage() as (sandbox, folder):
        for name, value in sandbox.env.items():
            setattr(shop_settings, name, value)
        shop = Shop(sandbox, folder / "server.log", jobs=False, workers=1)
        try:
            made = [genuine(sandbox, payment) for payment in payments(options.real * 4)]
            phases = [made[n::4] for n in range(4)]
            poster = Poster(shop)
            medians(poster, phases[0])
            kinds = forged(sandbox, made[1][0])
            say(
                f"{connection.vendor}: {options.forged:,} forged notices, {options.rate:g} a second"
            )
            print_answers(poster, kinds)
            report(shop, poster, phases, list(kinds.values()), options)
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
    shop: Shop,
    poster: Poster,
    phases: list[list[Posted]],
    kinds: list[Posted],
    options: argparse.Namespace,
) -> None:
    before = medians(poster, phases[1])
    with ThreadPoolExecutor(1) as pool:
        flooding = pool.submit(flood, shop, kinds, options.forged, a_second=options.rate)
        time.sleep(1)
        during = medians(poster, phases[2])
        flooding.result()
    after = medians(poster, phases[3])
    for name, (median, slow) in (("before", before), ("during", during), ("after", after)):
        ratio = f"{median / before[0]:.2f} of before"
        say(f"real, {name:18}median {median:6.2f} ms, 99 % {slow:6.2f} ms, {ratio}")
    paid = Order.objects.filter(status="paid").count()
    say(f"orders paid: {paid} of {4 * options.real}")


if __name__ == "__main__":
    sys.exit(main())
