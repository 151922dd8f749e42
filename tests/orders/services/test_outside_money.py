"""Money that moved without the shop: in the merchant's console, under a former account, before a restore."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db.models import Sum
from django.utils import timezone

from accounts.models import User
from miniback.dashboard import queues
from orders.models import (
    Bill,
    BillDifference,
    LedgerEntry,
    Notice,
    Order,
    Payment,
    Refund,
)
from orders.services.audit import audit
from orders.services.cancellation import close_unpaid_orders
from orders.services.channels import notify_url, provider_of
from orders.services.corrections import Correction, explain_difference, fitting
from orders.services.discrepancies import account_of
from orders.services.fulfillment import ship_order
from orders.services.left_accounts import left_accounts
from orders.services.payment_corrections import book_to_order, give_back
from orders.services.reconciliation import bills_of, reconcile
from orders.services.refund_claims import RefundUnknown
from orders.services.refund_corrections import book_external_refund
from orders.services.refund_decisions import refund_unshipped
from orders.services.refund_steps import reapply_refund
from orders.services.refunds import send_due_refunds
from orders.services.settlement import check_due_payments
from tests.conftest import Api
from tests.factories import make_sku, make_staff
from tests.orders.conftest import Deal, due_now, place
from tests.orders.services.test_alipay import log_in
from tests.orders.services.test_payment import settle_refunds
from tests.sandbox_process import SandboxProcess, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.broken_books]

TARGETS = {"wechat": "wechatpay", "alipay": "alipay"}


def open_deal(shop: SandboxProcess, channel: str, key: str = "key-00000001") -> Deal:
    """Two pieces at 19.90 of a stock of ten; the payment sheet is open."""
    api = log_in(shop, channel)
    sku = make_sku(price_fen=1990, stock=10)
    return deal_of(api, shop, sku, channel, key)


def deal_of(api: Api, shop: SandboxProcess, sku: Any, channel: str, key: str) -> Deal:
    number = place(api, sku, key=key)
    asked = api.post(f"orders/{number}/pay/", {"channel": channel}).json()
    payment = Payment.objects.get(number=asked["payment"])
    return Deal(api, shop, payment.order.user, sku, number, payment, asked["params"])


@pytest.fixture(params=["wechat", "alipay"])
def deal(request: Any, shop: SandboxProcess) -> Deal:
    return open_deal(shop, request.param)


@pytest.fixture
def clerk(db: None) -> User:
    return make_staff()


def pay(deal: Deal) -> None:
    deal.pay()
    until(lambda: deal.order.status == "paid")


def channel_of(deal: Deal) -> str:
    return deal.payment.channel


def at_platforms() -> int:
    entries = LedgerEntry.objects.filter(account__startswith="platform:")
    return int(entries.aggregate(sum=Sum("amount_fen"))["sum"] or 0)


def has_gone_back(deal: Deal, number: str) -> bool:
    """The console's refund has reached its payer."""
    platform = provider_of(deal.payment)
    return platform.query_refund(number, deal.payment.number).status == "SUCCESS"


def listed() -> list[tuple[str, bool, str, Any]]:
    rows = BillDifference.objects.filter(status="open").order_by("id")
    return [(row.kind, row.is_refund, row.number, row.theirs_fen) for row in rows]


# A refund in the merchant's console


def test_console_refund_is_listed_by_its_notice_and_booked(deal: Deal, clerk: User) -> None:
    pay(deal)
    number = deal.sandbox.console_refund(deal.payment.number, 1000, platform=channel_of(deal))
    until(lambda: listed() == [("not_ours", True, number, 1000)])
    until(Notice.objects.filter(outcome="anomaly").exists)
    row = BillDifference.objects.get()
    assert row.notice == Notice.objects.get(outcome="anomaly")
    book_external_refund(row, user=clerk, note="console")
    assert at_platforms() == deal.sandbox.net_fen() == 2980
    # What is left goes back, and no more.
    refund_unshipped(deal.order, reason="called off", user=clerk)
    settle_refunds(deal)
    assert sorted(Refund.objects.values_list("amount_fen", flat=True)) == [1000, 2980]
    assert at_platforms() == deal.sandbox.net_fen() == 0
    assert deal.order.status == "cancelled"
    call_command("audit")


