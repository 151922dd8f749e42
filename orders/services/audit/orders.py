"""Orders: amounts, lines, parcels, and the book of what happened to them."""

from orders.services.audit.rules import Rule
from orders.status import ORDER_MOVES

_MOVES = ", ".join(f"('{start}', '{end}')" for start, end in ORDER_MOVES)
_ACTORS = ", ".join(
    f"('{start}', '{end}', '{actor}')"
    for (start, end), actors in ORDER_MOVES.items()
    for actor in sorted(actors)
)
_PAID = "('paid', 'partly_shipped', 'shipped', 'completed')"
_LOOK = "Somebody wrote to the table by hand. Find the change in the database's log and write the old value."

RULES = (
    Rule(
        "order-amounts",
        "An order's payable amount is goods plus freight less discount, and no amount is negative.",
        _LOOK,
        """SELECT number FROM orders_order
           WHERE payable_fen <> goods_fen + freight_fen - discount_fen OR payable_fen < 0
              OR discount_fen < 0 OR freight_fen < 0 OR discount_fen > goods_fen + freight_fen""",
    ),
    Rule(
        "order-goods",
        "An order's goods are the sum of its lines.",
        _LOOK,
        """SELECT MAX(o.number) AS number FROM orders_order o
           JOIN orders_orderline l ON l.order_id = o.id
           GROUP BY o.id HAVING SUM(l.quantity * l.unit_fen) <> MAX(o.goods_fen)""",
    ),
    Rule(
        "order-discount",
        "An order's discount is spread over its lines and its freight without a rest.",
        _LOOK,
        """SELECT MAX(o.number) AS number FROM orders_order o
           JOIN orders_orderline l ON l.order_id = o.id
           GROUP BY o.id
           HAVING SUM(l.discount_fen) <> MAX(o.discount_fen) - MAX(o.freight_discount_fen)
           UNION SELECT number FROM orders_order
           WHERE freight_discount_fen < 0 OR freight_discount_fen > freight_fen""",
    ),
    Rule(
        "order-discount-reason",
        "A discount comes from a coupon or from an adjusted price.",
        "Look at the order's events; a discount that nobody can explain is booked as a refund of its price.",
        """SELECT o.number FROM orders_order o
           LEFT JOIN orders_orderevent e ON e.order_id = o.id AND e.kind = 'price'
           WHERE o.discount_fen > 0 AND o.claimed_coupon_id IS NULL AND e.id IS NULL""",
    ),
    Rule(
        "line-amounts",
        "A line has at least one piece, a discount within its price, and refunds within what was paid.",
        _LOOK,
        """SELECT id FROM orders_orderline
           WHERE quantity < 1 OR unit_fen < 0 OR discount_fen < 0
              OR discount_fen > quantity * unit_fen OR refunded_quantity > quantity
              OR refunded_fen < 0 OR refunded_fen > quantity * unit_fen - discount_fen""",
    ),
    Rule(
        "line-copies",
        "A line names the product of its SKU, and keeps a name and a code.",
        _LOOK,
        """SELECT l.id FROM orders_orderline l LEFT JOIN catalog_sku s ON s.id = l.sku_id
           WHERE s.id IS NULL OR s.product_id <> l.product_id OR l.name = '' OR l.sku_code = ''""",
    ),
    Rule(
        "order-has-lines",
        "No order is empty, and no line is without an order.",
        "Restore the lines from a backup.",
        """SELECT o.number FROM orders_order o LEFT JOIN orders_orderline l ON l.order_id = o.id
           WHERE l.id IS NULL
           UNION SELECT l.sku_code FROM orders_orderline l
           LEFT JOIN orders_order o ON o.id = l.order_id WHERE o.id IS NULL""",
    ),
    # A window holds every row at once: it has few columns, and what is shown is looked up for what is
    # left. It is joined by the event's id: by its order's, MariaDB would compute it order by order.
    Rule(
        "order-events",
        "An order's events lead to its status, each from where the one before ended, by allowed moves.",
        "The last event tells the true status. Compare payments, parcels and refunds before changing it.",
        f"""SELECT o.number FROM orders_order o
            LEFT JOIN (SELECT MANY_GROUPS() order_id, MAX(id) AS id FROM orders_orderevent
                       WHERE kind = 'status' GROUP BY order_id) last ON last.order_id = o.id
            LEFT JOIN orders_orderevent e ON e.id = last.id
            WHERE e.id IS NULL OR e.to_status <> o.status
            UNION
            SELECT shown.event_key FROM orders_orderevent shown JOIN
                (SELECT id, from_status, to_status, LAG(to_status)
                   OVER (PARTITION BY order_id ORDER BY id) AS before_status
                 FROM orders_orderevent WHERE kind = 'status') e ON e.id = shown.id
            WHERE e.from_status <> COALESCE(e.before_status, '')
               OR (e.from_status <> '' AND (e.from_status, e.to_status) NOT IN ({_MOVES}))""",  # noqa: S608
    ),
    Rule(
        "order-event-keys",
        "An event's key names its order and what happened.",
        _LOOK,
        """SELECT e.event_key FROM orders_orderevent e
           LEFT JOIN orders_order o ON o.id = e.order_id
           WHERE o.id IS NULL OR e.to_status = ''
              OR (e.kind = 'status' AND e.event_key <> CONCAT(o.number, ':', e.to_status))
              OR (e.kind <> 'status' AND (e.from_status <> e.to_status
                  OR e.event_key NOT LIKE CONCAT(o.number, ':', e.kind, ':%%')))""",
    ),
    Rule(
        "order-event-actors",
        "An order is placed by its customer, and moved by whoever may.",
        "An order whose first event names another customer has changed hands: write that customer back.",
        f"""SELECT e.event_key FROM orders_orderevent e LEFT JOIN orders_order o ON o.id = e.order_id
            LEFT JOIN accounts_user u ON u.id = e.user_id
            WHERE (e.kind = 'status' AND e.from_status = ''
                   AND (e.actor <> 'customer' OR e.user_id IS NULL))
               OR (e.kind = 'status' AND e.from_status <> ''
                   AND (e.from_status, e.to_status, e.actor) NOT IN ({_ACTORS}))
               OR (e.kind = 'reminder' AND e.actor <> 'job')
               OR (e.kind IN ('price', 'address', 'note', 'parcel') AND e.actor <> 'staff')
               OR (e.actor = 'customer' AND e.user_id <> o.user_id)
               OR (e.actor = 'staff' AND e.user_id IS NOT NULL AND u.username IS NULL)
               OR (e.actor IN ('job', 'platform') AND e.user_id IS NOT NULL)""",  # noqa: S608
    ),
    Rule(
        "order-moments",
        "An order was placed, paid, shipped, completed and cancelled when its events say so.",
        "The event tells the true moment.",
        f"""SELECT o.number FROM orders_orderevent e LEFT JOIN orders_order o ON o.id = e.order_id
            WHERE e.kind = 'status' AND (
                  (e.to_status = 'pending_payment' AND DIFFER(e.created_at, o.placed_at))
               OR (e.to_status = 'paid' AND DIFFER(e.created_at, o.paid_at))
               OR (e.to_status = 'shipped' AND DIFFER(e.created_at, o.shipped_at))
               OR (e.to_status = 'completed' AND DIFFER(e.created_at, o.completed_at))
               OR (e.to_status = 'cancelled' AND (DIFFER(e.created_at, o.cancelled_at)
                   OR e.note <> o.cancel_reason)))
            UNION SELECT o.number FROM orders_order o
            WHERE (o.status IN {_PAID} AND o.paid_at IS NULL)
               OR (o.status = 'pending_payment' AND o.paid_at IS NOT NULL)
               OR (o.status IN ('shipped', 'completed') AND o.shipped_at IS NULL)
               OR (o.status NOT IN ('shipped', 'completed') AND o.shipped_at IS NOT NULL)
               OR (o.status = 'completed' AND o.completed_at IS NULL)
               OR (o.status <> 'completed' AND o.completed_at IS NOT NULL)
               OR (o.status = 'cancelled' AND o.cancelled_at IS NULL)
               OR (o.status <> 'cancelled' AND (o.cancelled_at IS NOT NULL OR o.cancel_reason <> ''))
            UNION SELECT o.number FROM orders_order o
            LEFT JOIN orders_orderevent e ON e.event_key = CONCAT(o.number, ':paid')
            WHERE o.status = 'cancelled' AND o.paid_at IS NOT NULL AND e.id IS NULL""",  # noqa: S608
    ),
    Rule(
        "order-event-order",
        "An order's events follow each other in time.",
        "A machine's clock was wrong when the event was written: see that all of them keep time.",
        """SELECT shown.event_key FROM orders_orderevent shown JOIN
             (SELECT id, created_at, LAG(created_at)
                OVER (PARTITION BY order_id ORDER BY id) AS before_at FROM orders_orderevent) e
             ON e.id = shown.id
           WHERE e.created_at > %(ahead_10_minutes)s
              OR (e.created_at < e.before_at AND SECONDS(e.created_at, e.before_at) > 60)""",
    ),
    Rule(
        "order-day",
        "An order's day is the day of Shanghai on which it was placed.",
        _LOOK,
        "SELECT number FROM orders_order WHERE placed_on <> LOCAL_DAY(placed_at)",
    ),
    Rule(
        "unpaid-order-closed",
        "Unpaid orders are closed when their time ends, and none has more time than the shop gives.",
        "See that run_jobs runs and that the platform answers; the page of the job shows its last error.",
        """SELECT number FROM orders_order WHERE status = 'pending_payment'
           AND (pay_before < %(ago_10_minutes)s OR pay_before > %(unpaid_until)s)""",
    ),
    Rule(
        "order-reminder",
        "An order remembers when its customer was reminded to pay.",
        "The event tells the true moment.",
        """SELECT o.number FROM orders_orderevent e JOIN orders_order o ON o.id = e.order_id
           WHERE e.kind = 'reminder' AND DIFFER(e.created_at, o.reminded_at)
           UNION SELECT o.number FROM orders_order o
           LEFT JOIN orders_orderevent e ON e.order_id = o.id AND e.kind = 'reminder'
           WHERE o.reminded_at IS NOT NULL AND e.id IS NULL""",
    ),
    Rule(
        "order-note",
        "Staff's note and flag stand in the order's book.",
        "Write the note of the last event.",
        """SELECT o.number FROM orders_order o
           LEFT JOIN (SELECT MANY_GROUPS() order_id, MAX(id) AS id FROM orders_orderevent
                      WHERE kind = 'note' GROUP BY order_id) last ON last.order_id = o.id
           LEFT JOIN orders_orderevent e ON e.id = last.id
           WHERE (e.id IS NULL AND (o.staff_note <> '' OR o.is_flagged))
              OR e.note <> SUBSTR(o.staff_note, 1, 200)""",
    ),
    Rule(
        "order-hidden",
        "A customer hides only orders that have ended.",
        "Show the order again: empty the moment at which it was hidden.",
        """SELECT number FROM orders_order WHERE hidden_at IS NOT NULL
           AND (status NOT IN ('completed', 'cancelled')
                OR hidden_at < COALESCE(completed_at, cancelled_at))""",
    ),
    Rule(
        "order-reviewed",
        "An order is reviewed when its last line was.",
        "Write the moment of the last line that was reviewed.",
        """SELECT o.number FROM orders_order o JOIN
             (SELECT order_id, MAX(reviewed_at) AS reviewed_at, COUNT(*) AS line_count,
                     COUNT(reviewed_at) AS reviewed_count
              FROM orders_orderline GROUP BY order_id) l ON l.order_id = o.id
           WHERE (o.reviewed_at IS NOT NULL AND DIFFER(o.reviewed_at, l.reviewed_at))
              OR (o.reviewed_at IS NULL AND l.reviewed_count = l.line_count)
              OR (l.reviewed_count > 0 AND o.status <> 'completed')""",
    ),
    # Parcels
    Rule(
        "line-shipped",
        "A line's shipped pieces are those in its parcels, and an order is as shipped as its lines.",
        "Count the parcels' lines; the line's own figure is a copy of them.",
        """SELECT o.number FROM orders_orderline l LEFT JOIN orders_order o ON o.id = l.order_id
           LEFT JOIN (SELECT line_id, SUM(quantity) AS pieces FROM orders_shipmentline
                      GROUP BY line_id) x ON x.line_id = l.id
           WHERE COALESCE(x.pieces, 0) <> l.shipped_quantity
              OR l.shipped_quantity + l.released_quantity > l.quantity
              OR (o.status IN ('shipped', 'completed')
                  AND l.shipped_quantity + l.released_quantity <> l.quantity)
              OR (o.status IN ('pending_payment', 'paid', 'cancelled') AND l.shipped_quantity <> 0)""",
    ),
    Rule(
        "parcel-lines",
        "A parcel holds lines of its own order, and at least one.",
        "Restore the parcel's lines from a backup.",
        """SELECT s.tracking_number FROM orders_shipment s
           LEFT JOIN orders_shipmentline x ON x.shipment_id = s.id
           LEFT JOIN orders_orderline l ON l.id = x.line_id
           LEFT JOIN orders_carrier c ON c.id = s.carrier_id
           WHERE l.id IS NULL OR l.order_id <> s.order_id OR x.quantity < 1 OR c.id IS NULL
           UNION SELECT CONCAT('line ', x.id) FROM orders_shipmentline x
           LEFT JOIN orders_shipment s ON s.id = x.shipment_id WHERE s.id IS NULL""",
    ),
    Rule(
        "parcel-event",
        "A parcel left when its order's book says so, under the number that stands there.",
        "The event tells the true moment and the number that staff typed.",
        """SELECT s.tracking_number FROM orders_shipment s
           LEFT JOIN orders_orderevent e ON e.order_id = s.order_id AND e.created_at = s.shipped_at
             AND e.to_status IN ('partly_shipped', 'shipped') AND e.kind IN ('status', 'parcel')
           WHERE e.id IS NULL OR s.tracking_number = '' OR e.note NOT LIKE CONCAT('%%', s.tracking_number)""",
    ),
)
