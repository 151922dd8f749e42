"""The ledger of refunds: owed when staff agree, gone when the customer has the money or will not."""

from orders.services.audit.rules import Rule

_AGREED = "('approved', 'processing', 'succeeded', 'failed', 'to_pay_out', 'written_off')"
_LOOK = (
    "Entries are never changed. Find who wrote to the table by hand, and write back what it said."
)

# (account of a refund's posting, its key, the refund's number in the key, when it must be there).
# Each moves the refund's amount, as it was then: what the customer is owed falls, the account falls
# too.
_SETTLED = """
    SELECT r.number FROM orders_refund r LEFT JOIN orders_payment p ON p.id = r.payment_id
           LEFT JOIN orders_ledgertransaction t ON t.event_key = CONCAT('{key}', r.{number})
           LEFT JOIN orders_ledgerentry e ON e.transaction_id = t.id
           LEFT JOIN (SELECT NAMED(j.event_key, 16) AS number, SUM(i.amount_fen) AS fen
                      FROM orders_ledgertransaction j JOIN orders_ledgerentry i
                        ON i.transaction_id = j.id AND i.account = 'customer_refunds'
                      WHERE j.event_key LIKE 'refund-lowered:%%'
                      GROUP BY NAMED(j.event_key, 16)) lowered ON lowered.number = r.number
           WHERE ({when} AND r.amount_fen > 0 AND t.id IS NULL)
              OR (NOT ({when}) AND t.id IS NOT NULL)
              OR (t.id IS NOT NULL AND (DIFFER(t.order_id, r.order_id)
                  OR e.id IS NULL OR t.posted_at < r.created_at OR {moment}
                  OR e.amount_fen <> CASE e.account WHEN {plus} THEN {amount}
                     WHEN {minus} THEN -({amount}) ELSE 0 END))"""
_PLATFORM = "CONCAT('platform:', p.channel)"
_OWED = "'customer_refunds'"
_NO_MOMENT = "1 = 0"
_AMOUNT = "r.amount_fen"

