"""Paying, with the platform's answers as they come, and as they should not (RELIABILITY 2.2)."""

import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from miniback.core.models import OutboxMessage
from miniback.jobs import deliver_outbox
from orders.models import Notice, Order, Payment, Refund
from orders.services.cancellation import close_unpaid_orders
from orders.services.refunds import send_due_refunds
from orders.services.settlement import check_due_payments
from orders.status import OrderStatus, PaymentStatus, RefundStatus
from tests.conftest import Api
from tests.factories import make_sku
from tests.orders.conftest import Deal, due_now, place
from tests.platforms.test_wechatpay import make_client
from tests.sandbox_process import SandboxProcess, until

pytestmark = pytest.mark.django_db(transaction=True)


def ask(api: Api, number: str) -> Any:
    return api.post(f"orders/{number}/pay/", {"channel": "wechat"})


# The way it should be


def test_a_notice_makes_the_order_paid(deal: Deal) -> None:
    deal.pay()
    deal.sandbox.wait_for_notices()
    until(lambda: deal.order.status == OrderStatus.PAID)

    payment = Payment.objects.get()
    assert (payment.status, payment.is_applied, payment.due_at) == ("paid", True, None)
    assert payment.transaction_id == deal.sandbox.ledger()["payments"][0]["transaction_id"]
    assert Notice.objects.get().payment == payment
    assert deal.sandbox.notifications()[0]["answers"] == [204]
    deal.sku.product.refresh_from_db()
    assert deal.sku.product.sales_count == 2


def test_asking_twice_gives_the_same_payment(deal: Deal) -> None:
    again = ask(deal.api, deal.number)
    assert again.json()["payment"] == deal.payment.number
    assert again.json()["params"]["package"] == deal.params["package"]
    assert again.json()["params"]["paySign"] != deal.params["paySign"]
    assert Payment.objects.count() == 1


def test_the_amount_at_the_platform_is_ours(deal: Deal) -> None:
    """T03: whatever a client sends beside."""
    evil = {"channel": "wechat", "amount": 1, "total": 1, "price": 1, "pay_amount": 1}
    deal.api.post(f"orders/{deal.number}/pay/?amount=1", evil)
    deal.pay()
    assert deal.sandbox.ledger()["totals"]["paid_fen"] == 3980


def test_the_five_fields_cannot_be_changed(deal: Deal) -> None:
    for name in ("timeStamp", "nonceStr", "package"):
        changed = {**deal.params, name: deal.params[name] + "0"}
        assert deal.sandbox.pay(changed).status_code == 400
    assert deal.sandbox.ledger()["payments"] == []


def test_there_is_no_way_to_paid_but_the_platform(deal: Deal, client: Any) -> None:
    """T02: forged posts to every path that has to do with paying."""
    paths = [f"orders/{deal.number}/{verb}/" for verb in ("pay", "paid", "pay-success", "notify")]
    paths += [f"payments/{deal.payment.number}/{verb}/" for verb in ("check", "paid", "success")]
    paths += ["callbacks/wechatpay/", "callbacks/wechatpay"]
    forged = {"channel": "wechat", "status": "paid", "trade_state": "SUCCESS", "result": "ok"}
    for path in paths:
        for method in ("POST", "PUT", "GET", "DELETE"):
            deal.api.call(method, path, forged if method in {"POST", "PUT"} else None)
    assert deal.order.status == OrderStatus.PENDING_PAYMENT
    assert Payment.objects.get().status == PaymentStatus.CREATED


def test_only_its_customer_may_pay_or_check(deal: Deal, stranger_api: Api) -> None:
    """T13."""
    assert ask(stranger_api, deal.number).status_code == 404
    assert stranger_api.post(f"payments/{deal.payment.number}/check/").status_code == 404


def test_checking_is_bounded(deal: Deal) -> None:
    assert deal.check().json()["status"] == "created"
    answer = deal.api.post(f"payments/{deal.payment.number}/check/")
    assert (answer.status_code, answer.json()["code"]) == (429, "throttled")
    assert answer.json()["retry_after"] == 2


def test_paying_twice_is_refused(deal: Deal) -> None:
    deal.pay()
    assert deal.check().json()["status"] == "paid"
    answer = ask(deal.api, deal.number)
    assert (answer.status_code, answer.json()["code"]) == (409, "order_status")
    assert answer.json()["status"] == "paid"


