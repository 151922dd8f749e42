"""Daily totals: copies of the ledger, once their day is over."""

import json
from collections.abc import Sequence
from typing import Any

from orders.services.audit.rules import Rule

# What is posted at the last moment of a day may be committed a little after it: the job computes again
# a total that is less than ten minutes younger than its day.
_OVER = "LOCAL_DAY_10_MINUTES_BEFORE(d.computed_at) > d.day"
_REBUILD = "Run manage.py rebuild_daily_totals for the day."


def _has_wrong_hours(row: Sequence[Any]) -> bool:
    _day, hours, sale_fen = row
    fen = json.loads(hours) if isinstance(hours, str) else hours
    return len(fen) != 24 or sum(fen) != sale_fen


RULES = (
    Rule(
        "daily-total",
        "A day's total is what the ledger says of it.",
        _REBUILD,
        f"""SELECT d.day FROM orders_dailytotal d
            LEFT JOIN (SELECT t.posted_on, SUM(e.amount_fen) AS income,
                         SUM(CASE WHEN t.event_key LIKE 'sale:%%' THEN e.amount_fen ELSE 0 END) AS sold
                       FROM orders_ledgertransaction t
                       JOIN orders_ledgerentry e ON e.transaction_id = t.id
                       WHERE e.account IN ('goods', 'freight', 'coupons')
                         OR (e.account = 'corrections' AND t.event_key LIKE 'external-refund:%%')
                       GROUP BY t.posted_on) i ON i.posted_on = d.day
            WHERE {_OVER} AND (d.sale_fen <> -COALESCE(i.sold, 0)
               OR d.back_fen <> COALESCE(i.income, 0) - COALESCE(i.sold, 0))""",  # noqa: S608
    ),
    Rule(
        "daily-counts",
        "A day's counts are those of its orders, sales and payers.",
        _REBUILD,
        f"""SELECT d.day FROM orders_dailytotal d
            LEFT JOIN (SELECT t.posted_on, COUNT(*) AS sales, COUNT(DISTINCT o.user_id) AS payers
                       FROM orders_ledgertransaction t JOIN orders_order o ON o.id = t.order_id
                       WHERE t.event_key LIKE 'sale:%%' GROUP BY t.posted_on) s ON s.posted_on = d.day
            LEFT JOIN (SELECT placed_on, COUNT(*) AS placed FROM orders_order
                       GROUP BY placed_on) p ON p.placed_on = d.day
            WHERE d.computed_at > %(ahead_10_minutes)s OR LOCAL_DAY(d.computed_at) < d.day
               OR (d.day < %(day_2_ago)s AND NOT ({_OVER}))
               OR ({_OVER} AND (d.sale_count <> COALESCE(s.sales, 0)
                  OR d.payer_count <> COALESCE(s.payers, 0)
                  OR d.placed_count <> COALESCE(p.placed, 0)))""",  # noqa: S608
    ),
    Rule(
        "daily-hours",
        "A day's hours sum to its sales.",
        _REBUILD,
        f"""SELECT d.day, d.hours, COALESCE(r.fen, 0) AS fen FROM orders_dailytotal d
            LEFT JOIN (SELECT t.posted_on, SUM(e.amount_fen) AS fen
                       FROM orders_ledgertransaction t
                       JOIN orders_ledgerentry e ON e.transaction_id = t.id
                       WHERE e.account = 'receivable' AND t.event_key LIKE 'sale:%%'
                       GROUP BY t.posted_on) r ON r.posted_on = d.day
            WHERE {_OVER}""",  # noqa: S608
        _has_wrong_hours,
    ),
    Rule(
        "daily-products",
        "A day's products are those of its sales.",
        _REBUILD,
        f"""SELECT d.day, p.product_id FROM orders_dailytotal d
            JOIN orders_dailyproduct p ON p.day = d.day
            LEFT JOIN (SELECT t.posted_on, l.product_id, SUM(l.quantity) AS pieces,
                              SUM(l.quantity * l.unit_fen) AS fen
                       FROM orders_ledgertransaction t
                       JOIN orders_orderline l ON l.order_id = t.order_id
                       WHERE t.event_key LIKE 'sale:%%'
                       GROUP BY t.posted_on, l.product_id) s
              ON s.posted_on = p.day AND s.product_id = p.product_id
            WHERE {_OVER} AND (s.pieces IS NULL OR s.pieces <> p.pieces OR s.fen <> p.goods_fen)
            UNION SELECT p.day, p.product_id FROM orders_dailyproduct p
            LEFT JOIN orders_dailytotal d ON d.day = p.day WHERE d.day IS NULL""",  # noqa: S608
    ),
    Rule(
        "daily-missing",
        "Every day on which something was sold has its total.",
        _REBUILD,
        """SELECT DISTINCT t.posted_on FROM orders_ledgertransaction t
           LEFT JOIN orders_dailytotal d ON d.day = t.posted_on
           WHERE d.day IS NULL AND t.posted_at < %(ago_2_days)s""",
    ),
)
