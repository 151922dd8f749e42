"""The ledger: every fen that moved, in double entry. Written once, never changed."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from miniback.core.fields import ExactCharField, FenField
from miniback.core.models import AppendOnlyModel, AppendOnlyQuerySet
from orders.models.order import Order


class Account(models.TextChoices):
    """Where money is, or whose it is. What comes in is positive, what it came for is negative."""

    RECEIVABLE = "receivable", _("receivable from customers")
    WECHAT = "platform:wechat", _("at WeChat Pay")
    ALIPAY = "platform:alipay", _("at Alipay")
    CUSTOMER_REFUNDS = "customer_refunds", _("owed back to customers")
    GOODS = "goods", _("goods sold")
    FREIGHT = "freight", _("freight charged")
    COUPONS = "coupons", _("discounts given")
    SHOP_BANK = "shop_bank", _("in the shop's own account")
    CORRECTIONS = "corrections", _("corrections")


class LedgerTransaction(AppendOnlyModel):
    """One business event; its entries sum to zero."""

    event_key = ExactCharField(_("event key"), max_length=100, unique=True)
    # Empty for money that belongs to no order of the shop.
    order = models.ForeignKey(
        Order,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="ledger",
        verbose_name=_("order"),
    )
    posted_at = models.DateTimeField(_("posted at"))
    posted_on = models.DateField(_("posted on (Shanghai)"), db_index=True)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        verbose_name = _("ledger transaction")
        verbose_name_plural = _("ledger transactions")

    def __str__(self) -> str:
        return self.event_key


class LedgerEntry(AppendOnlyModel):
    transaction = models.ForeignKey(
        LedgerTransaction, models.PROTECT, related_name="entries", verbose_name=_("transaction")
    )
    account = models.CharField(_("account"), max_length=20, choices=Account, db_index=True)
    amount_fen = FenField(_("amount"))

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        verbose_name = _("ledger entry")
        verbose_name_plural = _("ledger entries")
        constraints = [
            models.CheckConstraint(condition=~Q(amount_fen=0), name="ledgerentry_not_nothing"),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.amount_fen}"