def test_time_to_pay_ends(deal: Deal) -> None:
    Order.objects.update(pay_before=timezone.now() - timedelta(seconds=1))
    answer = ask(deal.api, deal.number)
    assert (answer.status_code, answer.json()["code"]) == (409, "payment_expired")


# Notices that come late, twice, early, never


def test_a_notice_that_is_lost_for_ever(deal: Deal, capsys: Any) -> None:
    """P17: paid by the second sweep at the latest."""
    deal.sandbox.fault("wechatpay.notice", "dropped")
    deal.pay()
    paid_at = time.monotonic()
    sweeps = 0
    while deal.order.status != OrderStatus.PAID:
        due_now(Payment)
        check_due_payments()
        sweeps += 1
        assert sweeps <= 2
    assert time.monotonic() - paid_at < 10
    assert not Notice.objects.exists()


def test_the_first_sweep_comes_after_fifteen_seconds(deal: Deal) -> None:
    assert deal.payment.due_at - deal.payment.created_at == timedelta(seconds=15)


def test_a_delayed_notice_after_a_check(deal: Deal) -> None:
    deal.sandbox.fault("wechatpay.notice", "delayed", seconds=1)
    deal.pay()
    assert deal.check().json()["order_status"] == "paid"
    deal.sandbox.wait_for_notices()
    assert deal.order.events.count() == 2
    # What was recorded already is nothing to worry about.
    assert Notice.objects.get().outcome == "applied"


def test_a_notice_twice(deal: Deal) -> None:
    """P1, T07: each answered 2xx, applied once."""
    deal.sandbox.fault("wechatpay.notice", "duplicate", copies=5)
    deal.pay()
    sent = deal.sandbox.wait_for_notices()[0]
    deal.sandbox.post(f"/notifications/{sent['id']}/resend/")
    until(lambda: len(deal.sandbox.notifications()[0]["answers"]) == 6)

    assert deal.sandbox.notifications()[0]["answers"] == [204] * 6
    assert [event.to_status for event in deal.order.events.order_by("id")] == [
        "pending_payment", "paid",
    ]  # fmt: skip
    assert Notice.objects.count() == 1


def test_a_notice_before_the_prepay_answer(payer: Api, shop: SandboxProcess) -> None:
    """P2: the payment was committed before the call; the late answer does not set it back."""
    shop.fault("wechatpay.order", "notice_first", seconds=1.5)
    number = place(payer, make_sku(stock=10))
    asked = ask(payer, number)

    assert asked.status_code == 200
    payment = Payment.objects.get()
    assert (payment.status, payment.is_applied) == ("paid", True)
    assert Order.objects.get().status == OrderStatus.PAID
    assert payment.prepay_id


@pytest.mark.parametrize("fault", ["wrong_signature", "stale_timestamp", "probe"])
def test_a_spoiled_notice_is_refused_and_its_repeat_taken(deal: Deal, fault: str) -> None:
    """P9, P10: a probe must not get a 2xx; the real one follows."""
    deal.sandbox.fault("wechatpay.notice", fault)
    deal.pay()
    until(lambda: len(deal.sandbox.wait_for_notices()[0]["answers"]) == 2)

    assert deal.sandbox.notifications()[0]["answers"] == [401, 204]
    until(lambda: deal.order.status == OrderStatus.PAID)
    assert Notice.objects.count() == 1


@pytest.mark.broken_books
@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("wrong_amount", {"by_fen": -1}), ("wrong_amount", {"by_fen": 1}),
        ("wrong_amount", {"by_fen": -3979}), ("wrong_app_id", {}), ("wrong_mch_id", {}),
    ],
)  # fmt: skip
def test_a_notice_that_is_not_about_our_money(
    deal: Deal, fault: str, options: dict[str, int]
) -> None:
    """T04, P5, P6: verified but wrong is an anomaly, not a payment."""
    deal.sandbox.fault("wechatpay.notice", fault, **options)
    deal.pay()
    deal.sandbox.wait_for_notices()

    notice = until(lambda: list(Notice.objects.exclude(outcome="new")))[0]
    assert notice.outcome == "anomaly"
    assert deal.order.status == OrderStatus.PENDING_PAYMENT
    assert Payment.objects.get().status == PaymentStatus.CREATED
    assert deal.sandbox.notifications()[0]["answers"] == [204]


