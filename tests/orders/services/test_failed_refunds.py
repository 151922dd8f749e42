"""Money that does not go back at once: every failed refund has a way out, and nothing is paid twice."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import Staff
from miniback.core.errors import DomainError, PlatformUnavailable
from miniback.platforms.contract import PlatformRefund
from orders.models import (
    BillDifference,
    DifferenceKind,
    LedgerTransaction,
    Payment,
    Refund,
    RefundApproval,
    RefundAttempt,
)
from orders.services import desk
from orders.services.difference_rows import Account, Discrepancy, record_discrepancies
from orders.services.discrepancies import record_unknown_refund
from orders.services.payment_corrections import give_back
from orders.services.refund_approvals import SecondApproval
from orders.services.refund_corrections import book_external_refund
from orders.services.refund_life import RefundStatusConflict, lock_refund, move_refund
from orders.services.refund_steps import (
    RefundNotRetryable,
    pay_out_refund,
    reapply_refund,
    write_off_refund,
)
from orders.services.refunds import record_refund, send_due_refunds, send_refund
from orders.status import Actor, RefundStatus
from tests.factories import make_staff
from tests.orders.conftest import Deal, due_now
from tests.orders.services.test_audit import run
from tests.orders.services.test_payment import settle_refunds
from tests.orders.services.test_refund_amounts import balances
from tests.sandbox_process import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def clerk(db: None) -> Staff:
    return make_staff(username="clerk")


@pytest.fixture
def second(db: None) -> Staff:
    return make_staff(username="second")


@pytest.fixture
def owed(deal: Deal, clerk: Staff) -> Deal:
    """Paid, and called off: 39.80 is owed, nothing was sent yet."""
    deal.pay()
    assert deal.check().json()["order_status"] == "paid"
    desk.call_off(deal.order, reason="缺货", user=clerk)
    return deal


def the_refund() -> Refund:
    return Refund.objects.get()


def sent(deal: Deal) -> list[str]:
    return [row["out_refund_no"] for row in deal.sandbox.ledger()["refunds"]]


def send_until(status: Callable[[Refund], bool]) -> Refund:
    def reached() -> bool:
        due_now(Refund)
        send_due_refunds()
        return status(the_refund())

    until(reached)
    return the_refund()


def refusal(act: Callable[[], Any]) -> str:
    with pytest.raises(DomainError) as raised:
        act()
    return raised.value.code


@pytest.fixture
def closed(owed: Deal) -> Deal:
    """WeChat Pay closed it: the merchant's balance was short for seven days."""
    owed.sandbox.fault("wechatpay.refund", "closed")
    send_until(lambda refund: refund.platform_status == "CLOSED")
    return owed


# Applying again


def test_a_closed_refund_is_final_at_the_platform(closed: Deal) -> None:
    refund = the_refund()
    assert (refund.status, refund.last_error, refund.due_at) == ("failed", "CLOSED", None)


def test_a_closed_refund_is_applied_for_again_under_a_new_number(
    closed: Deal, clerk: Staff
) -> None:
    reapply_refund(the_refund(), user=clerk)
    refund, number = the_refund(), closed.payment.number
    assert (refund.status, refund.out_refund_no) == ("approved", f"{number}R2")
    assert [a.out_refund_no for a in RefundAttempt.objects.all()] == [f"{number}R1"]
    settle_refunds(closed)
    assert sent(closed) == [f"{number}R1", f"{number}R2"]
    assert (closed.order.status, closed.sandbox.net_fen(), balances()) == ("cancelled", 0, {})
    keys = LedgerTransaction.objects.filter(event_key__startswith="refund:")
    assert [row.event_key for row in keys] == [f"refund:{number}R2"]
    assert run()[0] == 0


def test_applying_again_finds_what_has_arrived(owed: Deal, clerk: Staff) -> None:
    """The answer was lost: the platform has paid it, and no second number is given."""
    owed.sandbox.fault("wechatpay.refund", "reset_after")
    send_due_refunds()
    assert the_refund().status == "failed"
    until(lambda: reapply_refund(the_refund(), user=clerk).status == "succeeded"
          if the_refund().status == "failed" else True)  # fmt: skip
    settle_refunds(owed)
    assert sent(owed) == [f"{owed.payment.number}R1"]
    assert not RefundAttempt.objects.exists()


