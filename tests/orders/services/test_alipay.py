"""A deal paid by Alipay, and by both wallets at once (RELIABILITY 2.2, 2.3)."""

import time
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from accounts.models import Identity, User
from miniback.jobs import deliver_outbox
from orders.models import BillDifference, LedgerEntry, Notice, Order, Payment, Refund
from orders.services.cancellation import close_unpaid_orders
from orders.services.refund_decisions import approve_refund
from orders.services.refunds import send_due_refunds
from orders.services.settlement import check_due_payments
from orders.status import OrderStatus
from tests.alipay_notices import form, signed
from tests.conftest import Api
from tests.factories import make_access, make_address, make_sku
from tests.orders.conftest import Deal, assert_audit_passes, due_now, place
from tests.orders.services.test_payment import settle_refunds
from tests.sandbox_process import SandboxProcess, until

pytestmark = pytest.mark.django_db(transaction=True)


def log_in(shop: SandboxProcess, platform: str, openid: str = "o-customer") -> Api:
    api, code = Api(), shop.code(openid, platform=platform)
    answer = api.post("auth/login/", {"platform": platform, "code": code})
    assert answer.status_code == 200, answer.content
    api.access = answer.json()["access"]
    make_address(User.objects.get(pk=answer.json()["user"]["id"]))
    return api


@pytest.fixture
def deal(shop: SandboxProcess) -> Deal:
    """Two pieces at 19.90, stock of ten; Alipay's payment sheet is open."""
    api = log_in(shop, "alipay")
    sku = make_sku(price_fen=1990, stock=10)
    number = place(api, sku)
    asked = api.post(f"orders/{number}/pay/", {"channel": "alipay"})
    assert asked.status_code == 200, asked.content
    payment = Payment.objects.get(number=asked.json()["payment"])
    return Deal(api, shop, payment.order.user, sku, number, payment, asked.json()["params"])


@pytest.fixture(autouse=True)
def _books_agree(deal: Deal) -> Any:
    """However it went: our books hold, and the platform's are the same to the fen."""
    yield
    if Refund.objects.exists():
        settle_refunds(deal)
    assert_audit_passes()
    at_platforms = LedgerEntry.objects.filter(account__startswith="platform:")
    assert sum(at_platforms.values_list("amount_fen", flat=True)) == deal.sandbox.net_fen()


def post(deal: Deal, fields: dict[str, str] | str) -> tuple[int, str]:
    body = fields if isinstance(fields, str) else urlencode(fields)
    answer = deal.api.client.post(
        "/api/v1/callbacks/alipay/", body, content_type="application/x-www-form-urlencoded"
    )
    return answer.status_code, answer.content.decode()


def test_a_notice_makes_the_order_paid(deal: Deal) -> None:
    assert deal.params.keys() == {"tradeNO"}
    deal.pay()
    until(lambda: deal.order.status == OrderStatus.PAID)
    payment = Payment.objects.get()
    assert (payment.status, payment.is_applied, payment.channel) == ("paid", True, "alipay")
    assert payment.transaction_id == deal.params["tradeNO"]
    assert LedgerEntry.objects.get(account="platform:alipay").amount_fen == 3980
    until(lambda: deal.sandbox.notifications()[0]["delivered_at"])
    assert deal.sandbox.notifications()[0]["answers"] == [200]


def test_asking_twice_gives_the_same_payment(deal: Deal) -> None:
    again = deal.api.post(f"orders/{deal.number}/pay/", {"channel": "alipay"}).json()
    assert (again["payment"], again["params"]) == (deal.payment.number, deal.params)


def test_a_notice_that_never_comes(deal: Deal) -> None:
    """P17."""
    deal.sandbox.fault("alipay.notice", "dropped")
    deal.pay()
    due_now(Payment)
    check_due_payments()
    assert deal.order.status == OrderStatus.PAID


@pytest.mark.parametrize("fault", ["duplicate", "wrong_signature", "delayed"])
def test_notices_that_come_twice_late_or_spoiled(deal: Deal, fault: str) -> None:
    """P1, P10: a spoiled one is refused, and the next is good."""
    deal.sandbox.fault("alipay.notice", fault, copies=5, seconds=1)
    deal.pay()
    until(lambda: deal.order.status == OrderStatus.PAID)
    # That it was applied is noted after it was.
    until(Notice.objects.exclude(outcome="new").exists)
    kept = Notice.objects.values_list("payment__number", "event_type", "outcome")
    assert list(kept) == [(deal.payment.number, "TRADE_SUCCESS", "applied")]
    assert deal.order.events.filter(to_status="paid").count() == 1


@pytest.mark.parametrize("fault", ["wrong_amount", "wrong_app_id", "wrong_mch_id", "not_success"])
def test_genuine_notices_of_something_else(deal: Deal, fault: str) -> None:
    """P3 to P6, P13: kept for staff, not believed; the query settles it."""
    deal.sandbox.fault("alipay.notice", fault)
    deal.pay()
    until(Notice.objects.exclude(outcome="new").exists)
    assert deal.order.status == OrderStatus.PENDING_PAYMENT
    assert Notice.objects.get().outcome == ("ignored" if fault == "not_success" else "anomaly")
    due_now(Payment)
    check_due_payments()
    assert deal.order.status == OrderStatus.PAID