def test_success_in_name_only(deal: Deal) -> None:
    """P13: TRANSACTION.SUCCESS with a trade_state that is not."""
    deal.sandbox.fault("wechatpay.notice", "not_success")
    deal.pay()
    deal.sandbox.wait_for_notices()
    until(lambda: Notice.objects.filter(outcome="ignored").exists())
    assert deal.order.status == OrderStatus.PENDING_PAYMENT


# A platform that does not answer as it should


@pytest.mark.parametrize(
    "fault",
    [
        "timeout_before", "timeout_after", "http_500", "http_500_after", "http_429", "html",
        "empty", "cut_off", "unsigned", "wrong_signature", "redirect",
    ],
)  # fmt: skip
def test_an_order_survives_whatever_the_platform_answers(
    payer: Api, shop: SandboxProcess, fault: str
) -> None:
    """P18: 503 in less than six seconds, the order stays payable, nothing is charged twice."""
    number = place(payer, make_sku(stock=10))
    shop.fault("wechatpay.order", fault)
    started = time.monotonic()
    answer = ask(payer, number)

    assert time.monotonic() - started < 6
    assert (answer.status_code, answer.json()["code"]) == (503, "platform_unavailable")
    assert Order.objects.get().status == OrderStatus.PENDING_PAYMENT
    assert Payment.objects.get().status == PaymentStatus.UNKNOWN

    again = ask(payer, number)
    assert again.status_code == 200
    assert Payment.objects.count() == 1
    assert shop.pay(again.json()["params"]).ok
    until(lambda: Order.objects.get().status == OrderStatus.PAID)
    assert len(shop.ledger()["payments"]) == 1


def test_an_order_survives_an_unreachable_platform(
    payer: Api, shop: SandboxProcess, settings: Any
) -> None:
    """P18: connection refused."""
    number = place(payer, make_sku(stock=10))
    good, settings.WECHATPAY_BASE_URL = settings.WECHATPAY_BASE_URL, "http://127.0.0.1:9"
    assert ask(payer, number).status_code == 503
    settings.WECHATPAY_BASE_URL = good
    assert ask(payer, number).status_code == 200


@pytest.mark.parametrize(
    "fault", ["timeout_after", "unsigned", "wrong_signature", "http_500", "html"]
)
def test_an_answer_that_cannot_be_trusted_pays_nothing(deal: Deal, fault: str) -> None:
    """P18: an unsigned 2xx counts as a failure; the next good answer counts."""
    deal.sandbox.fault("wechatpay.notice", "dropped")
    deal.pay()
    deal.sandbox.fault("wechatpay.query", fault)
    answer = deal.check()
    assert (answer.status_code, answer.json()["code"]) == (503, "platform_unavailable")
    assert deal.order.status == OrderStatus.PENDING_PAYMENT
    assert deal.check().json()["status"] == "paid"


@pytest.mark.parametrize("query_fault", [None, "http_500"])
def test_a_payment_that_was_closed_at_the_platform_is_replaced(
    deal: Deal, query_fault: str | None
) -> None:
    make_client(deal.sandbox).close(deal.payment.number)
    Payment.objects.update(prepay_until=None)
    if query_fault:
        deal.sandbox.fault("wechatpay.query", query_fault)
        assert ask(deal.api, deal.number).status_code == 503
    assert ask(deal.api, deal.number).status_code == 503
    fresh = ask(deal.api, deal.number).json()
    assert fresh["payment"] != deal.payment.number
    assert deal.sandbox.pay(fresh["params"]).ok


def test_asking_to_pay_what_was_paid_meanwhile(deal: Deal) -> None:
    deal.sandbox.fault("wechatpay.notice", "dropped")
    deal.pay()
    Payment.objects.update(prepay_until=None)
    answer = ask(deal.api, deal.number)
    assert (answer.status_code, answer.json()["status"]) == (409, "paid")


def test_bad_keys_are_the_shops_problem(payer: Api, shop: SandboxProcess, settings: Any) -> None:
    number = place(payer, make_sku(stock=10))
    settings.WECHATPAY_PRIVATE_KEY_FILE = "/nowhere.pem"
    assert ask(payer, number).status_code == 503
    assert Order.objects.get().status == OrderStatus.PENDING_PAYMENT


