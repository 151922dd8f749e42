"""Jobs, tasks, bills and customers at work."""

from datetime import timedelta

from django.utils import timezone
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import Session
from accounts.services.profile import change_profile, save_address
from accounts.services.sessions import end_session, log_in, read_session_id, refresh_session
from miniback.core.leases import Job, run_due
from miniback.core.models import TaskKind
from miniback.core.tasks import begin_task, prepare_task
from miniback.jobs import deliver_outbox, run_due_tasks
from orders.services.daily import compute_day
from orders.services.reconciliation import bills_of, reconcile
from tests.factories import (
    ADDRESS,
)
from tests.history.shop import Shop


def work(shop: Shop) -> None:
    """Let jobs, tasks and customers leave their rows."""
    for day in (timezone.localdate() - timedelta(days=n) for n in (2, 1, 0)):
        compute_day(day)
    day = timezone.localdate().isoformat()
    params = {"columns": ["number"], "format": "csv", "first": day, "last": day, "statuses": []}
    for number in range(2):
        task = prepare_task(TaskKind.EXPORT_ORDERS, user=shop.clerk, params=params)
        begin_task(task)
        if not number:
            run_due_tasks()
        logged_in = log_in(platform="wechat", code=shop.sandbox.code(f"o-history-{number}"))
        refresh_session(logged_in.refresh)
        other = log_in(platform="wechat", code=shop.sandbox.code(f"o-history-{number}"))
        end_session(Session.objects.get(pk=read_session_id(AccessToken, other.access)))
        user = shop.users[number]
        change_profile(user, nickname=f"顾客{number}", avatar=shop.upload(user, "avatar"))
        save_address(user, **{**ADDRESS, "is_default": False})
    run_due([Job("deliver_outbox", deliver_outbox, every_seconds=2), Job("idle", list, 60)])


def compare_bill(shop: Shop) -> None:
    """Of today, once its day is over at the platform."""
    today = timezone.localdate()
    shop.sandbox.advance(24 * 3600)
    for bill in bills_of("wechat", today):
        reconcile(bill)
    shop.sandbox.advance(-24 * 3600)