def test_applying_again_needs_an_answer(closed: Deal, clerk: Staff) -> None:
    closed.sandbox.fault("wechatpay.refund_query", "http_500")
    with pytest.raises(PlatformUnavailable):
        reapply_refund(the_refund(), user=clerk)
    assert (the_refund().status, RefundAttempt.objects.count()) == ("failed", 0)


def test_a_reason_that_was_refused_is_changed(owed: Deal, clerk: Staff) -> None:
    owed.sandbox.fault("wechatpay.refund", "not_enough")
    send_due_refunds()
    reapply_refund(the_refund(), user=clerk, reason="out of stock")
    refund = the_refund()
    assert (refund.status, refund.platform_reason, refund.reason) == (
        "approved", "out of stock", "缺货",
    )  # fmt: skip
    settle_refunds(owed)
    assert sent(owed) == [f"{owed.payment.number}R1"]
    assert owed.sandbox.net_fen() == 0


def test_an_abnormal_refund_is_not_applied_for_again(owed: Deal, clerk: Staff) -> None:
    owed.sandbox.fault("wechatpay.refund", "abnormal")
    send_until(lambda refund: refund.platform_status == "ABNORMAL")
    with pytest.raises(RefundNotRetryable):
        reapply_refund(the_refund(), user=clerk)
    assert the_refund().due_at is not None
    assert not RefundAttempt.objects.exists()


def test_many_are_applied_for_again_from_the_list(closed: Deal, clerk: Staff, client: Any) -> None:
    client.force_login(clerk)
    data = {"action": "reapply_selected", "_selected_action": [the_refund().pk], "sure": 1}
    client.post(reverse("admin:orders_refund_changelist"), data)
    assert the_refund().out_refund_no == f"{closed.payment.number}R2"


# By the shop itself


@pytest.mark.parametrize("service", [pay_out_refund, write_off_refund])
def test_two_members_end_it_by_hand(
    closed: Deal, clerk: Staff, second: Staff, service: Any
) -> None:
    field = "reference" if service is pay_out_refund else "note"

    def end(user: Staff, text: str = "ICBC 1") -> Any:
        return service(the_refund(), user=user, **{field: text})

    end(clerk)
    assert (the_refund().status, balances()["customer_refunds"]) == ("failed", -3980)
    with pytest.raises(SecondApproval):
        end(clerk)
    # Whoever says something else proposes anew.
    end(second, "ICBC 2")
    assert the_refund().status == "failed"
    end(clerk, "ICBC 2")
    refund = the_refund()
    if service is pay_out_refund:
        assert (refund.status, refund.method, refund.payout_reference) == (
            "succeeded", "shop", "ICBC 2",
        )  # fmt: skip
        assert balances() == {"platform:wechat": 3980, "shop_bank": -3980}
    else:
        assert (refund.status, refund.succeeded_at) == ("written_off", None)
        assert balances() == {"platform:wechat": 3980, "corrections": -3980}
    assert closed.order.status == "cancelled"
    first, last = RefundApproval.objects.order_by("pk")
    assert (first.proposed_by_id, first.confirmed_by_id) == (clerk.pk, None)
    assert (last.proposed_by_id, last.confirmed_by_id) == (second.pk, clerk.pk)
    assert first.dropped_at and last.confirmed_at and not last.dropped_at
    assert refusal(lambda: end(second)) == "refund_status"


def test_whoever_is_alone_ends_it_alone(closed: Deal, clerk: Staff) -> None:
    make_staff(username="packer", is_superuser=False)
    Staff.objects.filter(pk=make_staff(username="left").pk).update(is_active=False)
    pay_out_refund(the_refund(), user=clerk, reference="cash")
    assert the_refund().status == "succeeded"


