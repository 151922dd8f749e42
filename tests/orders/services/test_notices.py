"""Notices as anyone on the internet could post them (RELIABILITY P1-P14)."""

import base64
import socketserver
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from django.db import connection
from django.utils import timezone

from orders.models import BillDifference, Notice, Payment
from orders.services.notices import process_due_notices
from orders.status import OrderStatus, PaymentStatus
from tests.broken_rows import refusing
from tests.factories import make_order
from tests.notices import headers, message, transaction
from tests.orders.conftest import Deal, due_now

pytestmark = pytest.mark.django_db(transaction=True)


def post(deal: Deal, body: bytes, sent: dict[str, str]) -> int:
    answer = deal.api.client.post(
        "/api/v1/callbacks/wechatpay/", body, content_type="application/json", headers=sent
    )
    return answer.status_code


def listed() -> list[tuple[str, bool, str, Any, Any]]:
    """What waits for staff: kind, whether it is a refund, number, the platform's amount and ours."""
    rows = BillDifference.objects.filter(status="open").order_by("id")
    return [(row.kind, row.is_refund, row.number, row.theirs_fen, row.ours_fen) for row in rows]


def untouched(deal: Deal) -> None:
    assert deal.order.status == OrderStatus.PENDING_PAYMENT
    assert Payment.objects.get().status == PaymentStatus.CREATED
    assert not Notice.objects.exists()


@pytest.fixture
def genuine(deal: Deal) -> bytes:
    return message(deal.sandbox, transaction(deal.sandbox, deal.payment))


def test_a_genuine_notice_fifty_times(deal: Deal, genuine: bytes) -> None:
    """P1, T07."""
    answers = [post(deal, genuine, headers(deal.sandbox, genuine)) for _ in range(50)]
    assert answers == [204] * 50
    assert deal.order.events.count() == 2
    assert Notice.objects.get().outcome == "applied"


@pytest.mark.parametrize("skew", [-301, 301, -10 * 24 * 3600, "abc", "", "１２３", "9" * 400, None])
def test_timestamps(deal: Deal, genuine: bytes, skew: Any) -> None:
    """P8, P9."""
    # The clock stands: on a busy machine 301 seconds ahead are 300 by the time they are looked at.
    with time_machine.travel(int(time.time()), tick=False):
        refused(deal, genuine, skew)
    untouched(deal)


def refused(deal: Deal, genuine: bytes, skew: Any) -> None:
    stamp = int(time.time()) + skew if isinstance(skew, int) else skew
    sent = headers(deal.sandbox, genuine, timestamp=stamp)
    if skew is None:
        del sent["Wechatpay-Timestamp"]
    if skew == "１２３":
        sent["Wechatpay-Timestamp"] = "\xef\xbc\x91"
    assert post(deal, genuine, sent) == 401


def test_a_clock_that_is_a_little_off_is_fine(deal: Deal, genuine: bytes) -> None:
    sent = headers(deal.sandbox, genuine, timestamp=int(time.time()) - 280)
    assert post(deal, genuine, sent) == 204


@pytest.mark.parametrize(
    "signature", ["", "x", "WECHATPAY/SIGNTEST/abc", "AAAA", "é", "A" * 344, None]
)
def test_signatures(deal: Deal, genuine: bytes, signature: str | None) -> None:
    """P10."""
    sent = headers(deal.sandbox, genuine, **{"Wechatpay-Signature": signature})
    assert post(deal, genuine, sent) == 401
    untouched(deal)


def test_a_body_that_was_changed(deal: Deal, genuine: bytes) -> None:
    """P10, P12."""
    sent = headers(deal.sandbox, genuine)
    assert post(deal, genuine.replace(b"create_time", b"create_timE"), sent) == 401
    untouched(deal)


