"""The rules of the audit: none finds anything in a shop that lived, each finds what was broken by hand."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Model
from django.test import override_settings
from django.utils import timezone

from orders.services.audit import RULES
from orders.services.audit.rules import Rule, try_rule
from tests.audited_columns import COLUMNS, EXCUSED, EXCUSED_TABLES, WEIGHTY
from tests.history import connect_settings, live
from tests.mutations import audited_models, columns_of, spoil_table
from tests.sandbox_process import SandboxProcess

BY_NAME = {rule.name: rule for rule in RULES}
OLD, JUST_NOW = "'2020-01-01 00:00:00'", f"'{timezone.now():%Y-%m-%d %H:%M:%S}'"
OF = "WHERE id = (SELECT id FROM (SELECT MAX(id) AS id FROM {table} WHERE {where}) chosen)"


def one(table: str, change: str, where: str = "1 = 1") -> str:
    """Change one row of a table: the last of those ``where``."""
    return f"UPDATE {table} SET {change} " + OF.format(table=table, where=where)


ORDER, LINE, EVENT = "orders_order", "orders_orderline", "orders_orderevent"
PAYMENT, REFUND, REFUND_LINE = "orders_payment", "orders_refund", "orders_refundline"
TRANSACTION, ENTRY = "orders_ledgertransaction", "orders_ledgerentry"
MOVEMENT, REVIEW, COPY = "catalog_stockmovement", "catalog_review", "orders_claimedcoupon"
DIFFERENCE = (
    "INSERT INTO orders_billdifference (channel, merchant_id, app_id, kind, is_refund, number,"
    " payment_number, transaction_id, found_at, status, resolution, note,"
    " first_approved_for)"
    " VALUES ('wechat', '', '', 'not_ours', {false}, 'X', '', '', "
    + JUST_NOW
    + ", 'open', '', '', '')"
)
# Of each rule one way to break it.
BREAKS = {
    "order-amounts": one(ORDER, "freight_fen = freight_fen + 1", "status = 'paid'"),
    "order-goods": one(LINE, "unit_fen = unit_fen + 1"),
    "order-discount": one(LINE, "discount_fen = discount_fen + 1"),
    "order-discount-reason": "DELETE FROM orders_orderevent WHERE kind = 'price'",
    "line-amounts": one(LINE, "discount_fen = -1"),
    "line-copies": one(LINE, "name = ''"),
    "order-has-lines": "DELETE FROM orders_orderline",
    "order-events": one(EVENT, "from_status = 'shipped'", "to_status = 'paid'"),
    "order-event-keys": one(EVENT, "event_key = 'x'"),
    "order-event-actors": one(EVENT, "actor = 'customer'", "to_status = 'shipped'"),
    "order-moments": one(ORDER, f"paid_at = {OLD}", "paid_at IS NOT NULL"),
    "order-event-order": one(EVENT, f"created_at = {OLD}", "to_status = 'paid'"),
    "order-day": one(ORDER, "placed_on = '2020-01-01'"),
    "unpaid-order-closed": one(ORDER, f"pay_before = {OLD}", "status = 'pending_payment'"),
    "order-reminder": one(ORDER, f"reminded_at = {OLD}"),
    "order-note": one(ORDER, "staff_note = 'x'"),
    "order-hidden": one(ORDER, f"hidden_at = {OLD}", "status = 'paid'"),
    "order-reviewed": one(ORDER, "reviewed_at = NULL", "reviewed_at IS NOT NULL"),
    "line-shipped": one(LINE, "shipped_quantity = 1", "shipped_quantity = 0 AND released_quantity = 0"),
    "parcel-lines": one("orders_shipmentline", "line_id = (SELECT MIN(id) FROM orders_orderline)"),
    "parcel-event": one("orders_shipment", "tracking_number = 'X'"),
    "coupon-used-once": one(COPY, "used_at = NULL", "used_at IS NOT NULL"),
    "coupon-count": one("orders_coupon", "claimed_count = claimed_count + 1"),
    "coupon-copies": one(COPY, "nth = 2"),
    "coupon-validity": one(COPY, f"valid_until = {OLD}"),
    "stock-sum": one("catalog_sku", "stock = stock - 1"),
    "stock-not-negative": one("catalog_sku", "stock = -1"),
    "stock-of-lines": one(MOVEMENT, "delta = delta + 1", "kind = 'release'"),
    "released-lines": one(LINE, "released_quantity = 0", "released_quantity > 0"),
    "stock-movement-keys": one(MOVEMENT, "reference = ''", "kind = 'initial'"),
    "stock-movement-reference": one(MOVEMENT, "reference = 'elsewhere'", "kind = 'reserve'"),
    "stock-returned": one(MOVEMENT, "delta = 7", "kind = 'return'"),
    "order-paid-once": one(PAYMENT, "is_applied = {false}", "is_applied"),
    "payment-amount": one(PAYMENT, "amount_fen = amount_fen + 1", "is_applied"),
    "payment-kept": one(ORDER, "status = 'cancelled'", "status = 'completed'"),
    "late-payment-refunded": one(REFUND, "amount_fen = amount_fen - 1", "kind = 'auto'"),
    "payment-state": one(PAYMENT, "transaction_id = NULL", "status = 'paid'"),
    "payment-open": one(PAYMENT, "open_key = 'x'", "status = 'created'"),
    "payment-settled": f"UPDATE orders_payment SET created_at = {OLD}, order_id ="
    " (SELECT MIN(id) FROM orders_order) WHERE status = 'created'",
    "payment-payer": one(PAYMENT, "channel = 'alipay'", "status = 'paid'"),
    "payment-account": one(PAYMENT, "merchant_id = '1'", "status = 'created'"),
    "refund-total": one(REFUND, "amount_fen = 1000000"),
    "refund-amount": one(REFUND, "freight_fen = -1"),
    "refund-lines": one(REFUND_LINE, "amount_fen = amount_fen - 1"),
    "line-claims": one(REFUND_LINE, "claimed_fen = claimed_fen + 1"),
    "refund-of-its-order": one(REFUND_LINE, "line_id = (SELECT MIN(id) FROM orders_orderline)"),
    "refund-kind": one(REFUND, "kind = 'return'", "NOT is_shipped AND kind = 'refund_only'"),
    "refund-shipped": one(REFUND, "is_shipped = {true}", "NOT is_shipped AND kind = 'refund_only'"),
    "refund-number": one(REFUND, "out_refund_no = NULL", "status = 'succeeded'"),
    "refund-decided": one(REFUND, "decided_at = NULL", "status = 'rejected'"),
    "refund-succeeded": one(REFUND, "succeeded_at = NULL", "status = 'succeeded'"),
    "refund-late": one(REFUND, f"created_at = {OLD}, decided_at = {OLD}", "status = 'approved'"),
    "refund-undecided": one(REFUND, f"created_at = {OLD}", "status = 'requested'"),
    "ledger-balanced": one(ENTRY, "amount_fen = amount_fen + 1", "account = 'goods'"),
    "ledger-event-known": one(TRANSACTION, "event_key = 'x'", "event_key LIKE 'sale:%'"),
    "ledger-day": one(TRANSACTION, "posted_on = '2020-01-01'"),
    "platform-balance": one(REFUND, "status = 'failed'", "status = 'succeeded'"),
    "sale-posted": one(ENTRY, "account = 'freight'", "account = 'receivable' AND amount_fen > 0"),
    "payment-posted": one(ENTRY, "account = 'platform:alipay'", "account = 'platform:wechat'"),
    "payment-void-posted": one(PAYMENT, "status = 'voided'", "status = 'paid'"),
    "receivable-settled": one(ENTRY, "account = 'goods'", "account = 'receivable'"),
    "refund-due-posted": one(TRANSACTION, "event_key = 'x'", "event_key LIKE 'refund-due:%'"),
    "refund-posted": one(TRANSACTION, "event_key = 'x'", "event_key LIKE 'refund:%'"),
    "payout-posted": one(REFUND, "method = 'shop'", "status = 'succeeded'"),
    "write-off-posted": one(REFUND, "status = 'written_off'", "status = 'failed'"),
    "external-refund-posted": one(REFUND, "kind = 'external'", "kind = 'refund_only'"),
    "refund-to-shop-posted": one(REFUND, "is_to_shop = {true}", "status = 'succeeded'"),
    "customer-refunds-owed": one(REFUND, "status = 'rejected'", "status = 'approved'"),
    "ledger-accounts": one(ENTRY, "account = 'corrections'"),
    "bill-difference": DIFFERENCE,
    "bill-figures": "UPDATE orders_bill SET paid_fen = paid_fen + 1",
    "bill-state": "UPDATE orders_bill SET agreed_at = NULL",
    "payment-billed": "DELETE FROM orders_bill",
    "refund-billed": "DELETE FROM orders_bill",
    "difference-state": one("orders_billdifference", "resolution = ''", "status = 'resolved'"),
    "difference-booked": one("orders_billdifference", "theirs_fen = 1", "resolution = 'money_kept'"),
    "external-refund-void-posted": one(REFUND, "status = 'rejected'", "kind = 'external'"),
    "refund-void-posted": one(
        TRANSACTION, "event_key = 'refund-void:x'", "event_key LIKE 'refund-void:%'"
    ),
    "notice-content": one("orders_notice", "channel = 'alipay'", "outcome = 'applied'"),
    "outbox-payload": "UPDATE core_outboxmessage SET payload = '{empty}'",
    "open-row-due": one(PAYMENT, "due_at = NULL", "status = 'created'"),
    "open-refund-due": one(REFUND, "due_at = NULL", "status = 'approved'"),
    "due-row-worked-on": one(REFUND, f"due_at = {OLD}", "status = 'approved'"),
    "notice-processed": one("orders_notice", "processed_at = NULL"),
    "outbox-delivered": one("core_outboxmessage", f"created_at = {OLD}, done_at = NULL"),
    "task-done": one("core_task", f"created_at = {OLD}", "finished_at IS NULL"),
    "job-runs": "UPDATE core_joblease SET due_at = NULL WHERE name = 'idle'",
    "daily-total": "UPDATE orders_dailytotal SET back_fen = back_fen + 1",
    "daily-counts": "UPDATE orders_dailytotal SET payer_count = payer_count + 1",
    "daily-hours": "UPDATE orders_dailytotal SET hours = '[1]'",
    "daily-products": "UPDATE orders_dailyproduct SET pieces = pieces + 1",
    "daily-missing": "UPDATE orders_ledgertransaction SET posted_on = '2020-01-01',"
    f" posted_at = {OLD}",
    "product-copies": one("catalog_product", "price_fen = 1"),
    "product-sales": one("catalog_product", "sales_count = 0"),
    "review-counts": "UPDATE catalog_reviewsummary SET stars_4 = 0",
    "review-of-a-line": one(REVIEW, "reference = 'x'"),
    "review-state": one(REVIEW, "moderation = 'staff'"),
    "search-index": "UPDATE catalog_searchtoken SET price_fen = 1",
    "phone-found": one(ORDER, "phone_hash = REPLACE(phone_hash, '1', '2')"),
    "address-complete": one(ORDER, "recipient = ''"),
    "address-default": one("accounts_address", "is_default = {false}", "is_default"),
    "session-owner": one("accounts_identity", "user_id = (SELECT MIN(id) FROM accounts_user)"),
    "identity-owner": one("accounts_identity", "openid = ''"),
    "session-key-read": one("accounts_identity", "session_key = 'x'"),
    "customer-known": "DELETE FROM accounts_identity",
    "avatar-owner": "UPDATE core_upload SET purpose = 'refund'",
    "upload-known": "UPDATE core_upload SET width = 0",
    "picture-owner": "UPDATE core_upload SET user_id = (SELECT MAX(id) FROM accounts_user)",
    "refund-approval": "INSERT INTO orders_refundapproval (refund_id, step, note, card_hash, card_tail,"
    f" proposed_by_id, proposed_at) SELECT id, 'pay_out', '', '', '', user_id, {OLD} FROM"
    " (SELECT MAX(id) AS id FROM orders_refund) r, (SELECT MAX(id) AS user_id FROM accounts_user) u",
    "idempotency-key": one("core_idempotencykey", "object_id = '0'"),
}  # fmt: skip


def settings_of(sandbox: SandboxProcess) -> Any:
    return override_settings(**connect_settings(sandbox))


@pytest.fixture(scope="module")
def lived(
    django_db_setup: None, django_db_blocker: Any, sandbox_process: SandboxProcess
) -> Iterator[None]:
    """One shop for all tests of this file, in a transaction that ends with them."""
    sandbox_process.reset()
    with django_db_blocker.unblock(), settings_of(sandbox_process):
        block = transaction.atomic()
        # As a test case's own: services open and retry theirs inside it.
        block._from_testcase = True  # type: ignore[attr-defined]
        with block:
            live(sandbox_process)
            yield
            transaction.set_rollback(True)


def spoil(statement: str) -> None:
    """Change rows behind everybody's back."""
    values = {"true": "TRUE", "false": "FALSE", "empty": "{}"}
    if connection.vendor == "mysql":
        values |= {"true": "1", "false": "0"}
    with connection.cursor() as cursor:
        cursor.execute(statement.format(**values))


