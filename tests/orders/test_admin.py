"""The back office: every list and page opens, facts stay facts, what staff do goes through services."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import connection
from django.db.models.signals import pre_save
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Staff
from catalog.models import Brand, Product, Sku, StockMovement
from miniback.core.models import OutboxMessage
from miniback.core.outbox import post
from orders.models import Carrier, CartLine, Notice, Order, Payment, Refund, Shipment
from orders.services.fulfillment import ship_order
from orders.services.refunds import refund_payment
from tests.factories import make_category, make_order, make_product, make_sku, make_staff

pytestmark = pytest.mark.django_db

# Of a list, whatever stands in it: who asks, counts of tabs, the page, related rows, filters.
MOST_QUERIES, MOST_QUERIES_OF_THE_START_PAGE = 15, 24
FACTS = [Order, Payment, Refund, Notice, Shipment, StockMovement, OutboxMessage, CartLine]


@pytest.fixture
def staff(client: Any) -> Staff:
    staff = make_staff()
    client.force_login(staff)
    return staff


def fill(count: int) -> None:
    """``count`` rows of everything."""
    carrier = Carrier.objects.get_or_create(code="SF", defaults={"name": "顺丰速运"})[0]
    for number in range(count):
        sku = make_sku(
            product=make_product(
                name=f"p{number}",
                brand=Brand.objects.create(name=f"b{number}-{Brand.objects.count()}"),
            )
        )
        order = make_order(sku=sku)
        payment = Payment.objects.create(
            order=order, channel="wechat", number=f"P{order.number}", amount_fen=1990,
            payer=order.user.identities.get(), created_at=order.placed_at,
        )  # fmt: skip
        refund_payment(payment, reason="x", now=order.placed_at)
        Notice.objects.create(
            channel="wechat", notice_id=f"N{order.number}", event_type="TRANSACTION.SUCCESS",
            headers={}, body="", content={}, received_at=order.placed_at, payment=payment,
        )  # fmt: skip
        CartLine.objects.create(user=order.user, sku=sku, quantity=1)
        post(topic="x", event_key=f"x:{order.number}", payload={})
        Order.objects.filter(pk=order.pk).update(status="paid")
        ship_order(order, carrier=carrier, tracking_number="SF1", user=None)


def lists() -> list[str]:
    return [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for model in admin.site._registry
    ]


def test_every_model_is_in_the_back_office_or_left_out_on_purpose() -> None:
    left_out = {
        "IdempotencyKey", "Identity", "Session", "Address", "User", "ProductPicture",
        "ProductOption", "OrderLine", "OrderEvent", "LedgerEntry", "RefundLine", "FreightRule",
        "RefundApproval", "RefundAttempt",
        "ShipmentLine", "Favourite", "Footprint", "SearchHistory", "SearchToken", "SearchText",
        "ProductFacet", "ReviewSummary", "HomeRowProduct", "PictureCheck", "MessageConsent",
        "DailyTotal", "DailyProduct",
    }  # fmt: skip
    ours = {
        model
        for app in ("core", "accounts", "catalog", "orders")
        for model in apps.get_app_config(app).get_models()
    }
    missing = {model.__name__ for model in ours - set(admin.site._registry)}
    assert missing == left_out


def test_lists_open_and_their_queries_do_not_grow(staff: Staff, client: Any) -> None:
    counts: list[dict[str, int]] = []
    for rows in (1, 8):
        fill(rows)
        seen = {}
        for url in lists():
            with CaptureQueriesContext(connection) as captured:
                assert client.get(url).status_code == 200, url
            seen[url] = len(captured)
        counts.append(seen)
    grown = {url for url in counts[0] if counts[1][url] > counts[0][url]}
    assert grown == set()
    assert max(counts[1].values()) <= MOST_QUERIES, counts[1]
    with CaptureQueriesContext(connection) as captured:
        client.get(reverse("admin:index"))
    assert len(captured) <= MOST_QUERIES_OF_THE_START_PAGE


def test_what_may_be_a_million_rows_is_found_by_whole_words(staff: Staff, client: Any) -> None:
    fill(2)
    payment = Payment.objects.order_by("pk")[0]
    Payment.objects.filter(pk=payment.pk).update(transaction_id="4200001")
    order, notice, sku = payment.order, payment.notices.get(), payment.order.lines.get().sku
    for name, words in {
        "orders_payment": (payment.number, order.number, order.number.lower(), "4200001"),
        "orders_notice": (payment.number, order.number, notice.notice_id),
        "orders_refund": (order.number, payment.number),
        "orders_shipment": (order.number,),
        "catalog_stockmovement": (order.number, sku.code),
        "catalog_sku": (sku.code, sku.code[:-1]),
        "catalog_product": (sku.code, sku.product.name),
        "core_outboxmessage": (f"x:{order.number}",),
        "orders_cartline": (sku.code,),
    }.items():
        for word in words:
            page = client.get(reverse(f"admin:{name}_changelist"), {"q": word})
            assert page.context["cl"].result_count >= 1, (name, word)
        none = client.get(reverse(f"admin:{name}_changelist"), {"q": "nichts"})
        assert none.context["cl"].result_count == 0, name


def test_pages_and_searches_open(staff: Staff, client: Any) -> None:
    fill(1)
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        for row in model._default_manager.all()[:1]:
            assert client.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200, name
        for word in ("x", "5678", "13812345678", "O1", "%", "😀"):
            answer = client.get(reverse(f"{name}_changelist"), {"q": word})
            assert answer.status_code == 200, (name, word)


def test_facts_cannot_be_added_changed_or_deleted(staff: Staff, client: Any) -> None:
    """A9."""
    fill(1)
    for model in FACTS:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        row = model._default_manager.first()
        before = model._default_manager.filter(pk=row.pk).values().get()
        assert client.get(reverse(f"{name}_add")).status_code == 403
        assert (
            client.post(reverse(f"{name}_change", args=[row.pk]), {"status": "paid"}).status_code
            == 403
        )
        assert (
            client.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}).status_code
            == 403
        )
        assert model._default_manager.filter(pk=row.pk).values().get() == before


# Orders


@pytest.fixture
def paid(staff: Staff) -> Order:
    return make_order(status="paid")


@pytest.fixture
def carrier() -> Carrier:
    return Carrier.objects.get_or_create(code="SF", defaults={"name": "顺丰速运"})[0]


def ship(client: Any, order: Order, carrier: Carrier, number: str = "SF123456") -> Any:
    url = reverse("admin:orders_order_ship", args=[order.pk])
    return client.post(url, {"carrier": carrier.pk, "tracking_number": number}, follow=True)


def test_shipping_asks_for_carrier_and_number(client: Any, paid: Order, carrier: Carrier) -> None:
    page = reverse("admin:orders_order_change", args=[paid.pk])
    ask = reverse("admin:orders_order_ship", args=[paid.pk])
    assert ask in client.get(page).content.decode()

    answer = ship(client, paid, carrier)
    assert answer.redirect_chain[-1][0] == page
    paid.refresh_from_db()
    assert paid.status == "shipped"
    assert paid.shipments.get().tracking_number == "SF123456"
    assert ask not in client.get(page).content.decode()


@pytest.mark.parametrize("number", ["", "1", "SF 123", "=HYPERLINK(1)", "x" * 51])
def test_bad_tracking_numbers_are_explained(
    client: Any, paid: Order, carrier: Carrier, number: str
) -> None:
    answer = ship(client, paid, carrier, number)
    assert "errorlist" in answer.content.decode()
    paid.refresh_from_db()
    assert paid.status == "paid"


def test_shipping_twice_is_refused_with_the_reason(
    client: Any, paid: Order, carrier: Carrier
) -> None:
    ship(client, paid, carrier)
    answer = ship(client, paid, carrier, "SF654321")
    assert [message.level_tag for message in answer.context["messages"]] == ["error"]
    assert paid.shipments.count() == 1


def test_looking_ships_nothing(client: Any, paid: Order) -> None:
    """A8: no action by GET."""
    client.get(reverse("admin:orders_order_ship", args=[paid.pk]), {"tracking_number": "SF123456"})
    paid.refresh_from_db()
    assert paid.status == "paid"


def test_forms_need_their_token(paid: Order, carrier: Carrier) -> None:
    """T16."""
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(Staff.objects.get())
    assert ship(strict, paid, carrier).status_code == 403


def test_shipping_needs_the_permission(client: Any, paid: Order, carrier: Carrier) -> None:
    """A3, A8."""
    viewer = make_staff(username="viewer", is_superuser=False)
    viewer.user_permissions.add(Permission.objects.get(codename="view_order"))
    client.force_login(viewer)
    page = reverse("admin:orders_order_change", args=[paid.pk])
    assert "/ship/" not in client.get(page).content.decode()
    assert ship(client, paid, carrier).status_code == 403
    paid.refresh_from_db()
    assert paid.status == "paid"


def test_staff_cancel_with_a_reason(client: Any, staff: Staff) -> None:
    order = make_order()
    url = reverse("admin:orders_order_cancel", args=[order.pk])
    assert "errorlist" in client.post(url, {"reason": ""}).content.decode()
    client.post(url, {"reason": "缺货"})
    order.refresh_from_db()
    assert (order.status, order.cancel_reason) == ("cancelled", "缺货")
    assert order.events.get(to_status="cancelled").user_id == staff.pk


def test_an_order_is_found_by_number_and_phone(client: Any, paid: Order) -> None:
    url = reverse("admin:orders_order_changelist")
    for word in (paid.number, paid.number.lower(), "13812345678", "5678", "李明"):
        assert paid.number in client.get(url, {"q": word}).content.decode(), word
    assert paid.number not in client.get(url, {"q": "1381234567"}).content.decode()


# Products


def product_form(product: Product, sku: Sku | None, **sku_fields: Any) -> dict[str, Any]:
    form: dict[str, Any] = {
        "category": product.category_id, "name": "改名", "subtitle": "", "status": "on_sale",
        "detail_html": "<p>好<script>x</script></p>",
    }  # fmt: skip
    for prefix in ("options", "pictures", "skus"):
        form |= {f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}
    if sku:
        form |= {"skus-TOTAL_FORMS": 1, "skus-INITIAL_FORMS": 1, "skus-0-id": sku.pk}
    else:
        form |= {"skus-TOTAL_FORMS": 1}
    defaults = {
        "code": "NEW",
        "options": "{}",
        "price_fen": "19.90",
        "weight_g": 0,
        "is_active": "on",
    }
    row = {**defaults, "product": product.pk, **sku_fields}
    return form | {f"skus-0-{name}": value for name, value in row.items()}


def save(client: Any, product: Product, form: dict[str, Any]) -> Any:
    return client.post(
        reverse("admin:catalog_product_change", args=[product.pk]), form, follow=True
    )


def test_a_product_is_saved_with_its_skus(staff: Staff, client: Any) -> None:
    product = make_product()
    save(client, product, product_form(product, None, price_fen="12.5", stock_change="7"))

    sku = Sku.objects.get()
    product.refresh_from_db()
    assert (sku.price_fen, sku.stock) == (1250, 7)
    assert (product.name, product.price_fen, product.in_stock) == ("改名", 1250, True)
    assert "script" not in product.detail_html
    assert StockMovement.objects.get().kind == "initial"


def test_stock_is_changed_by_a_difference(staff: Staff, client: Any) -> None:
    """C15: what was sold since the form was opened stays sold."""
    sku = make_sku(stock=50)
    form = product_form(sku.product, sku, code=sku.code, stock_change="10", stock="50")
    make_order(sku=sku, quantity=30)
    save(client, sku.product, form)
    assert Sku.objects.get().stock == 30

    form.pop("skus-0-stock_change")
    save(client, sku.product, form)
    assert Sku.objects.get().stock == 30
    assert sum(StockMovement.objects.values_list("delta", flat=True)) == 30


def test_removing_more_than_there_is_is_refused(staff: Staff, client: Any) -> None:
    sku = make_sku(stock=5)
    form = product_form(sku.product, sku, code=sku.code, stock_change="-6")
    answer = save(client, sku.product, form)
    assert "error" in [message.level_tag for message in answer.context["messages"]]
    assert Sku.objects.get().stock == 5


@pytest.mark.parametrize("options", ["3", '{"a": 1}', '{"a": ["b"]}', "red", '{"a": null}'])
def test_options_of_another_shape_are_explained(staff: Staff, client: Any, options: str) -> None:
    sku = make_sku()
    answer = save(
        client, sku.product, product_form(sku.product, sku, code=sku.code, options=options)
    )
    assert "errorlist" in answer.content.decode()
    assert Sku.objects.get().options == {"规格": "100克"}


def test_a_category_cannot_hang_below_itself(staff: Staff, client: Any) -> None:
    root = make_category(name="root")
    leaf = make_category(name="leaf", parent=make_category(name="branch", parent=root))
    url = reverse("admin:catalog_category_change", args=[root.pk])
    for parent in (root, leaf):
        answer = client.post(url, {"name": "root", "parent": parent.pk, "position": 0})
        assert "errorlist" in answer.content.decode()
    root.refresh_from_db()
    assert root.parent is None


def test_customers_cannot_enter(client: Any) -> None:
    client.force_login(make_order().user)
    assert client.get("/admin/").status_code == 302


def test_what_is_sold_while_the_form_is_saved_stays_sold(staff: Staff, client: Any) -> None:
    """C15: between reading the rows and writing them, which no lock forbids on MariaDB or PostgreSQL."""
    sku = make_sku(stock=50)
    form = product_form(sku.product, sku, code=sku.code)

    def sell(**kwargs: Any) -> None:
        Sku.objects.update(stock=45)
        Product.objects.update(sales_count=5)

    pre_save.connect(sell, sender=Product, weak=False)
    try:
        save(client, sku.product, form)
    finally:
        pre_save.disconnect(sell, sender=Product)
    assert Product.objects.get().name == "改名"
    assert (Sku.objects.get().stock, Product.objects.get().sales_count) == (45, 5)