@pytest.fixture
def calls(settings: Any) -> Iterator[list[Any]]:
    """Whoever calls a platform now arrives here."""
    arrived: list[Any] = []
    with socketserver.ThreadingTCPServer(
        ("127.0.0.1", 0), lambda line, *_more: arrived.append(line)
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        settings.WECHATPAY_BASE_URL = settings.WECHAT_BASE_URL = settings.ALIPAY_BASE_URL = url
        yield arrived
        server.shutdown()


@pytest.mark.parametrize(
    "serial", ["", "PUB_KEY_ID_0", "5157F09EFDC096DE15EBE81A47057A7232F1B8E1", "x" * 10_000, None]
)
def test_serials_cause_no_call(
    deal: Deal, genuine: bytes, serial: str | None, calls: list[Any]
) -> None:
    """P11: an unauthenticated caller makes us call nobody."""
    sent = headers(deal.sandbox, genuine, **{"Wechatpay-Serial": serial})
    assert post(deal, genuine, sent) == 401
    assert calls == []
    untouched(deal)


@pytest.mark.parametrize(
    "kind", ["10 days old", "foreign", "unknown serial", "bit flipped", "probe"]
)
@pytest.mark.parametrize("certificates", [False, True])
def test_what_anybody_can_post_calls_nobody_and_leaves_nothing(
    deal: Deal, genuine: bytes, calls: list[Any], settings: Any, kind: str, certificates: bool
) -> None:
    """P8-P12, in public-key mode and while a merchant is switched."""
    settings.WECHATPAY_CERTIFICATES = certificates
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    good, body = headers(deal.sandbox, genuine), genuine
    match kind:
        case "10 days old":
            good = headers(deal.sandbox, genuine, timestamp=int(time.time()) - 10 * 24 * 3600)
        case "foreign":
            text = f"{good['Wechatpay-Timestamp']}\n{good['Wechatpay-Nonce']}\n".encode()
            seal = stranger.sign(text + body + b"\n", padding.PKCS1v15(), hashes.SHA256())
            good["Wechatpay-Signature"] = base64.b64encode(seal).decode()
        case "unknown serial":
            good["Wechatpay-Serial"] = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
        case "bit flipped":
            body = body[:100] + bytes([body[100] ^ 1]) + body[101:]
        case "probe":
            good["Wechatpay-Signature"] = "WECHATPAY/SIGNTEST/abc"
    assert post(deal, body, good) == 401
    assert calls == []
    untouched(deal)


def test_the_line_would_hear_a_call(deal: Deal, calls: list[Any]) -> None:
    """The control of the test above."""
    assert deal.check().status_code == 503
    assert len(calls) == 1


@pytest.mark.parametrize(
    "resource",
    [
        {"ciphertext": "AAAA"}, {"ciphertext": "not base64!"}, {"ciphertext": ""},
        {"ciphertext": None}, {"nonce": "short"}, {"nonce": ""}, {"nonce": "x" * 300},
        {"associated_data": "other"}, {"associated_data": None}, {"nonce": 7},
    ],
)  # fmt: skip
def test_resources_that_cannot_be_read(deal: Deal, resource: dict[str, Any]) -> None:
    """P12: signed, but not decryptable: 400, never 500."""
    body = message(deal.sandbox, transaction(deal.sandbox, deal.payment), **resource)
    assert post(deal, body, headers(deal.sandbox, body)) == 400
    untouched(deal)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"[" * 50_000, b'{"resource": 1}', b"<xml/>",
     b'{"resource": {"nonce": "x"}, "id": 1, "event_type": 2}'],
)  # fmt: skip
def test_bodies_that_are_none(deal: Deal, body: bytes) -> None:
    assert post(deal, body, headers(deal.sandbox, body)) == 400
    untouched(deal)


@pytest.mark.broken_books
@pytest.mark.parametrize(
    "changes",
    [
        {"amount": None}, {"amount": {"total": "3980"}}, {"amount": {"total": 3980.0}},
        {"amount": {"total": True}}, {"out_trade_no": 7}, {"trade_state": None},
        {"success_time": "yesterday"}, {"success_time": "2026-11-23T10:00:00"}, {"mchid": None},
    ],
)  # fmt: skip
def test_contents_of_another_shape(deal: Deal, changes: dict[str, Any]) -> None:
    body = message(deal.sandbox, transaction(deal.sandbox, deal.payment, **changes))
    code = post(deal, body, headers(deal.sandbox, body))
    assert code in {204, 400}
    assert deal.order.status == OrderStatus.PENDING_PAYMENT