# Cancelled, and paid all the same


def settle_refunds(deal: Deal) -> None:
    """Until the platform says that the money is back."""

    def settled() -> bool:
        due_now(Refund)
        send_due_refunds()
        return not Refund.objects.exclude(status=RefundStatus.SUCCEEDED).exists()

    until(settled)


def test_money_for_a_cancelled_order_goes_back(deal: Deal) -> None:
    """T05, T06, P14: the order stays cancelled; exactly one refund, in full, also after a repeat."""
    deal.sandbox.fault("wechatpay.notice", "delayed", seconds=1)
    deal.pay()
    assert deal.api.post(f"orders/{deal.number}/cancel/").json()["status"] == "cancelled"
    assert deal.stock() == 10
    sent = deal.sandbox.wait_for_notices()[0]
    until(lambda: Payment.objects.get().status == PaymentStatus.PAID)
    deal.sandbox.post(f"/notifications/{sent['id']}/resend/")
    settle_refunds(deal)

    assert deal.order.status == OrderStatus.CANCELLED
    assert not Payment.objects.get().is_applied
    refund = Refund.objects.get()
    assert (refund.number, refund.amount_fen) == (f"R{deal.payment.number}", 3980)
    assert deal.stock() == 10
    assert len(deal.sandbox.ledger()["refunds"]) == 1
    assert deal.sandbox.net_fen() == 0
    order = deal.api.get(f"orders/{deal.number}/").json()
    assert [row["status"] for row in order["refunds"]] == ["succeeded"]


def test_cancelling_closes_the_payment_at_the_platform(deal: Deal) -> None:
    deal.api.post(f"orders/{deal.number}/cancel/")
    deliver_outbox()
    assert Payment.objects.get().status == PaymentStatus.CLOSED
    assert OutboxMessage.objects.get().done_at
    assert deal.sandbox.pay(deal.params).status_code == 400
    assert deal.sandbox.ledger()["payments"] == []


@pytest.mark.parametrize("fault", ["http_500", "unsigned", "timeout_after"])
def test_closing_is_tried_until_the_platform_agrees(deal: Deal, fault: str) -> None:
    deal.sandbox.fault("wechatpay.close", fault)
    deal.api.post(f"orders/{deal.number}/cancel/")
    deliver_outbox()
    assert Payment.objects.get().status == PaymentStatus.CREATED
    due_now(OutboxMessage)
    deliver_outbox()
    assert Payment.objects.get().status == PaymentStatus.CLOSED


def test_closing_a_payment_that_was_made_refunds_it(deal: Deal) -> None:
    """P21: ORDERPAID."""
    deal.sandbox.fault("wechatpay.notice", "dropped")
    deal.pay()
    deal.api.post(f"orders/{deal.number}/cancel/")
    deliver_outbox()
    settle_refunds(deal)
    assert deal.order.status == OrderStatus.CANCELLED
    assert deal.sandbox.net_fen() == 0


@pytest.mark.parametrize(
    "fault", ["timeout_after", "http_500_after", "unsigned", "not_enough", "http_429"]
)
def test_a_refund_is_repeated_with_its_number(deal: Deal, fault: str) -> None:
    """P19, P20: whatever the first answer was, the platform shows one refund."""
    deal.sandbox.fault("wechatpay.notice", "dropped", times=3)
    deal.pay()
    deal.api.post(f"orders/{deal.number}/cancel/")
    deal.sandbox.fault("wechatpay.refund", fault)
    deliver_outbox()
    due_now(Refund)
    send_due_refunds()
    assert Refund.objects.get().status == RefundStatus.FAILED
    assert Refund.objects.get().last_error
    settle_refunds(deal)

    assert len(deal.sandbox.ledger()["refunds"]) == 1
    assert deal.sandbox.net_fen() == 0


def test_an_abnormal_refund_keeps_its_claim(deal: Deal) -> None:
    """P20: visible to staff, still ours to pay back."""
    deal.sandbox.fault("wechatpay.notice", "dropped")
    deal.sandbox.fault("wechatpay.refund", "abnormal")
    deal.pay()
    deal.api.post(f"orders/{deal.number}/cancel/")
    deliver_outbox()
    due_now(Refund)
    send_due_refunds()

    def failed() -> bool:
        due_now(Refund)
        send_due_refunds()
        return Refund.objects.get().last_error == "ABNORMAL"

    until(failed)
    assert Refund.objects.get().status == RefundStatus.FAILED


