"""What a platform's daily bill says, held against our books."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from miniback.core.fields import ExactCharField, FenField
from miniback.core.models import DueModel, DueQuerySet
from orders.models.payment import Channel, Notice, Payment

# So often is a bill asked for before staff are told that it does not come.
ASKED_IN_VAIN = 3


class BillQuerySet(DueQuerySet["Bill"]):
    def missing(self) -> "BillQuerySet":
        """Those that do not come, or that cannot be read."""
        never = self.filter(compared_at=None, accepted_at=None, attempts__gte=ASKED_IN_VAIN)
        return never.exclude(last_error="")

    def differing(self) -> "BillQuerySet":
        return self.filter(compared_at__isnull=False, agreed_at=None)


class Bill(DueModel):
    """A day of Shanghai of one account, compared again and again until it agrees.

    ``due_at`` is when it is compared next. The figures are those of the rows of our own app; rows of
    other apps of the same merchant are counted apart.
    """

    channel = models.CharField(_("channel"), max_length=10, choices=Channel)
    merchant_id = ExactCharField(_("merchant id"), max_length=64, blank=True)
    app_id = ExactCharField(_("app id"), max_length=64, blank=True)
    day = models.DateField(_("day"))
    row_count = models.PositiveIntegerField(_("rows"), default=0)
    paid_fen = FenField(_("money in"), default=0)
    refunded_fen = FenField(_("money back"), default=0)
    other_count = models.PositiveIntegerField(_("rows of other apps"), default=0)
    other_fen = FenField(_("money of other apps"), default=0)
    # NULL: the platform has given no bill of that day.
    compared_at = models.DateTimeField(_("compared at"), null=True, blank=True)
    # Since when nothing differs.
    agreed_at = models.DateTimeField(_("agrees since"), null=True, blank=True)
    # It never came; staff have said why that is no harm.
    accepted_at = models.DateTimeField(_("accepted at"), null=True, blank=True)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("accepted by"),
    )
    note = models.CharField(_("note"), max_length=200, blank=True)

    objects: ClassVar[Any] = BillQuerySet.as_manager()

    class Meta:
        verbose_name = _("bill")
        verbose_name_plural = _("bills")
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "merchant_id", "app_id", "day"], name="bill_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} {self.day}"


class DifferenceKind(models.TextChoices):
    NOT_OURS = "not_ours", _("only the platform has it")
    NOT_THEIRS = "not_theirs", _("only we have it")
    AMOUNT = "amount", _("the amounts differ")
    TRANSACTION = "transaction", _("the transaction ids differ")
    TWICE = "twice", _("stands twice in the bill")


class DifferenceStatus(models.TextChoices):
    OPEN = "open", _("open")
    RESOLVED = "resolved", _("resolved")


class Resolution(models.TextChoices):
    """How a difference ended; all but the first two are entries in the ledger or new rows."""

    AGREES = "agrees", _("agrees by now")
    EXPLAINED = "explained", _("explained")
    FOREIGN = "foreign", _("of another system")
    REFUND_BOOKED = "refund_booked", _("refund booked")
    REFUND_REVERSED = "refund_reversed", _("refund reversed")
    PAYMENT_VOIDED = "payment_voided", _("payment voided")
    PAYMENT_BOOKED = "payment_booked", _("payment booked to an order")
    MONEY_RETURNED = "money_returned", _("given back to the payer")
    MONEY_KEPT = "money_kept", _("booked as income")
    AMOUNT_BOOKED = "amount_booked", _("difference booked")


class BillDifference(models.Model):
    """One payment or refund about which a platform and our books disagree. Kept when it is resolved.

    Found in a bill, or told by a notice or an answer of the platform before any bill. There is one row
    for each; when what differs changes, it is open again.
    """

    channel = models.CharField(_("channel"), max_length=10, choices=Channel)
    merchant_id = ExactCharField(_("merchant id"), max_length=64, blank=True)
    app_id = ExactCharField(_("app id"), max_length=64, blank=True)
    bill = models.ForeignKey(
        Bill,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="differences",
        verbose_name=_("bill"),
    )
    notice = models.ForeignKey(
        Notice,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="differences",
        verbose_name=_("notice"),
    )
    # Ours, if we know it.
    payment = models.ForeignKey(
        Payment,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="differences",
        verbose_name=_("payment"),
    )
    kind = models.CharField(_("kind"), max_length=12, choices=DifferenceKind)
    is_refund = models.BooleanField(_("refund"))
    number = ExactCharField(_("payment or refund number"), max_length=100)
    # Of a refund: the payment's number, which may be unknown to us.
    payment_number = ExactCharField(_("payment number"), max_length=64, blank=True)
    transaction_id = ExactCharField(_("transaction id"), max_length=64, blank=True)
    theirs_fen = FenField(_("the platform's amount"), null=True)
    ours_fen = FenField(_("our amount"), null=True)
    found_at = models.DateTimeField(_("found at"))
    status = models.CharField(
        _("status"), max_length=10, choices=DifferenceStatus, default=DifferenceStatus.OPEN
    )
    # Of a large sum to be given back: whoever agreed first. Somebody else must agree too.
    first_approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("first approved by"),
    )
    # To what they agreed, which the other one must do as well.
    first_approved_for = models.CharField(max_length=20, blank=True, editable=False)
    resolution = models.CharField(_("resolution"), max_length=20, choices=Resolution, blank=True)
    note = models.CharField(_("note"), max_length=200, blank=True)
    resolved_at = models.DateTimeField(_("resolved at"), null=True, blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("resolved by"),
    )

    class Meta:
        verbose_name = _("difference to a bill")
        verbose_name_plural = _("differences to bills")
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "is_refund", "number", "kind"], name="billdifference_once"
            ),
        ]
        indexes = [models.Index(fields=["status", "id"], name="billdifference_status")]

    def __str__(self) -> str:
        return self.number