@pytest.mark.broken_books
@pytest.mark.parametrize(
    "amount",
    [{"total": 1, "currency": "CNY"}, {"total": 3981, "currency": "CNY"},
     {"total": 3980, "currency": "USD"}, {"total": -3980, "currency": "CNY"}],
)  # fmt: skip
def test_amounts_that_are_not_ours(deal: Deal, amount: dict[str, Any]) -> None:
    """T04, P5: not believed, and listed for staff."""
    body = message(deal.sandbox, transaction(deal.sandbox, deal.payment, amount=amount))
    assert post(deal, body, headers(deal.sandbox, body)) == 204
    assert Notice.objects.get().outcome == "anomaly"
    assert deal.order.status == OrderStatus.PENDING_PAYMENT
    assert listed() == [("amount", False, deal.payment.number, amount["total"], 3980)]
    assert BillDifference.objects.get().notice == Notice.objects.get()
    # What the platform says next is right, so nothing is left to do.
    body = message(deal.sandbox, transaction(deal.sandbox, deal.payment))
    assert post(deal, body, headers(deal.sandbox, body)) == 204
    assert (deal.order.status, listed()) == (OrderStatus.PAID, [])


def test_a_discount_of_the_platform_is_no_mismatch(deal: Deal) -> None:
    """P5: what the payer paid may be less than the total."""
    amount = {"total": 3980, "payer_total": 2980, "currency": "CNY"}
    body = message(deal.sandbox, transaction(deal.sandbox, deal.payment, amount=amount))
    assert post(deal, body, headers(deal.sandbox, body)) == 204
    assert deal.order.status == OrderStatus.PAID


def test_somebody_may_pay_for_a_friend(deal: Deal) -> None:
    """P7: accepted; the refund would go to the payer."""
    content = transaction(deal.sandbox, deal.payment, payer={"openid": "o-friend"})
    body = message(deal.sandbox, content)
    post(deal, body, headers(deal.sandbox, body))
    assert deal.order.status == OrderStatus.PAID


@pytest.mark.broken_books
def test_a_number_that_is_not_ours(deal: Deal) -> None:
    """P6: the platform may know more than we do; one row, however often it is told."""
    for _ in range(2):
        body = message(
            deal.sandbox, transaction(deal.sandbox, deal.payment, out_trade_no="P-another-shop")
        )
        assert post(deal, body, headers(deal.sandbox, body)) == 204
    assert set(Notice.objects.values_list("outcome", flat=True)) == {"anomaly"}
    assert listed() == [("not_ours", False, "P-another-shop", 3980, None)]


@pytest.mark.parametrize("state", ["CLOSED", "NOTPAY", "REVOKED"])
def test_a_number_that_is_not_ours_and_no_money_is_ignored(deal: Deal, state: str) -> None:
    content = transaction(
        deal.sandbox, deal.payment, out_trade_no="P-another-shop", trade_state=state
    )
    body = message(deal.sandbox, content)
    assert post(deal, body, headers(deal.sandbox, body)) == 204
    assert (Notice.objects.get().outcome, listed()) == ("ignored", [])


@pytest.mark.broken_books
def test_a_transaction_of_another_payment(deal: Deal) -> None:
    body = message(deal.sandbox, transaction(deal.sandbox, deal.payment))
    post(deal, body, headers(deal.sandbox, body))
    other = make_order(deal.user, sku=deal.sku, quantity=2)
    second = Payment.objects.create(
        order=other, channel="wechat", number="P-second", payer=deal.payment.payer,
        amount_fen=3980, created_at=timezone.now(), due_at=timezone.now(),
    )  # fmt: skip
    body = message(deal.sandbox, transaction(deal.sandbox, second))
    assert post(deal, body, headers(deal.sandbox, body)) == 204

    assert Notice.objects.order_by("id").last().outcome == "anomaly"
    second.refresh_from_db()
    other.refresh_from_db()
    assert (second.status, other.status) == ("created", "pending_payment")
    assert listed() == [("transaction", False, "P-second", 3980, 3980)]


