"""Money that cannot go back the way it came: WeChat Pay calls it ABNORMAL."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from accounts.models import Staff
from miniback.core import providers
from miniback.core.errors import PlatformUnavailable
from miniback.platforms.wechatpay import BankCard, WeChatPayClient
from orders.models import Order, Refund, RefundApproval
from orders.services import desk
from orders.services.channels import provider_of
from orders.services.refund_approvals import SecondApproval
from orders.services.refund_redirects import NotAbnormal, RedirectRefused, redirect_refund
from orders.services.refund_steps import pay_out_refund
from orders.services.refunds import send_due_refunds
from orders.status import RefundStatus
from tests.factories import make_staff
from tests.orders.conftest import Deal, due_now
from tests.orders.services.test_audit import run
from tests.orders.services.test_payment import settle_refunds
from tests.orders.services.test_refund_amounts import balances
from tests.sandbox_process import until

pytestmark = pytest.mark.django_db(transaction=True)
CARD = {"bank_type": "ICBC_DEBIT", "account": "6222020200112233445", "holder": "李明"}


@pytest.fixture
def abnormal(deal: Deal) -> Deal:
    """Paid, called off, and the platform could not give the money back."""
    deal.sandbox.fault("wechatpay.refund", "abnormal")
    deal.pay()
    assert deal.check().json()["order_status"] == "paid"
    desk.call_off(deal.order, reason="缺货", user=make_staff(username="clerk"))

    def failed() -> bool:
        due_now(Refund)
        send_due_refunds()
        return Refund.objects.get().last_error == "ABNORMAL"

    until(failed)
    assert Refund.objects.get().status == RefundStatus.FAILED
    return deal


def finance(username: str = "finance") -> Staff:
    return Staff.objects.filter(username=username).first() or make_staff(username=username)


def press(client: Any, **form: str) -> Any:
    client.force_login(finance())
    url = reverse("admin:orders_refund_redirect", args=[Refund.objects.get().pk])
    return client.post(url, form, follow=True)


def settle(deal: Deal) -> None:
    """Until the platform says that the money has arrived somewhere."""

    def settled() -> bool:
        due_now(Refund)
        send_due_refunds()
        return Refund.objects.get().status in {"succeeded", "to_pay_out"}

    until(settled)


def test_it_goes_to_a_card(abnormal: Deal, client: Any) -> None:
    answer = press(client, **CARD)
    assert [message.level_tag for message in answer.context["messages"]] == ["success"]
    assert Refund.objects.get().status == RefundStatus.PROCESSING
    settle(abnormal)
    refund = Refund.objects.get()
    assert (refund.status, refund.is_to_shop) == ("succeeded", False)
    assert Order.objects.get().status == "cancelled"
    assert (abnormal.sandbox.net_fen(), run()[0]) == (0, 0)
    # Of the card only the last digits are kept.
    kept = [
        *Refund.objects.values_list(),
        *LogEntry.objects.values_list(),
        *RefundApproval.objects.values_list(),
    ]
    assert CARD["account"] not in str(kept)
    assert CARD["holder"] not in str(kept)
    assert RefundApproval.objects.get().card_tail == "3445"


def test_what_goes_to_the_shop_is_owed_until_it_is_paid_out(abnormal: Deal) -> None:
    clerk, second = finance("clerk"), finance("second")
    redirect_refund(Refund.objects.get(), user=clerk)
    settle(abnormal)
    refund = Refund.objects.get()
    assert (refund.status, refund.is_to_shop, refund.succeeded_at) == ("to_pay_out", True, None)
    assert (Order.objects.get().status, abnormal.sandbox.net_fen()) == ("paid", 0)
    assert balances() == {"shop_bank": 3980, "customer_refunds": -3980}

    pay_out_refund(refund, user=clerk, reference="ICBC 20261127-1")
    refund.refresh_from_db()
    assert refund.status == "to_pay_out"
    with pytest.raises(SecondApproval):
        pay_out_refund(refund, user=clerk, reference="ICBC 20261127-1")
    pay_out_refund(refund, user=second, reference="ICBC 20261127-1")
    refund.refresh_from_db()
    assert (refund.status, refund.method) == ("succeeded", "shop")
    assert refund.payout_reference == "ICBC 20261127-1"
    assert (Order.objects.get().status, balances()) == ("cancelled", {})


def test_a_large_refund_is_sent_another_way_by_two(abnormal: Deal, settings: Any) -> None:
    settings.REFUND_SECOND_APPROVAL_FEN = 3980
    refund = Refund.objects.get()
    redirect_refund(refund, user=finance("one"), **CARD)
    with pytest.raises(SecondApproval):
        redirect_refund(refund, user=finance("one"), **CARD)
    # Another card is another proposal, and needs two people again.
    other = {**CARD, "account": "6222020200112299999"}
    redirect_refund(refund, user=finance("two"), **other)
    assert Refund.objects.get().status == RefundStatus.FAILED
    assert RefundApproval.objects.filter(dropped_at__isnull=False).count() == 1
    redirect_refund(refund, user=finance("one"), **other)
    assert Refund.objects.get().status == RefundStatus.PROCESSING
    done = RefundApproval.objects.get(confirmed_at__isnull=False)
    assert (done.proposed_by.username, done.confirmed_by.username) == ("two", "one")
    settle(abnormal)


def test_sealed_by_a_certificate(abnormal: Deal, settings: Any) -> None:
    settings.WECHATPAY_CERTIFICATES = True
    providers.refresh_certificates()
    settings.WECHATPAY_PUBLIC_KEY_ID = ""
    redirect_refund(Refund.objects.get(), user=finance(), **CARD)
    settle_refunds(abnormal)


@pytest.mark.parametrize(
    "form",
    [
        {**CARD, "bank_type": ""}, {**CARD, "holder": ""}, {**CARD, "account": "62220202"},
        {**CARD, "account": "6222 0202 0011 2233"}, {**CARD, "bank_type": "工商银行"},
    ],
)  # fmt: skip
def test_a_card_that_is_none(abnormal: Deal, client: Any, form: dict[str, str]) -> None:
    answer = press(client, **form)
    assert "errorlist" in answer.content.decode()
    assert Refund.objects.get().status == RefundStatus.FAILED


def test_a_refusal_changes_nothing(abnormal: Deal) -> None:
    with pytest.raises(RedirectRefused):
        redirect_refund(
            Refund.objects.get(), user=finance(), bank_type="NO BANK", account="1", holder="李明"
        )
    assert Refund.objects.get().last_error == "ABNORMAL"


@pytest.mark.parametrize("fault", ["http_500", "unsigned", "reset_after"])
def test_an_answer_that_is_lost(abnormal: Deal, fault: str) -> None:
    """It may have been done: the next query tells."""
    abnormal.sandbox.fault("wechatpay.abnormal_refund", fault)
    with pytest.raises(PlatformUnavailable):
        redirect_refund(Refund.objects.get(), user=finance(), **CARD)
    if fault == "http_500":
        redirect_refund(Refund.objects.get(), user=finance(), **CARD)
    settle_refunds(abnormal)
    assert abnormal.sandbox.net_fen() == 0


def test_only_what_could_not_go_back(abnormal: Deal) -> None:
    refund = Refund.objects.get()
    redirect_refund(refund, user=finance(), **CARD)
    with pytest.raises(NotAbnormal):
        redirect_refund(refund, user=finance(), **CARD)
    settle_refunds(abnormal)
    with pytest.raises(NotAbnormal):
        redirect_refund(refund, user=finance(), **CARD)
    assert len(abnormal.sandbox.ledger()["refunds"]) == 1


def test_refund_not_redirected_goes_to_the_customer(abnormal: Deal) -> None:
    """WeChat Pay never got the request for the shop's account; a card was named in its console."""
    Refund.objects.update(is_to_shop=True)
    refund = Refund.objects.select_related("payment").get()
    platform = provider_of(refund.payment)
    assert isinstance(platform, WeChatPayClient)
    card = BankCard(CARD["bank_type"], CARD["account"], CARD["holder"])
    platform.redirect_refund(refund.platform_id, refund.out_refund_no or "", card=card)
    settle(abnormal)
    refund = Refund.objects.get()
    assert (refund.status, refund.is_to_shop, balances()) == ("succeeded", False, {})


def test_refund_redirected_without_an_answer_is_owed(abnormal: Deal) -> None:
    abnormal.sandbox.fault("wechatpay.abnormal_refund", "reset_after")
    with pytest.raises(PlatformUnavailable):
        redirect_refund(Refund.objects.get(), user=finance())
    Refund.objects.update(is_to_shop=False)
    settle(abnormal)
    refund = Refund.objects.get()
    assert (refund.status, refund.is_to_shop) == ("to_pay_out", True)
