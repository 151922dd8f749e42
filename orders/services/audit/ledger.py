"""The ledger: each event posted once, with the amounts of the rows that it is about."""

from orders.models import Channel
from orders.services.audit.rules import Rule

_LOOK = (
    "Entries are never changed. Find who wrote to the table by hand, and write back what it said."
)

_AT_PLATFORM = """
    SELECT '{channel}' AS channel, booked.fen AS booked_fen, paid.fen - back.fen AS moved_fen FROM
             (SELECT COALESCE(SUM(e.amount_fen), 0) AS fen FROM orders_ledgerentry e
              JOIN orders_ledgertransaction t ON t.id = e.transaction_id
              WHERE e.account = 'platform:{channel}' AND t.event_key NOT LIKE 'difference:%%') booked,
             (SELECT COALESCE(SUM(amount_fen), 0) AS fen FROM orders_payment
              WHERE status = 'paid' AND channel = '{channel}') paid,
             (SELECT COALESCE(SUM(r.amount_fen), 0) AS fen FROM orders_refund r
              JOIN orders_payment p ON p.id = r.payment_id
              WHERE p.channel = '{channel}'
                AND ((r.status = 'succeeded' AND r.method = 'platform')
                  OR (r.is_to_shop AND r.status IN ('to_pay_out', 'succeeded', 'written_off')))) back
           WHERE booked.fen <> paid.fen - back.fen"""

# Of each kind of event: the table and column that its key names, and where the name begins.
_SUBJECTS = (
    ("payment:", "orders_payment", "number"),
    ("payment-void:", "orders_payment", "number"),
    ("payment-kept:", "orders_payment", "number"),
    ("refund-due:", "orders_refund", "number"),
    ("payout:", "orders_refund", "number"),
    ("write-off:", "orders_refund", "number"),
    ("external-refund:", "orders_refund", "number"),
    ("external-refund-void:", "orders_refund", "number"),
    ("refund-to-shop:", "orders_refund", "out_refund_no"),
    ("sale:", "orders_order", "number"),
    ("sale-undone:", "orders_order", "number"),
)
_UNKNOWN = " UNION ".join(
    f"""SELECT t.event_key FROM orders_ledgertransaction t
        LEFT JOIN {table} s ON s.{column} = NAMED(t.event_key, {len(key) + 1})
        WHERE t.event_key LIKE '{key}%%' AND s.id IS NULL"""  # noqa: S608
    for key, table, column in _SUBJECTS
)
_KEYS = " AND ".join(
    f"t.event_key NOT LIKE '{key}%%'"
    for key in (
        *(key for key, _table, _column in _SUBJECTS),
        "refund:", "refund-void:", "refund-lowered:", "difference:",
    )
)  # fmt: skip

