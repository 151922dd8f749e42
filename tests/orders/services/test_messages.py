"""Messages to customers: agreed to, spent, cut to fit, refused (PLATFORMS A6)."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from accounts.models import Identity, Platform
from miniback.core.doctor import Finding
from miniback.core.models import OutboxMessage
from miniback.jobs import deliver_outbox
from orders.management.commands.seed_demo import TEMPLATES, Command
from orders.models import Carrier, MessageConsent, MessageKind, MessageTemplate, Order
from orders.models.message import validate_message_fields
from orders.services import desk
from orders.services.cancellation import remind_unpaid_orders
from orders.services.fulfillment import ship_order
from orders.services.messages import MAX_CONSENTS, ask_about_templates, examine_templates
from orders.status import OrderStatus
from tests.conftest import Api
from tests.factories import make_staff
from tests.orders.conftest import Deal, due_now
from tests.orders.services.test_payment import settle_refunds
from tests.sandbox_process import SandboxProcess, until

pytestmark = pytest.mark.django_db(transaction=True)


def template_id(kind: str) -> str:
    return f"template-{kind}-1"


@pytest.fixture
def templates() -> None:
    for kind, fields in TEMPLATES.items():
        MessageTemplate.objects.create(kind=kind, template_id=template_id(kind), fields=fields)


def agree(deal: Deal, *kinds: str) -> None:
    """As the client does: the platform asks the customer, and the shop is told."""
    ids = [template_id(kind) for kind in kinds]
    deal.sandbox.post("/phone/wechat/consents/", openid="o-customer", template_ids=ids)
    answer = deal.api.post("messages/consents/", {"template_ids": ids})
    assert answer.status_code == 204, answer.content


def received(deal: Deal) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = deal.sandbox.get("/phone/wechat/messages/?openid=o-customer")[
        "messages"
    ]
    return messages


def deliver() -> None:
    due_now(OutboxMessage)
    deliver_outbox()


def pay(deal: Deal) -> None:
    deal.pay()
    until(lambda: deal.order.status == OrderStatus.PAID)


def counts() -> dict[str, int]:
    return dict(MessageConsent.objects.values_list("template__kind", "count"))


def test_the_client_is_told_what_to_ask(deal: Deal, templates: None) -> None:
    MessageTemplate.objects.filter(kind=MessageKind.SHIPPED).update(is_active=False)
    answer = deal.api.get("messages/templates/").json()
    assert answer == [
        {"kind": kind, "template_id": template_id(kind)}
        for kind in ("paid", "refunded", "closing_soon")
    ]


def test_paid_and_shipped(deal: Deal, templates: None) -> None:
    agree(deal, "paid", "shipped")
    agree(deal, "paid")
    assert counts() == {"paid": 2, "shipped": 1}
    pay(deal)
    deliver()
    [message] = received(deal)
    order = deal.order
    assert message["template_id"] == template_id("paid")
    assert message["page"] == f"pages/order/order?number={order.number}"
    at = f"{timezone.localtime(order.paid_at):%Y年%m月%d日 %H:%M}"
    assert message["data"] == {
        "character_string1": order.number, "thing2": order.lines.get().name,
        "amount3": f"{order.payable_fen / 100:.2f}元", "date4": at,
    }  # fmt: skip
    carrier = Carrier.objects.get_or_create(code="SF", defaults={"name": "顺丰速运"})[0]
    ship_order(order, carrier=carrier, tracking_number="SF1001", user=None)
    deliver()
    assert received(deal)[0]["data"] | {"thing1": ""} == {
        "thing1": "", "thing2": "顺丰速运", "character_string3": "SF1001",
    }  # fmt: skip
    assert counts() == {"paid": 1, "shipped": 0}
    deliver()
    assert len(received(deal)) == 2


def test_money_back(deal: Deal, templates: None) -> None:
    agree(deal, "refunded")
    pay(deal)
    desk.call_off(deal.order, reason="缺货", user=make_staff())
    settle_refunds(deal)
    deliver()
    [message] = received(deal)
    assert message["data"]["amount2"] == f"{deal.order.payable_fen / 100:.2f}元"


def test_time_to_pay_ends_soon(deal: Deal, templates: None) -> None:
    agree(deal, "closing_soon")
    Order.objects.update(pay_before=timezone.now() + timedelta(minutes=9))
    for _twice in range(2):
        remind_unpaid_orders()
        deliver()
    [message] = received(deal)
    assert message["data"]["thing1"] == deal.order.lines.get().name


def test_what_is_out_of_date_is_not_sent(deal: Deal, templates: None) -> None:
    """Paid before the reminder went out; and a template that was taken away."""
    agree(deal, "closing_soon", "paid")
    Order.objects.update(pay_before=timezone.now() + timedelta(minutes=9))
    remind_unpaid_orders()
    pay(deal)
    MessageTemplate.objects.filter(kind="paid").update(is_active=False)
    deliver()
    assert received(deal) == []
    sent = OutboxMessage.objects.filter(topic="message.send")
    assert list(sent.values_list("last_error", "due_at").distinct()) == [
        ("it is out of date", None)
    ]
    assert counts() == {"closing_soon": 1, "paid": 1}


def test_nobody_is_told_who_did_not_agree(deal: Deal, templates: None) -> None:
    agree(deal, "shipped")
    pay(deal)
    assert not OutboxMessage.objects.filter(topic="message.send").exists()


def test_consent_taken_back_at_the_platform(deal: Deal, templates: None) -> None:
    """43101 is no failure to try again: the customer has said no."""
    agree(deal, "paid", "paid")
    agree(deal, "paid")
    deal.sandbox.fault("wechat.message", "errcode", errcode=43101)
    pay(deal)
    deliver()
    message = OutboxMessage.objects.get(topic="message.send")
    assert message.done_at is not None
    assert "43101" in message.last_error
    assert counts() == {"paid": 0}
    assert received(deal) == []


@pytest.mark.parametrize("errcode", [-1, 45009, 40001])
def test_a_platform_that_is_busy_gets_it_later(deal: Deal, templates: None, errcode: int) -> None:
    agree(deal, "paid")
    deal.sandbox.fault("wechat.message", "errcode", times=2, errcode=errcode)
    pay(deal)
    for _try in range(3):
        deliver()
    assert len(received(deal)) == 1
    assert counts() == {"paid": 0}


@pytest.mark.parametrize("errcode", [40037, 47003, 40003])
def test_a_template_that_is_wrong_keeps_its_error(
    deal: Deal, templates: None, errcode: int
) -> None:
    agree(deal, "paid")
    deal.sandbox.fault("wechat.message", "errcode", times=9, errcode=errcode)
    pay(deal)
    deliver()
    message = OutboxMessage.objects.get(topic="message.send")
    assert str(errcode) in message.last_error
    assert counts() == {"paid": 1}


def test_consents_have_an_end(deal: Deal, templates: None) -> None:
    agree(deal, "paid")
    MessageConsent.objects.update(count=MAX_CONSENTS)
    agree(deal, "paid")
    assert counts() == {"paid": MAX_CONSENTS}


@pytest.mark.parametrize(
    "ids", [[], ["template-none-1"], ["template-paid-1", "x"], "template-paid-1", [1, {}], ["a"] * 11]
)  # fmt: skip
def test_strange_consents_are_refused(deal: Deal, templates: None, ids: Any) -> None:
    answer = deal.api.post("messages/consents/", {"template_ids": ids})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert not MessageConsent.objects.exists()


def test_only_wechat_has_them(api: Api, templates: None) -> None:
    Identity.objects.update(platform=Platform.ALIPAY)
    answer = api.post("messages/consents/", {"template_ids": [template_id("paid")]})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


@pytest.mark.parametrize(
    "fields",
    [[], {}, {"thing": "goods"}, {"word1": "goods"}, {"thing1": "price"}, {"thing1": None}, {"1": "goods"}],
)  # fmt: skip
def test_fields_that_no_template_has(fields: Any) -> None:
    with pytest.raises(ValidationError):
        validate_message_fields(fields)


# What the doctor says of them


@pytest.fixture
def demo_templates(sandbox: SandboxProcess) -> None:
    Command().add_templates()


def said(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(one.setting, one.problem) for one in findings]


def test_the_demo_is_well(demo_templates: None) -> None:
    assert said([*examine_templates(), *ask_about_templates()]) == []


def test_an_id_that_cannot_be_one(demo_templates: None, settings: Any) -> None:
    settings.WECHAT_APP_ID = "wx0123456789abcdef"
    assert len(said(examine_templates())) == 4
    MessageTemplate.objects.exclude(kind="paid").delete()
    MessageTemplate.objects.update(template_id="a-Z_" + "0" * 39)
    assert said(examine_templates()) == []


def test_templates_the_account_does_not_have(demo_templates: None) -> None:
    paid = MessageTemplate.objects.filter(kind="paid")
    paid.update(template_id="somebody-elses")
    shipped = MessageTemplate.objects.filter(kind="shipped")
    shipped.update(fields={"thing1": "goods"})
    MessageTemplate.objects.filter(kind="refunded").update(template_id="x", is_active=False)
    assert said(ask_about_templates()) == [
        ("message template “paid”", "is not in the account"),
        ("message template “shipped”", "has the fields thing1"),
    ]


@pytest.mark.parametrize("fault", ["http_500", "errcode", "html"])
def test_a_platform_that_does_not_say(
    demo_templates: None, sandbox: SandboxProcess, fault: str
) -> None:
    sandbox.fault("wechat.templates", fault, times=9, errcode=48001)
    [(what, why)] = said(ask_about_templates())
    assert what == "message templates"
    assert "cannot be asked" in why


def test_a_shop_without_tables(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE orders_messagetemplate RENAME TO away")
    try:
        [(what, _why)] = said(examine_templates())
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE away RENAME TO orders_messagetemplate")
    assert what == "DATABASE_URL"
