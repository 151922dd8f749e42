"""Money in and money back, and what the platforms told us of both."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from accounts.models import Identity
from miniback.core.fields import ExactCharField, FenField
from miniback.core.models import AppendOnlyModel, AppendOnlyQuerySet, DueModel, DueQuerySet
from orders.models.order import Order, OrderLine
from orders.status import (
    REFUND_ACTIONS,
    PaymentStatus,
    RefundKind,
    RefundMethod,
    RefundStatus,
    RefundStep,
)


class Channel(models.TextChoices):
    WECHAT = "wechat", _("WeChat Pay")
    ALIPAY = "alipay", _("Alipay")


class PaymentQuerySet(DueQuerySet["Payment"]):
    def for_customer(self, user: Any) -> "PaymentQuerySet":
        return self.filter(order__user=user)

    def open(self) -> "PaymentQuerySet":
        """What the platform may still collect."""
        return self.filter(status__in=[PaymentStatus.CREATED, PaymentStatus.UNKNOWN])


class Payment(DueModel):
    """One order placed at a platform. Committed before the platform hears of it.

    ``due_at`` is when the platform is asked next whether it was paid. Without an order it is money
    that reached the shop's account and that the shop knew nothing of.
    """

    order = models.ForeignKey(
        Order,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="payments",
        verbose_name=_("order"),
    )
    channel = models.CharField(_("channel"), max_length=10, choices=Channel)
    # The account at the platform that took the money; settings may name another one by now.
    app_id = ExactCharField(_("app id"), max_length=64, blank=True)
    merchant_id = ExactCharField(_("merchant id"), max_length=64, blank=True)
    number = ExactCharField(_("payment number"), max_length=32, unique=True)
    # "<order>:<channel>:<payer>" while open, so that there is one; NULL afterwards.
    open_key = ExactCharField(max_length=80, null=True, unique=True, editable=False)
    payer = models.ForeignKey(
        Identity, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("payer")
    )
    amount_fen = FenField(_("amount"))
    status = models.CharField(
        _("status"), max_length=10, choices=PaymentStatus, default=PaymentStatus.CREATED
    )
    is_applied = models.BooleanField(
        _("applied"), default=False, help_text=_("No: a late or second payment, to be refunded.")
    )
    # Unique per channel; the platform's number of the transaction.
    transaction_id = ExactCharField(_("transaction id"), max_length=64, null=True, blank=True)
    prepay_id = ExactCharField(max_length=128, blank=True, editable=False)
    prepay_until = models.DateTimeField(null=True, editable=False)
    checked_at = models.DateTimeField(_("asked by the customer at"), null=True, editable=False)
    created_at = models.DateTimeField(_("created at"))
    paid_at = models.DateTimeField(_("paid at"), null=True, blank=True)
    voided_at = models.DateTimeField(_("voided at"), null=True, blank=True)
    billed_on = models.DateField(_("in the bill of"), null=True, blank=True)

    objects: ClassVar[Any] = PaymentQuerySet.as_manager()

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "transaction_id"], name="payment_transaction_once"
            ),
            models.CheckConstraint(condition=Q(amount_fen__gt=0), name="payment_amount_positive"),
        ]

    def __str__(self) -> str:
        return self.number


class RefundQuerySet(DueQuerySet["Refund"]):
    def for_customer(self, user: Any) -> "RefundQuerySet":
        return self.filter(order__user=user)

    def awaiting_second(self) -> "RefundQuerySet":
        """Those to which, or to a step of which, one of two members of staff has agreed."""
        half_approved = Q(status=RefundStatus.REQUESTED, first_approved_by__isnull=False)
        proposed = RefundApproval.objects.filter(refund=OuterRef("pk"), open_key__isnull=False)
        return self.filter(half_approved | Exists(proposed))


class Refund(DueModel):
    """Money that goes back to a payment's payer; of an order that cost nothing, only its goods.

    ``number`` is the customer's for ever. The platform knows it by ``out_refund_no``, given when
    staff have agreed; one that the platform closed is kept as a `RefundAttempt`. ``due_at`` is when
    the platform is asked next, to pay it back or how far it is.
    """

    order = models.ForeignKey(
        Order,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="refunds",
        verbose_name=_("order"),
    )
    payment = models.ForeignKey(
        Payment,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="refunds",
        verbose_name=_("payment"),
    )
    number = ExactCharField(_("refund number"), max_length=64, unique=True)
    out_refund_no = ExactCharField(
        _("number at the platform"), max_length=64, null=True, blank=True, unique=True
    )
    amount_fen = FenField(_("amount"))
    status = models.CharField(
        _("status"), max_length=12, choices=RefundStatus, default=RefundStatus.REQUESTED
    )
    reason = models.CharField(_("reason"), max_length=80)
    kind = models.CharField(_("kind"), max_length=12, choices=RefundKind, default=RefundKind.AUTO)
    # Staff set the amount by hand: freight is not added to it when it is agreed.
    is_amount_fixed = models.BooleanField(default=False, editable=False)
    # Of the amount, what is not for lines.
    freight_fen = FenField(_("freight"), default=0)
    is_shipped = models.BooleanField(_("after shipment"), default=False)
    images = models.JSONField(_("pictures"), default=list, blank=True)
    decision = models.CharField(_("staff's answer"), max_length=200, blank=True)
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("decided by"),
    )
    # Of a large refund: whoever agreed first. Somebody else must agree too.
    first_approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("first approved by"),
    )
    return_carrier = models.CharField(_("carrier of the return"), max_length=50, blank=True)
    return_tracking = models.CharField(
        _("tracking number of the return"), max_length=50, blank=True
    )
    # Whoever of the staff began it; empty for a customer's.
    opened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("begun by"),
    )
    # When ``out_refund_no`` was last sent, written before it is; empty: the platform never heard of it.
    sent_at = models.DateTimeField(_("sent to the platform at"), null=True, blank=True)
    method = models.CharField(
        _("paid back"), max_length=10, choices=RefundMethod, default=RefundMethod.PLATFORM
    )
    # Sent to the shop's own account: the shop owes it until it is paid out.
    is_to_shop = models.BooleanField(_("sent to the shop's account"), default=False)
    payout_reference = models.CharField(_("how it was paid out"), max_length=100, blank=True)
    platform_id = ExactCharField(_("platform's refund id"), max_length=64, blank=True)
    # In the platform's own word, such as CLOSED or ABNORMAL.
    platform_status = models.CharField(_("platform's status"), max_length=20, blank=True)
    # Sent instead of ``reason``, which the platform refused.
    platform_reason = models.CharField(_("reason for the platform"), max_length=80, blank=True)
    created_at = models.DateTimeField(_("created at"))
    succeeded_at = models.DateTimeField(_("succeeded at"), null=True, blank=True)
    billed_on = models.DateField(_("in the bill of"), null=True, blank=True)

    objects: ClassVar[Any] = RefundQuerySet.as_manager()

    class Meta:
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_fen__gte=0), name="refund_amount_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(payment__isnull=False) | Q(amount_fen=0), name="refund_of_a_payment"
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def actions(self) -> tuple[str, ...]:
        """What its customer may do now."""
        return REFUND_ACTIONS[RefundStatus(self.status)]


class RefundLine(models.Model):
    refund = models.ForeignKey(Refund, models.PROTECT, related_name="lines")
    line = models.ForeignKey(
        OrderLine, models.PROTECT, related_name="refund_lines", verbose_name=_("order line")
    )
    quantity = models.PositiveIntegerField(_("quantity"))
    claimed_fen = FenField(_("asked for"))
    amount_fen = FenField(_("amount"))

    class Meta:
        verbose_name = _("refund line")
        verbose_name_plural = _("refund lines")
        constraints = [
            models.UniqueConstraint(fields=["refund", "line"], name="refundline_once"),
            models.CheckConstraint(
                condition=Q(quantity__gte=1, amount_fen__gte=0, claimed_fen__gte=F("amount_fen")),
                name="refundline_amounts",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.line_id}"


class RefundAttempt(AppendOnlyModel):
    """A number under which the platform closed a refund for good; it was applied for again."""

    refund = models.ForeignKey(
        Refund, models.PROTECT, related_name="past_attempts", verbose_name=_("refund")
    )
    out_refund_no = ExactCharField(_("number at the platform"), max_length=64, unique=True)
    platform_id = ExactCharField(_("platform's refund id"), max_length=64, blank=True)
    platform_status = models.CharField(_("platform's status"), max_length=20)
    ended_at = models.DateTimeField(_("ended at"))

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        verbose_name = _("past attempt of a refund")
        verbose_name_plural = _("past attempts of refunds")

    def __str__(self) -> str:
        return self.out_refund_no


class RefundApproval(models.Model):
    """A step with a refund's money for which two members of staff stand: one proposes, one confirms.

    ``open_key`` is the refund's id while nobody has confirmed or dropped it, so that there is one;
    NULL afterwards.
    """

    refund = models.ForeignKey(
        Refund, models.PROTECT, related_name="approvals", verbose_name=_("refund")
    )
    step = models.CharField(_("step"), max_length=10, choices=RefundStep)
    open_key = models.BigIntegerField(null=True, unique=True, editable=False)
    note = models.CharField(_("note"), max_length=200, blank=True)
    # Of a card only this is kept: the second person must type the same one.
    card_hash = models.CharField(max_length=64, blank=True, editable=False)
    card_tail = models.CharField(_("last digits of the card"), max_length=4, blank=True)
    proposed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("proposed by")
    )
    proposed_at = models.DateTimeField(_("proposed at"))
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("confirmed by"),
    )
    confirmed_at = models.DateTimeField(_("confirmed at"), null=True, blank=True)
    dropped_at = models.DateTimeField(_("dropped at"), null=True, blank=True)

    class Meta:
        verbose_name = _("approval of a refund's step")
        verbose_name_plural = _("approvals of refunds' steps")

    def __str__(self) -> str:
        return f"{self.get_step_display()} {self.pk}"


class NoticeOutcome(models.TextChoices):
    NEW = "new", _("not processed yet")
    APPLIED = "applied", _("applied")
    IGNORED = "ignored", _("nothing to do")
    ANOMALY = "anomaly", _("does not match our books")


class Notice(DueModel):
    """The inbox: every verified notice of a platform, as it came. Answered only once it stands here."""

    channel = models.CharField(_("channel"), max_length=10, choices=Channel)
    notice_id = ExactCharField(_("notice id"), max_length=64)
    event_type = models.CharField(_("event"), max_length=40)
    headers = models.JSONField(_("headers"))
    body = models.TextField(_("body"))
    # The verified content in our words: what processing needs, also after keys have changed.
    content = models.JSONField(_("content"))
    outcome = models.CharField(
        _("outcome"), max_length=10, choices=NoticeOutcome, default=NoticeOutcome.NEW
    )
    note = models.CharField(_("note"), max_length=300, blank=True)
    payment = models.ForeignKey(
        Payment,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="notices",
        verbose_name=_("payment"),
    )
    received_at = models.DateTimeField(_("received at"))
    processed_at = models.DateTimeField(_("processed at"), null=True, blank=True)

    objects: ClassVar[Any] = DueQuerySet.as_manager()

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        constraints = [
            models.UniqueConstraint(fields=["channel", "notice_id"], name="notice_once"),
        ]

    def __str__(self) -> str:
        return self.notice_id
