"""The platforms' bills: our books are compared with what the platforms say, not with themselves."""

from orders.services.audit.rules import Rule

RULES = (
    Rule(
        "bill-difference",
        "Every row of a platform's bill stands in our books and the other way round, or staff said why.",
        "Resolve the difference on its page: that books the entry that is missing.",
        """SELECT number, kind, bill_id FROM orders_billdifference WHERE status = 'open'""",
    ),
)
