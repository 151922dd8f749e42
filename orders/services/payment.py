"""Paying: commit a payment, then ask the platform for what the client needs."""

import logging
from datetime import timedelta
from typing import Any, NamedTuple

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Identity
from miniback.core.errors import Conflict, PlatformUnavailable, Refused
from miniback.core.providers import payment_provider
from miniback.core.transactions import assert_no_transaction, atomic
from miniback.platforms.contract import PaymentProvider
from miniback.platforms.errors import PlatformError
from miniback.platforms.errors import Refused as PlatformRefused
from orders.models import Channel, Order, Payment, new_number
from orders.services.channels import notify_url, provider_of
from orders.services.life import OrderStatusConflict
from orders.services.settlement import Mismatch, check_payment
from orders.status import OrderStatus, PaymentStatus

logger = logging.getLogger(__name__)

# A prepay_id lives two hours; ours is replaced before.
PREPAY_LIFETIME = timedelta(minutes=100)
FIRST_CHECK = timedelta(seconds=15)
# The platform refuses an order that expires in less than a minute.
LEAST_TIME_TO_PAY = timedelta(seconds=70)


class WrongPlatform(Refused):
    code = "wrong_platform"
    detail = _("This session cannot pay through this channel.")


class PaymentExpired(Conflict):
    code = "payment_expired"
    detail = _("The time to pay this order has ended.")


class PayRequest(NamedTuple):
    payment: Payment
    params: dict[str, str]


def start_payment(order: Order, *, channel: str, payer: Identity) -> PayRequest:
    """Get what the client needs to pay. Asking twice gives the same payment.

    Calls the platform, after the payment is committed. Raises OrderStatusConflict,
    PaymentExpired, WrongPlatform, PlatformUnavailable (the order stays payable).
    """
    # A channel takes money from its own platform's customers, by their openid.
    if payer.platform != channel:
        raise WrongPlatform
    assert_no_transaction()
    payment, order = _open_payment(order.pk, Channel(channel), payer)
    try:
        platform = provider_of(payment)
        if payment.prepay_until is None or payment.prepay_until < timezone.now():
            handle = platform.create(**_order_at_platform(payment, order, payer))
            _store_prepay(payment, handle)
    except PlatformError as error:
        logger.warning("payment %s: %s", payment.number, error)
        created = Payment.objects.filter(pk=payment.pk, status=PaymentStatus.CREATED)
        created.update(status=PaymentStatus.UNKNOWN, last_error=str(error))
        if isinstance(error, PlatformRefused):
            _refuse_what_is_settled(payment, order)
        raise PlatformUnavailable(retry_after=2) from error
    return PayRequest(payment, platform.client_params(payment.prepay_id))


def _current(channel: str) -> PaymentProvider:
    """The account that takes new money: its ids stay on the payment's row."""
    try:
        return payment_provider(channel)
    except PlatformError as error:
        logger.error("no payment by %s: %s", channel, error)
        raise PlatformUnavailable(retry_after=2) from error


@atomic
def _open_payment(order_id: int, channel: Channel, payer: Identity) -> tuple[Payment, Order]:
    """Return the order's open payment of this payer, or commit a new one with its final number.

    One that was placed at an account the shop has left is not used for a new request.
    """
    now = timezone.now()
    order = Order.objects.lock(order_id)
    if order.status != OrderStatus.PENDING_PAYMENT:
        raise OrderStatusConflict(status=order.status)
    account = _current(channel)
    open_key = f"{order.pk}:{channel}:{payer.pk}"
    payment = Payment.objects.select_related("order").filter(open_key=open_key).first()
    if payment is not None and order.pay_before > now and _is_of(payment, account):
        return payment, order
    if order.pay_before < now + LEAST_TIME_TO_PAY:
        raise PaymentExpired
    if payment is not None:
        # Its own account goes on asking what became of it.
        Payment.objects.filter(pk=payment.pk).update(open_key=None)
    payment = Payment.objects.create(
        order=order,
        channel=channel,
        app_id=account.app_id,
        merchant_id=account.merchant_id,
        number=new_number("P"),
        open_key=open_key,
        payer=payer,
        amount_fen=order.payable_fen,
        created_at=now,
        due_at=now + FIRST_CHECK,
    )
    return payment, order


def _is_of(payment: Payment, account: PaymentProvider) -> bool:
    return (payment.app_id, payment.merchant_id) == (account.app_id, account.merchant_id)


def _order_at_platform(payment: Payment, order: Order, payer: Identity) -> dict[str, Any]:
    """The same for every try: the platform refuses a number that comes with other parameters."""
    first = order.lines.order_by("id").values_list("name", flat=True)[0]
    return {
        "number": payment.number,
        "amount_fen": payment.amount_fen,
        "description": f"{first[:60]} {order.number}",
        "payer": payer.openid,
        "notify_url": notify_url(payment.channel),
        "expires_at": timezone.localtime(order.pay_before),
    }


def _refuse_what_is_settled(payment: Payment, order: Order) -> None:
    """Most likely it is paid or closed: let the platform say. Raises OrderStatusConflict if so."""
    try:
        check_payment(payment)
    except (PlatformError, Mismatch) as error:
        logger.warning("payment %s: %s", payment.number, error)
    status = Order.objects.values_list("status", flat=True).get(pk=order.pk)
    if status != OrderStatus.PENDING_PAYMENT:
        raise OrderStatusConflict(status=status)


def _store_prepay(payment: Payment, prepay_id: str) -> None:
    """Write only what the answer brought: a notice may have been faster and changed the rest."""
    payment.prepay_id = prepay_id
    payment.prepay_until = timezone.now() + PREPAY_LIFETIME
    payment.save(update_fields=["prepay_id", "prepay_until"])
    still_unknown = Payment.objects.filter(pk=payment.pk, status=PaymentStatus.UNKNOWN)
    still_unknown.update(status=PaymentStatus.CREATED, last_error="")
