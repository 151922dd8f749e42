"""Parcels: pieces, whose they are, and when they left."""

from orders.services.audit.rules import Rule

RULES = (
    Rule(
        "line-shipped",
        "A line's shipped pieces are those in its parcels, and an order is as shipped as its lines.",
        "Count the parcels' lines; the line's own figure is a copy of them.",
        """SELECT o.number FROM orders_orderline l JOIN orders_order o ON o.id = l.order_id
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