def test_console_refunds_one_after_the_other_are_told_apart(deal: Deal, clerk: User) -> None:
    """Alipay tells only their sum."""
    pay(deal)
    first = deal.sandbox.console_refund(deal.payment.number, 1000, platform=channel_of(deal))
    until(lambda: len(listed()) == 1)
    second = deal.sandbox.console_refund(deal.payment.number, 500, platform=channel_of(deal))
    until(lambda: len(listed()) == 2)
    assert listed() == [("not_ours", True, first, 1000), ("not_ours", True, second, 500)]


def test_console_refund_of_all_cancels_the_order(deal: Deal, clerk: User) -> None:
    pay(deal)
    deal.sandbox.console_refund(deal.payment.number, platform=channel_of(deal))
    until(lambda: len(listed()) == 1)
    book_external_refund(BillDifference.objects.get(), user=clerk, note="console")
    assert (deal.order.status, deal.stock()) == ("cancelled", 10)
    assert at_platforms() == deal.sandbox.net_fen() == 0
    call_command("audit")


def test_console_refund_is_found_by_the_bill(deal: Deal, clerk: User) -> None:
    pay(deal)
    deal.sandbox.fault(f"{TARGETS[channel_of(deal)]}.notice", "dropped", times=5)
    number = deal.sandbox.console_refund(deal.payment.number, 1000, platform=channel_of(deal))
    until(lambda: has_gone_back(deal, number))
    day = timezone.localdate(Payment.objects.get().paid_at)
    deal.sandbox.advance(24 * 3600)
    (bill,) = bills_of(channel_of(deal), day)
    reconcile(bill)
    assert listed() == [("not_ours", True, number, 1000)]
    row = book_external_refund(BillDifference.objects.get(), user=clerk, note="console")
    assert row.bill == bill
    # It is compared again by itself, and agrees.
    assert Bill.objects.get().due_at is not None
    reconcile(Bill.objects.get())
    assert (listed(), Bill.objects.get().agreed_at is not None) == ([], True)
    assert Refund.objects.get().billed_on == day
    call_command("audit")


def test_a_refund_begun_there_holds_the_parcel(deal: Deal, clerk: User) -> None:
    """The notice of the payment is lost, and all of it given back before the query."""
    deal.sandbox.fault(f"{TARGETS[channel_of(deal)]}.notice", "dropped", times=2)
    deal.pay()
    deal.sandbox.console_refund(deal.payment.number, platform=channel_of(deal), notify=False)
    due_now(Payment)
    check_due_payments()
    assert deal.order.status == "paid"
    assert [row[:3] for row in listed()] == [("not_ours", True, deal.payment.number)]
    with pytest.raises(RefundUnknown):
        ship_order(deal.order, carrier=None, tracking_number="SF1", user=clerk)  # type: ignore[arg-type]
    row = BillDifference.objects.get()
    if row.theirs_fen is None:
        assert fitting(row) == {Correction.BOOK_REFUND, Correction.EXPLAIN}
        explain_difference(row, user=clerk, note="it was closed")
        assert deal.order.status == "paid"
    else:
        book_external_refund(row, user=clerk, note="console")
        assert (deal.order.status, at_platforms()) == ("cancelled", 0)


def test_a_known_refund_is_no_doubt(deal: Deal, clerk: User) -> None:
    pay(deal)
    refund_unshipped(deal.order, reason="x", user=clerk)
    settle_refunds(deal)
    deal.check()
    assert not BillDifference.objects.exists()


# The merchant changes


def leave_account(deal: Deal, settings: Any) -> None:
    """The shop moves to another merchant, and to another app at Alipay."""
    for name, value in deal.sandbox.other_env.items():
        if name.startswith(("WECHAT", "ALIPAY")):
            setattr(settings, name, value)


