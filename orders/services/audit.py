"""What must hold of the books, whatever happened: each rule is a query that must find nothing."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection
from django.utils import timezone

from miniback.core.snapshot import read_snapshot
from orders.models import Channel
from orders.status import ORDER_MOVES

# Rows shown of a rule that fails; one is enough to know.
SHOWN = 20


class Rule(NamedTuple):
    """``sql`` may use %(...)s of `moments`; its rows are the offenders."""

    name: str
    says: str
    sql: str


class Failure(NamedTuple):
    rule: Rule
    columns: list[str]
    rows: list[tuple[Any, ...]]


_MOVES = ", ".join(f"('{start}', '{end}')" for start, end in ORDER_MOVES)

_AT_PLATFORM = """
    SELECT '{channel}' AS channel, booked.fen AS booked_fen, paid.fen - back.fen AS moved_fen FROM
             (SELECT COALESCE(SUM(amount_fen), 0) AS fen FROM orders_ledgerentry
              WHERE account = 'platform:{channel}') booked,
             (SELECT COALESCE(SUM(amount_fen), 0) AS fen FROM orders_payment
              WHERE status = 'paid' AND channel = '{channel}') paid,
             (SELECT COALESCE(SUM(r.amount_fen), 0) AS fen FROM orders_refund r
              JOIN orders_payment p ON p.id = r.payment_id
              WHERE p.channel = '{channel}'
                AND (r.status = 'succeeded' AND r.method = 'platform' OR r.is_to_shop
                     AND r.status IN ('succeeded', 'to_pay_out', 'written_off'))) back
           WHERE booked.fen <> paid.fen - back.fen"""

RULES = (
    # Orders
    Rule(
        "I1",
        "payable = goods + freight - discount, and no amount is negative",
        """SELECT number FROM orders_order
           WHERE payable_fen <> goods_fen + freight_fen - discount_fen OR payable_fen < 0
              OR discount_fen < 0 OR freight_fen < 0 OR discount_fen > goods_fen + freight_fen""",
    ),
    Rule(
        "I2",
        "an order's goods are the sum of its lines",
        """SELECT o.number FROM orders_order o JOIN orders_orderline l ON l.order_id = o.id
           GROUP BY o.id, o.number, o.goods_fen
           HAVING SUM(l.quantity * l.unit_fen) <> o.goods_fen""",
    ),
    Rule(
        "I3",
        "an order's discount is spread over its lines and its freight without a rest",
        """SELECT o.number FROM orders_order o JOIN orders_orderline l ON l.order_id = o.id
           GROUP BY o.id, o.number, o.discount_fen, o.freight_discount_fen
           HAVING SUM(l.discount_fen) + o.freight_discount_fen <> o.discount_fen
           UNION SELECT number FROM orders_order
           WHERE freight_discount_fen < 0 OR freight_discount_fen > freight_fen""",
    ),
    Rule(
        "I4",
        "a line has at least one piece, and a discount within its price",
        """SELECT id FROM orders_orderline
           WHERE quantity < 1 OR unit_fen < 0 OR discount_fen < 0
              OR discount_fen > quantity * unit_fen OR refunded_quantity > quantity
              OR refunded_fen < 0 OR refunded_fen > quantity * unit_fen - discount_fen""",
    ),
    Rule(
        "I5",
        "no order is empty",
        """SELECT o.number FROM orders_order o
           WHERE NOT EXISTS (SELECT 1 FROM orders_orderline l WHERE l.order_id = o.id)""",
    ),
    Rule(
        "I6",
        "an order's events lead to its status, each from where the one before ended, by allowed moves",
        f"""SELECT o.number FROM orders_order o
            LEFT JOIN orders_orderevent e ON e.id =
                (SELECT MAX(x.id) FROM orders_orderevent x
                 WHERE x.order_id = o.id AND x.kind = 'status')
            WHERE e.id IS NULL OR e.to_status <> o.status
            UNION
            SELECT o.number FROM orders_order o JOIN
                (SELECT order_id, from_status, to_status, LAG(to_status)
                   OVER (PARTITION BY order_id ORDER BY id) AS before_status
                 FROM orders_orderevent WHERE kind = 'status') e ON e.order_id = o.id
            WHERE e.from_status <> COALESCE(e.before_status, '')
               OR (e.from_status <> '' AND (e.from_status, e.to_status) NOT IN ({_MOVES}))""",  # noqa: S608
    ),
    # Stock
    Rule(
        "I7",
        "a SKU's stock is the sum of its movements",
        """SELECT s.code FROM catalog_sku s LEFT JOIN catalog_stockmovement m ON m.sku_id = s.id
           GROUP BY s.id, s.code, s.stock HAVING COALESCE(SUM(m.delta), 0) <> s.stock""",
    ),
    Rule("I8", "no stock is negative", "SELECT code FROM catalog_sku WHERE stock < 0"),
    Rule(
        "I9",
        "a line has taken its pieces once, and given back those that are not to be shipped",
        """SELECT o.number, l.sku_code FROM orders_orderline l
           JOIN orders_order o ON o.id = l.order_id
           LEFT JOIN catalog_stockmovement m ON m.reference = o.number AND m.sku_id = l.sku_id
           GROUP BY l.id, o.number, l.sku_code, o.status, l.quantity, l.released_quantity
           HAVING SUM(CASE WHEN m.kind = 'reserve' THEN -m.delta ELSE 0 END) <> l.quantity
               OR SUM(CASE WHEN m.kind = 'release' THEN m.delta ELSE 0 END)
                  <> CASE WHEN o.status = 'cancelled' THEN l.quantity ELSE l.released_quantity END""",
    ),
    Rule(
        "I10",
        "a movement says what it was for, once",
        """SELECT event_key FROM catalog_stockmovement
           WHERE reference = '' OR event_key = '' OR delta = 0
           UNION SELECT event_key FROM catalog_stockmovement GROUP BY event_key HAVING COUNT(*) > 1""",
    ),
    Rule(
        "product copies",
        "a product shows the lowest price and the availability of its active SKUs",
        """SELECT p.id FROM catalog_product p
           LEFT JOIN catalog_sku s ON s.product_id = p.id AND s.is_active
           GROUP BY p.id, p.price_fen, p.in_stock
           HAVING COALESCE(MIN(s.price_fen), 0) <> p.price_fen
               OR (COALESCE(MAX(s.stock), 0) > 0 AND NOT p.in_stock)
               OR (COALESCE(MAX(s.stock), 0) <= 0 AND p.in_stock)""",
    ),
    Rule(
        "review counts",
        "a product's summary counts its visible reviews",
        """SELECT p.id FROM catalog_product p
           LEFT JOIN catalog_reviewsummary s ON s.product_id = p.id
           JOIN catalog_review r ON r.product_id = p.id
           GROUP BY p.id, s.stars_1, s.stars_2, s.stars_3, s.stars_4, s.stars_5, s.with_images
           HAVING COALESCE(s.stars_1, 0) <> COUNT(CASE WHEN r.is_visible AND r.rating = 1 THEN 1 END)
               OR COALESCE(s.stars_2, 0) <> COUNT(CASE WHEN r.is_visible AND r.rating = 2 THEN 1 END)
               OR COALESCE(s.stars_3, 0) <> COUNT(CASE WHEN r.is_visible AND r.rating = 3 THEN 1 END)
               OR COALESCE(s.stars_4, 0) <> COUNT(CASE WHEN r.is_visible AND r.rating = 4 THEN 1 END)
               OR COALESCE(s.stars_5, 0) <> COUNT(CASE WHEN r.is_visible AND r.rating = 5 THEN 1 END)
               OR COALESCE(s.with_images, 0) <> COUNT(CASE WHEN r.is_visible AND r.has_images THEN 1 END)""",
    ),
    # Payments
    Rule(
        "I11",
        "an order that was paid for has exactly one applied payment",
        """SELECT o.number FROM orders_order o
           LEFT JOIN orders_payment p ON p.order_id = o.id AND p.status = 'paid' AND p.is_applied
           WHERE o.status IN ('paid', 'partly_shipped', 'shipped', 'completed')
             AND o.payable_fen > 0
           GROUP BY o.id, o.number HAVING COUNT(p.id) <> 1""",
    ),
    Rule(
        "I12",
        "an applied payment is of its order's amount",
        """SELECT p.number FROM orders_payment p JOIN orders_order o ON o.id = p.order_id
           WHERE p.status = 'paid' AND p.is_applied AND p.amount_fen <> o.payable_fen""",
    ),
    Rule(
        "I13",
        "a payment that came late or twice has a refund of all of it",
        """SELECT p.number FROM orders_payment p
           WHERE p.status = 'paid' AND NOT p.is_applied AND NOT EXISTS
             (SELECT 1 FROM orders_refund r
              WHERE r.payment_id = p.id AND r.amount_fen = p.amount_fen)""",
    ),
    Rule(
        "I14",
        "a platform's transaction is one payment",
        """SELECT transaction_id FROM orders_payment WHERE transaction_id IS NOT NULL
           GROUP BY channel, transaction_id HAVING COUNT(*) > 1""",
    ),
    Rule(
        "I15",
        "unpaid orders are closed when their time ends",
        """SELECT number FROM orders_order
           WHERE status = 'pending_payment' AND pay_before < %(ten_minutes_ago)s""",
    ),
    Rule(
        "I16",
        "a payment is settled when its order's time has ended",
        """SELECT p.number FROM orders_payment p JOIN orders_order o ON o.id = p.order_id
           WHERE p.status IN ('created', 'unknown') AND p.created_at < %(half_an_hour_ago)s
             AND o.pay_before < %(half_an_hour_ago)s""",
    ),
    # Refunds
    Rule(
        "I17",
        "no more goes back than came in, in at most 50 refunds",
        """SELECT p.number FROM orders_payment p JOIN orders_refund r ON r.payment_id = p.id
           WHERE r.status NOT IN ('rejected', 'withdrawn')
           GROUP BY p.id, p.number, p.amount_fen
           HAVING SUM(r.amount_fen) > p.amount_fen OR COUNT(*) > 50""",
    ),
    Rule(
        "I18",
        "a refund is of something",
        """SELECT number FROM orders_refund r WHERE amount_fen < 0 OR (amount_fen = 0 AND NOT EXISTS
             (SELECT 1 FROM orders_refundline x WHERE x.refund_id = r.id))""",
    ),
    Rule(
        "I19",
        "a refund is the sum of its lines and freight, and a line's claims are its refunds'",
        """SELECT r.number FROM orders_refund r LEFT JOIN orders_refundline x ON x.refund_id = r.id
           WHERE r.kind <> 'auto' GROUP BY r.id, r.number, r.amount_fen, r.freight_fen
           HAVING COALESCE(SUM(x.amount_fen), 0) + r.freight_fen <> r.amount_fen
           UNION SELECT o.number FROM orders_orderline l JOIN orders_order o ON o.id = l.order_id
           LEFT JOIN (SELECT y.line_id, y.quantity, y.claimed_fen FROM orders_refundline y
                      JOIN orders_refund s ON s.id = y.refund_id
                      WHERE s.status NOT IN ('rejected', 'withdrawn')) c ON c.line_id = l.id
           GROUP BY l.id, o.number, l.refunded_quantity, l.refunded_fen
           HAVING COALESCE(SUM(c.quantity), 0) <> l.refunded_quantity
               OR COALESCE(SUM(c.claimed_fen), 0) <> l.refunded_fen""",
    ),
    Rule(
        "I20",
        "a refund is not with the platform for more than a day",
        """SELECT number FROM orders_refund
           WHERE status = 'processing' AND COALESCE(decided_at, created_at) < %(a_day_ago)s""",
    ),
    # Ledger
    Rule(
        "I21",
        "a ledger transaction has at least two entries that sum to zero",
        """SELECT t.event_key FROM orders_ledgertransaction t
           LEFT JOIN orders_ledgerentry e ON e.transaction_id = t.id
           GROUP BY t.id, t.event_key HAVING COALESCE(SUM(e.amount_fen), 1) <> 0 OR COUNT(e.id) < 2""",
    ),
    Rule(
        "I23",
        "what is at a platform is what came in less what went back",
        " UNION ".join(_AT_PLATFORM.format(channel=channel) for channel in Channel.values),
    ),
    Rule(
        "bills",
        "every row of a platform's bill stands in our books and the other way round, or staff said why",
        "SELECT number, kind, bill_id FROM orders_billdifference WHERE status = 'open'",
    ),
    Rule(
        "I24",
        "every sale, payment and refund is posted once",
        """SELECT event_key FROM orders_ledgertransaction GROUP BY event_key HAVING COUNT(*) > 1
           UNION SELECT number FROM orders_order o
           WHERE o.paid_at IS NOT NULL AND o.goods_fen + o.freight_fen > 0 AND NOT EXISTS
             (SELECT 1 FROM orders_ledgertransaction t
              WHERE t.order_id = o.id AND t.event_key LIKE 'sale:%%')
           UNION SELECT p.number FROM orders_payment p WHERE p.status = 'paid' AND NOT EXISTS
             (SELECT 1 FROM orders_ledgertransaction t
              WHERE t.order_id = p.order_id AND t.event_key LIKE 'payment:%%')""",
    ),
    # Coupons and parcels
    Rule(
        "I25",
        "a coupon is used by the one order that lives with it, and claimed within its quota",
        """SELECT c.id FROM orders_claimedcoupon c
           LEFT JOIN orders_order o ON o.claimed_coupon_id = c.id AND o.status <> 'cancelled'
           GROUP BY c.id, c.used_at
           HAVING COUNT(o.id) <> CASE WHEN c.used_at IS NULL THEN 0 ELSE 1 END
           UNION SELECT t.id FROM orders_coupon t LEFT JOIN orders_claimedcoupon c ON c.coupon_id = t.id
           GROUP BY t.id, t.claimed_count, t.quota
           HAVING COUNT(c.id) <> t.claimed_count OR t.claimed_count > t.quota""",
    ),
    Rule(
        "parcels",
        "a line's shipped pieces are those in its parcels, and an order is as shipped as its lines",
        """SELECT o.number FROM orders_orderline l JOIN orders_order o ON o.id = l.order_id
           LEFT JOIN (SELECT line_id, SUM(quantity) AS pieces FROM orders_shipmentline
                      GROUP BY line_id) x ON x.line_id = l.id
           WHERE COALESCE(x.pieces, 0) <> l.shipped_quantity
              OR l.shipped_quantity + l.released_quantity > l.quantity
              OR (o.status IN ('shipped', 'completed')
                  AND l.shipped_quantity + l.released_quantity <> l.quantity)
              OR (o.status IN ('pending_payment', 'paid', 'cancelled') AND l.shipped_quantity <> 0)""",
    ),
    # Inbox and outbox
    Rule(
        "I26",
        "what was received is processed, what was promised is sent",
        """SELECT notice_id FROM orders_notice
           WHERE outcome = 'new' AND received_at < %(ten_minutes_ago)s
           UNION SELECT event_key FROM core_outboxmessage
           WHERE done_at IS NULL AND due_at < %(ten_minutes_ago)s""",
    ),
)


def moments(now: datetime) -> dict[str, Any]:
    adapt = connection.ops.adapt_datetimefield_value
    return {
        "ten_minutes_ago": adapt(now - timedelta(minutes=10)),
        "half_an_hour_ago": adapt(now - timedelta(minutes=30)),
        "a_day_ago": adapt(now - timedelta(days=1)),
    }


def audit() -> Iterator[tuple[Rule, Failure | None]]:
    """Try every rule on one snapshot, read-only, and yield what each found."""
    with read_snapshot() as cursor:
        yield from try_rules(cursor)


def try_rules(cursor: Any) -> Iterator[tuple[Rule, Failure | None]]:
    """Try every rule on whatever ``cursor`` sees."""
    parameters = moments(timezone.now())
    for rule in RULES:
        # Also without parameters a "%%" must become "%".
        cursor.execute(rule.sql, parameters)
        rows = cursor.fetchmany(SHOWN)
        columns = [column[0] for column in cursor.description]
        yield rule, Failure(rule, columns, rows) if rows else None