@pytest.fixture
def unchecked(lived: None, db: None) -> Iterator[None]:
    """Let foreign keys and, where that can be, CHECK constraints refuse nothing; undo everything."""
    off, on = {
        "sqlite": (
            ["PRAGMA ignore_check_constraints = 1"],
            ["PRAGMA ignore_check_constraints = 0"],
        ),
        "mysql": (
            ["SET check_constraint_checks = 0", "SET foreign_key_checks = 0"],
            ["SET check_constraint_checks = 1", "SET foreign_key_checks = 1"],
        ),
    }.get(connection.vendor, ([], []))
    with connection.cursor() as cursor:
        point = transaction.savepoint()
        for statement in off:
            cursor.execute(statement)
        yield
        transaction.savepoint_rollback(point)
        for statement in on:
            cursor.execute(statement)


def finds(rule: Rule) -> bool:
    with connection.cursor() as cursor:
        return try_rule(rule, cursor, timezone.now()) is not None


def test_a_shop_that_lived_breaks_no_rule(unchecked: None) -> None:
    assert [rule.name for rule in RULES if finds(rule)] == []


@pytest.mark.parametrize("name", BREAKS)
def test_a_rule_finds_what_was_broken(unchecked: None, name: str) -> None:
    assert not finds(BY_NAME[name])
    try:
        spoil(BREAKS[name])
    except IntegrityError:
        pytest.skip("this database does not let go of the constraint that refuses it")
    assert finds(BY_NAME[name])


