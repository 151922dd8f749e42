"""The audit: clean on a shop that lived, and for each rule broken by hand it names exactly that one."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from catalog.models import Sku
from catalog.services.reviews import write_review
from miniback.core import outbox
from orders.models import Bill, LedgerEntry, Order, Payment, Refund
from orders.services.audit import RULES, audit
from tests.factories import make_claim, make_order
from tests.notices import headers, message, transaction
from tests.orders.conftest import Deal, place
from tests.orders.services.test_payment import settle_refunds

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.broken_books]


def run() -> tuple[int, dict[str, Any]]:
    out = StringIO()
    try:
        call_command("audit", "--json", stdout=out)
    except SystemExit as end:
        return int(end.code or 0), json.loads(out.getvalue())
    return 0, json.loads(out.getvalue())


def sql(statement: str, *, unchecked: bool = False) -> None:
    """Break the books behind everybody's back."""
    with connection.cursor() as cursor:
        if unchecked and connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = ON")
        if unchecked and connection.vendor == "mysql":
            cursor.execute("SET SESSION check_constraint_checks = 0")
        cursor.execute(statement)
        if unchecked and connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = OFF")
        if unchecked and connection.vendor == "mysql":
            cursor.execute("SET SESSION check_constraint_checks = 1")


@pytest.fixture
def lived(deal: Deal, settings: Any) -> Deal:
    """A paid order; a cancelled one whose money came late and went back; an open one with a coupon."""
    settings.WECHAT_CONTENT_CHECK = False
    late = place(deal.api, deal.sku, quantity=1, key="key-00000002")
    asked = deal.api.post(f"orders/{late}/pay/", {"channel": "wechat"}).json()
    deal.api.post(f"orders/{late}/cancel/")
    second = Payment.objects.get(number=asked["payment"])
    for payment, number in ((deal.payment, "42"), (second, "43")):
        body = message(deal.sandbox, transaction(deal.sandbox, payment, transaction_id=number * 14))
        answer = deal.api.client.post(
            "/api/v1/callbacks/wechatpay/", body, content_type="application/json",
            headers=headers(deal.sandbox, body),
        )  # fmt: skip
        assert answer.status_code == 204
    coupon = make_claim(deal.user, off=100).pk
    place(deal.api, deal.sku, quantity=1, key="key-00000003", off=100, coupon=coupon)
    write_review(
        deal.user, product_id=deal.sku.product_id, sku_id=deal.sku.pk, reference="O1:1", rating=5,
        text="", images=[], is_anonymous=False,
    )  # fmt: skip
    # The sandbox never saw this money: say of the refund what it would have said.
    refund = Refund.objects.get()
    Refund.objects.filter(pk=refund.pk).update(due_at=None)
    Bill.objects.create(
        channel="wechat", day="2026-01-01", row_count=0, paid_fen=0, refunded_fen=0,
        compared_at=timezone.now(),
    )  # fmt: skip
    return deal


def test_a_shop_that_lived_is_clean(deal: Deal) -> None:
    deal.pay()
    deal.check()
    late = place(deal.api, deal.sku, quantity=1, key="key-00000002")
    asked = deal.api.post(f"orders/{late}/pay/", {"channel": "wechat"}).json()
    deal.sandbox.fault("wechatpay.notice", "dropped")
    assert deal.sandbox.pay(asked["params"]).ok
    deal.api.post(f"orders/{late}/cancel/")
    call_command("run_jobs", "--once", stdout=StringIO())
    settle_refunds(deal)

    assert run() == (0, {"rules": len(RULES), "failures": []})
    balances: dict[str, int] = {}
    for account, fen in LedgerEntry.objects.values_list("account", "amount_fen"):
        balances[account] = balances.get(account, 0) + fen
    assert balances == {
        "platform:wechat": 3980, "goods": -3980, "receivable": 0, "customer_refunds": 0,
    }  # fmt: skip
    assert deal.sandbox.net_fen() == 3980


def test_an_empty_shop_is_clean(transactional_db: None) -> None:
    assert run()[0] == 0


def test_people_read_it(lived: Deal, capsys: Any) -> None:
    call_command("audit")
    assert capsys.readouterr().out == f"{len(RULES)} of {len(RULES)} rules hold.\n"
    sql("UPDATE catalog_sku SET stock = stock + 1")
    with pytest.raises(SystemExit):
        call_command("audit")
    shown = capsys.readouterr().out
    assert "I7 does not hold" in shown
    assert lived.sku.code in shown


