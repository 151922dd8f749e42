"""The main job, end to end, over HTTP."""

import pytest
from django.urls import reverse

from catalog.models import Sku
from orders.models import Carrier, Notice, Order, Payment
from orders.status import OrderStatus
from tests.conftest import Api
from tests.factories import make_sku, make_staff
from tests.sandbox_process import SandboxProcess, until

pytestmark = pytest.mark.django_db(transaction=True)


def test_from_login_to_receipt(shop: SandboxProcess, payer: Api, client) -> None:
    sku = make_sku(price_fen=1990, stock=10)
    Carrier.objects.get_or_create(code="SF", defaults={"name": "顺丰速运"})
    address = payer.get("addresses/").json()["results"][0]["id"]
    assert payer.post("cart/lines/", {"sku": sku.pk, "quantity": 2}).status_code == 201
    quote = payer.post("orders/quote/", {"from_cart": True, "address": address}).json()
    placed = payer.place(from_cart=True, address=address, payable_fen=quote["payable_fen"])
    assert placed.status_code == 201
    number = placed.json()["number"]
    paying = payer.post(f"orders/{number}/pay/", {"channel": "wechat"})
    assert paying.status_code == 200

    assert shop.pay(paying.json()["params"]).json() == {"errMsg": "requestPayment:ok"}
    until(lambda: Order.objects.get(number=number).status == OrderStatus.PAID)

    client.force_login(make_staff())
    order = Order.objects.get(number=number)
    page = reverse("admin:orders_order_ship", args=[order.pk])
    carrier = Carrier.objects.get(code="SF")
    assert (
        client.post(page, {"carrier": carrier.pk, "tracking_number": "SF123456"}).status_code == 302
    )
    done = payer.post(f"orders/{number}/confirm-receipt/")
    assert done.json()["status"] == "completed"
    assert [event["to_status"] for event in done.json()["events"]] == [
        "pending_payment",
        "paid",
        "shipped",
        "completed",
    ]
    assert Sku.objects.get(pk=sku.pk).stock == 8
    assert shop.net_fen() == 3980
    assert Payment.objects.get().transaction_id
    assert Notice.objects.get().outcome == "applied"
