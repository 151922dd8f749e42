"""The orders desk: an order as one page, shipped through the service."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import mask_phone
from miniback.core.desk import DeskAction, DeskMixin
from miniback.core.fields import YuanFormField
from miniback.core.shop_admin import FactsOnly, ShopAdmin, Tabbed, yuan
from orders.admin.order_page import order_page
from orders.admin.refund_forms import RefundOrderForm
from orders.admin.sheets import ManyOrdersMixin
from orders.models import Carrier, CartLine, Order, Shipment
from orders.services import desk
from orders.services.finding import find_orders
from orders.services.fulfillment import ship_order
from orders.services.refund_approvals import CHANGE_REFUND
from orders.services.refund_decisions import PAID, refund_order
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
    DeskAction(
        "refund",
        pgettext_lazy("action", "Refund"),
        RefundOrderForm,
        refund_order,
        {*PAID},
        CHANGE_REFUND,
    ),
    DeskAction("cancel", _("Cancel order"), CancelForm, desk.call_off, UNPAID | TO_SHIP),
)


@admin.register(Order)
class OrderAdmin(ManyOrdersMixin, Tabbed, DeskMixin, FactsOnly, ShopAdmin):
    change_list_template = "admin/desk/order_list.html"
    when_empty = _("Orders come as soon as customers buy something that is on sale.")
    change_form_template = "admin/desk/order.html"
    list_display = [
        "number",
        "status",
        "payable",
        "masked_recipient",
        "masked_phone",
        "placed",
        "is_flagged",
    ]
    list_filter = ["placed_on", "is_flagged"]
    actions = ["print_selected"]
    # What they are looked for in is `find_orders`'.
    search_fields = ["number"]
    search_help_text = _(
        "order number, recipient, tracking number, product, whole phone or last four digits"
    )
    ordering = ["-id"]
    desk = DESK
    desk_permission = "orders.change_order"
    # The page shows all of it by its own template.
    fields = ["number"]
    payable = yuan("payable_fen", _("to pay"))

    def get_urls(self) -> list[URLPattern]:
        reveal = self.admin_site.admin_view(self.reveal)
        return [path("<int:pk>/reveal/", reveal, name="orders_order_reveal"), *super().get_urls()]

    def page_context(self, request: HttpRequest, row: Order) -> dict[str, Any]:
        who = self.masked_recipient(row), self.masked_phone(row)
        return {**super().page_context(request, row), **order_page(request, row), "who": who}

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        for word in search_term.split():
            queryset = queryset.filter(find_orders(word))
        return queryset, False

    @admin.display(description=_("placed at"), ordering="id")
    def placed(self, order: Order) -> str:
        return f"{timezone.localtime(order.placed_at):%Y-%m-%d %H:%M}"

    @admin.display(description=_("recipient"))
    def masked_recipient(self, order: Order) -> str:
        return f"{order.recipient[:1]}**"

    @admin.display(description=_("phone"))
    def masked_phone(self, order: Order) -> str:
        return mask_phone(order.phone)

    def reveal(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show who and where, once; that it was looked at is kept."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_view_permission(request):
            raise PermissionDenied
        order = get_object_or_404(Order, pk=pk)
        self.log_change(request, order, str(_("Looked at phone and address")))
        self.message_user(request, f"{order.recipient} {order.phone} {order.address}")
        return HttpResponseRedirect(reverse("admin:orders_order_change", args=[pk]))


@admin.register(Carrier)
class CarrierAdmin(ShopAdmin):
    list_display = ["name", "code", "is_active"]
    list_editable = ["is_active"]
    search_fields = ["name", "code"]
    ordering = ["name"]


@admin.register(Shipment)
class ShipmentAdmin(FactsOnly, ShopAdmin):
    list_display = ["tracking_number", "carrier", "order", "shipped_at"]
    list_filter = ["carrier"]
    list_select_related = ["carrier", "order"]
    found_by = (
        "tracking_number",
        "order__number",
    )
    search_help_text = _("tracking number or order number")
    ordering = ["-id"]


@admin.register(CartLine)
class CartLineAdmin(FactsOnly, ShopAdmin):
    list_display = ["user", "sku", "quantity", "is_selected", "created_at"]
    list_select_related = ["user", "sku"]
    found_by = ("sku__code",)
    search_help_text = _("SKU code")
    ordering = ["-id"]
