"""What waits: every open row has a time at which it is looked at, near, and does not wait for ever."""

import json
from collections.abc import Sequence
from typing import Any, Final

from orders.services.audit.rules import Rule

# Of what is kept as JSON the newest rows are read.
NEWEST: Final = 20_000


def _load(text: Any) -> Any:
    return json.loads(text) if isinstance(text, str) else text


def _tells_of_another(row: Sequence[Any]) -> bool:
    """Say whether a notice tells of other money than its payment has, or of any that was ignored."""
    _notice, outcome, channel, content, payment_channel, number, fen, transaction_id = row
    told = _load(content)
    if not isinstance(told, dict):
        return True
    trade = told.get("trade") or {}
    refund = told.get("refund") or told.get("refunded") or {}
    named = trade.get("number") or refund.get("payment_number")
    is_paid = trade.get("state") == "paid"
    if outcome == "ignored":
        return is_paid
    if (channel, named) != (payment_channel, number):
        return True
    money = (trade.get("transaction_id"), trade.get("amount_fen"))
    return is_paid and money != (transaction_id, fen)


def _is_about_another(row: Sequence[Any]) -> bool:
    """Say whether a message's payload names nothing that its key names."""
    event_key, payload = row
    told = _load(payload)
    named = told.values() if isinstance(told, dict) else []
    return not any(str(value) in event_key.split(":") for value in named)


_RUN = "See that run_jobs runs; the row's last error says what stands in the way."
_WAITING = (
    ("orders_payment", "number", "t.status IN ('created', 'unknown')"),
    ("orders_notice", "notice_id", "t.outcome = 'new'"),
    ("core_outboxmessage", "event_key", "t.done_at IS NULL"),
)
# Longer than the longest pause and the longest lease together.
_NEAR = "%(ahead_2_hours)s"

