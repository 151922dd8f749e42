"""The platforms' bills: our books are compared with what the platforms say, not with themselves."""

from orders.services.audit.rules import Rule

# What differs for good counts towards a bill's sums; what became ours is counted among ours.
_LISTED = """
    SELECT d.bill_id, SUM(CASE WHEN d.is_refund THEN 0 ELSE {fen} END) AS paid,
           SUM(CASE WHEN d.is_refund THEN {fen} ELSE 0 END) AS back, COUNT(*) AS row_count
    FROM orders_billdifference d WHERE d.bill_id IS NOT NULL GROUP BY d.bill_id""".format(  # noqa: S608
    fen="""CASE WHEN d.resolution = 'agrees' THEN 0
        WHEN d.kind = 'amount' THEN d.theirs_fen - d.ours_fen
        WHEN d.kind = 'twice' THEN d.theirs_fen
        WHEN d.kind = 'not_ours' AND d.resolution IN ('', 'foreign', 'explained')
        THEN COALESCE(d.theirs_fen, 0) ELSE 0 END"""
)
_BILLED = """
    SELECT p.channel, p.app_id, p.merchant_id, {row}.billed_on, SUM({row}.amount_fen) AS fen,
           COUNT(*) AS row_count
    FROM orders_payment p {join} WHERE {row}.billed_on IS NOT NULL
    GROUP BY p.channel, p.app_id, p.merchant_id, {row}.billed_on"""
_SAME = """{0}.channel = b.channel AND {0}.app_id = b.app_id AND {0}.merchant_id = b.merchant_id
    AND {0}.billed_on = b.day"""
_RESOLVE = "Resolve the difference on its page: that books the entry that is missing."

