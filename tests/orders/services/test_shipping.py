"""Parcels told to WeChat: in one, in several, late, lost, refused (PLATFORMS A8)."""

from typing import Any

import pytest
from django.utils import timezone

from miniback.core.models import OutboxMessage
from miniback.jobs import deliver_outbox
from orders.models import Carrier
from orders.services.after_sales import request_refund
from orders.services.fulfillment import ship_order
from orders.services.refund_decisions import approve_refund
from orders.status import OrderStatus, RefundKind
from tests.factories import make_staff
from tests.orders.conftest import Deal
from tests.sandbox_process import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def paid(deal: Deal) -> Deal:
    deal.pay()
    until(lambda: deal.order.status == OrderStatus.PAID)
    return deal


def ship(deal: Deal, number: str, quantity: int | None = None) -> None:
    carrier, _new = Carrier.objects.get_or_create(code="SF", defaults={"name": "顺丰速运"})
    line = deal.order.lines.get()
    quantities = None if quantity is None else {line.pk: quantity}
    ship_order(
        deal.order, carrier=carrier, tracking_number=number, user=None, quantities=quantities
    )


def told(deal: Deal) -> dict[str, Any]:
    [order] = deal.sandbox.get("/phone/wechat/parcels/?openid=o-customer")["orders"]
    shipping = order["shipping"]
    return {
        "state": order["order_state"],
        "parcels": [(one["tracking_no"], one["item_desc"]) for one in shipping["shipping_list"]],
    }


def again() -> None:
    OutboxMessage.objects.filter(done_at=None).update(due_at=timezone.now())
    deliver_outbox()


def test_one_parcel(paid: Deal) -> None:
    ship(paid, "SF1001")
    deliver_outbox()
    name = paid.order.lines.get().name
    assert told(paid) == {"state": 2, "parcels": [("SF1001", f"{name} x2")]}


def test_parcels_of_one_order(paid: Deal) -> None:
    """Told in the wrong order, and twice: each message tells of all there are."""
    ship(paid, "SF1", 1)
    deliver_outbox()
    assert told(paid)["state"] == 1
    ship(paid, "SF2", 1)
    OutboxMessage.objects.update(done_at=None)
    again()
    assert [number for number, _what in told(paid)["parcels"]] == ["SF1", "SF2"]
    assert told(paid)["state"] == 2
    assert not OutboxMessage.objects.filter(done_at=None).exists()


def test_the_rest_is_refunded(paid: Deal) -> None:
    """Nothing more comes: the platform must hear that this was all."""
    ship(paid, "SF1", 1)
    deliver_outbox()
    line = paid.order.lines.get()
    refund = request_refund(
        paid.order, quantities={line.pk: 1}, kind=RefundKind.REFUND_ONLY,
        reason="不要了",
    )  # fmt: skip
    approve_refund(refund, user=make_staff())
    assert paid.order.status == OrderStatus.SHIPPED
    deliver_outbox()
    assert told(paid)["state"] == 2


@pytest.mark.parametrize(
    ("fault", "options"),
    [("errcode", {"errcode": 10060001}), ("errcode", {"errcode": -1}), ("http_500", {}), ("html", {}),
     ("errcode", {"errcode": 48001}), ("http_500_after", {})],
)  # fmt: skip
def test_it_is_tried_again(paid: Deal, fault: str, options: dict[str, Any]) -> None:
    """10060001 right after payment, a lost answer (10060002 then), a right that is missing."""
    paid.sandbox.fault("wechat.shipping", fault, **options)
    ship(paid, "SF1001")
    deliver_outbox()
    message = OutboxMessage.objects.get(topic="shipping.upload")
    assert (message.done_at, bool(message.last_error)) == (None, True)
    again()
    assert told(paid)["state"] == 2
    assert not OutboxMessage.objects.filter(done_at=None).exists()


@pytest.mark.parametrize("errcode", [10060003, 10060004, 10060031, 268485228])
def test_what_will_never_be_taken_ends(paid: Deal, errcode: int) -> None:
    """Visible to staff with the platform's own code, and not tried for ever."""
    paid.sandbox.fault("wechat.shipping", "errcode", errcode=errcode)
    ship(paid, "SF1001")
    deliver_outbox()
    message = OutboxMessage.objects.get(topic="shipping.upload")
    assert message.done_at is not None
    assert str(errcode) in message.last_error
    assert paid.order.status == OrderStatus.SHIPPED


def test_a_shop_that_does_not_tell(paid: Deal, settings: Any) -> None:
    settings.WECHAT_UPLOAD_SHIPPING = False
    ship(paid, "SF1001")
    assert not OutboxMessage.objects.filter(topic="shipping.upload").exists()