RULES = (
    Rule(
        "open-row-due",
        "Every open payment, notice and outbox message has a time at which it is worked on, at most two "
        "hours ahead; what is done has none.",
        "Set the row's due_at to now.",
        " UNION ".join(
            f"""SELECT CONCAT('{table} ', t.{name}) FROM {table} t
                WHERE ({is_open} AND (t.due_at IS NULL OR t.due_at > {_NEAR}))
                   OR (NOT ({is_open}) AND t.due_at IS NOT NULL)"""  # noqa: S608
            for table, name, is_open in _WAITING
        ),
    ),
    Rule(
        "open-refund-due",
        "Every refund that is with a platform has a time at which it is asked about; any other has none.",
        "Set the refund's due_at to now, or apply again on its page.",
        """SELECT number FROM orders_refund
           WHERE (status IN ('approved', 'processing')
                  AND (due_at IS NULL OR due_at > %(ahead_2_hours)s))
              OR (status = 'failed' AND due_at > %(ahead_2_hours)s)
              OR (status = 'failed' AND due_at IS NULL AND out_refund_no IS NOT NULL
                  AND (kind <> 'external' OR sent_at IS NOT NULL)
                  AND platform_status NOT IN ('CLOSED', 'KNOWN_BEFORE', 'SUCCESS'))
              OR (status = 'failed' AND due_at IS NULL AND last_error = '')
              OR (status NOT IN ('approved', 'processing', 'failed') AND due_at IS NOT NULL)""",
    ),
    Rule(
        "due-row-worked-on",
        "What is due is worked on within an hour.",
        _RUN,
        " UNION ".join(
            f"""SELECT CONCAT('{table} ', t.{name}) FROM {table} t
                WHERE t.due_at < %(ago_1_hours)s"""  # noqa: S608
            for table, name in (
                ("orders_payment", "number"),
                ("orders_refund", "number"),
                ("orders_notice", "notice_id"),
                ("core_outboxmessage", "event_key"),
                ("core_task", "id"),
                ("orders_bill", "day"),
            )
        ),
    ),
    Rule(
        "notice-processed",
        "What was received is processed, and what was processed says when.",
        _RUN,
        """SELECT notice_id FROM orders_notice
           WHERE (outcome = 'new' AND (received_at < %(ago_10_minutes)s OR processed_at IS NOT NULL))
              OR (outcome <> 'new' AND processed_at IS NULL)
              OR outcome NOT IN ('new', 'applied', 'ignored', 'anomaly')
              OR SECONDS(processed_at, received_at) > 60 OR received_at > %(ahead_10_minutes)s
              OR processed_at > %(ahead_10_minutes)s OR (outcome = 'applied' AND payment_id IS NULL)
              OR (outcome <> 'applied' AND payment_id IS NOT NULL)
              OR (outcome = 'anomaly' AND note = '')""",
    ),
    Rule(
        "notice-content",
        f"What a notice was applied to is what it tells of: the newest {NEWEST}.",
        "The notice is signed by the platform; compare its payment's page there.",
        f"""SELECT n.notice_id, n.outcome, n.channel, n.content, p.channel AS payment_channel,
                   p.number, p.amount_fen, p.transaction_id FROM orders_notice n
            LEFT JOIN orders_payment p ON p.id = n.payment_id
            WHERE n.outcome IN ('applied', 'ignored') ORDER BY n.id DESC LIMIT {NEWEST}""",  # noqa: S608
        _tells_of_another,
    ),
    Rule(
        "outbox-payload",
        f"A message is about what its key names: the newest {NEWEST}.",
        "Write back the payload that the key names.",
        f"""SELECT event_key, payload FROM core_outboxmessage
            WHERE topic <> 'catalog.reindex' ORDER BY id DESC LIMIT {NEWEST}""",  # noqa: S608
        _is_about_another,
    ),
    Rule(
        "outbox-delivered",
        "What was promised is sent within a day, and says when.",
        "Mend what the message's last error says.",
        """SELECT event_key FROM core_outboxmessage
           WHERE (done_at IS NULL AND created_at < %(ago_1_days)s)
              OR (done_at IS NOT NULL AND attempts = 0)
              OR SECONDS(done_at, created_at) > 60 OR done_at > %(ahead_10_minutes)s
              OR created_at > %(ahead_10_minutes)s
              OR lane NOT IN ('shop', 'wechatpay', 'alipay', 'wechat', 'long')
              OR event_key NOT LIKE CONCAT(topic, ':%%')""",
    ),
    Rule(
        "task-done",
        "Long work ends within a day, and has done no more than there was.",
        "Begin the task again from its page; its last error says what stood in the way.",
        """SELECT t.id FROM core_task t LEFT JOIN accounts_user u ON u.id = t.user_id
           WHERE u.username IS NULL OR t.finished_at < t.created_at
              OR (t.finished_at IS NOT NULL AND t.due_at IS NOT NULL)
              OR (t.finished_at IS NULL AND t.due_at IS NOT NULL AND t.created_at < %(ago_1_days)s)
              OR (t.finished_at IS NULL AND t.attempts > 0 AND t.due_at IS NULL)
              OR t.due_at > %(ahead_2_hours)s OR t.done > t.total
              OR t.created_at > %(ahead_10_minutes)s OR t.finished_at > %(ahead_10_minutes)s""",
    ),
    Rule(
        "job-runs",
        "While jobs run at all, none of them is left out, and none has been put off for long.",
        "See the job's last error; a runner whose clock is wrong must be stopped.",
        """SELECT j.name FROM core_joblease j
           WHERE j.due_at IS NULL OR j.due_at > %(ahead_13_hours)s
              OR j.finished_at > %(ahead_10_minutes)s OR j.started_at > %(ahead_10_minutes)s
              OR (j.due_at < %(ago_1_hours)s AND EXISTS
                  (SELECT 1 FROM core_joblease k WHERE k.finished_at > %(ago_10_minutes)s))""",
    ),
)