RULES = (
    # "+ 0": by the index on the transaction MariaDB would look up every amount one by one.
    Rule(
        "ledger-balanced",
        "A ledger transaction has at least two entries that sum to zero, and no entry is without one.",
        _LOOK,
        """SELECT CONCAT('transaction ', s.id) FROM
             (SELECT MANY_GROUPS() transaction_id + 0 AS id, SUM(amount_fen) AS fen, COUNT(*) AS entry_count
              FROM orders_ledgerentry GROUP BY transaction_id + 0) s
           LEFT JOIN orders_ledgertransaction t ON t.id = s.id
           WHERE s.fen <> 0 OR s.entry_count < 2 OR t.id IS NULL
           UNION SELECT t.event_key FROM orders_ledgertransaction t
           LEFT JOIN orders_ledgerentry e ON e.transaction_id = t.id WHERE e.id IS NULL""",
    ),
    Rule(
        "ledger-event-once",
        "Each event is posted once.",
        _LOOK,
        """SELECT event_key FROM orders_ledgertransaction
           GROUP BY event_key HAVING COUNT(*) > 1""",
    ),
    Rule(
        "ledger-event-known",
        "Each transaction is of an event that the shop knows, about a row that exists.",
        _LOOK,
        f"""SELECT t.event_key FROM orders_ledgertransaction t WHERE {_KEYS}
            UNION {_UNKNOWN}
            UNION SELECT t.event_key FROM orders_ledgertransaction t
            LEFT JOIN orders_refund r ON r.out_refund_no = NAMED(t.event_key, 8)
            LEFT JOIN orders_refundattempt a ON a.out_refund_no = NAMED(t.event_key, 8)
            WHERE t.event_key LIKE 'refund:%%' AND r.id IS NULL AND a.id IS NULL""",  # noqa: S608
    ),
    Rule(
        "ledger-day",
        "A transaction's day is the day of Shanghai on which it was posted, and not tomorrow.",
        _LOOK,
        """SELECT event_key FROM orders_ledgertransaction
           WHERE posted_on <> LOCAL_DAY(posted_at) OR posted_at > %(ahead_10_minutes)s""",
    ),
    Rule(
        "platform-balance",
        "What is at a platform is what came in less what went back.",
        "The rules about single payments and refunds name the one that is wrong.",
        " UNION ".join(_AT_PLATFORM.format(channel=channel) for channel in Channel.values),
    ),
    Rule(
        "sale-posted",
        "Each paid order has its sale in the ledger, account by account as the order says, when it was paid.",
        "Compare the order's lines and payments: they tell which of the two was changed.",
        """SELECT o.number FROM orders_order o
           LEFT JOIN orders_ledgertransaction t ON t.event_key = CONCAT('sale:', o.number)
           LEFT JOIN orders_ledgerentry e ON e.transaction_id = t.id
           WHERE (o.paid_at IS NOT NULL AND o.goods_fen + o.freight_fen > 0 AND t.id IS NULL)
              OR (o.paid_at IS NULL AND t.id IS NOT NULL)
              OR (t.id IS NOT NULL AND (t.posted_at <> o.paid_at OR DIFFER(t.order_id, o.id)
                  OR e.amount_fen <> CASE e.account WHEN 'receivable' THEN o.payable_fen
                     WHEN 'coupons' THEN o.discount_fen WHEN 'goods' THEN -o.goods_fen
                     WHEN 'freight' THEN -o.freight_fen ELSE 0 END))""",
    ),
    Rule(
        "payment-posted",
        "Each payment has its own posting, of its amount, at its platform, for whom it was.",
        "Compare the platform's bill of the day: it tells which of the two was changed.",
        """SELECT p.number FROM orders_payment p
           LEFT JOIN orders_ledgertransaction t ON t.event_key = CONCAT('payment:', p.number)
           LEFT JOIN orders_ledgertransaction v ON v.event_key = CONCAT('payment-void:', p.number)
           LEFT JOIN orders_ledgerentry e ON e.transaction_id = t.id
           WHERE (p.status IN ('paid', 'voided') AND t.id IS NULL)
              OR (p.status NOT IN ('paid', 'voided') AND t.id IS NOT NULL)
              OR (t.id IS NOT NULL AND (DIFFER(t.order_id, p.order_id)
                  OR SECONDS(t.posted_at, p.paid_at) > 600
                  OR e.amount_fen <> CASE
                     WHEN e.account = CONCAT('platform:', p.channel) THEN p.amount_fen
                     WHEN e.account = 'receivable' AND (p.is_applied OR v.id IS NOT NULL)
                     THEN -p.amount_fen
                     WHEN e.account = 'customer_refunds' AND (NOT p.is_applied OR v.id IS NOT NULL)
                     THEN -p.amount_fen
                     ELSE 0 END))""",
    ),
    Rule(
        "payment-void-posted",
        "A voided payment is taken out of the ledger, and only such a one.",
        "Void the payment from the page of differences, or write back its status.",
        """SELECT p.number FROM orders_payment p
           LEFT JOIN orders_ledgertransaction t ON t.event_key = CONCAT('payment-void:', p.number)
           WHERE p.status = 'voided' AND t.id IS NULL
           UNION SELECT v.number FROM
             (SELECT NAMED(t.event_key, 14) AS number, COUNT(*) AS voids, MAX(t.posted_at) AS voided_at,
                     MIN(t.order_id) AS order_id, MIN(e.amount_fen) AS least, MAX(e.amount_fen) AS most
              FROM orders_ledgertransaction t
              LEFT JOIN orders_ledgerentry e ON e.transaction_id = t.id
                AND e.account LIKE 'platform:%%'
              WHERE t.event_key LIKE 'payment-void:%%' GROUP BY NAMED(t.event_key, 14)) v
           LEFT JOIN orders_payment p ON p.number = v.number
           LEFT JOIN (SELECT NAMED(t.event_key, 9) AS number, COUNT(*) AS bookings
                      FROM orders_ledgertransaction t WHERE t.event_key LIKE 'payment:%%:%%'
                      GROUP BY NAMED(t.event_key, 9)) b ON b.number = v.number
           WHERE p.id IS NULL OR DIFFER(p.order_id, v.order_id)
              OR DIFFER(v.least, -p.amount_fen) OR DIFFER(v.most, -p.amount_fen)
              OR v.voids <> 1 + COALESCE(b.bookings, 0)
                 - CASE WHEN p.status = 'paid' THEN 1 ELSE 0 END
              OR (p.status = 'voided' AND DIFFER(p.voided_at, v.voided_at))""",
    ),
    Rule(
        "receivable-settled",
        "A paid order's customer owes nothing, and nobody else owes anything.",
        "The order's sale and payment in the ledger tell which of them is missing.",
        """SELECT t.order_id, SUM(e.amount_fen) AS fen FROM orders_ledgerentry e
           JOIN orders_ledgertransaction t ON t.id = e.transaction_id
           WHERE e.account = 'receivable' GROUP BY t.order_id HAVING SUM(e.amount_fen) <> 0""",
    ),
    Rule(
        "customer-refunds-owed",
        "What is owed back to an order's customer is what was agreed and is not back yet.",
        "The rules about single refunds name the one that is wrong.",
        """SELECT owed.order_id, owed.fen, COALESCE(open_refunds.fen, 0) AS open_fen FROM
             (SELECT COALESCE(t.order_id, 0) AS order_id, -SUM(e.amount_fen) AS fen
              FROM orders_ledgerentry e
              JOIN orders_ledgertransaction t ON t.id = e.transaction_id
              WHERE e.account = 'customer_refunds' GROUP BY COALESCE(t.order_id, 0)) owed
           LEFT JOIN (SELECT COALESCE(order_id, 0) AS order_id, SUM(amount_fen) AS fen
              FROM orders_refund WHERE status IN ('approved', 'processing', 'failed', 'to_pay_out')
              GROUP BY COALESCE(order_id, 0)) open_refunds ON open_refunds.order_id = owed.order_id
           WHERE owed.fen <> COALESCE(open_refunds.fen, 0)""",
    ),
    Rule(
        "ledger-accounts",
        "Corrections and the shop's own bank account are moved by their own events only.",
        _LOOK,
        """SELECT t.event_key, e.account FROM orders_ledgerentry e
           JOIN orders_ledgertransaction t ON t.id = e.transaction_id
           WHERE (e.account = 'shop_bank' AND t.event_key NOT LIKE 'refund-to-shop:%%'
                  AND t.event_key NOT LIKE 'payout:%%')
              OR (e.account = 'corrections' AND t.event_key NOT LIKE 'write-off:%%'
                  AND t.event_key NOT LIKE 'external-refund%%'
                  AND t.event_key NOT LIKE 'refund-lowered:%%'
                  AND t.event_key NOT LIKE 'payment%%' AND t.event_key NOT LIKE 'difference:%%')""",
    ),
)
