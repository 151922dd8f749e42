"""Orders: what was bought, at which price, for whom, and everything that happened to it."""

import secrets
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.models import Product, Sku
from miniback.core.fields import EncryptedTextField, ExactCharField, FenField
from miniback.core.models import AppendOnlyModel, AppendOnlyQuerySet
from orders.models.coupon import ClaimedCoupon
from orders.status import CUSTOMER_ACTIONS, Actor, OrderStatus

# Crockford's: no letter that is read as a digit.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_number(prefix: str) -> str:
    """Such as O2611237K3M9QX4TB0VNWE: a letter, the day, 75 random bits. 22 characters."""
    day = timezone.localtime().strftime("%y%m%d")
    return prefix + day + "".join(secrets.choice(ALPHABET) for _ in range(15))


class OrderQuerySet(models.QuerySet["Order"]):
    def for_customer(self, user: Any) -> "OrderQuerySet":
        return self.filter(user=user)

    def visible(self) -> "OrderQuerySet":
        """What the customer's list shows."""
        return self.filter(hidden_at=None)

    def matching(self, search: str) -> "OrderQuerySet":
        """By order number, or by a word in a line's name."""
        lines = OrderLine.objects.filter(order=OuterRef("pk"), name__icontains=search)
        return self.filter(Q(number=search.upper()) | Exists(lines))

    def lock(self, pk: int) -> "Order":
        """The one way to lock an order: first of all rows, by its id."""
        return self.select_for_update().get(pk=pk)


