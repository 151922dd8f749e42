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
    VOIDED = "voided", _("voided")


class RefundStatus(models.TextChoices):
    REQUESTED = "requested", _("requested")
    APPROVED = "approved", _("approved")
    RETURNING = "returning", _("goods on their way back")
    PROCESSING = "processing", _("with the platform")
    SUCCEEDED = "succeeded", _("succeeded")
    FAILED = "failed", _("failed, staff decide")
    TO_PAY_OUT = "to_pay_out", _("to be paid out by the shop")
    WRITTEN_OFF = "written_off", _("written off")
    REJECTED = "rejected", _("rejected")
    WITHDRAWN = "withdrawn", _("withdrawn")


class RefundKind(models.TextChoices):
    AUTO = "auto", _("late or second payment")
    REFUND_ONLY = "refund_only", _("refund only")
    RETURN = "return", _("return and refund")
    EXTERNAL = "external", _("made outside the shop")


class RefundMethod(models.TextChoices):
    """How the money reached the customer."""

    PLATFORM = "platform", _("by the platform")
    SHOP = "shop", _("paid out by the shop")


class RefundStep(models.TextChoices):
    """What staff do with money that the platform could not give back."""

    REDIRECT = "redirect", _("send another way")
    PAY_OUT = "pay_out", _("pay out by the shop")
    WRITE_OFF = "write_off", _("write off")


_S, _A = OrderStatus, Actor

# (from, to) -> who. PLATFORM means a verified notice, or the platform's answer to a query.
ORDER_MOVES: Final[dict[tuple[OrderStatus, OrderStatus], frozenset[Actor]]] = {
    # JOB: there was nothing to pay.
    (_S.PENDING_PAYMENT, _S.PAID): frozenset({_A.PLATFORM, _A.JOB}),
    (_S.PENDING_PAYMENT, _S.CANCELLED): frozenset({_A.CUSTOMER, _A.STAFF, _A.JOB}),
    # PLATFORM: everything was refunded before anything was shipped. The others: nothing was paid.
    (_S.PAID, _S.CANCELLED): frozenset({_A.PLATFORM, _A.CUSTOMER, _A.STAFF}),
    (_S.PAID, _S.PARTLY_SHIPPED): frozenset({_A.STAFF}),
    (_S.PAID, _S.SHIPPED): frozenset({_A.STAFF}),
    (_S.PARTLY_SHIPPED, _S.SHIPPED): frozenset({_A.STAFF}),
    (_S.SHIPPED, _S.COMPLETED): frozenset({_A.CUSTOMER, _A.JOB}),
}

# What a customer may press, by the state of the order.
CUSTOMER_ACTIONS: Final[dict[OrderStatus, tuple[str, ...]]] = {
    _S.PENDING_PAYMENT: ("pay", "cancel"),
    _S.PAID: ("refund",),
    _S.PARTLY_SHIPPED: ("refund",),
    _S.SHIPPED: ("confirm_receipt", "refund"),
    _S.COMPLETED: ("review", "refund", "delete"),
    _S.CANCELLED: ("delete",),
}


def may_move(start: OrderStatus, end: OrderStatus, actor: Actor) -> bool:
    return actor in ORDER_MOVES.get((start, end), frozenset())


_R = RefundStatus

# As ORDER_MOVES. PLATFORM: what the platform answered or told of the money.
REFUND_MOVES: Final[dict[tuple[RefundStatus, RefundStatus], frozenset[Actor]]] = {
    (_R.REQUESTED, _R.WITHDRAWN): frozenset({_A.CUSTOMER}),
    (_R.REQUESTED, _R.REJECTED): frozenset({_A.STAFF}),
    (_R.REQUESTED, _R.APPROVED): frozenset({_A.STAFF}),
    (_R.REQUESTED, _R.RETURNING): frozenset({_A.STAFF}),
    (_R.RETURNING, _R.WITHDRAWN): frozenset({_A.CUSTOMER}),
    (_R.RETURNING, _R.REJECTED): frozenset({_A.STAFF}),
    (_R.RETURNING, _R.APPROVED): frozenset({_A.STAFF}),
    (_R.APPROVED, _R.PROCESSING): frozenset({_A.PLATFORM}),
    # STAFF: of nothing that was paid, only goods come back.
    (_R.APPROVED, _R.SUCCEEDED): frozenset({_A.PLATFORM, _A.STAFF}),
    (_R.APPROVED, _R.FAILED): frozenset({_A.PLATFORM}),
    (_R.PROCESSING, _R.SUCCEEDED): frozenset({_A.PLATFORM}),
    (_R.PROCESSING, _R.FAILED): frozenset({_A.PLATFORM}),
    # STAFF: applied for again, under a new number if the platform closed the old one.
    (_R.FAILED, _R.APPROVED): frozenset({_A.STAFF}),
    (_R.FAILED, _R.PROCESSING): frozenset({_A.PLATFORM}),
    # STAFF: paid out by the shop itself.
    (_R.FAILED, _R.SUCCEEDED): frozenset({_A.PLATFORM, _A.STAFF}),
    (_R.FAILED, _R.WRITTEN_OFF): frozenset({_A.STAFF}),
    # The platform sent it to the shop's own account: the shop owes it until it is paid out.
    (_R.APPROVED, _R.TO_PAY_OUT): frozenset({_A.PLATFORM}),
    (_R.PROCESSING, _R.TO_PAY_OUT): frozenset({_A.PLATFORM}),
    (_R.FAILED, _R.TO_PAY_OUT): frozenset({_A.PLATFORM}),
    (_R.TO_PAY_OUT, _R.SUCCEEDED): frozenset({_A.STAFF}),
    (_R.TO_PAY_OUT, _R.WRITTEN_OFF): frozenset({_A.STAFF}),
    # The bill shows that it never reached the shop's account.
    (_R.TO_PAY_OUT, _R.FAILED): frozenset({_A.STAFF}),
    # The bill shows that the platform never paid it.
    (_R.SUCCEEDED, _R.FAILED): frozenset({_A.STAFF}),
}


def may_move_refund(start: RefundStatus, end: RefundStatus, actor: Actor) -> bool:
    return actor in REFUND_MOVES.get((start, end), frozenset())


# Staff have agreed: the money is the customer's, wherever it is.
AGREED: Final = (
    _R.APPROVED, _R.PROCESSING, _R.SUCCEEDED, _R.FAILED, _R.TO_PAY_OUT, _R.WRITTEN_OFF,
)  # fmt: skip
# The money is with the platform, or on its way there, or the platform could not give it back.
UNSETTLED: Final = (_R.APPROVED, _R.PROCESSING, _R.FAILED)
# The customer does not have it yet.
OWED: Final = (*UNSETTLED, _R.TO_PAY_OUT)
# Staff have not agreed to it, or no longer.
NOT_AGREED: Final = (_R.REQUESTED, _R.REJECTED, _R.WITHDRAWN)
# What counts against the rest that can still be refunded.
NOT_CLAIMING: Final = (_R.REJECTED, _R.WITHDRAWN)

REFUND_ACTIONS: Final[dict[RefundStatus, tuple[str, ...]]] = {
    **dict.fromkeys(_R, ()),
    _R.REQUESTED: ("withdraw",),
    _R.RETURNING: ("withdraw", "return_parcel"),
}
