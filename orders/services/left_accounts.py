"""Accounts that the shop has left with money still open, and that nobody can ask about any more."""

from collections.abc import Iterator

from django.db.models import QuerySet

from miniback.core.doctor import Finding
from miniback.core.providers import payment_provider
from miniback.platforms.errors import Misconfigured
from orders.models import Payment, Refund
from orders.services.discrepancies import Account
from orders.status import UNSETTLED, OrderStatus

# Their money may yet have to go back.
NOT_OVER = [OrderStatus.PAID, OrderStatus.PARTLY_SHIPPED, OrderStatus.SHIPPED]


def left_accounts() -> list[Account]:
    """Return accounts with open payments, refunds under way or orders not over, without credentials."""
    return sorted(account for account in _open_accounts() if not _is_served(account))


def examine_accounts() -> Iterator[Finding]:
    """As ``left_accounts``, with what to do."""
    for account in left_accounts():
        yield Finding(
            "FORMER_ACCOUNTS_FILE",
            f"lacks merchant {account.merchant_id}, app {account.app_id} of {account.channel},"
            " which has open money",
            "Add that account to the file, or set it again: see docs/platforms.md.",
        )


def _open_accounts() -> set[Account]:
    refunds = Refund.objects.filter(status__in=UNSETTLED).values("payment")
    found: set[Account] = set()
    for payments in (
        Payment.objects.open(),
        Payment.objects.filter(pk__in=refunds),
        Payment.objects.filter(is_applied=True, order__status__in=NOT_OVER),
    ):
        found |= _accounts(payments)
    return found


def _accounts(payments: QuerySet[Payment]) -> set[Account]:
    rows = payments.exclude(merchant_id="").values_list("channel", "app_id", "merchant_id")
    return {Account(*row) for row in rows.order_by().distinct()}


def _is_served(account: Account) -> bool:
    try:
        payment_provider(account.channel, app_id=account.app_id, merchant_id=account.merchant_id)
    except Misconfigured as error:
        return error.code != "ACCOUNT_GONE"
    return True