RULES = (
    # "+ 0": else MariaDB may add up the entries anew for each refund, three times as slowly.
    Rule(
        "refund-due-posted",
        "Each agreed refund is owed in the ledger, with its goods, freight and share of the discount.",
        "Compare the refund's lines: they tell which of the two was changed.",
        f"""SELECT r.number FROM orders_refund r
            LEFT JOIN orders_ledgertransaction t ON t.event_key = CONCAT('refund-due:', r.number)
            LEFT JOIN (SELECT DISTINCT order_id FROM orders_ledgertransaction
                       WHERE event_key LIKE 'refund-lowered:%%') w ON w.order_id = r.order_id
            LEFT JOIN (SELECT n.transaction_id + 0 AS transaction_id,
                         SUM(CASE WHEN account = 'goods' THEN amount_fen ELSE 0 END) AS goods,
                         SUM(CASE WHEN account = 'freight' THEN amount_fen ELSE 0 END) AS freight,
                         SUM(CASE WHEN account = 'coupons' THEN -amount_fen ELSE 0 END) AS coupons,
                         SUM(CASE WHEN account = 'customer_refunds' THEN -amount_fen ELSE 0 END) AS owed
                       FROM orders_ledgertransaction d
                       JOIN orders_ledgerentry n ON n.transaction_id = d.id
                       WHERE d.event_key LIKE 'refund-due:%%'
                       GROUP BY n.transaction_id + 0) e ON e.transaction_id = t.id
            LEFT JOIN (SELECT refund_id, SUM(amount_fen + after_fen - before_fen) AS goods FROM
                 (SELECT x.refund_id, x.amount_fen,
                    CASE WHEN l.payable > 0 THEN QUOTIENT(l.discount_fen * x.fen, l.payable)
                      ELSE QUOTIENT(l.discount_fen * x.pieces, l.quantity) END AS after_fen,
                    CASE WHEN l.payable > 0
                      THEN QUOTIENT(l.discount_fen * x.fen - l.discount_fen * x.amount_fen, l.payable)
                      ELSE QUOTIENT(l.discount_fen * x.pieces - l.discount_fen * x.quantity, l.quantity)
                    END AS before_fen
                  FROM (SELECT y.refund_id, y.line_id, y.amount_fen, y.quantity,
                          SUM(y.amount_fen) OVER (PARTITION BY y.line_id ORDER BY d.id) AS fen,
                          SUM(y.quantity) OVER (PARTITION BY y.line_id ORDER BY d.id) AS pieces
                        FROM orders_refundline y JOIN orders_refund s ON s.id = y.refund_id
                        JOIN orders_ledgertransaction d
                          ON d.event_key = CONCAT('refund-due:', s.number)) x
                  JOIN (SELECT id, discount_fen, quantity, quantity * unit_fen - discount_fen AS payable
                        FROM orders_orderline) l ON l.id = x.line_id) z
                  GROUP BY refund_id) expected ON expected.refund_id = r.id
            WHERE (r.status IN {_AGREED} AND r.kind IN ('refund_only', 'return') AND r.amount_fen > 0
                   AND t.id IS NULL)
               OR (t.id IS NOT NULL AND (r.status NOT IN {_AGREED} OR r.kind IN ('auto', 'external')
                   OR DIFFER(t.order_id, r.order_id) OR DIFFER(t.posted_at, r.decided_at)
                   OR (w.order_id IS NULL AND (e.owed <> r.amount_fen
                       OR e.goods <> COALESCE(expected.goods, 0)
                       OR e.goods + e.freight - e.coupons <> r.amount_fen
                       OR e.freight < r.freight_fen))))""",  # noqa: S608
    ),
    Rule(
        "refund-posted",
        "What a platform has paid back has left the ledger once, of the refund's amount, at its moment.",
        "Compare the platform's bill of the day: it tells which of the two was changed.",
        """SELECT r.number FROM orders_refund r JOIN orders_payment p ON p.id = r.payment_id
           LEFT JOIN orders_ledgertransaction t ON t.event_key = CONCAT('refund:', r.out_refund_no)
           LEFT JOIN orders_ledgertransaction v ON v.event_key = CONCAT('refund-void:', r.out_refund_no)
           LEFT JOIN orders_ledgertransaction again
             ON again.event_key = CONCAT('refund:', r.out_refund_no, ':2')
           LEFT JOIN orders_ledgertransaction v2
             ON v2.event_key = CONCAT('refund-void:', r.out_refund_no, ':2')
           LEFT JOIN orders_ledgerentry e ON e.transaction_id = COALESCE(again.id, t.id)
           WHERE (r.status = 'succeeded' AND r.method = 'platform' AND r.amount_fen > 0
                  AND (t.id IS NULL OR (v.id IS NOT NULL AND again.id IS NULL)
                       OR (v.id IS NULL AND DIFFER(t.posted_at, r.succeeded_at))))
              OR (NOT (r.status = 'succeeded' AND r.method = 'platform')
                  AND t.id IS NOT NULL AND v.id IS NULL)
              OR (t.id IS NULL AND v.id IS NOT NULL)
              OR (t.id IS NOT NULL AND DIFFER(t.order_id, r.order_id))
              OR ((v.id IS NULL OR again.id IS NOT NULL) AND v2.id IS NULL
                  AND e.amount_fen <> CASE WHEN e.account = CONCAT('platform:', p.channel)
                     THEN -r.amount_fen WHEN e.account = 'customer_refunds' THEN r.amount_fen
                     ELSE 0 END)""",
    ),
    Rule(
        "refund-void-posted",
        "A refund that was taken back in the ledger had been booked, entry by entry.",
        _LOOK,
        """SELECT v.event_key FROM orders_ledgertransaction v
           LEFT JOIN orders_ledgertransaction t
             ON t.event_key LIKE 'refund:%%' AND SUBSTR(t.event_key, 8) = SUBSTR(v.event_key, 13)
           LEFT JOIN (SELECT i.transaction_id, i.account, SUM(i.amount_fen) AS fen
                      FROM orders_ledgerentry i JOIN orders_ledgertransaction j ON j.id = i.transaction_id
                      WHERE j.event_key LIKE 'refund-void:%%'
                      GROUP BY i.transaction_id, i.account) x ON x.transaction_id = v.id
           LEFT JOIN orders_ledgerentry e ON e.transaction_id = t.id AND e.account = x.account
           WHERE v.event_key LIKE 'refund-void:%%'
             AND (t.id IS NULL OR DIFFER(v.order_id, t.order_id) OR v.posted_at < t.posted_at
                  OR DIFFER(e.amount_fen, -x.fen))""",
    ),
    Rule(
        "payout-posted",
        "What the shop paid out by itself has left its own account.",
        "Compare the statement of the shop's bank.",
        _SETTLED.format(
            key="payout:",
            number="number",
            when="r.status = 'succeeded' AND r.method = 'shop'",
            plus=_OWED,
            minus="'shop_bank'",
            moment="DIFFER(t.posted_at, r.succeeded_at)",
            amount=_AMOUNT,
        ),
    ),
    Rule(
        "write-off-posted",
        "What was written off is a correction.",
        "Compare the refund's history.",
        _SETTLED.format(
            key="write-off:",
            number="number",
            when="r.status = 'written_off'",
            plus=_OWED,
            minus="'corrections'",
            moment=_NO_MOMENT,
            amount=_AMOUNT,
        ),
    ),
    Rule(
        "external-refund-posted",
        "A refund made outside the shop is a correction, and then money that left.",
        "Compare the platform's own page of the payment.",
        _SETTLED.format(
            key="external-refund:",
            number="number",
            when="r.kind = 'external'",
            plus="'corrections'",
            minus=_OWED,
            moment=_NO_MOMENT,
            amount="r.amount_fen + COALESCE(lowered.fen, 0)",
        ),
    ),
    Rule(
        "external-refund-void-posted",
        "A refund that was never made outside the shop is no correction any more.",
        "Compare the platform's own page of the payment.",
        _SETTLED.format(
            key="external-refund-void:",
            number="number",
            when="r.kind = 'external' AND r.status = 'rejected'",
            plus=_OWED,
            minus="'corrections'",
            moment=_NO_MOMENT,
            amount=_AMOUNT,
        ),
    ),
    Rule(
        "refund-to-shop-posted",
        "Money that a platform sent to the shop's own account is there.",
        "Compare the statement of the shop's bank.",
        _SETTLED.format(
            key="refund-to-shop:",
            number="out_refund_no",
            when="r.is_to_shop AND r.status IN ('to_pay_out', 'succeeded', 'written_off')",
            plus="'shop_bank'",
            minus=_PLATFORM,
            moment=_NO_MOMENT,
            amount=_AMOUNT,
        ),
    ),
)
