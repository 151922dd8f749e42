"""The one table of background work: what runs, how often, and in which lane. `manage.py run_jobs` runs it."""

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import Any, Final

from accounts.services.profile import CHECK_AVATAR
from catalog.services.bulk import change_task
from catalog.services.moderation import CHECK_REVIEW, check_avatar, check_review, give_up_waiting
from catalog.services.products import REINDEX, publish_due_products, reindex_named
from catalog.services.sheets import export_task, import_task
from miniback.core import outbox, tasks
from miniback.core.idempotency import forget_old_keys
from miniback.core.leases import Job
from miniback.core.models import Lane, TaskKind
from miniback.core.providers import refresh_certificates
from orders.models import Channel
from orders.services.cancellation import NO_CHANNEL, close_unpaid_orders, remind_unpaid_orders
from orders.services.channels import LANES
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


def deliver_outbox(lanes: Collection[str] = Lane.values) -> None:
    outbox.deliver(OUTBOX_HANDLERS, lanes)


def run_due_tasks() -> None:
    tasks.run_due_tasks(TASK_HANDLERS)


def _in_lane(lane: str) -> Job:
    run = partial(deliver_outbox, [lane])
    return Job(f"deliver_outbox:{lane}", run, every_seconds=2, lane=lane)


def _of_channel(channel: Channel) -> Iterator[Job]:
    """What asks one payment platform, and waits for no other."""
    run: Any = partial(Job, lane=LANES[channel])
    yield run(f"process_due_notices:{channel}", partial(process_due_notices, [channel]), 5)
    yield run(f"check_due_payments:{channel}", partial(check_due_payments, [channel]), 5)
    yield run(f"send_due_refunds:{channel}", partial(send_due_refunds, [channel]), 3)
    yield run(f"close_unpaid_orders:{channel}", partial(close_unpaid_orders, [channel]), 10)
    # A bill may be large, and takes its time: a lane of its own.
    bills = partial(reconcile_due_days, [channel])
    yield Job(f"reconcile_due_days:{channel}", bills, 1800, lane=f"{LANES[channel]}-bills")


JOBS: Final = (
    *(_in_lane(lane) for lane in Lane.values),
    *(job for channel in Channel for job in _of_channel(channel)),
    Job("refresh_certificates", refresh_certificates, 12 * 3600, lane=Lane.WECHATPAY),
    Job("run_due_tasks", run_due_tasks, every_seconds=1, lane=Lane.LONG),
    Job("close_unpaid_orders:shop", partial(close_unpaid_orders, [NO_CHANNEL]), every_seconds=10),
    Job("remind_unpaid_orders", remind_unpaid_orders, every_seconds=30),
    Job("publish_due_products", publish_due_products, every_seconds=10),
    Job("refresh_daily_totals", refresh_daily_totals, every_seconds=60),
    Job("give_up_waiting", give_up_waiting, every_seconds=300),
    Job("confirm_old_shipments", confirm_old_shipments, every_seconds=600),
    Job("forget_old_keys", forget_old_keys, every_seconds=3600),
    Job("forget_old_files", tasks.forget_old_files, every_seconds=3600),
)


def jobs_by_lane() -> dict[str, list[Job]]:
    """Return the jobs of each lane, in their order."""
    lanes: dict[str, list[Job]] = {}
    for job in JOBS:
        lanes.setdefault(job.lane, []).append(job)
    return lanes