# Notices made by hand


def untouched(deal: Deal) -> None:
    assert deal.order.status == OrderStatus.PENDING_PAYMENT
    assert not Notice.objects.exists()


def test_a_field_twice_is_refused(deal: Deal) -> None:
    """P24."""
    body = urlencode(signed(deal.sandbox, form(deal.sandbox, deal.payment)))
    assert post(deal, f"{body}&total_amount=0.01") == (400, "fail FIELD_TWICE")
    assert post(deal, f"total_amount=0.01&{body}") == (400, "fail FIELD_TWICE")
    untouched(deal)


@pytest.mark.parametrize("kind", ["RSA", "", "rsa2", "MD5", None])
def test_only_rsa2_counts(deal: Deal, kind: str | None) -> None:
    """P24."""
    fields = signed(deal.sandbox, form(deal.sandbox, deal.payment), sign_type=kind)
    assert post(deal, fields) == (401, "fail BAD_SIGNATURE_TYPE")
    untouched(deal)


@pytest.mark.parametrize(
    "body",
    ["", "x", "a=1", "charset=klingon", "sign=%FF", "%00=1", "sign_type=RSA2&sign=AAAA",
     "&".join(f"f{n}=1" for n in range(200)), "\xff", "sign_type=RSA2&sign=%E4%BD%A0"],
)  # fmt: skip
def test_what_is_no_notice(deal: Deal, body: str) -> None:
    status, text = post(deal, body)
    assert status in {400, 401}
    assert text.startswith("fail ")
    untouched(deal)


@pytest.mark.parametrize("field", ["total_amount", "out_trade_no", "trade_status", "notify_id"])
def test_a_field_that_was_changed(deal: Deal, field: str) -> None:
    """P10."""
    fields = signed(deal.sandbox, form(deal.sandbox, deal.payment))
    assert post(deal, {**fields, field: "0.01"}) == (401, "fail BAD_SIGNATURE")
    assert post(deal, {**fields, "extra": "1"}) == (401, "fail BAD_SIGNATURE")
    untouched(deal)


def test_a_notice_in_gbk_with_a_field_nobody_knows(deal: Deal) -> None:
    """P24: what was received is what is verified, in its own charset."""
    deal.sandbox.fault("alipay.notice", "dropped")
    deal.pay()
    fields = form(
        deal.sandbox, deal.payment, charset="gbk", subject="龙井绿茶", passback="a&b=c 中"
    )
    given = signed(deal.sandbox, fields, encoding="gb18030")
    assert post(deal, urlencode(given, encoding="gb18030")) == (200, "success")
    assert deal.order.status == OrderStatus.PAID


def test_the_notice_of_a_refund_is_no_payment(deal: Deal) -> None:
    """P22: TRADE_SUCCESS with the sum of refunds in it; nothing rises, nothing is paid twice."""
    deal.pay()
    until(lambda: deal.order.status == OrderStatus.PAID)
    order = deal.order
    line = order.lines.get()
    asked = deal.api.ask_refund(
        deal.number,
        {"lines": [{"line": line.pk, "quantity": 1}], "kind": "refund_only", "reason": "不想要了"},
    )
    assert asked.status_code == 201, asked.content
    staff = User.objects.create_user(username="clerk")
    approve_refund(Refund.objects.get(), user=staff)
    send_due_refunds()
    assert Refund.objects.get().status == "succeeded"
    until(lambda: Notice.objects.filter(event_type="refund").exclude(outcome="new").exists())
    assert Notice.objects.get(event_type="refund").outcome == "applied"
    assert not BillDifference.objects.exists()
    assert (deal.order.status, Payment.objects.count()) == (OrderStatus.PAID, 1)
    assert deal.sandbox.ledger()["totals"] == {"paid_fen": 3980, "refunded_fen": 1990}


@pytest.mark.parametrize("state", ["TRADE_FINISHED", "WAIT_BUYER_PAY"])
def test_nothing_is_taken_back_by_a_late_state(deal: Deal, state: str) -> None:
    """P23."""
    deal.pay()
    until(lambda: deal.order.status == OrderStatus.PAID)
    fields = form(deal.sandbox, deal.payment, trade_status=state, trade_no=deal.params["tradeNO"])
    assert post(deal, signed(deal.sandbox, fields)) == (200, "success")
    assert (deal.order.status, Payment.objects.get().status) == (OrderStatus.PAID, "paid")


def test_a_trade_that_timed_out(deal: Deal) -> None:
    """P23: TRADE_CLOSED ends an open payment, and the order waits for another."""
    fields = form(deal.sandbox, deal.payment, trade_status="TRADE_CLOSED")
    del fields["gmt_payment"]
    assert post(deal, signed(deal.sandbox, fields)) == (200, "success")
    assert Payment.objects.get().status == "closed"
    assert deal.order.status == OrderStatus.PENDING_PAYMENT


