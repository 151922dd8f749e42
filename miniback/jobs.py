"""The one table of background work: what runs, and how often. `manage.py run_jobs` runs it."""

from collections.abc import Mapping
from typing import Final

from accounts.services.profile import CHECK_AVATAR
from catalog.services.bulk import change_task
from catalog.services.moderation import CHECK_REVIEW, check_avatar, check_review, give_up_waiting
from catalog.services.products import REINDEX, publish_due_products, reindex_named
from catalog.services.sheets import export_task, import_task
from miniback.core import outbox, tasks
from miniback.core.idempotency import forget_old_keys
from miniback.core.leases import Job
from miniback.core.models import TaskKind
from miniback.core.providers import refresh_certificates
from orders.services.cancellation import close_unpaid_orders, remind_unpaid_orders
from orders.services.daily import refresh_daily_totals
from orders.services.exports import export_orders
from orders.services.fulfillment import confirm_old_shipments
from orders.services.messages import SEND_MESSAGE, send_message
from orders.services.notices import process_due_notices
from orders.services.reconciliation import reconcile_due_days
from orders.services.refunds import send_due_refunds
from orders.services.settlement import CLOSE_PAYMENT, check_due_payments, close_payment_by_number
from orders.services.sheets import ship_sheet
from orders.services.shipping import UPLOAD_SHIPPING, upload_shipping

OUTBOX_HANDLERS: Final[Mapping[str, outbox.Handler]] = {
    CLOSE_PAYMENT: close_payment_by_number,
    CHECK_AVATAR: check_avatar,
    CHECK_REVIEW: check_review,
    REINDEX: reindex_named,
    SEND_MESSAGE: send_message,
    UPLOAD_SHIPPING: upload_shipping,
}


TASK_HANDLERS: Final[Mapping[str, tasks.Handler]] = {
    TaskKind.CHANGE_PRODUCTS: change_task,
    TaskKind.EXPORT_ORDERS: export_orders,
    TaskKind.EXPORT_PRODUCTS: export_task,
    TaskKind.IMPORT_PRODUCTS: import_task,
    TaskKind.SHIP_SHEET: ship_sheet,
}


def deliver_outbox() -> None:
    outbox.deliver(OUTBOX_HANDLERS)


def run_due_tasks() -> None:
    tasks.run_due_tasks(TASK_HANDLERS)


JOBS: Final = (
    Job("deliver_outbox", deliver_outbox, every_seconds=2),
    Job("process_due_notices", process_due_notices, every_seconds=5),
    Job("check_due_payments", check_due_payments, every_seconds=5),
    Job("send_due_refunds", send_due_refunds, every_seconds=3),
    Job("close_unpaid_orders", close_unpaid_orders, every_seconds=10),
    Job("remind_unpaid_orders", remind_unpaid_orders, every_seconds=30),
    Job("publish_due_products", publish_due_products, every_seconds=10),
    Job("refresh_daily_totals", refresh_daily_totals, every_seconds=60),
    Job("give_up_waiting", give_up_waiting, every_seconds=300),
    Job("confirm_old_shipments", confirm_old_shipments, every_seconds=600),
    Job("refresh_certificates", refresh_certificates, every_seconds=12 * 3600),
    Job("reconcile_due_days", reconcile_due_days, every_seconds=1800),
    Job("forget_old_keys", forget_old_keys, every_seconds=3600),
    Job("forget_old_files", tasks.forget_old_files, every_seconds=3600),
)
# What may take minutes: a thread of its own, so that nothing above waits for it.
LONG_JOBS: Final = (Job("run_due_tasks", run_due_tasks, every_seconds=1),)
