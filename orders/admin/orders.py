"""The orders desk: an order as one page, shipped through the service."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from accounts.models import by_phone
from miniback.core.admin import FactsOnly, yuan
from miniback.core.fields import YuanFormField
from miniback.core.pictures import picture_url
from orders.admin.desk import DeskAction, DeskMixin
from orders.models import Carrier, CartLine, Order, OrderEvent, OrderLine, Payment, Shipment
from orders.services import desk
from orders.services.fulfillment import ship_order
from orders.status import OrderStatus


class ShipForm(forms.Form):
    """A parcel, with how many pieces of each line; where nothing is said of any, with all that are left."""

    carrier = forms.ModelChoiceField(
        Carrier.objects.filter(is_active=True).order_by("name"), label=_("carrier")
    )
    tracking_number = forms.RegexField(
        r"^[0-9A-Za-z-]{4,50}$",
        label=_("tracking number"),
        error_messages={"invalid": _("4 to 50 letters, digits or hyphens")},
    )

    def __init__(self, *args: Any, row: Order, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lines = [line for line in row.lines.order_by("id") if line.to_ship > 0]
        for line in self.lines:
            self.fields[f"line_{line.pk}"] = forms.IntegerField(
                label=f"{line.name} {line.options_text} ({line.sku_code})",
                initial=line.to_ship,
                required=False,
                min_value=0,
                max_value=line.to_ship,
            )

    def clean(self) -> dict[str, Any]:
        """Adds ``quantities``: line id -> pieces."""
        given = super().clean() or {}
        counts = {line.pk: given.pop(f"line_{line.pk}", None) for line in self.lines}
        if set(counts.values()) <= {None}:
            return {**given, "quantities": None}
        quantities = {line_id: count for line_id, count in counts.items() if count}
        if not quantities and not self.errors:
            raise forms.ValidationError(_("Put something into the parcel."))
        return {**given, "quantities": quantities}


class AdjustPriceForm(forms.Form):
    discount_fen = YuanFormField(label=_("discount on the goods, in all"))
    reason = forms.CharField(label=_("reason"), max_length=100)


class ChangeAddressForm(forms.ModelForm):
    phone = forms.RegexField(r"^\+?[0-9][0-9 -]{4,18}[0-9]$", label=_("phone"))
    detail = forms.CharField(label=_("street and number"), max_length=200)
    reason = forms.CharField(label=_("reason"), max_length=100)

    class Meta:
        model = Order
        fields = ["recipient", "phone", "province", "city", "district", "detail"]


class NoteForm(forms.ModelForm):
    class Meta:
        model = Order
        fields = ["staff_note", "is_flagged"]


class CancelForm(forms.Form):
    reason = forms.CharField(
        label=_("reason"),
        max_length=80,
        help_text=_("What was paid and is not shipped goes back to the customer."),
    )


UNPAID, BEFORE_SHIPMENT = (
    {OrderStatus.PENDING_PAYMENT},
    {OrderStatus.PENDING_PAYMENT, OrderStatus.PAID},
)
TO_SHIP = {OrderStatus.PAID, OrderStatus.PARTLY_SHIPPED}
DESK = (
    DeskAction("ship", _("Ship order"), ShipForm, ship_order, TO_SHIP),
    DeskAction("adjust-price", _("Adjust price"), AdjustPriceForm, desk.adjust_price, UNPAID),
    DeskAction(
        "address", _("Change address"), ChangeAddressForm, desk.change_address, BEFORE_SHIPMENT
    ),
    DeskAction("note", _("Write note"), NoteForm, desk.write_note, OrderStatus.values),
    DeskAction("cancel", _("Cancel order"), CancelForm, desk.call_off, UNPAID | TO_SHIP),
)


class LineInline(FactsOnly, admin.TabularInline):
    model = OrderLine
    fields: ClassVar[Any] = [
        "picture_",
        "name",
        "options_",
        "sku_code",
        "unit",
        "quantity",
        "shipped_quantity",
        "refunded_quantity",
        "total",
        "discount",
    ]
    readonly_fields = fields
    extra = 0
    discount = yuan("discount_fen", _("discount"))
    unit = yuan("unit_fen", _("unit price"))
    total = yuan("total_fen", _("total"))

    @admin.display(description="")
    def picture_(self, line: OrderLine) -> str:
        url = picture_url(line.picture, "thumb")
        return format_html('<img src="{}" width="48" height="48" alt="">', url) if url else "-"

    @admin.display(description=_("options"))
    def options_(self, line: OrderLine) -> str:
        return line.options_text


class ShipmentInline(FactsOnly, admin.TabularInline):
    model = Shipment
    fields: ClassVar[Any] = ["carrier", "tracking_number", "shipped_at", "pieces"]
    readonly_fields = ["pieces"]
    extra = 0

    def get_queryset(self, request: HttpRequest) -> Any:
        shipments = super().get_queryset(request)
        return shipments.select_related("carrier").prefetch_related("lines__line")

    @admin.display(description=_("pieces"))
    def pieces(self, shipment: Shipment) -> str:
        parts = (f"{part.quantity} × {part.line.sku_code}" for part in shipment.lines.all())
        return ", ".join(parts)


class PaymentInline(FactsOnly, admin.TabularInline):
    model = Payment
    fields: ClassVar[Any] = [
        "number",
        "channel",
        "amount",
        "status",
        "is_applied",
        "transaction_id",
        "paid_at",
    ]
    readonly_fields = fields
    show_change_link = True
    extra = 0
    amount = yuan("amount_fen", _("amount"))


class EventInline(FactsOnly, admin.TabularInline):
    model = OrderEvent
    fields = ["created_at", "from_status", "to_status", "actor", "user", "note"]
    ordering = ["id"]
    extra = 0

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("user")


@admin.register(Order)
class OrderAdmin(DeskMixin, FactsOnly, admin.ModelAdmin):
    list_display = ["number", "status", "payable", "recipient", "city", "placed_at", "is_flagged"]
    list_filter = ["status", "is_flagged", "placed_on"]
    search_fields = ["number", "recipient", "shipments__tracking_number"]
    search_help_text = _(
        "order number, recipient, tracking number, whole phone or last four digits"
    )
    ordering = ["-id"]
    show_full_result_count = False
    list_per_page = 50
    desk = DESK
    desk_permission = "orders.change_order"
    inlines = [LineInline, ShipmentInline, PaymentInline, EventInline]
    fieldsets = (
        (None, {"fields": ["number", "status", "customer", "note", "cancel_reason", "staff_note"]}),
        (_("money"), {"fields": [("goods", "freight", "discount", "payable"), "coupon"]}),
        (_("deliver to"), {"fields": ["recipient", "phone", "address"]}),
        (
            _("moments"),
            {
                "fields": [
                    ("placed_at", "pay_before"),
                    ("paid_at", "shipped_at", "completed_at", "cancelled_at"),
                ]
            },
        ),
    )
    goods = yuan("goods_fen", _("goods"))
    freight = yuan("freight_fen", _("freight"))
    discount = yuan("discount_fen", _("discount"))
    payable = yuan("payable_fen", _("to pay"))

    def get_readonly_fields(self, request: HttpRequest, obj: Order | None = None) -> list[str]:
        return ["customer", "goods", "freight", "discount", "payable", "coupon", "phone", "address"]

    @admin.display(description=_("coupon"))
    def coupon(self, order: Order) -> str:
        return order.claimed_coupon.coupon.name if order.claimed_coupon else "-"

    @admin.display(description=_("address"))
    def address(self, order: Order) -> str:
        return f"{order.province} {order.city} {order.district} {order.detail}"

    @admin.display(description=_("customer"))
    def customer(self, order: Order) -> str:
        url = reverse("admin:accounts_customer_change", args=[order.user_id])
        return format_html('<a href="{}">{}</a>', url, order.user)

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        # Numbers are stored in upper case, and compared byte by byte.
        found, may_repeat = super().get_search_results(request, queryset, search_term.upper())
        if search_term.isdigit():
            found |= queryset.filter(by_phone(search_term))
        return found, may_repeat


@admin.register(Carrier)
class CarrierAdmin(admin.ModelAdmin):
    list_display = ["name", "code", "is_active"]
    list_editable = ["is_active"]
    search_fields = ["name", "code"]
    ordering = ["name"]


@admin.register(Shipment)
class ShipmentAdmin(FactsOnly, admin.ModelAdmin):
    list_display = ["tracking_number", "carrier", "order", "shipped_at"]
    list_filter = ["carrier"]
    list_select_related = ["carrier", "order"]
    search_fields = ["tracking_number", "order__number"]
    ordering = ["-id"]
    show_full_result_count = False


@admin.register(CartLine)
class CartLineAdmin(FactsOnly, admin.ModelAdmin):
    list_display = ["user", "sku", "quantity", "is_selected", "created_at"]
    list_select_related = ["user", "sku"]
    search_fields = ["sku__code"]
    ordering = ["-id"]
    show_full_result_count = False