def keep_account(deal: Deal, settings: Any, tmp_path: Path) -> None:
    env = deal.sandbox.env
    values = {
        "wechat": {
            "app_id": "WECHAT_APP_ID", "mch_id": "WECHATPAY_MCH_ID",
            "api_v3_key": "WECHATPAY_API_V3_KEY", "serial": "WECHATPAY_SERIAL",
            "private_key_file": "WECHATPAY_PRIVATE_KEY_FILE",
            "public_key_id": "WECHATPAY_PUBLIC_KEY_ID",
            "public_key_file": "WECHATPAY_PUBLIC_KEY_FILE",
        },
        "alipay": {
            "app_id": "ALIPAY_APP_ID", "seller_id": "ALIPAY_SELLER_ID",
            "private_key_file": "ALIPAY_PRIVATE_KEY_FILE",
            "public_key_file": "ALIPAY_PUBLIC_KEY_FILE", "app_cert_file": "ALIPAY_APP_CERT_FILE",
            "root_cert_file": "ALIPAY_ROOT_CERT_FILE", "aes_key": "ALIPAY_AES_KEY",
        },
    }[channel_of(deal)]  # fmt: skip
    lines = [f"{name} = '{env[key]}'" for name, key in values.items() if env.get(key)]
    file = tmp_path / "former.toml"
    file.write_text(f"[[{channel_of(deal)}]]\n" + "\n".join(lines))
    settings.FORMER_ACCOUNTS_FILE = str(file)


def test_a_changed_merchant_loses_no_payment(deal: Deal, settings: Any) -> None:
    """Paid, the notice lost; the new merchant knows no such trade, and is not believed."""
    deal.sandbox.fault(f"{TARGETS[channel_of(deal)]}.notice", "dropped", times=5)
    deal.pay()
    leave_account(deal, settings)
    Order.objects.update(pay_before=timezone.now() - timedelta(hours=1))
    for _ in range(3):
        due_now(Payment)
        check_due_payments()
        close_unpaid_orders()
    payment = Payment.objects.get()
    assert (payment.status, deal.order.status) == ("created", "pending_payment")
    assert payment.last_error.startswith("ACCOUNT_GONE")
    assert payment.due_at > timezone.now()


def test_a_left_account_with_open_money_is_refused(
    deal: Deal, settings: Any, tmp_path: Path
) -> None:
    """By the check before a deployment, until its credentials are kept."""
    pay(deal)
    assert left_accounts() == []
    leave_account(deal, settings)
    assert left_accounts() == [account_of(deal.payment)]
    with pytest.raises(SystemCheckError, match=account_of(deal.payment).merchant_id):
        call_command("check", databases=["default"])
    keep_account(deal, settings, tmp_path)
    assert left_accounts() == []
    call_command("check", databases=["default"])


def test_a_former_account_is_asked_paid_back_and_compared(
    deal: Deal, settings: Any, tmp_path: Path, clerk: User
) -> None:
    leave_account(deal, settings)
    keep_account(deal, settings, tmp_path)
    pay(deal)
    assert account_of(deal.payment).merchant_id != settings.WECHATPAY_MCH_ID
    refund_unshipped(deal.order, reason="x", user=clerk)
    settle_refunds(deal)
    assert (deal.order.status, deal.sandbox.net_fen()) == ("cancelled", 0)
    day = timezone.localdate(Payment.objects.get().paid_at)
    deal.sandbox.advance(24 * 3600)
    bills = {bill.merchant_id: bill for bill in bills_of(channel_of(deal), day)}
    assert len(bills) == 2
    bill = reconcile(bills[account_of(deal.payment).merchant_id])
    assert (bill.row_count, listed(), bill.agreed_at is not None) == (2, [], True)


def test_a_new_request_is_placed_at_the_new_account(deal: Deal, settings: Any) -> None:
    leave_account(deal, settings)
    asked = deal.api.post(f"orders/{deal.number}/pay/", {"channel": channel_of(deal)}).json()
    second = Payment.objects.get(number=asked["payment"])
    assert second.pk != deal.payment.pk
    ids = {
        "wechat": (settings.WECHAT_APP_ID, settings.WECHATPAY_MCH_ID),
        "alipay": (settings.ALIPAY_APP_ID, settings.ALIPAY_SELLER_ID),
    }
    assert (second.app_id, second.merchant_id) == ids[channel_of(deal)]


