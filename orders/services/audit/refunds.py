"""Refunds: how much, of what, of whose order, and how far."""

from orders.services.audit.rules import AMOUNTS_BOOKED, Rule

_AGREED = "('approved', 'processing', 'succeeded', 'failed', 'to_pay_out', 'written_off')"
_CLAIMING = "('rejected', 'withdrawn')"
_LOOK = "Compare the platform's own page of the refund; its answer tells the truth."

RULES = (
    Rule(
        "refund-total",
        "The shop refunds no more than came in, in at most 50 refunds of money, and no more leaves the "
        "platform. What the platform paid after the shop had paid it out, or written it off, is a loss.",
        "Reject what is not agreed yet. What was paid twice is asked back from the customer.",
        f"""SELECT p.number FROM orders_payment p JOIN
              (SELECT payment_id,
                 SUM(CASE WHEN kind <> 'external' THEN amount_fen ELSE 0 END) AS own_fen,
                 SUM(CASE WHEN (status = 'succeeded' AND method = 'platform') OR (is_to_shop
                          AND status IN ('to_pay_out', 'succeeded', 'written_off'))
                     THEN amount_fen ELSE 0 END) AS left_fen,
                 SUM(CASE WHEN kind <> 'external' AND amount_fen > 0 THEN 1 ELSE 0 END) AS refunds
               FROM orders_refund WHERE status NOT IN {_CLAIMING} GROUP BY payment_id) r
              ON r.payment_id = p.id
            LEFT JOIN ({AMOUNTS_BOOKED}) b
              ON b.channel = p.channel AND b.payment_number = p.number
            WHERE r.own_fen > p.amount_fen + COALESCE(b.raised_fen, 0)
               OR r.left_fen > p.amount_fen + COALESCE(b.raised_fen, 0) OR r.refunds > 50""",  # noqa: S608
    ),
    Rule(
        "refund-amount",
        "A refund is of a payment's money, or of goods that cost nothing, or all of it was given back "
        "elsewhere.",
        _LOOK,
        """SELECT r.number FROM orders_refund r LEFT JOIN orders_refundline x ON x.refund_id = r.id
           LEFT JOIN orders_ledgertransaction w
             ON w.event_key = CONCAT('refund-lowered:', r.number, ':0')
           WHERE r.amount_fen < 0 OR r.freight_fen < 0 OR r.freight_fen > r.amount_fen
              OR (r.amount_fen = 0 AND x.id IS NULL AND w.id IS NULL)
              OR (r.payment_id IS NULL AND r.amount_fen > 0)""",
    ),
    Rule(
        "refund-lines",
        "A refund is the sum of its lines and freight.",
        _LOOK,
        """SELECT r.number FROM orders_refund r LEFT JOIN orders_refundline x ON x.refund_id = r.id
           GROUP BY r.id, r.number, r.kind, r.amount_fen, r.freight_fen
           HAVING (r.kind IN ('refund_only', 'return')
                   AND COALESCE(SUM(x.amount_fen), 0) + r.freight_fen <> r.amount_fen)
               OR (r.kind NOT IN ('refund_only', 'return')
                   AND (COUNT(x.id) > 0 OR r.freight_fen <> 0))
               OR MIN(x.claimed_fen - x.amount_fen) < 0 OR MIN(x.quantity) < 1""",
    ),
    Rule(
        "line-claims",
        "A line's refunded pieces and money are those of its refunds that count.",
        "Sum the order's refunds that were neither rejected nor withdrawn, and write that.",
        f"""SELECT o.number FROM orders_orderline l LEFT JOIN orders_order o ON o.id = l.order_id
            LEFT JOIN (SELECT y.line_id, SUM(y.quantity) AS pieces, SUM(y.claimed_fen) AS fen
                       FROM orders_refundline y JOIN orders_refund s ON s.id = y.refund_id
                       WHERE s.status NOT IN {_CLAIMING} GROUP BY y.line_id) c ON c.line_id = l.id
            WHERE COALESCE(c.pieces, 0) <> l.refunded_quantity
               OR COALESCE(c.fen, 0) <> l.refunded_fen""",  # noqa: S608
    ),
    Rule(
        "refund-of-its-order",
        "A refund is of its payment's order, and so are its lines.",
        "Write the order of the payment.",
        """SELECT r.number FROM orders_refund r LEFT JOIN orders_payment p ON p.id = r.payment_id
           LEFT JOIN orders_order o ON o.id = r.order_id
           LEFT JOIN orders_refundline x ON x.refund_id = r.id
           LEFT JOIN orders_orderline l ON l.id = x.line_id
           WHERE (r.payment_id IS NOT NULL AND (p.id IS NULL OR DIFFER(p.order_id, r.order_id)
                  OR p.status NOT IN ('paid', 'voided')))
              OR (r.order_id IS NOT NULL AND o.id IS NULL)
              OR (x.id IS NOT NULL AND (l.id IS NULL OR DIFFER(l.order_id, r.order_id)))
              OR SECONDS(r.created_at, o.placed_at) > 60
           UNION SELECT CONCAT('line ', x.id) FROM orders_refundline x
           LEFT JOIN orders_refund r ON r.id = x.refund_id WHERE r.id IS NULL""",
    ),
    Rule(
        "refund-kind",
        "A refund's kind fits its payment, its pieces and its return.",
        _LOOK,
        """SELECT r.number FROM orders_refund r LEFT JOIN orders_payment p ON p.id = r.payment_id
           WHERE r.kind NOT IN ('auto', 'refund_only', 'return', 'external') OR r.reason = ''
              OR (r.kind = 'auto' AND p.is_applied)
              OR (r.kind IN ('refund_only', 'return') AND p.id IS NOT NULL AND NOT p.is_applied)
              OR (r.kind = 'return' AND NOT r.is_shipped)
              OR (r.kind IN ('auto', 'external') AND (r.is_shipped OR r.images <> '[]'))
              OR (r.is_to_shop AND r.platform_id = '')
              OR (r.status = 'succeeded' AND r.method = 'platform'
                  AND r.platform_status NOT IN ('', 'SUCCESS'))
              OR (r.status = 'processing' AND r.platform_status NOT IN ('', 'PROCESSING'))
              OR (r.sent_at IS NULL AND r.platform_status NOT IN ('', 'KNOWN_BEFORE'))
              OR (r.kind <> 'return' AND (r.return_carrier <> '' OR r.return_tracking <> ''
                  OR r.status = 'returning'))""",
    ),
    Rule(
        "refund-shipped",
        "A refund is after shipment only where pieces of its lines were shipped.",
        "Compare the order's parcels with its refunds.",
        f"""SELECT l.id FROM orders_orderline l JOIN
              (SELECT x.line_id, SUM(x.quantity) AS pieces FROM orders_refundline x
               JOIN orders_refund r ON r.id = x.refund_id
               WHERE r.is_shipped AND r.status NOT IN {_CLAIMING} GROUP BY x.line_id) y
              ON y.line_id = l.id
            WHERE y.pieces > l.shipped_quantity""",  # noqa: S608
    ),
    Rule(
        "refund-number",
        "A refund has a number at the platform exactly when it is owed, made from its payment's, and so had "
        "each number that the platform closed.",
        "The platform's page lists the numbers that it knows; write back the one of this refund.",
        f"""SELECT r.number FROM orders_refund r LEFT JOIN orders_payment p ON p.id = r.payment_id
            LEFT JOIN (SELECT DISTINCT refund_id FROM orders_refundattempt) ended
              ON ended.refund_id = r.id
            WHERE r.number NOT LIKE 'R%%'
               OR (LENGTH(r.number) < 22
                   AND (r.kind <> 'auto' OR r.number <> CONCAT('R', p.number)))
               OR (r.out_refund_no IS NULL AND r.amount_fen > 0
                   AND (r.status IN ('approved', 'processing', 'to_pay_out')
                        OR (r.status = 'failed' AND ended.refund_id IS NULL)
                        OR (r.status = 'succeeded' AND r.method = 'platform')))
               OR (r.out_refund_no IS NOT NULL AND r.status NOT IN {_AGREED})
               OR (r.kind <> 'external' AND r.out_refund_no <> r.number
                   AND r.out_refund_no NOT LIKE CONCAT(p.number, 'R%%'))
            UNION SELECT a.out_refund_no FROM orders_refundattempt a
            LEFT JOIN orders_refund r ON r.id = a.refund_id
            LEFT JOIN orders_payment p ON p.id = r.payment_id
            LEFT JOIN orders_refund other ON other.out_refund_no = a.out_refund_no
            WHERE p.id IS NULL OR a.platform_status = ''
               OR (other.id IS NOT NULL AND other.kind <> 'external')
               OR a.ended_at < r.created_at OR a.ended_at > %(ahead_10_minutes)s
               OR (a.out_refund_no <> r.number AND r.kind <> 'external'
                   AND a.out_refund_no NOT LIKE CONCAT(p.number, 'R%%'))""",  # noqa: S608
    ),
    Rule(
        "refund-decided",
        "Staff decide on refunds, and two of them on large ones.",
        "The back office's history tells who decided.",
        f"""SELECT r.number FROM orders_refund r
            LEFT JOIN accounts_user d ON d.id = r.decided_by_id
            LEFT JOIN accounts_user f ON f.id = r.first_approved_by_id
            LEFT JOIN accounts_user s ON s.id = r.opened_by_id
            WHERE (r.kind IN ('refund_only', 'return') AND r.status <> 'withdrawn'
                   AND r.status <> 'requested' AND r.decided_at IS NULL)
               OR (r.status = 'requested' AND r.decided_at IS NOT NULL)
               OR (r.status = 'rejected' AND r.decision = '' AND r.kind <> 'external')
               OR (r.status IN ('requested', 'withdrawn') AND r.decision <> '')
               OR (r.kind IN ('refund_only', 'return') AND r.amount_fen > 0
                   AND r.decided_at IS NOT NULL AND r.decided_by_id IS NULL)
               OR r.decided_at < r.created_at OR r.decided_at > %(ahead_10_minutes)s
               OR (r.decided_at IS NULL AND r.decided_by_id IS NOT NULL)
               OR (r.decided_by_id IS NOT NULL AND d.username IS NULL)
               OR (r.first_approved_by_id IS NOT NULL AND f.username IS NULL)
               OR (r.opened_by_id IS NOT NULL AND s.username IS NULL)
               OR (r.first_approved_by_id = r.decided_by_id AND r.status IN {_AGREED})""",  # noqa: S608
    ),
    Rule(
        "refund-succeeded",
        "A refund has its moment exactly when the customer has the money, and says how they got it.",
        _LOOK,
        """SELECT number FROM orders_refund
           WHERE (status = 'succeeded' AND succeeded_at IS NULL)
              OR (status <> 'succeeded' AND succeeded_at IS NOT NULL)
              OR succeeded_at < created_at OR succeeded_at > %(ahead_10_minutes)s
              OR sent_at < created_at OR sent_at > %(ahead_10_minutes)s
              OR (sent_at IS NULL AND kind <> 'external' AND amount_fen > 0
                  AND (status = 'processing' OR (status = 'succeeded' AND method = 'platform')))
              OR (sent_at IS NOT NULL AND status IN ('requested', 'returning', 'rejected', 'withdrawn'))
              OR method NOT IN ('platform', 'shop')
              OR (method = 'shop' AND status <> 'succeeded')
              OR (method = 'shop' AND payout_reference = '')
              OR (method <> 'shop' AND payout_reference <> '')
              OR (status = 'succeeded' AND method = 'platform' AND is_to_shop)
              OR (status = 'to_pay_out' AND NOT is_to_shop)
              OR (status = 'succeeded' AND method = 'platform' AND amount_fen > 0
                  AND platform_id = '' AND kind <> 'external')
              OR (billed_on IS NOT NULL AND payment_id IS NULL)""",
    ),
    Rule(
        "refund-approval",
        "Two people stand for each step with a refund's money; one that waits is about open money.",
        "Confirm or drop the proposal on the refund's page.",
        """SELECT a.id, r.number FROM orders_refundapproval a
           LEFT JOIN orders_refund r ON r.id = a.refund_id
           LEFT JOIN accounts_user p ON p.id = a.proposed_by_id
           LEFT JOIN accounts_user c ON c.id = a.confirmed_by_id
           WHERE r.id IS NULL OR p.username IS NULL
              OR (a.confirmed_by_id IS NOT NULL AND c.username IS NULL)
              OR a.proposed_at < r.created_at OR a.confirmed_at < a.proposed_at
              OR a.dropped_at < a.proposed_at OR a.confirmed_at > %(ahead_10_minutes)s
              OR a.proposed_at > %(ahead_10_minutes)s OR a.dropped_at > %(ahead_10_minutes)s
              OR (a.step <> 'redirect' AND a.note = '')
              OR (a.confirmed_at IS NOT NULL AND a.step = 'pay_out'
                  AND (r.method <> 'shop' OR r.payout_reference <> a.note))
              OR (a.confirmed_at IS NOT NULL AND a.step = 'write_off' AND r.status <> 'written_off')
              OR (a.confirmed_at IS NOT NULL AND a.step = 'redirect' AND a.card_hash = ''
                  AND NOT r.is_to_shop)
              OR (a.confirmed_at IS NULL AND a.confirmed_by_id IS NOT NULL)
              OR (a.confirmed_at IS NOT NULL AND a.confirmed_by_id IS NULL)
              OR (a.confirmed_at IS NOT NULL AND a.dropped_at IS NOT NULL)
              OR (a.confirmed_at IS NULL AND a.dropped_at IS NULL AND (a.open_key IS NULL
                  OR a.open_key <> a.refund_id OR r.status NOT IN ('failed', 'to_pay_out')))
              OR ((a.confirmed_at IS NOT NULL OR a.dropped_at IS NOT NULL)
                  AND a.open_key IS NOT NULL)
              OR (a.step <> 'redirect' AND (a.card_hash <> '' OR a.card_tail <> ''))""",
    ),
    Rule(
        "refund-late",
        "Money that goes back is not on its way for more than eight days: cards take three working days, "
        "and WeChat Pay closes after seven.",
        "See the refund's last error; a refund that failed can be applied for again, paid out by the shop "
        "or written off on its page.",
        """SELECT number, status FROM orders_refund
           WHERE status IN ('approved', 'processing', 'failed')
             AND COALESCE(decided_at, created_at) < %(ago_8_days)s""",
    ),
    Rule(
        "refund-undecided",
        "Nobody waits for more than fifteen days for a decision, a payout or a second person, nor the shop "
        "for more than sixty for goods on their way back.",
        "Decide on the refund's page.",
        """SELECT number, status FROM orders_refund
           WHERE (status = 'requested' AND created_at < %(ago_15_days)s)
              OR (status = 'to_pay_out' AND COALESCE(decided_at, created_at) < %(ago_15_days)s)
              OR (status = 'returning' AND decided_at < %(ago_60_days)s)
           UNION SELECT r.number, 'proposed' FROM orders_refundapproval a
           JOIN orders_refund r ON r.id = a.refund_id
           WHERE a.open_key IS NOT NULL AND a.proposed_at < %(ago_15_days)s""",
    ),
)
