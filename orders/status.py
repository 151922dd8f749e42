"""Which states there are, and who may move what from where to where. What is not listed is refused."""

from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _


class Actor(models.TextChoices):
    CUSTOMER = "customer", _("customer")
    STAFF = "staff", _("staff")
    JOB = "job", _("background job")
    PLATFORM = "platform", _("platform")


class OrderStatus(models.TextChoices):
    PENDING_PAYMENT = "pending_payment", _("waiting for payment")
    PAID = "paid", _("paid, to be shipped")
    PARTLY_SHIPPED = "partly_shipped", _("partly shipped")
    SHIPPED = "shipped", _("shipped")
    COMPLETED = "completed", _("completed")
    CANCELLED = "cancelled", _("cancelled")


class PaymentStatus(models.TextChoices):
    CREATED = "created", _("created")
    UNKNOWN = "unknown", _("being asked at the platform")
    PAID = "paid", _("paid")
    CLOSED = "closed", _("closed")


class RefundStatus(models.TextChoices):
    REQUESTED = "requested", _("requested")
    APPROVED = "approved", _("approved")
    RETURNING = "returning", _("goods on their way back")
    PROCESSING = "processing", _("with the platform")
    SUCCEEDED = "succeeded", _("succeeded")
    FAILED = "failed", _("failed, to be tried again")
    REJECTED = "rejected", _("rejected")
    WITHDRAWN = "withdrawn", _("withdrawn")


_S, _A = OrderStatus, Actor

# (from, to) -> who. PLATFORM means a verified notice, or the platform's answer to a query.
ORDER_MOVES: Final[dict[tuple[OrderStatus, OrderStatus], frozenset[Actor]]] = {
    (_S.PENDING_PAYMENT, _S.PAID): frozenset({_A.PLATFORM}),
    (_S.PENDING_PAYMENT, _S.CANCELLED): frozenset({_A.CUSTOMER, _A.STAFF, _A.JOB}),
    (_S.PAID, _S.PARTLY_SHIPPED): frozenset({_A.STAFF}),
    (_S.PAID, _S.SHIPPED): frozenset({_A.STAFF}),
    (_S.PARTLY_SHIPPED, _S.SHIPPED): frozenset({_A.STAFF}),
    (_S.SHIPPED, _S.COMPLETED): frozenset({_A.CUSTOMER, _A.JOB}),
}

# What a customer may press, by the state of the order.
CUSTOMER_ACTIONS: Final[dict[OrderStatus, tuple[str, ...]]] = {
    _S.PENDING_PAYMENT: ("pay", "cancel"),
    _S.PAID: (),
    _S.PARTLY_SHIPPED: (),
    _S.SHIPPED: ("confirm_receipt",),
    _S.COMPLETED: ("delete",),
    _S.CANCELLED: ("delete",),
}


def may_move(start: OrderStatus, end: OrderStatus, actor: Actor) -> bool:
    return actor in ORDER_MOVES.get((start, end), frozenset())