def test_nothing_is_paid_out_that_the_platform_paid(owed: Deal, clerk: Staff) -> None:
    owed.sandbox.fault("wechatpay.refund", "reset_after")
    send_due_refunds()
    assert the_refund().status == "failed"
    # The query tells, or the platform's notice was faster.
    with pytest.raises(RefundStatusConflict):
        pay_out_refund(the_refund(), user=clerk, reference="cash")
    assert not RefundApproval.objects.exists()
    settle_refunds(owed)
    assert owed.sandbox.net_fen() == 0


@pytest.mark.parametrize("service", [pay_out_refund, write_off_refund])
def test_nothing_is_ended_while_the_platform_is_silent(
    closed: Deal, clerk: Staff, service: Any
) -> None:
    closed.sandbox.fault("wechatpay.refund_query", "http_500")
    field = "reference" if service is pay_out_refund else "note"
    with pytest.raises(PlatformUnavailable):
        service(the_refund(), user=clerk, **{field: "x"})
    assert the_refund().status == "failed"


def test_nothing_is_paid_out_while_it_is_being_sent(owed: Deal, clerk: Staff) -> None:
    """The job has written that it sends, and has no answer yet."""
    Refund.objects.update(
        status="failed", last_error="", sent_at=timezone.now(),
        due_at=timezone.now() + timedelta(seconds=20),
    )  # fmt: skip
    due_at = the_refund().due_at
    with pytest.raises(PlatformUnavailable):
        pay_out_refund(the_refund(), user=clerk, reference="cash")
    assert (the_refund().status, the_refund().due_at) == ("failed", due_at)


def test_a_refund_that_was_paid_out_is_not_sent_by_a_slow_job(owed: Deal, clerk: Staff) -> None:
    """Between the job's query and its sending a member of staff pays it out."""
    owed.sandbox.fault("wechatpay.refund", "not_enough")
    send_due_refunds()
    (claimed,) = Refund.objects.select_related("payment").all()
    pay_out_refund(the_refund(), user=clerk, reference="cash")
    send_refund(claimed)
    assert (the_refund().status, sent(owed)) == ("succeeded", [])


def test_a_refund_that_is_too_old_is_paid_out(owed: Deal, clerk: Staff) -> None:
    """WeChat Pay refunds for a year."""
    owed.sandbox.age_trade(owed.payment.number, 400)
    send_due_refunds()
    assert the_refund().status == "failed"
    pay_out_refund(the_refund(), user=clerk, reference="cash")
    assert (the_refund().status, owed.sandbox.net_fen()) == ("succeeded", 3980)


@pytest.mark.broken_books
@pytest.mark.parametrize("service", [pay_out_refund, write_off_refund])
@pytest.mark.parametrize("status", ["approved", "processing", "succeeded"])
def test_refund_on_its_way_refuses_to_end_by_hand(
    owed: Deal, clerk: Staff, service: Any, status: str
) -> None:
    """Only what failed, or is with the shop, is paid out or written off."""
    Refund.objects.update(status=status)
    field = "reference" if service is pay_out_refund else "note"
    assert refusal(lambda: service(the_refund(), user=clerk, **{field: "x"})) == "refund_status"
    assert (the_refund().status, RefundApproval.objects.count()) == (status, 0)


def test_approved_refund_refuses_to_succeed_by_staff(owed: Deal) -> None:
    """Only a refund of nothing ends when staff agree to it."""
    with transaction.atomic(), pytest.raises(RefundStatusConflict):
        move_refund(lock_refund(the_refund()), RefundStatus.SUCCEEDED, actor=Actor.STAFF)
    assert the_refund().status == "approved"


def test_pay_out_from_stale_page_changes_nothing(
    owed: Deal, clerk: Staff, second: Staff, client: Any
) -> None:
    """It had failed when the page was opened; a colleague has applied again since."""
    url = reverse("admin:orders_refund_pay-out", args=[the_refund().pk])
    for user in (clerk, second):
        client.force_login(user)
        answer = client.post(url, {"reference": "cash"}, follow=True)
        assert [message.level_tag for message in answer.context["messages"]] == ["error"]
    assert (the_refund().status, RefundApproval.objects.count()) == ("approved", 0)


# What the platform says otherwise


