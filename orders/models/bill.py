"""What a platform's daily bill says, held against our books."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from miniback.core.fields import ExactCharField, FenField
from orders.models.payment import Channel


class Bill(models.Model):
    """A day of Shanghai that was compared."""

    channel = models.CharField(_("channel"), max_length=10, choices=Channel)
    day = models.DateField(_("day"))
    row_count = models.PositiveIntegerField(_("rows"))
    paid_fen = FenField(_("money in"))
    refunded_fen = FenField(_("money back"))
    compared_at = models.DateTimeField(_("compared at"))

    class Meta:
        verbose_name = _("bill")
        verbose_name_plural = _("bills")
        constraints = [models.UniqueConstraint(fields=["channel", "day"], name="bill_once")]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} {self.day}"


class DifferenceKind(models.TextChoices):
    NOT_OURS = "not_ours", _("only the platform has it")
    NOT_THEIRS = "not_theirs", _("only we have it")
    AMOUNT = "amount", _("the amounts differ")


class DifferenceStatus(models.TextChoices):
    OPEN = "open", _("open")
    RESOLVED = "resolved", _("resolved")


class BillDifference(models.Model):
    """One payment or refund about which the bill and our books disagree. Kept when it is resolved."""

    bill = models.ForeignKey(
        Bill, models.PROTECT, related_name="differences", verbose_name=_("bill")
    )
    kind = models.CharField(_("kind"), max_length=10, choices=DifferenceKind)
    is_refund = models.BooleanField(_("refund"))
    number = ExactCharField(_("payment or refund number"), max_length=64)
    transaction_id = ExactCharField(_("transaction id"), max_length=64, blank=True)
    theirs_fen = FenField(_("the platform's amount"), null=True)
    ours_fen = FenField(_("our amount"), null=True)
    status = models.CharField(
        _("status"), max_length=10, choices=DifferenceStatus, default=DifferenceStatus.OPEN
    )
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
            models.UniqueConstraint(fields=["bill", "kind", "number"], name="billdifference_once"),
        ]
        indexes = [models.Index(fields=["status", "id"], name="billdifference_status")]

    def __str__(self) -> str:
        return self.number
