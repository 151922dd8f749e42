"""Money that cannot go back the way it came (PLATFORMS B7: ABNORMAL)."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from miniback.core import providers
from miniback.core.errors import PlatformUnavailable
from orders.models import Order, Refund
from orders.services import desk
from orders.services.refunds import NotAbnormal, RedirectRefused, redirect_refund, send_due_refunds
from orders.status import RefundStatus
from tests.factories import make_staff
from tests.orders.conftest import Deal, due_now
from tests.orders.services.test_audit import run
from tests.orders.services.test_payment import settle_refunds
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


def press(client: Any, **form: str) -> Any:
    client.force_login(make_staff(username="finance"))
    url = reverse("admin:orders_refund_redirect", args=[Refund.objects.get().pk])
    return client.post(url, form, follow=True)


@pytest.mark.parametrize("card", [CARD, {}])
def test_it_goes_to_a_card_or_to_the_shop(
    abnormal: Deal, client: Any, card: dict[str, str]
) -> None:
    answer = press(client, **card)
    assert [message.level_tag for message in answer.context["messages"]] == ["success"]
    assert Refund.objects.get().status == RefundStatus.PROCESSING
    settle_refunds(abnormal)
    assert Order.objects.get().status == "cancelled"
    assert (abnormal.sandbox.net_fen(), run()[0]) == (0, 0)
    # The card is nowhere.
    kept = [*Refund.objects.values_list(), *LogEntry.objects.values_list()]
    assert CARD["account"] not in str(kept)
    assert CARD["holder"] not in str(kept)


def test_sealed_by_a_certificate(abnormal: Deal, settings: Any) -> None:
    settings.WECHATPAY_CERTIFICATES = True
    providers.refresh_certificates()
    settings.WECHATPAY_PUBLIC_KEY_ID = ""
    redirect_refund(Refund.objects.get(), user=None, **CARD)
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
            Refund.objects.get(), user=None, bank_type="NO BANK", account="1", holder="李明"
        )
    assert Refund.objects.get().last_error == "ABNORMAL"


@pytest.mark.parametrize("fault", ["http_500", "unsigned", "reset_after"])
def test_an_answer_that_is_lost(abnormal: Deal, fault: str) -> None:
    """It may have been done: the next query tells."""
    abnormal.sandbox.fault("wechatpay.abnormal_refund", fault)
    with pytest.raises(PlatformUnavailable):
        redirect_refund(Refund.objects.get(), user=None, **CARD)
    if fault == "http_500":
        redirect_refund(Refund.objects.get(), user=None, **CARD)
    settle_refunds(abnormal)
    assert abnormal.sandbox.net_fen() == 0


def test_only_what_could_not_go_back(abnormal: Deal) -> None:
    refund = Refund.objects.get()
    redirect_refund(refund, user=None, **CARD)
    with pytest.raises(NotAbnormal):
        redirect_refund(refund, user=None, **CARD)
    settle_refunds(abnormal)
    with pytest.raises(NotAbnormal):
        redirect_refund(refund, user=None, **CARD)
    assert len(abnormal.sandbox.ledger()["refunds"]) == 1