RULES = (
    Rule(
        "bill-difference",
        "Every row of a platform's bill stands in our books and the other way round, or staff have booked "
        "why; what only we have may stand in the bill of the next day.",
        _RESOLVE,
        """SELECT number, kind, bill_id FROM orders_billdifference WHERE status = 'open'
           AND (kind <> 'not_theirs' OR found_at < %(ago_36_hours)s)""",
    ),
    Rule(
        "bill-figures",
        "A bill that agrees sums to the payments and refunds that stand in it, and to what staff have "
        "explained.",
        "Run manage.py reconcile for the day of the bill.",
        f"""SELECT b.channel, b.day, b.paid_fen, b.refunded_fen FROM orders_bill b
            LEFT JOIN ({_BILLED.format(row="p", join="")}) p ON {_SAME.format("p")}
            LEFT JOIN ({
            _BILLED.format(row="r", join="JOIN orders_refund r ON r.payment_id = p.id")
        }) r ON {_SAME.format("r")}
            LEFT JOIN ({_LISTED}) d ON d.bill_id = b.id
            WHERE b.agreed_at IS NOT NULL AND b.due_at IS NULL
              AND (b.paid_fen <> COALESCE(p.fen, 0) + COALESCE(d.paid, 0)
                OR b.refunded_fen <> COALESCE(r.fen, 0) + COALESCE(d.back, 0)
                OR (d.bill_id IS NULL
                    AND b.row_count <> COALESCE(p.row_count, 0) + COALESCE(r.row_count, 0)))""",  # noqa: S608
    ),
    Rule(
        "bill-state",
        "A bill agrees, or is compared again within a day; of one that never came staff have said why that "
        "is no harm.",
        "The bill's last error says what stands in the way; run manage.py reconcile for its day.",
        """SELECT channel, day FROM orders_bill b
           WHERE (agreed_at IS NOT NULL AND compared_at IS NULL) OR agreed_at > compared_at
              OR LOCAL_DAY(agreed_at) < day
              OR (agreed_at IS NULL AND due_at IS NULL AND accepted_at IS NULL) OR due_at > %(ahead_26_hours)s
              OR compared_at > %(ahead_10_minutes)s OR day > LOCAL_DAY(compared_at)
              OR (agreed_at IS NULL AND accepted_at IS NULL AND day < %(day_9_ago)s)
              OR (accepted_at IS NULL AND (accepted_by_id IS NOT NULL OR note <> ''))
              OR (accepted_at IS NOT NULL AND (note = '' OR NOT EXISTS (SELECT 1 FROM accounts_user u
                  WHERE u.id = b.accepted_by_id AND u.username IS NOT NULL)))
              OR accepted_at > %(ahead_10_minutes)s OR LOCAL_DAY(accepted_at) < day
              OR (other_count = 0 AND other_fen <> 0) OR paid_fen < 0 OR refunded_fen < 0""",
    ),
    Rule(
        "payment-billed",
        "A payment older than three days stands in a bill of its account, or staff have said why not.",
        "Run manage.py reconcile for its day; a payment that the platform never got is voided.",
        """SELECT p.number FROM orders_payment p
           JOIN (SELECT channel, app_id, merchant_id, MIN(day) AS day FROM orders_bill
                 WHERE compared_at IS NOT NULL GROUP BY channel, app_id, merchant_id) b
             ON b.channel = p.channel AND b.app_id = p.app_id AND b.merchant_id = p.merchant_id
           LEFT JOIN orders_billdifference d ON d.channel = p.channel AND d.number = p.number
             AND NOT d.is_refund AND d.resolution <> 'agrees'
           WHERE p.status = 'paid' AND p.billed_on IS NULL AND d.id IS NULL
             AND p.paid_at < %(ago_3_days)s AND LOCAL_DAY(p.paid_at) >= b.day
             AND NOT EXISTS (SELECT 1 FROM orders_bill a WHERE a.accepted_at IS NOT NULL
               AND a.channel = p.channel AND a.app_id = p.app_id
               AND a.merchant_id = p.merchant_id AND a.day = LOCAL_DAY(p.paid_at))
           UNION SELECT p.number FROM orders_payment p
           LEFT JOIN orders_bill b ON b.channel = p.channel AND b.app_id = p.app_id
             AND b.merchant_id = p.merchant_id AND b.day = p.billed_on
           WHERE p.billed_on IS NOT NULL AND b.id IS NULL""",
    ),
    Rule(
        "refund-billed",
        "A refund that a platform paid more than three days ago, to the payer or to the shop's own account, "
        "stands in a bill of its account, or staff have said why not.",
        "Run manage.py reconcile for its day; a refund that was never paid is reversed.",
        """SELECT r.number FROM
             (SELECT x.number, x.out_refund_no, x.payment_id,
                     COALESCE(s.posted_at, x.succeeded_at) AS left_at FROM orders_refund x
              LEFT JOIN orders_ledgertransaction s
                ON s.event_key = CONCAT('refund-to-shop:', x.out_refund_no)
              WHERE x.billed_on IS NULL AND x.amount_fen > 0
                AND (s.id IS NOT NULL OR (x.status = 'succeeded' AND x.method = 'platform'))) r
           JOIN orders_payment p ON p.id = r.payment_id
           JOIN (SELECT channel, app_id, merchant_id, MIN(day) AS day FROM orders_bill
                 WHERE compared_at IS NOT NULL GROUP BY channel, app_id, merchant_id) b
             ON b.channel = p.channel AND b.app_id = p.app_id AND b.merchant_id = p.merchant_id
           LEFT JOIN orders_billdifference d ON d.channel = p.channel AND d.number = r.out_refund_no
             AND d.is_refund AND d.resolution <> 'agrees'
           WHERE d.id IS NULL AND r.left_at < %(ago_3_days)s AND LOCAL_DAY(r.left_at) >= b.day
             AND NOT EXISTS (SELECT 1 FROM orders_bill a WHERE a.accepted_at IS NOT NULL
               AND a.channel = p.channel AND a.app_id = p.app_id
               AND a.merchant_id = p.merchant_id AND a.day = LOCAL_DAY(r.left_at))
           UNION SELECT r.number FROM orders_refund r JOIN orders_payment p ON p.id = r.payment_id
           LEFT JOIN orders_bill b ON b.channel = p.channel AND b.app_id = p.app_id
             AND b.merchant_id = p.merchant_id AND b.day = r.billed_on
           WHERE r.billed_on IS NOT NULL AND b.id IS NULL""",
    ),
    Rule(
        "difference-state",
        "A difference names what its kind needs, of its own account, and says how it ended and by whom.",
        "Open the difference again, and resolve it on its page.",
        """SELECT d.id, d.number FROM orders_billdifference d
           LEFT JOIN orders_payment p ON p.id = d.payment_id
           LEFT JOIN orders_bill b ON b.id = d.bill_id
           LEFT JOIN accounts_user u ON u.id = d.resolved_by_id
           LEFT JOIN accounts_user f ON f.id = d.first_approved_by_id
           LEFT JOIN orders_notice n ON n.id = d.notice_id
           WHERE (d.status = 'open' AND (d.resolution <> '' OR d.resolved_at IS NOT NULL))
              OR (d.status <> 'open' AND (d.resolution = '' OR d.resolved_at IS NULL))
              OR (d.resolution NOT IN ('', 'agrees') AND u.username IS NULL)
              OR (d.resolution IN ('', 'agrees') AND d.resolved_by_id IS NOT NULL)
              OR d.found_at > %(ahead_10_minutes)s OR d.resolved_at > %(ahead_10_minutes)s
              OR d.resolved_at < d.found_at OR d.number = ''
              OR (d.kind = 'not_ours' AND d.ours_fen IS NOT NULL)
              OR (d.kind = 'not_theirs' AND (d.theirs_fen IS NOT NULL OR d.ours_fen IS NULL))
              OR (d.kind IN ('amount', 'transaction') AND (d.theirs_fen IS NULL OR d.ours_fen IS NULL))
              OR (d.kind = 'amount' AND d.theirs_fen = d.ours_fen AND NOT EXISTS
                  (SELECT 1 FROM orders_ledgertransaction t
                   WHERE t.event_key LIKE CONCAT('difference:', d.id, ':%%')))
              OR (NOT d.is_refund AND SUBSTR(d.number, 1, 64) <> d.payment_number)
              OR (d.payment_id IS NOT NULL AND (p.id IS NULL OR p.channel <> d.channel
                  OR p.number <> d.payment_number OR (d.app_id <> '' AND (p.app_id <> d.app_id
                  OR p.merchant_id <> d.merchant_id))))
              OR (d.notice_id IS NOT NULL AND (n.id IS NULL OR n.channel <> d.channel))
              OR (d.first_approved_by_id IS NOT NULL AND f.username IS NULL)
              OR (d.bill_id IS NOT NULL AND (b.id IS NULL OR b.channel <> d.channel
                  OR b.app_id <> d.app_id OR b.merchant_id <> d.merchant_id))""",
    ),
    Rule(
        "difference-booked",
        "What a difference says was booked is in the books.",
        "Open the difference again, and resolve it on its page.",
        """SELECT d.id, d.number FROM orders_billdifference d
           LEFT JOIN orders_payment p ON p.channel = d.channel AND p.number = d.payment_number
           LEFT JOIN orders_refund r ON r.payment_id = p.id AND r.kind = 'external'
             AND r.decided_at = d.resolved_at
           LEFT JOIN orders_ledgertransaction k ON k.event_key = CONCAT('payment-kept:', p.number)
           LEFT JOIN orders_ledgertransaction v ON v.event_key = CONCAT('payment-void:', p.number)
           LEFT JOIN orders_ledgertransaction w ON w.event_key = CONCAT('refund-void:', d.number)
           LEFT JOIN (SELECT NAMED(t.event_key, 12) AS difference, COUNT(*) AS bookings,
                             SUM(e.amount_fen) AS fen
                      FROM orders_ledgertransaction t JOIN orders_ledgerentry e
                        ON e.transaction_id = t.id AND e.account LIKE 'platform:%%'
                      WHERE t.event_key LIKE 'difference:%%' GROUP BY NAMED(t.event_key, 12)) b
             ON b.difference = CONCAT(d.id, '')
           WHERE (d.resolution = 'refund_booked' AND (NOT d.is_refund OR d.kind <> 'not_ours'
                  OR r.id IS NULL OR (r.amount_fen <> d.theirs_fen AND NOT EXISTS
                      (SELECT 1 FROM orders_ledgertransaction l WHERE l.event_key
                       LIKE CONCAT('refund-lowered:', r.number, ':%%')))))
              OR (d.resolution = 'payment_voided' AND (d.is_refund OR d.kind <> 'not_theirs'
                  OR v.id IS NULL OR p.amount_fen <> d.ours_fen))
              OR (d.resolution IN ('payment_booked', 'money_returned', 'money_kept')
                  AND (d.is_refund OR d.kind NOT IN ('not_ours', 'amount') OR p.id IS NULL
                       OR p.status NOT IN ('paid', 'voided')))
              OR (d.resolution IN ('money_returned', 'money_kept') AND (p.order_id IS NOT NULL
                  OR p.amount_fen <> d.theirs_fen OR p.merchant_id <> d.merchant_id))
              OR (d.resolution = 'payment_booked' AND p.order_id IS NULL)
              OR (d.resolution = 'money_kept' AND k.id IS NULL)
              OR (d.resolution = 'money_returned' AND k.id IS NOT NULL)
              OR (d.resolution = 'refund_reversed' AND (NOT d.is_refund
                  OR d.kind <> 'not_theirs' OR w.id IS NULL))
              OR (d.resolution = 'amount_booked' AND (d.kind NOT IN ('amount', 'twice')
                  OR b.bookings IS NULL))
              OR (d.resolution = 'amount_booked' AND b.fen <> CASE WHEN d.is_refund THEN -1 ELSE 1 END
                    * (COALESCE(d.theirs_fen, 0) - COALESCE(d.ours_fen, 0)))
              OR (d.status = 'resolved' AND d.resolution <> 'amount_booked' AND b.fen <> 0)
              OR (d.resolution = 'foreign' AND (d.kind NOT IN ('not_ours', 'twice')
                  OR p.id IS NOT NULL))
              OR (d.resolution = 'explained' AND d.kind IN ('not_theirs', 'amount'))
           UNION SELECT t.id, t.event_key FROM orders_ledgertransaction t
           LEFT JOIN orders_billdifference d ON t.event_key LIKE CONCAT('difference:', d.id, ':%%')
             AND d.kind IN ('amount', 'twice')
           WHERE t.event_key LIKE 'difference:%%' AND d.id IS NULL""",
    ),
)