OLD = "'2020-01-01 00:00:00'"
BREAKS = {
    "I2": "UPDATE orders_orderline SET unit_fen = unit_fen + 1",
    "I3": "UPDATE orders_orderline SET discount_fen = 1 WHERE order_id = {paid}",
    "I5": "DELETE FROM orders_orderline WHERE order_id = {open}",
    "I6": "UPDATE orders_orderevent SET from_status = 'shipped' WHERE to_status = 'paid'",
    "I7": "UPDATE catalog_sku SET stock = stock - 1",
    "I9": "UPDATE catalog_stockmovement SET reference = 'elsewhere' WHERE kind = 'release'",
    "I10": "UPDATE catalog_stockmovement SET reference = '' WHERE kind = 'initial'",
    "product copies": "UPDATE catalog_product SET price_fen = 1",
    "review counts": "UPDATE catalog_reviewsummary SET stars_5 = 0",
    "I11": "UPDATE orders_payment SET is_applied = {false} WHERE order_id = {paid}",
    "I12": "UPDATE orders_payment SET amount_fen = amount_fen + 1 WHERE order_id = {paid}",
    "I13": "UPDATE orders_refund SET amount_fen = amount_fen - 1",
    "I15": "UPDATE orders_order SET pay_before = " + OLD + " WHERE status = 'pending_payment'",
    "I17": "UPDATE orders_refund SET amount_fen = amount_fen + 1",
    "I19": "UPDATE orders_orderline SET refunded_quantity = 1 WHERE order_id = {paid}",
    "I20": "UPDATE orders_refund SET status = 'processing', created_at = " + OLD,
    "I21": "UPDATE orders_ledgerentry SET amount_fen = amount_fen + 1 WHERE account = 'goods'",
    "I23": "UPDATE orders_refund SET status = 'succeeded'",
    "bills": "INSERT INTO orders_billdifference (bill_id, kind, is_refund, number, transaction_id, status,"
    " note) SELECT id, 'not_ours', {false}, 'X', '', 'open', '' FROM orders_bill",
    "I24": "UPDATE orders_ledgertransaction SET event_key = 'x' WHERE event_key LIKE 'sale:%'",
    "I25": "UPDATE orders_claimedcoupon SET used_at = NULL",
    "parcels": "UPDATE orders_orderline SET shipped_quantity = 1 WHERE order_id = {paid}",
    "I26": "UPDATE orders_notice SET outcome = 'new', received_at = " + OLD,
}
# One row cannot be broken without a second rule noticing: these go along.
COMPANIONS = {
    "I5": {"I9"}, "I11": {"I13"}, "I12": {"I23"}, "I13": set(), "I17": {"I13"},
    "I4": {"I3"}, "I8": {"I7", "product copies"}, "I18": {"I13"},
}  # fmt: skip


CHECKED = {
    "I1": "UPDATE orders_order SET freight_fen = 1 WHERE status = 'paid'",
    "I4": "UPDATE orders_orderline SET discount_fen = -1 WHERE order_id = {paid}",
    "I8": "UPDATE catalog_sku SET stock = -1",
    "I18": "UPDATE orders_refund SET amount_fen = 0",
}


def breaks(name: str, statement: str, *, unchecked: bool = False) -> None:
    assert run() == (0, {"rules": len(RULES), "failures": []})
    values = {
        "paid": Order.objects.get(status="paid").pk,
        "open": Order.objects.get(status="pending_payment").pk,
        "false": "FALSE" if connection.vendor == "postgresql" else "0",
    }
    sql(statement.format(**values), unchecked=unchecked)
    code, result = run()
    assert code == 1
    named = {failure["rule"] for failure in result["failures"]}
    assert named - COMPANIONS.get(name, set()) == {name}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_row_is_named(lived: Deal, name: str) -> None:
    breaks(name, BREAKS[name])


@pytest.mark.parametrize("name", CHECKED)
def test_what_the_database_refuses_is_named_too(lived: Deal, name: str) -> None:
    if connection.vendor == "postgresql":
        pytest.skip("PostgreSQL does not let go of a CHECK")
    breaks(name, CHECKED[name], unchecked=True)


def test_payments_that_nobody_settles(lived: Deal) -> None:
    """I16: needs an order and a payment of it, both long past."""
    number = Order.objects.get(status="pending_payment").number
    lived.api.post(f"orders/{number}/pay/", {"channel": "wechat"})
    assert run()[0] == 0
    sql(f"UPDATE orders_payment SET created_at = {OLD} WHERE status = 'created'")
    sql(f"UPDATE orders_order SET pay_before = {OLD} WHERE status = 'pending_payment'")
    assert {failure["rule"] for failure in run()[1]["failures"]} == {"I15", "I16"}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE orders_coupon SET claimed_count = claimed_count + 1",
        "UPDATE orders_order SET claimed_coupon_id = NULL WHERE status = 'pending_payment'",
    ],
)
def test_coupons_that_do_not_add_up(lived: Deal, statement: str) -> None:
    """I25, the other halves."""
    breaks("I25", statement)


def test_messages_that_nobody_sends(lived: Deal) -> None:
    """I26, the other half."""
    outbox.post(topic="x", event_key="x:1", payload={})
    sql(f"UPDATE core_outboxmessage SET due_at = {OLD} WHERE topic = 'x'")
    assert [failure["rule"] for failure in run()[1]["failures"]] == ["I26"]


def test_every_rule_can_fail() -> None:
    """I14 and the doubles of I10 and I24 are forbidden by unique keys, which nothing switches off."""
    covered = {*BREAKS, *CHECKED, "I16"}
    assert {rule.name for rule in RULES} - covered == {"I14"}


def test_it_blocks_nobody_and_sees_one_moment(lived: Deal) -> None:
    """A sale in the middle of an audit neither waits nor shows."""
    steps = audit()
    next(steps)
    make_order(lived.user, sku=lived.sku)
    assert [failure for _rule, failure in steps if failure] == []
    assert Sku.objects.get().stock == 6
    assert run()[0] == 0
