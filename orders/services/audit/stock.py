"""Stock: what there is, and the book of how it came and went."""

from orders.services.audit.rules import Rule

_AGREED = "('approved', 'processing', 'succeeded', 'failed', 'to_pay_out', 'written_off')"

RULES = (
    Rule(
        "stock-sum",
        "A SKU's stock is the sum of its movements.",
        "Count the shelf, then adjust the stock on the SKU's page so that both agree.",
        # "+ 0": by the index on the SKU MariaDB would look up every movement one by one.
        """SELECT s.code FROM catalog_sku s
           LEFT JOIN (SELECT sku_id + 0 AS sku_id, SUM(delta) AS delta
                      FROM catalog_stockmovement GROUP BY sku_id + 0) m ON m.sku_id = s.id
           WHERE COALESCE(m.delta, 0) <> s.stock""",
    ),
    Rule(
        "stock-not-negative",
        "No stock is negative.",
        "More was sold than there was: count the shelf, adjust the stock, refund what cannot be sent.",
        "SELECT code FROM catalog_sku WHERE stock < 0",
    ),
    # LEFT JOIN where each line has an order: lines are read first, in the order of their ids, and no
    # database has to sort them.
    Rule(
        "stock-of-lines",
        "A line has taken its pieces once, and given back those that are not to be shipped.",
        "Compare the order's movements with its lines; what is missing is booked by adjusting the stock.",
        """SELECT MAX(o.number) AS number, MAX(l.sku_code) AS sku_code FROM orders_orderline l
           LEFT JOIN orders_order o ON o.id = l.order_id
           LEFT JOIN catalog_stockmovement m ON m.reference = o.number AND m.sku_id = l.sku_id
           GROUP BY l.id
           HAVING SUM(CASE WHEN m.kind = 'reserve' THEN -m.delta ELSE 0 END) <> MAX(l.quantity)
               OR SUM(CASE WHEN m.kind = 'release' THEN m.delta ELSE 0 END)
                  <> MAX(CASE WHEN o.status = 'cancelled' THEN l.quantity
                         ELSE l.released_quantity END)""",
    ),
    Rule(
        "released-lines",
        "A line's released pieces are those of its agreed refunds before shipment.",
        "Compare the order's refunds; a piece that is not to be shipped was refunded or called off.",
        f"""SELECT o.number FROM orders_orderline l LEFT JOIN orders_order o ON o.id = l.order_id
            LEFT JOIN (SELECT x.line_id, SUM(x.quantity) AS pieces FROM orders_refundline x
                       JOIN orders_refund r ON r.id = x.refund_id
                       WHERE r.status IN {_AGREED} AND NOT r.is_shipped
                       GROUP BY x.line_id) y ON y.line_id = l.id
            WHERE COALESCE(y.pieces, 0) <> l.released_quantity""",  # noqa: S608
    ),
    Rule(
        "stock-movement-keys",
        "A movement says what it was for, once.",
        "Somebody wrote to the book by hand; write back what its key and reference said.",
        """SELECT event_key FROM catalog_stockmovement
           WHERE reference = '' OR delta = 0 OR created_at > %(ahead_10_minutes)s
              OR event_key NOT LIKE CONCAT(kind, ':', reference, ':%%')
              OR event_key NOT LIKE CONCAT('%%:', sku_id)
              OR (delta > 0 AND kind = 'reserve')
              OR (delta < 0 AND kind IN ('release', 'return'))
           UNION SELECT event_key FROM catalog_stockmovement GROUP BY event_key HAVING COUNT(*) > 1""",
    ),
    Rule(
        "stock-movement-reference",
        "What orders take and give back refers to an order with a line of that SKU, from its time.",
        "Pieces were taken for nothing: put them back by adjusting the stock on the SKU's page.",
        """SELECT m.event_key FROM catalog_stockmovement m
           LEFT JOIN orders_order o ON o.number = m.reference
           LEFT JOIN orders_orderline l ON l.order_id = o.id AND l.sku_id = m.sku_id
           WHERE m.kind IN ('reserve', 'release', 'return')
             AND (l.id IS NULL OR SECONDS(o.placed_at, m.created_at) < -60
                  OR (m.kind = 'reserve' AND SECONDS(o.placed_at, m.created_at) > 600))""",
    ),
    Rule(
        "stock-returned",
        "What came back to the shelf is what a return's refund says.",
        "Compare the refund's pieces; what is too much or too little is booked by adjusting the stock.",
        f"""SELECT m.event_key FROM catalog_stockmovement m
            LEFT JOIN orders_order o ON o.number = m.reference
            LEFT JOIN orders_orderline l ON l.order_id = o.id AND l.sku_id = m.sku_id
            LEFT JOIN orders_refundline x ON x.line_id = l.id AND x.quantity = m.delta
            LEFT JOIN orders_refund r ON r.id = x.refund_id AND r.kind = 'return'
              AND r.status IN {_AGREED}
              AND m.event_key = CONCAT('return:', o.number, ':', r.number, ':', l.sku_id)
            WHERE m.kind = 'return' GROUP BY m.id, m.event_key HAVING COUNT(r.id) = 0""",  # noqa: S608
    ),
)