@pytest.mark.broken_books
def test_a_refund_we_never_asked_for(deal: Deal) -> None:
    """P4: its payment is asked for first; the refund itself is an anomaly."""
    deal.sandbox.fault("wechatpay.notice", "dropped")
    deal.pay()
    content = {
        "mchid": deal.sandbox.env["WECHATPAY_MCH_ID"],
        "out_trade_no": deal.payment.number,
        "out_refund_no": "R-unknown",
        "refund_id": "50",
        "refund_status": "SUCCESS",
        "amount": {"total": 3980, "refund": 3980},
    }
    body = message(deal.sandbox, content, event="REFUND.SUCCESS")
    assert post(deal, body, headers(deal.sandbox, body)) == 204
    assert deal.order.status == OrderStatus.PAID
    assert Notice.objects.get().outcome == "anomaly"
    assert listed() == [("not_ours", True, "R-unknown", 3980, None)]
    assert BillDifference.objects.get().payment == deal.payment
    # It was closed, so no money went back.
    body = message(deal.sandbox, {**content, "refund_status": "CLOSED"}, event="REFUND.CLOSED")
    assert post(deal, body, headers(deal.sandbox, body)) == 204
    assert listed() == []


@pytest.mark.broken_books
def test_a_refund_of_a_payment_we_do_not_know_is_listed(deal: Deal) -> None:
    content = {
        "mchid": deal.sandbox.env["WECHATPAY_MCH_ID"],
        "out_trade_no": "P-forgotten",
        "out_refund_no": "R-unknown",
        "refund_id": "50",
        "refund_status": "SUCCESS",
        "amount": {"total": 3980, "refund": 1000},
    }
    body = message(deal.sandbox, content, event="REFUND.SUCCESS")
    assert post(deal, body, headers(deal.sandbox, body)) == 204
    assert listed() == [("not_ours", True, "R-unknown", 1000, None)]
    assert BillDifference.objects.get().payment_number == "P-forgotten"


def test_a_notice_that_was_kept_but_not_applied(deal: Deal, genuine: bytes) -> None:
    """P27: the process died between inbox and effect; the job applies it, once."""
    post(deal, genuine, headers(deal.sandbox, genuine))
    Notice.objects.update(outcome="new", processed_at=None, due_at="2026-01-01T00:00Z")
    process_due_notices()
    process_due_notices()
    assert Notice.objects.get().outcome == "applied"
    assert deal.order.events.count() == 2


def test_a_notice_while_the_database_is_broken(deal: Deal, genuine: bytes) -> None:
    """P26: 5xx, so that the platform repeats it; afterwards paid once."""

    def rename(old: str, new: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")

    rename("orders_notice", "orders_notice_away")
    try:
        assert post(deal, genuine, headers(deal.sandbox, genuine)) == 503
    finally:
        rename("orders_notice_away", "orders_notice")
    assert post(deal, genuine, headers(deal.sandbox, genuine)) == 204
    assert deal.order.status == OrderStatus.PAID
    assert deal.order.events.count() == 2


@pytest.mark.broken_books
def test_a_notice_that_breaks_is_kept_and_answered(deal: Deal, genuine: bytes) -> None:
    """It stands in the inbox: the platform need not repeat it, and the job says why it fails."""
    with refusing("orders_order", "id", deal.order.pk):
        assert post(deal, genuine, headers(deal.sandbox, genuine)) == 204
        assert Notice.objects.get().outcome == "new"
        due_now(Notice)
        process_due_notices()
        assert "broken" in Notice.objects.get().last_error
    due_now(Notice)
    process_due_notices()
    assert Notice.objects.get().outcome == "applied"
    assert deal.order.status == OrderStatus.PAID


def test_only_post_and_only_small(deal: Deal, genuine: bytes) -> None:
    """A10."""
    client = deal.api.client
    for method in ("get", "put", "delete", "patch"):
        assert getattr(client, method)("/api/v1/callbacks/wechatpay/").status_code == 405
    large = b"x" * 70_000
    assert post(deal, large, headers(deal.sandbox, large)) == 413
    untouched(deal)


def test_a_shop_without_keys_asks_for_a_repeat(deal: Deal, genuine: bytes, settings: Any) -> None:
    sent = headers(deal.sandbox, genuine)
    settings.WECHATPAY_PUBLIC_KEY_FILE = "/nowhere.pem"
    assert post(deal, genuine, sent) == 503