def test_a_refund_notice_before_the_refunds_answer(deal: Deal) -> None:
    """P3: success once, whichever comes first."""
    deal.sandbox.fault("wechatpay.notice", "dropped")
    deal.pay()
    deal.api.post(f"orders/{deal.number}/cancel/")
    deliver_outbox()
    deal.sandbox.fault("wechatpay.refund", "timeout_after", seconds=4)
    due_now(Refund)
    send_due_refunds()

    until(lambda: Notice.objects.filter(event_type="REFUND.SUCCESS", outcome="applied").exists())
    assert Refund.objects.get().status == RefundStatus.SUCCEEDED
    settle_refunds(deal)
    assert len(deal.sandbox.ledger()["refunds"]) == 1


# Time


def test_an_unpaid_order_closes_and_gives_back(deal: Deal) -> None:
    Order.objects.update(pay_before=timezone.now() - timedelta(seconds=6))
    close_unpaid_orders()
    close_unpaid_orders()

    order = deal.order
    assert (order.status, order.cancel_reason) == (OrderStatus.CANCELLED, "超时未支付")
    assert order.events.last().actor == "job"
    assert Payment.objects.get().status == PaymentStatus.CLOSED
    assert deal.stock() == 10
    assert deal.sandbox.pay(deal.params).status_code == 400


def test_an_order_paid_at_the_last_moment_is_kept(deal: Deal) -> None:
    """C11: the job asks before it closes."""
    deal.sandbox.fault("wechatpay.notice", "dropped")
    deal.pay()
    Order.objects.update(pay_before=timezone.now() - timedelta(seconds=6))
    close_unpaid_orders()
    assert deal.order.status == OrderStatus.PAID
    assert deal.stock() == 8


def test_orders_wait_for_a_platform_that_is_down_and_others_do_not(
    deal: Deal, settings: Any
) -> None:
    without_payment = place(deal.api, deal.sku, quantity=1, key="key-00000002")
    Order.objects.update(pay_before=timezone.now() - timedelta(seconds=6))
    good, settings.WECHATPAY_BASE_URL = settings.WECHATPAY_BASE_URL, "http://127.0.0.1:9"
    close_unpaid_orders()

    assert deal.order.status == OrderStatus.PENDING_PAYMENT
    assert Order.objects.get(number=without_payment).status == OrderStatus.CANCELLED
    settings.WECHATPAY_BASE_URL = good
    close_unpaid_orders()
    assert deal.order.status == OrderStatus.CANCELLED
    assert deal.stock() == 10


@pytest.mark.broken_books
def test_a_payment_that_never_reached_the_platform_ends(deal: Deal) -> None:
    deal.sandbox.reset()
    due_now(Payment)
    check_due_payments()
    assert Payment.objects.get().status == PaymentStatus.CREATED
    Order.objects.update(pay_before=timezone.now() - timedelta(minutes=11))
    due_now(Payment)
    check_due_payments()
    assert Payment.objects.get().status == PaymentStatus.CLOSED


def test_an_expired_prepay_is_replaced(deal: Deal) -> None:
    """P16: the same number, a fresh prepay_id; both cannot be paid."""
    Payment.objects.update(prepay_until=timezone.now() - timedelta(seconds=1))
    fresh = ask(deal.api, deal.number).json()
    assert fresh["payment"] == deal.payment.number
    assert fresh["params"]["package"] != deal.params["package"]
    assert deal.sandbox.pay(fresh["params"]).ok
    assert deal.sandbox.pay(deal.params).status_code == 400


def test_two_payments_of_one_order(deal: Deal) -> None:
    """P15, P16: the first is kept, the second goes back."""
    Payment.objects.update(open_key=None)
    second = ask(deal.api, deal.number).json()
    assert second["payment"] != deal.payment.number
    deal.pay()
    assert deal.sandbox.pay(second["params"]).ok
    until(lambda: Payment.objects.filter(status="paid").count() == 2)
    settle_refunds(deal)

    assert deal.order.status == OrderStatus.PAID
    assert Payment.objects.filter(is_applied=True).count() == 1
    assert deal.sandbox.net_fen() == 3980