class Order(models.Model):
    number = ExactCharField(_("order number"), max_length=32, unique=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="orders",
        verbose_name=_("customer"),
    )
    status = models.CharField(
        _("status"), max_length=20, choices=OrderStatus, default=OrderStatus.PENDING_PAYMENT
    )
    goods_fen = FenField(_("goods"))
    freight_fen = FenField(_("freight"))
    discount_fen = FenField(_("discount"))
    # Of the discount, what is off the freight: the rest is spread over the lines.
    freight_discount_fen = FenField(_("off the freight"), default=0)
    # With which it was placed; a cancelled order keeps it, and its customer may use it again.
    claimed_coupon = models.ForeignKey(
        ClaimedCoupon,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="orders",
        verbose_name=_("coupon"),
    )
    payable_fen = FenField(_("to pay"))
    note = models.CharField(_("customer's note"), max_length=200, blank=True)
    # The address as it was: the customer's own may change.
    recipient = models.CharField(_("recipient"), max_length=50)
    phone = EncryptedTextField(_("phone"))
    phone_hash = models.CharField(max_length=64, db_index=True, editable=False)
    phone_tail_hash = models.CharField(max_length=64, db_index=True, editable=False)
    province = models.CharField(_("province"), max_length=50)
    city = models.CharField(_("city"), max_length=50)
    district = models.CharField(_("district"), max_length=50, blank=True)
    detail = EncryptedTextField(_("street and number"))
    region_code = models.CharField(_("region code"), max_length=6, blank=True)

    placed_at = models.DateTimeField(_("placed at"))
    placed_on = models.DateField(_("placed on (Shanghai)"), db_index=True)
    pay_before = models.DateTimeField(_("pay before"))
    paid_at = models.DateTimeField(_("paid at"), null=True, blank=True)
    shipped_at = models.DateTimeField(_("shipped at"), null=True, blank=True)
    completed_at = models.DateTimeField(_("completed at"), null=True, blank=True)
    cancelled_at = models.DateTimeField(_("cancelled at"), null=True, blank=True)
    cancel_reason = models.CharField(_("reason of cancellation"), max_length=200, blank=True)
    reminded_at = models.DateTimeField(_("reminded at"), null=True, blank=True, editable=False)
    hidden_at = models.DateTimeField(_("hidden by the customer at"), null=True, blank=True)
    staff_note = models.TextField(_("staff's note"), max_length=1000, blank=True)
    is_flagged = models.BooleanField(_("flagged"), default=False)
    reviewed_at = models.DateTimeField(_("reviewed at"), null=True, blank=True, editable=False)

    objects = OrderQuerySet.as_manager()

    class Meta:
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        indexes = [
            models.Index(fields=["user", "status", "id"], name="order_user_status"),
            models.Index(fields=["status", "pay_before"], name="order_status_pay_before"),
            models.Index(fields=["status", "id"], name="order_status"),
            models.Index(fields=["recipient", "id"], name="order_recipient"),
            models.Index(fields=["is_flagged", "id"], name="order_flagged"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(payable_fen=F("goods_fen") + F("freight_fen") - F("discount_fen")),
                name="order_payable_adds_up",
            ),
            models.CheckConstraint(
                condition=Q(payable_fen__gte=0, discount_fen__gte=0, freight_fen__gte=0),
                name="order_amounts_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(
                    freight_discount_fen__gte=0,
                    freight_discount_fen__lte=F("freight_fen"),
                    discount_fen__gte=F("freight_discount_fen"),
                ),
                name="order_freight_discount",
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def actions(self) -> tuple[str, ...]:
        """What its customer may do now."""
        actions = CUSTOMER_ACTIONS[OrderStatus(self.status)]
        if self.status == OrderStatus.PAID and not self.payable_fen:
            # No money has to go back first.
            actions = ("cancel", *actions)
        if self.reviewed_at:
            actions = tuple(name for name in actions if name != "review")
        return actions

    @property
    def region(self) -> str:
        return f"{self.province} {self.city} {self.district}".strip()

    @property
    def address(self) -> str:
        return f"{self.region} {self.detail}"

    @property
    def freight_paid_fen(self) -> int:
        return int(self.freight_fen - self.freight_discount_fen)


class OrderLine(models.Model):
    order = models.ForeignKey(Order, models.PROTECT, related_name="lines", verbose_name=_("order"))
    sku = models.ForeignKey(Sku, models.PROTECT, related_name="+", verbose_name=_("SKU"))
    product = models.ForeignKey(
        Product, models.PROTECT, related_name="+", verbose_name=_("product")
    )
    # Copies: what was bought must not change with the catalogue.
    name = models.CharField(_("name"), max_length=100)
    sku_code = ExactCharField(_("SKU code"), max_length=50)
    options = models.JSONField(_("options"), default=dict)
    picture = models.CharField(max_length=100, blank=True)
    unit_fen = FenField(_("unit price"))
    quantity = models.PositiveIntegerField(_("quantity"))
    discount_fen = FenField(_("discount"), default=0)
    # Claimed by refunds that were neither rejected nor withdrawn.
    refunded_quantity = models.PositiveIntegerField(_("refunded pieces"), default=0)
    refunded_fen = FenField(_("refunded"), default=0)
    # Refunded before they were shipped: their stock was given back.
    released_quantity = models.PositiveIntegerField(_("pieces not to ship"), default=0)
    shipped_quantity = models.PositiveIntegerField(_("shipped pieces"), default=0)
    reviewed_at = models.DateTimeField(_("reviewed at"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("order line")
        verbose_name_plural = _("order lines")
        constraints = [
            models.UniqueConstraint(fields=["order", "sku"], name="orderline_one_per_sku"),
            models.CheckConstraint(
                condition=Q(quantity__gte=1, unit_fen__gte=0, discount_fen__gte=0),
                name="orderline_amounts",
            ),
            models.CheckConstraint(
                condition=Q(
                    refunded_quantity__lte=F("quantity"),
                    released_quantity__lte=F("refunded_quantity"),
                    refunded_fen__gte=0,
                ),
                name="orderline_refunds",
            ),
            models.CheckConstraint(
                condition=Q(quantity__gte=F("shipped_quantity") + F("released_quantity")),
                name="orderline_shipped",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.sku_code}"

    @property
    def total_fen(self) -> int:
        return int(self.unit_fen * self.quantity)

    @property
    def payable_fen(self) -> int:
        """What was paid for the line."""
        return self.total_fen - int(self.discount_fen)

    @property
    def options_text(self) -> str:
        """ "red, 500 g" """
        return ", ".join(str(value) for value in self.options.values())

    @property
    def to_ship(self) -> int:
        """Pieces that are neither on their way nor refunded before shipment."""
        return self.quantity - self.shipped_quantity - self.released_quantity


class OrderEventKind(models.TextChoices):
    STATUS = "status", _("status")
    REMINDER = "reminder", _("reminded to pay")
    PRICE = "price", _("price adjusted")
    ADDRESS = "address", _("address changed")
    NOTE = "note", _("note")
    PARCEL = "parcel", _("another parcel")


class OrderEvent(AppendOnlyModel):
    """The book of an order: what happened, who did it, when and why."""

    order = models.ForeignKey(Order, models.PROTECT, related_name="events")
    event_key = ExactCharField(_("event key"), max_length=100, unique=True)
    kind = models.CharField(
        _("kind"), max_length=10, choices=OrderEventKind, default=OrderEventKind.STATUS
    )
    from_status = models.CharField(_("from"), max_length=20, choices=OrderStatus, blank=True)
    to_status = models.CharField(_("to"), max_length=20, choices=OrderStatus)
    actor = models.CharField(_("by"), max_length=10, choices=Actor)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="+",
        verbose_name=_("person"),
    )
    note = models.CharField(_("reason"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("at"))

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        verbose_name = _("order event")
        verbose_name_plural = _("order events")

    def __str__(self) -> str:
        return self.event_key
