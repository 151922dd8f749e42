"""Refunds that a platform knows and this shop does not, as after a restore: nothing is paid twice."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Staff
from miniback.platforms.contract import PlatformRefund
from orders.models import BillDifference, Carrier, Order, Payment, Refund, RefundAttempt
from orders.services import desk
from orders.services.discrepancies import record_unknown_refund
from orders.services.fulfillment import ship_order
from orders.services.refund_claims import RefundUnknown
from orders.services.refund_corrections import book_external_refund
from orders.services.refund_steps import pay_out_refund, reapply_refund
from orders.services.refunds import record_refund, send_due_refunds
from tests.factories import make_staff
from tests.orders.conftest import Deal
from tests.orders.services.test_failed_refunds import refusal, sent, the_refund
from tests.orders.services.test_payment import settle_refunds
from tests.orders.services.test_refund_amounts import balances

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def clerk(db: None) -> Staff:
    return make_staff(username="clerk")


@pytest.fixture
def owed(deal: Deal, clerk: Staff) -> Deal:
    """Paid, and called off: 39.80 is owed, nothing was sent yet."""
    deal.pay()
    assert deal.check().json()["order_status"] == "paid"
    desk.call_off(deal.order, reason="缺货", user=clerk)
    return deal


@pytest.mark.broken_books
def test_a_forgotten_refund_is_met_and_not_paid_twice(owed: Deal, clerk: Staff) -> None:
    """The shop is a copy of yesterday's: the platform knows the number that it gives today."""
    number = f"{owed.payment.number}R1"
    owed.sandbox.console_refund(owed.payment.number, 1000, out_refund_no=number)
    send_due_refunds()
    refund = the_refund()
    assert (refund.status, refund.platform_status) == ("failed", "KNOWN_BEFORE")
    assert (refund.out_refund_no, refund.due_at) == (None, None)
    assert sent(owed) == [number]
    listed = BillDifference.objects.get()
    assert (listed.kind, listed.number, listed.theirs_fen) == ("not_ours", number, 1000)
    with pytest.raises(RefundUnknown):
        reapply_refund(refund, user=clerk)
    with pytest.raises(RefundUnknown):
        pay_out_refund(refund, user=clerk, reference="cash")

    BillDifference.objects.update(status="resolved", resolution="foreign")
    reapply_refund(refund, user=clerk)
    assert the_refund().out_refund_no == f"{owed.payment.number}R2"


@pytest.mark.broken_books
@pytest.mark.parametrize("fen", [1000, 3980])
@pytest.mark.parametrize("status", ["SUCCESS", "PROCESSING", "ABNORMAL"])
def test_notice_of_forgotten_refund_is_held_before_the_job_asks(
    owed: Deal, clerk: Staff, status: str, fen: int
) -> None:
    """Its number is the one that the shop is about to send; even its amount may be the same."""
    number = f"{owed.payment.number}R1"
    answer = PlatformRefund(number, owed.payment.number, "50" * 10, status, fen, "CNY")
    for _repeat in range(2):
        record_refund(answer)
        refund = the_refund()
        assert (refund.status, refund.platform_status) == ("failed", "KNOWN_BEFORE")
        assert (refund.out_refund_no, refund.due_at, refund.succeeded_at) == (None, None, None)
    listed = BillDifference.objects.get()
    assert (listed.kind, listed.number, listed.theirs_fen) == ("not_ours", number, fen)
    assert balances()["customer_refunds"] == -3980
    send_due_refunds()
    assert sent(owed) == []


def test_notice_of_closed_forgotten_refund_takes_the_next_number(owed: Deal) -> None:
    number = owed.payment.number
    record_refund(PlatformRefund(f"{number}R1", number, "50" * 10, "CLOSED", 3980, "CNY"))
    refund, attempt = the_refund(), RefundAttempt.objects.get()
    assert (refund.status, refund.out_refund_no) == ("approved", f"{number}R2")
    assert (attempt.out_refund_no, attempt.platform_status) == (f"{number}R1", "CLOSED")
    settle_refunds(owed)
    assert (the_refund().status, owed.sandbox.net_fen()) == ("succeeded", 0)