# A shop restored from yesterday's backup


def forgotten(deal: Deal) -> str:
    """A refund and a payment of today, which the platform has and this database does not."""
    platform = provider_of(deal.payment)
    url = notify_url(channel_of(deal))
    platform.refund(
        number=f"{deal.payment.number}R1",
        payment_number=deal.payment.number,
        amount_fen=1990,
        total_fen=3980,
        reason="x",
        notify_url=url,
    )
    handle = platform.create(
        number="P261127FORGOTTEN",
        amount_fen=500,
        description="x",
        payer="o-customer",
        notify_url=url,
        expires_at=timezone.localtime() + timedelta(hours=1),
    )
    assert deal.sandbox.pay(platform.client_params(handle)).ok
    until(lambda: deal.sandbox.net_fen() == 2490)
    return "P261127FORGOTTEN"


def test_nothing_is_given_back_twice_after_a_restore(deal: Deal, clerk: User, rf: Any) -> None:
    pay(deal)
    deal.sandbox.fault(f"{TARGETS[channel_of(deal)]}.notice", "dropped", times=5)
    number = forgotten(deal)
    refund = refund_unshipped(deal.order, reason="called off", user=clerk)
    send_due_refunds()
    refund.refresh_from_db()
    assert (refund.status, refund.platform_status) == ("failed", "KNOWN_BEFORE")
    assert deal.sandbox.net_fen() == 2490
    deal.sandbox.advance(24 * 3600)
    day = timezone.localdate(Payment.objects.get().paid_at)
    (bill,) = bills_of(channel_of(deal), day)
    reconcile(bill)
    assert sorted(listed()) == [
        ("not_ours", False, number, 500),
        ("not_ours", True, f"{deal.payment.number}R1", 1990),
    ]
    request = rf.get("/")
    request.user = clerk
    waiting = {str(queue.url).split("/")[3]: queue.length for queue in queues(request)}
    assert waiting["billdifference"] == 2
    with pytest.raises(RefundUnknown):
        reapply_refund(refund, user=clerk)
    book_external_refund(BillDifference.objects.get(is_refund=True), user=clerk, note="restored")
    give_back(BillDifference.objects.get(is_refund=False), user=clerk, note="restored")
    reapply_refund(refund, user=clerk)
    settle_refunds(deal)
    assert sorted(Refund.objects.values_list("out_refund_no", "amount_fen")) == sorted([
        (f"{deal.payment.number}R1", 1990),
        (f"{deal.payment.number}R2", 1990),
        (f"{number}R1", 500),
    ])  # fmt: skip
    assert at_platforms() == deal.sandbox.net_fen() == 0
    assert deal.order.status == "cancelled"
    # What went back since stands in the bill of tomorrow.
    reconcile(Bill.objects.get(pk=bill.pk))
    assert {row[0] for row in listed()} == {"not_theirs"}
    deal.sandbox.advance(24 * 3600)
    (bill,) = bills_of(channel_of(deal), day + timedelta(days=1))
    reconcile(bill)
    assert listed() == []
    # That bill is of a day which has not begun.
    assert [rule.name for rule, failure in audit() if failure] == ["bill-state"]


def test_a_forgotten_payment_pays_the_order_that_staff_name(deal: Deal, clerk: User) -> None:
    pay(deal)
    number = forgotten(deal)
    until(lambda: ("not_ours", False, number, 500) in listed())
    sku = make_sku(price_fen=500)
    order = Order.objects.get(number=place(deal.api, sku, quantity=1, key="key-again-0001"))
    row = BillDifference.objects.get(number=number)
    book_to_order(row, user=clerk, note="restored", order_number=order.number)
    order.refresh_from_db()
    assert order.status == "paid"
    assert at_platforms() == 4480