# Refunds


def cancelled_late(deal: Deal) -> None:
    deal.sandbox.fault("alipay.close", "http_500", times=3)
    assert deal.api.post(f"orders/{deal.number}/cancel/").status_code == 200
    deal.pay()
    until(lambda: Payment.objects.get().status == "paid")


def test_money_that_comes_after_cancelling_goes_back(deal: Deal) -> None:
    """P14."""
    cancelled_late(deal)
    settle_refunds(deal)
    refund = Refund.objects.get()
    assert (refund.status, refund.number) == ("succeeded", f"R{deal.payment.number}")
    assert deal.sandbox.ledger()["totals"] == {"paid_fen": 3980, "refunded_fen": 3980}


@pytest.mark.parametrize(
    "fault",
    ["fund_change_n", "http_500_after", "code_20000", "timeout_after", "unsigned", "cut_off"],
)
def test_a_refund_whose_outcome_is_not_told(deal: Deal, fault: str) -> None:
    """P19: code 10000 without fund_change, a lost or unsigned answer: the query says, once."""
    deal.sandbox.fault("alipay.refund", fault, seconds=4)
    cancelled_late(deal)
    send_due_refunds()
    assert Refund.objects.get().status in {"processing", "failed"}
    settle_refunds(deal)
    assert Refund.objects.get().status == "succeeded"
    assert deal.sandbox.ledger()["totals"]["refunded_fen"] == 3980


def test_a_balance_that_is_too_low(deal: Deal) -> None:
    """P20."""
    deal.sandbox.fault("alipay.refund", "not_enough")
    cancelled_late(deal)
    send_due_refunds()
    refund = Refund.objects.get()
    assert (refund.status, "SELLER_BALANCE_NOT_ENOUGH" in refund.last_error) == ("failed", True)
    settle_refunds(deal)
    assert Refund.objects.get().status == "succeeded"


def test_closing_what_was_paid_meanwhile(deal: Deal) -> None:
    """P21: the platform refuses to close; the money is found, and goes back."""
    deal.sandbox.fault("alipay.notice", "dropped", times=2)
    deal.pay()
    Order.objects.update(pay_before=timezone.now() - timedelta(minutes=1))
    close_unpaid_orders()
    deliver_outbox()
    payment = Payment.objects.get()
    assert payment.status == "paid"


# Two platforms


def test_both_wallets_pay_one_order(deal: Deal, settings: Any) -> None:
    """P15: the first is kept, the second goes back whole."""
    wechat = Identity.objects.create(
        user=deal.user, platform="wechat", app_id=settings.WECHAT_APP_ID, openid="o-customer"
    )
    deal.sandbox.code()
    other = Api(access=make_access(deal.user, identity=wechat))
    asked = other.post(f"orders/{deal.number}/pay/", {"channel": "wechat"})
    assert asked.status_code == 200, asked.content
    deal.pay()
    assert deal.sandbox.pay(asked.json()["params"]).ok
    until(lambda: Payment.objects.filter(status="paid").count() == 2)
    kept, back = Payment.objects.order_by("-is_applied")
    assert (kept.is_applied, back.is_applied) == (True, False)
    settle_refunds(deal)
    assert Refund.objects.get().payment == back
    assert deal.sandbox.net_fen() == 3980
    assert deal.order.status == OrderStatus.PAID


def test_a_session_pays_by_its_own_platform(deal: Deal) -> None:
    refused = deal.api.post(f"orders/{deal.number}/pay/", {"channel": "wechat"})
    assert (refused.status_code, refused.json()["code"]) == (400, "wrong_platform")
    assert Payment.objects.count() == 1


def test_a_platform_this_shop_is_not_on(deal: Deal, settings: Any) -> None:
    settings.DOUYIN_APP_ID = ""
    refused = Api().post("auth/login/", {"platform": "douyin", "code": "x" * 20})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid")


def test_douyin_customers_shop_and_cannot_pay(deal: Deal) -> None:
    api = log_in(deal.sandbox, "douyin", "o-douyin")
    number = place(api, deal.sku, quantity=1, key="key-douyin-1")
    for channel in ("wechat", "alipay"):
        refused = api.post(f"orders/{number}/pay/", {"channel": channel})
        assert refused.json()["code"] == "wrong_platform"


@pytest.mark.parametrize("fault", ["timeout_before", "http_500", "html", "unsigned", "redirect"])
def test_a_platform_that_is_down(deal: Deal, fault: str) -> None:
    """P18: 503 in under six seconds, still payable, settled by itself afterwards."""
    number = place(deal.api, deal.sku, quantity=1, key="key-00000002")
    deal.sandbox.fault("alipay.create", fault)
    began = time.monotonic()
    refused = deal.api.post(f"orders/{number}/pay/", {"channel": "alipay"})
    assert time.monotonic() - began < 6
    assert (refused.status_code, refused.json()["code"]) == (503, "platform_unavailable")
    again = deal.api.post(f"orders/{number}/pay/", {"channel": "alipay"})
    assert again.status_code == 200
    assert Payment.objects.filter(order__number=number).count() == 1