@pytest.mark.broken_books
def test_an_answer_about_another_amount_is_listed(owed: Deal) -> None:
    send_due_refunds()
    Refund.objects.update(amount_fen=3000, status="approved")
    send_until(lambda refund: bool(refund.last_error))
    refund = the_refund()
    assert refund.status == "failed"
    assert "39.80" in refund.last_error and "30.00" in refund.last_error
    listed = BillDifference.objects.get()
    assert (listed.kind, listed.is_refund, listed.theirs_fen, listed.ours_fen) == (
        "amount", True, 3980, 3000,
    )  # fmt: skip
    assert refund.due_at > timezone.now()


def test_closed_refund_known_before_takes_the_next_number(owed: Deal) -> None:
    """A backup was restored: the platform closed the first number, and nothing was given back."""
    owed.sandbox.fault("wechatpay.refund", "closed")
    send_until(lambda refund: refund.platform_status == "CLOSED")
    # The payment's notice, and that of the refund: neither is to come after the restore.
    owed.sandbox.wait_for_notices(2)
    Refund.objects.update(
        sent_at=None, status="approved", platform_status="", platform_id="", last_error="",
        attempts=0, due_at=timezone.now(),
    )  # fmt: skip
    send_due_refunds()
    refund, number = the_refund(), owed.payment.number
    assert (refund.status, refund.out_refund_no) == ("approved", f"{number}R2")
    attempt = RefundAttempt.objects.get()
    assert (attempt.out_refund_no, attempt.platform_status) == (f"{number}R1", "CLOSED")
    assert not BillDifference.objects.exists()
    settle_refunds(owed)
    assert (the_refund().status, owed.sandbox.net_fen()) == ("succeeded", 0)


def test_proposal_ends_when_the_refund_goes_on(owed: Deal, clerk: Staff, second: Staff) -> None:
    owed.sandbox.fault("wechatpay.refund", "abnormal")
    refund = send_until(lambda refund: refund.platform_status == "ABNORMAL")
    pay_out_refund(refund, user=clerk, reference="cash")
    answer = PlatformRefund(
        refund.out_refund_no or "", owed.payment.number, refund.platform_id, "ABNORMAL", 3980, "CNY"
    )
    record_refund(answer)
    assert RefundApproval.objects.get().dropped_at is None
    record_refund(answer._replace(status="PROCESSING"))
    assert RefundApproval.objects.get().dropped_at is not None
    assert RefundApproval.objects.get().open_key is None


def test_stray_refund_ends_when_nothing_is_left(sandbox: Any, clerk: Staff) -> None:
    """Its money was given back before, outside the shop."""
    account = Account("wechat", settings.WECHAT_APP_ID, settings.WECHATPAY_MCH_ID)
    number = "P000000000000000000001X"
    stray = Discrepancy(
        kind=DifferenceKind.NOT_OURS, is_refund=False, number=number, payment_number=number,
        transaction_id="42000000000000000001", theirs_fen=3980, ours_fen=None,
    )  # fmt: skip
    give_back(record_discrepancies(account, [stray])[0], user=clerk, note="n")
    Refund.objects.update(
        status="failed", platform_status="KNOWN_BEFORE", out_refund_no=None, due_at=None
    )
    unknown = record_unknown_refund(
        Payment.objects.get(), number="X1", transaction_id="", theirs_fen=3980
    )
    book_external_refund(unknown, user=clerk, note="n")
    refund = Refund.objects.get(kind="auto")
    reapply_refund(refund, user=clerk)
    refund.refresh_from_db()
    assert (refund.status, refund.amount_fen, balances()) == ("succeeded", 0, {})


def test_reapplied_refund_is_not_with_the_shop(closed: Deal, clerk: Staff) -> None:
    """It was to go to the shop's account under the number that the platform closed."""
    Refund.objects.update(is_to_shop=True)
    reapply_refund(the_refund(), user=clerk)
    assert (the_refund().status, the_refund().is_to_shop) == ("approved", False)
    settle_refunds(closed)
    assert (the_refund().status, closed.sandbox.net_fen(), balances()) == ("succeeded", 0, {})
