"""Coupons: counted, owned, used once."""

from orders.services.audit.rules import Rule

RULES = (
    Rule(
        "coupon-used-once",
        "A coupon is used by the one order that lives with it, by its owner, since it was placed.",
        "Look at the orders that name the coupon; the one that was not cancelled has used it.",
        """SELECT c.id FROM orders_claimedcoupon c
           LEFT JOIN orders_order o ON o.claimed_coupon_id = c.id AND o.status <> 'cancelled'
           GROUP BY c.id, c.used_at
           HAVING COUNT(o.id) <> CASE WHEN c.used_at IS NULL THEN 0 ELSE 1 END
           UNION SELECT o.claimed_coupon_id FROM orders_order o
           LEFT JOIN orders_claimedcoupon c ON c.id = o.claimed_coupon_id
           WHERE o.claimed_coupon_id IS NOT NULL
             AND (c.id IS NULL OR c.user_id <> o.user_id
                  OR (o.status <> 'cancelled' AND DIFFER(c.used_at, o.placed_at)))""",
    ),
    Rule(
        "coupon-count",
        "A coupon has been claimed as often as there are copies, and within its quota.",
        "Write the number of copies; a quota that was overrun is raised to it.",
        """SELECT t.id FROM orders_coupon t LEFT JOIN orders_claimedcoupon c ON c.coupon_id = t.id
           GROUP BY t.id, t.claimed_count, t.quota
           HAVING COUNT(c.id) <> t.claimed_count OR t.claimed_count > t.quota""",
    ),
    Rule(
        "coupon-copies",
        "A customer's copies of a coupon are numbered from one on.",
        "A copy has changed hands, or was taken away: write its owner and number back.",
        """SELECT c.coupon_id, c.user_id FROM orders_claimedcoupon c
           LEFT JOIN orders_coupon t ON t.id = c.coupon_id
           LEFT JOIN accounts_user u ON u.id = c.user_id AND u.username IS NULL
           GROUP BY c.coupon_id, c.user_id
           HAVING MAX(c.nth) <> COUNT(*) OR MIN(c.nth) <> 1
               OR COUNT(t.id) <> COUNT(*) OR COUNT(u.id) <> COUNT(*)""",
    ),
    Rule(
        "coupon-validity",
        "A copy is valid for a while from its claim on, and used after it.",
        "The coupon's own terms and the moment of the claim tell the true time.",
        """SELECT c.id FROM orders_claimedcoupon c JOIN orders_coupon t ON t.id = c.coupon_id
           WHERE c.valid_from < c.claimed_at AND t.starts_on IS NULL
              OR c.valid_until <= c.valid_from OR c.used_at < c.claimed_at
              OR c.claimed_at > %(ahead_10_minutes)s
              OR (t.starts_on IS NULL AND c.valid_from <> c.claimed_at)
              OR (t.valid_days IS NOT NULL
                  AND SECONDS(c.claimed_at, c.valid_until) NOT BETWEEN
                      t.valid_days * 86400 AND (t.valid_days + 1) * 86400)
              OR (t.ends_on IS NOT NULL AND LOCAL_DAY(c.claimed_at) > t.ends_on)""",
    ),
)