def test_every_rule_can_fail() -> None:
    """Unique keys, which nothing switches off, forbid the others."""
    assert BY_NAME.keys() - BREAKS.keys() == {"payment-transaction-once", "ledger-event-once"}
    assert len(BY_NAME) == len(RULES)


def weighty_columns(model: type[Model]) -> set[str]:
    kinds = COLUMNS.get(model._meta.db_table, {})
    return {column for kind in WEIGHTY for column in kinds.get(kind, "").split()}


def test_every_column_is_looked_at_or_excused(unchecked: None) -> None:
    """One row of each table; `make bench-audit-mutations` spoils more of them."""
    missed = [
        (outcome.table, outcome.column)
        for model in audited_models()
        for outcome in spoil_table(model, weighty_columns(model), rows=1)
        if outcome.tries and not outcome.noticed
    ]
    assert set(missed) - EXCUSED.keys() == set()


def test_the_list_of_columns_is_complete() -> None:
    tables = {model._meta.db_table: model for model in audited_models()}
    assert COLUMNS.keys() | EXCUSED_TABLES.keys() == tables.keys()
    assert not COLUMNS.keys() & EXCUSED_TABLES.keys()
    for table, kinds in COLUMNS.items():
        named = [column for columns in kinds.values() for column in columns.split()]
        assert sorted(named) == sorted(column.column for column in columns_of(tables[table])), table
        assert kinds.keys() <= {*WEIGHTY, "other"}


@pytest.mark.parametrize("name", ["coupon-used-once", "stock-movement-keys", "notice-processed"])
def test_a_rule_has_more_than_one_half(unchecked: None, name: str) -> None:
    halves = {
        "coupon-used-once": one(ORDER, "claimed_coupon_id = NULL", "claimed_coupon_id IS NOT NULL"),
        "stock-movement-keys": one(MOVEMENT, "sku_id = sku_id + 1"),
        "notice-processed": one("orders_notice", f"received_at = {OLD}, outcome = 'new'"),
    }
    spoil(halves[name])
    assert finds(BY_NAME[name])