@pytest.mark.broken_books
def test_a_refund_under_an_unknown_number_is_met_too(owed: Deal, clerk: Staff) -> None:
    """Made in the merchant's console: only the payment's state tells of it."""
    owed.sandbox.console_refund(owed.payment.number, 1000)
    send_due_refunds()
    refund = the_refund()
    assert (refund.status, refund.platform_status) == ("failed", "KNOWN_BEFORE")
    assert len(sent(owed)) == 1
    assert BillDifference.objects.filter(is_refund=True, status="open").exists()


def test_a_crash_before_sending_is_no_forgotten_refund(owed: Deal) -> None:
    """It was claimed, and the process died: the next run sends it."""
    list(Refund.objects.claim(lease=timedelta(seconds=1)))
    assert the_refund().attempts == 1
    settle_refunds(owed)
    assert sent(owed) == [f"{owed.payment.number}R1"]


def test_a_crash_after_sending_is_none_either(owed: Deal) -> None:
    Refund.objects.update(sent_at=timezone.now())
    settle_refunds(owed)
    assert sent(owed) == [f"{owed.payment.number}R1"]


@pytest.mark.broken_books
def test_nothing_is_shipped_while_a_refund_is_in_doubt(deal: Deal, clerk: Staff) -> None:
    deal.pay()
    deal.check()
    payment = Payment.objects.get()
    record_unknown_refund(payment, number="X1", transaction_id="", theirs_fen=None)
    carrier = Carrier.objects.get_or_create(code="SF", defaults={"name": "SF"})[0]

    def ship() -> None:
        ship_order(deal.order, carrier=carrier, tracking_number="SF1", user=clerk)

    assert refusal(ship) == "refund_unknown"
    BillDifference.objects.update(status="resolved")
    ship()
    assert Order.objects.get().status == "shipped"


@pytest.mark.parametrize("fen", [1000, 3980])
def test_what_was_forgotten_is_booked_and_the_rest_goes_back(
    owed: Deal, clerk: Staff, fen: int
) -> None:
    """Of all nothing is left to send; of a part, the rest goes back under the next number."""
    number = f"{owed.payment.number}R1"
    owed.sandbox.console_refund(owed.payment.number, fen, out_refund_no=number)
    send_due_refunds()
    book_external_refund(BillDifference.objects.get(), user=clerk, note="before the restore")
    reapply_refund(Refund.objects.get(kind="refund_only"), user=clerk)
    settle_refunds(owed)
    ours = Refund.objects.get(kind="refund_only")
    assert (ours.status, ours.amount_fen) == ("succeeded", 3980 - fen)
    assert owed.order.status == "cancelled"
    assert owed.sandbox.net_fen() == 0
    assert balances() == {"goods": -fen, "corrections": fen}


def test_a_late_payment_that_was_given_back_elsewhere_is_not_given_back_again(
    deal: Deal, clerk: Staff
) -> None:
    desk.call_off(deal.order, reason="x", user=clerk)
    deal.pay()
    number = f"{deal.payment.number}R1"
    deal.sandbox.console_refund(deal.payment.number, 1000, out_refund_no=number, notify=False)
    deal.check()
    send_due_refunds()
    assert Refund.objects.get().platform_status == "KNOWN_BEFORE"
    named = BillDifference.objects.get(number=number)
    book_external_refund(named, user=clerk, note="in the console")
    reapply_refund(Refund.objects.get(kind="auto"), user=clerk)
    settle_refunds(deal)
    assert Refund.objects.get(kind="auto").amount_fen == 2980
    assert (deal.sandbox.net_fen(), balances()) == (0, {})
