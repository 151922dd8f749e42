"""Payments: one for each order that was paid for, and what must be true of every row."""

from collections.abc import Sequence
from typing import Any

from miniback.core.payment_accounts import find_account
from miniback.platforms.errors import Misconfigured
from orders.services.audit.rules import AMOUNTS_BOOKED, Rule

_AGREED = "('approved', 'processing', 'succeeded', 'failed', 'to_pay_out', 'written_off')"
_PAID = "('paid', 'partly_shipped', 'shipped', 'completed')"
_LOOK = "Compare the platform's own page of the payment; its answer tells the truth."


def _is_of_no_account(row: Sequence[Any]) -> bool:
    """Say whether the settings name no account for a row's channel, app id and merchant id."""
    channel, app_id, merchant_id = row[:3]
    try:
        find_account(channel, app_id=app_id, merchant_id=merchant_id)
    except Misconfigured:
        return True
    return False


RULES = (
    Rule(
        "order-paid-once",
        "An order that was paid for has exactly one applied payment.",
        "See the order's payments: money that is there twice is refunded, money that never came is voided "
        "from the page of differences.",
        f"""SELECT o.number FROM orders_order o
            LEFT JOIN orders_payment p
              ON p.order_id = o.id AND p.status IN ('paid', 'voided') AND p.is_applied
            WHERE o.status IN {_PAID} AND o.payable_fen > 0
            GROUP BY o.id, o.number HAVING COUNT(p.id) <> 1""",  # noqa: S608
    ),
    Rule(
        "payment-amount",
        "An applied payment is of its order's amount.",
        _LOOK,
        """SELECT p.number FROM orders_payment p JOIN orders_order o ON o.id = p.order_id
           WHERE p.is_applied AND p.amount_fen <> o.payable_fen""",
    ),
    Rule(
        "payment-kept",
        "A cancelled order keeps no applied payment but what staff agreed to keep, an unpaid one none.",
        "Give the money back: begin a refund on the order's page.",
        f"""SELECT o.number FROM orders_payment p JOIN orders_order o ON o.id = p.order_id
           LEFT JOIN (SELECT payment_id, SUM(amount_fen) AS fen FROM orders_refund
                      WHERE status IN {_AGREED} GROUP BY payment_id) r
             ON r.payment_id = p.id
           LEFT JOIN (SELECT s.payment_id, SUM(x.claimed_fen - x.amount_fen) AS fen
                      FROM orders_refundline x JOIN orders_refund s ON s.id = x.refund_id
                      WHERE s.status IN {_AGREED} GROUP BY s.payment_id) waived
             ON waived.payment_id = p.id
           LEFT JOIN ({AMOUNTS_BOOKED}) b ON b.channel = p.channel AND b.payment_number = p.number
           WHERE p.status = 'paid' AND p.is_applied
             AND (o.status = 'pending_payment'
                  OR (o.status = 'cancelled' AND (r.fen IS NULL
                      OR p.amount_fen - r.fen - COALESCE(waived.fen, 0)
                         + CASE WHEN b.fen < 0 THEN b.fen ELSE 0 END
                         > o.freight_fen - o.freight_discount_fen)))""",  # noqa: S608
    ),
    Rule(
        "late-payment-refunded",
        "A payment that came late or twice goes back whole, by refunds of the shop or made elsewhere.",
        "Begin the rest of the refund on the page of the payment's order.",
        f"""SELECT p.number FROM orders_payment p
           LEFT JOIN (SELECT payment_id, SUM(amount_fen) AS fen,
                        SUM(CASE WHEN kind <> 'external' THEN amount_fen ELSE 0 END) AS own_fen
                      FROM orders_refund
                      WHERE status NOT IN ('rejected', 'withdrawn') GROUP BY payment_id) r
             ON r.payment_id = p.id
           LEFT JOIN orders_ledgertransaction t ON t.event_key = CONCAT('payment-kept:', p.number)
           LEFT JOIN ({AMOUNTS_BOOKED}) b ON b.channel = p.channel AND b.payment_number = p.number
           WHERE p.status = 'paid' AND NOT p.is_applied
             AND ((t.id IS NULL
                   AND COALESCE(r.fen, 0) < p.amount_fen + CASE WHEN b.fen < 0 THEN b.fen ELSE 0 END)
               OR (t.id IS NULL AND r.own_fen > p.amount_fen + COALESCE(b.raised_fen, 0))
               OR (t.id IS NOT NULL AND r.own_fen > 0))""",  # noqa: S608
    ),
    Rule(
        "payment-transaction-once",
        "A platform's transaction is one payment.",
        _LOOK,
        """SELECT transaction_id FROM orders_payment WHERE transaction_id IS NOT NULL
           GROUP BY channel, transaction_id HAVING COUNT(*) > 1""",
    ),
    Rule(
        "payment-state",
        "A payment has a transaction and a moment exactly when money came, and is applied only then.",
        _LOOK,
        """SELECT number FROM orders_payment
           WHERE amount_fen <= 0
              OR (status IN ('paid', 'voided') AND (transaction_id IS NULL OR transaction_id = ''
                  OR paid_at IS NULL))
              OR (status NOT IN ('paid', 'voided') AND (transaction_id IS NOT NULL
                  OR paid_at IS NOT NULL OR is_applied OR billed_on IS NOT NULL))
              OR (status = 'voided' AND voided_at IS NULL)
              OR (status <> 'voided' AND voided_at IS NOT NULL)
              OR (status NOT IN ('created', 'unknown') AND open_key IS NOT NULL)
              OR status NOT IN ('created', 'unknown', 'paid', 'closed', 'voided')
              OR (app_id = '' AND merchant_id <> '') OR (app_id <> '' AND merchant_id = '')
              OR LENGTH(transaction_id) < 16
              OR (status IN ('created', 'unknown') AND LENGTH(number) < 22)
              OR paid_at > %(ahead_1_hours)s OR created_at > %(ahead_10_minutes)s
              OR SECONDS(paid_at, created_at) > 600 OR voided_at < paid_at""",
    ),
    Rule(
        "payment-open",
        "An open payment is the one of its order, channel and payer, over the order's amount.",
        "Cancel the order, or wait: an open payment is closed when the order's time ends.",
        """SELECT p.number FROM orders_payment p JOIN orders_order o ON o.id = p.order_id
           LEFT JOIN orders_orderevent e ON e.order_id = o.id AND e.kind = 'price'
           WHERE (p.open_key IS NOT NULL AND (p.amount_fen <> o.payable_fen
                  OR p.open_key <> CONCAT(p.order_id, ':', p.channel, ':', p.payer_id)))
              OR (p.open_key IS NULL AND p.status = 'created' AND e.id IS NULL
                  AND o.status = 'pending_payment')""",
    ),
    Rule(
        "payment-settled",
        "A payment is settled when its order's time has ended.",
        "See that run_jobs runs, and the payment's last error.",
        """SELECT p.number FROM orders_payment p JOIN orders_order o ON o.id = p.order_id
           WHERE p.status IN ('created', 'unknown') AND p.created_at < %(ago_30_minutes)s
             AND o.pay_before < %(ago_30_minutes)s""",
    ),
    Rule(
        "payment-payer",
        "A payment is its order's customer's, by an identity at the platform that took it, "
        "after the order was placed.",
        "Write the payer back; the platform's page of the payment names their openid.",
        """SELECT p.number FROM orders_payment p LEFT JOIN orders_order o ON o.id = p.order_id
           LEFT JOIN accounts_identity i ON i.id = p.payer_id
           WHERE (p.order_id IS NOT NULL AND o.id IS NULL)
              OR (p.order_id IS NULL AND (p.is_applied OR p.payer_id IS NOT NULL))
              OR (p.payer_id IS NULL AND p.prepay_id <> '')
              OR (p.payer_id IS NOT NULL AND (i.id IS NULL OR i.user_id <> o.user_id
                  OR i.platform <> p.channel))
              OR SECONDS(p.created_at, o.placed_at) > 60""",
    ),
    Rule(
        "payment-account",
        "Open money is of an account that the settings name, and all money of one that has bills.",
        "Put the old account back into the settings, or name it in FORMER_ACCOUNTS_FILE.",
        """SELECT DISTINCT p.channel, p.app_id, p.merchant_id FROM orders_payment p
           LEFT JOIN orders_refund r ON r.payment_id = p.id
             AND r.status IN ('requested', 'returning', 'approved', 'processing', 'failed')
           LEFT JOIN (SELECT DISTINCT channel, app_id, merchant_id FROM orders_bill) b
             ON b.channel = p.channel AND b.app_id = p.app_id AND b.merchant_id = p.merchant_id
           WHERE p.merchant_id <> '' AND (p.status IN ('created', 'unknown') OR r.id IS NOT NULL
             OR b.channel IS NULL)""",
        _is_of_no_account,
    ),
)
