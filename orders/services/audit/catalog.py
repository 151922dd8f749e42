"""The shop window: copies that a product keeps, and reviews."""

from orders.services.audit.rules import Rule

RULES = (
    Rule(
        "product-copies",
        "A product shows the lowest price and the availability of its active SKUs.",
        "Save one of the product's SKUs in the back office: that writes both anew.",
        """SELECT p.id FROM catalog_product p
           LEFT JOIN catalog_sku s ON s.product_id = p.id AND s.is_active
           GROUP BY p.id, p.price_fen, p.market_price_fen, p.in_stock
           HAVING COALESCE(MIN(s.price_fen), 0) <> p.price_fen
               OR COALESCE(MIN(s.market_price_fen), -999999999) <> COALESCE(p.market_price_fen, -999999999)
               OR (COALESCE(MAX(s.stock), 0) > 0 AND NOT p.in_stock)
               OR (COALESCE(MAX(s.stock), 0) <= 0 AND p.in_stock)""",
    ),
    Rule(
        "product-sales",
        "A product has sold at least what its paid orders say.",
        "Write the sum of the lines of paid orders.",
        """SELECT p.id FROM catalog_product p JOIN
             (SELECT l.product_id, SUM(l.quantity) AS pieces FROM orders_orderline l
              JOIN orders_order o ON o.id = l.order_id
              WHERE o.paid_at IS NOT NULL GROUP BY l.product_id) sold ON sold.product_id = p.id
           WHERE p.sales_count < sold.pieces""",
    ),
    Rule(
        "review-counts",
        "A product's summary counts its visible reviews.",
        "Hide one of the product's reviews and show it again, after writing the true count.",
        """SELECT p.id FROM catalog_product p
           LEFT JOIN catalog_reviewsummary s ON s.product_id = p.id
           LEFT JOIN catalog_review r ON r.product_id = p.id
           WHERE r.id IS NOT NULL OR s.product_id IS NOT NULL
           GROUP BY p.id, s.stars_1, s.stars_2, s.stars_3, s.stars_4, s.stars_5, s.with_images
           HAVING COALESCE(s.stars_1, 0) <> COUNT(CASE WHEN r.is_visible AND r.rating = 1 THEN 1 END)
               OR COALESCE(s.stars_2, 0) <> COUNT(CASE WHEN r.is_visible AND r.rating = 2 THEN 1 END)
               OR COALESCE(s.stars_3, 0) <> COUNT(CASE WHEN r.is_visible AND r.rating = 3 THEN 1 END)
               OR COALESCE(s.stars_4, 0) <> COUNT(CASE WHEN r.is_visible AND r.rating = 4 THEN 1 END)
               OR COALESCE(s.stars_5, 0) <> COUNT(CASE WHEN r.is_visible AND r.rating = 5 THEN 1 END)
               OR COALESCE(s.with_images, 0) <> COUNT(CASE WHEN r.is_visible AND r.has_images THEN 1 END)""",
    ),
    # The order is found by the number in the reference: no index knows a text put together from two
    # tables, and every review would read every line.
    Rule(
        "review-of-a-line",
        "A review is its buyer's, of a bought line, and the line knows of it.",
        "Hide the review; a line that was not reviewed may be reviewed again once its moment is empty.",
        """SELECT r.reference FROM catalog_review r
           LEFT JOIN orders_order o ON o.number = NAMED(r.reference, 1)
           LEFT JOIN orders_orderline l ON l.order_id = o.id AND l.reviewed_at IS NOT NULL
             AND r.reference = CONCAT(o.number, ':', l.id)
           WHERE l.id IS NULL OR o.user_id <> r.user_id OR l.sku_id <> r.sku_id
              OR l.product_id <> r.product_id OR SECONDS(l.reviewed_at, r.created_at) > 600
              OR SECONDS(l.reviewed_at, r.created_at) < -60
           UNION SELECT CONCAT(o.number, ':', l.id) FROM orders_orderline l
           JOIN orders_order o ON o.id = l.order_id
           LEFT JOIN catalog_review r ON r.reference = CONCAT(o.number, ':', l.id)
           WHERE l.reviewed_at IS NOT NULL AND r.id IS NULL""",
    ),
    Rule(
        "review-state",
        "A review is shown exactly when its content check has passed, and is not checked for ever.",
        "Decide on the review in the back office.",
        """SELECT reference FROM catalog_review
           WHERE (is_visible AND moderation <> 'passed')
              OR (NOT is_visible AND moderation = 'passed')
              OR (moderation = 'waiting' AND (written_at IS NULL OR written_at < %(ago_2_hours)s))
              OR (reply <> '' AND replied_at IS NULL) OR (reply = '' AND replied_at IS NOT NULL)
              OR replied_at > %(ahead_10_minutes)s OR replied_at < created_at
              OR followed_up_at < created_at OR written_at < created_at
              OR (followed_up_at IS NULL AND follow_up <> '')
              OR (followed_up_at IS NOT NULL AND DIFFER(written_at, followed_up_at))
              OR (followed_up_at IS NULL AND written_at <> created_at)
              OR created_at > %(ahead_10_minutes)s
              OR (has_images AND images = '[]') OR (NOT has_images AND images <> '[]')
              OR rating NOT BETWEEN 1 AND 5""",
    ),
    Rule(
        "search-index",
        "What is found is on sale, at the product's price.",
        "Run manage.py index_products.",
        """SELECT DISTINCT t.product_id FROM catalog_searchtoken t
           LEFT JOIN catalog_product p ON p.id = t.product_id
           WHERE p.id IS NULL OR p.status <> 'on_sale' OR p.price_fen <> t.price_fen
           UNION SELECT f.product_id FROM catalog_productfacet f
           LEFT JOIN catalog_product p ON p.id = f.product_id
           WHERE p.id IS NULL OR p.status <> 'on_sale'""",
    ),
)
