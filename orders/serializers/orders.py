"""Quotes and orders in JSON."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from miniback.core.pictures import picture_url
from miniback.core.serializers import FenInputField, IdField, as_json_list
from orders.models import Order, OrderEvent, OrderLine, Shipment, ShipmentLine
from orders.serializers.cart import CartLineInput
from orders.serializers.coupons import QuotedCouponSerializer
from orders.serializers.refunds import RefundSerializer
from orders.status import OrderStatus


class LinesInput(serializers.Serializer):
    """Either ``lines`` or ``from_cart``."""

    lines = serializers.ListField(
        child=CartLineInput(), required=False, allow_empty=False, max_length=100
    )
    from_cart = serializers.BooleanField(default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Adds ``quantities``: SKU id -> pieces, or None for the cart."""
        lines = attrs.pop("lines", None)
        if (lines is None) != attrs.pop("from_cart"):
            raise serializers.ValidationError(
                {"lines": [_("Send either lines or from_cart: true.")]}
            )
        attrs["quantities"] = None if lines is None else {}
        for line in lines or []:
            if line["sku"] in attrs["quantities"]:
                raise serializers.ValidationError({"lines": [_("An article stands twice.")]})
            attrs["quantities"][line["sku"]] = line["quantity"]
        return attrs


class QuoteInput(LinesInput):
    address = IdField(required=False, allow_null=True, default=None)
    coupon = IdField(
        required=False, allow_null=True, default=None, help_text="Id of one of `coupons/mine/`."
    )


class OrderInput(LinesInput):
    address = IdField()
    coupon = IdField(
        required=False, allow_null=True, default=None, help_text="Id of one of `coupons/mine/`."
    )
    note = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    payable_fen = FenInputField(help_text="What the customer saw in the quote.")


class QuoteLineSerializer(serializers.Serializer):
    sku = serializers.IntegerField(source="sku.id")
    product = serializers.IntegerField(source="sku.product_id")
    name = serializers.CharField(source="sku.product.name")
    options = serializers.DictField(source="sku.options", child=serializers.CharField())
    image_url = serializers.SerializerMethodField()
    unit_fen = serializers.IntegerField(source="sku.price_fen")
    quantity = serializers.IntegerField()
    total_fen = serializers.IntegerField()

    def get_image_url(self, line: Any) -> str:
        return picture_url(line.sku.picture.name or line.sku.product.cover.name, "thumb")


class ProblemSerializer(serializers.Serializer):
    """Of a line (``sku``, and how many could be had) or of the coupon (and why); only what is known."""

    code = serializers.CharField()
    sku = serializers.IntegerField(required=False)
    left = serializers.IntegerField(required=False, help_text="How many pieces could be had.")
    coupon = serializers.IntegerField(required=False)
    reason = serializers.CharField(required=False, help_text="Why it takes nothing off.")

    def to_representation(self, instance: Any) -> dict[str, Any]:
        whole = super().to_representation(instance)
        return {name: value for name, value in whole.items() if value not in (None, "")}


class QuoteSerializer(serializers.Serializer):
    lines = QuoteLineSerializer(many=True)
    goods_fen = serializers.IntegerField(source="amounts.goods_fen")
    freight_fen = serializers.IntegerField(source="amounts.freight_fen")
    discount_fen = serializers.IntegerField(source="amounts.discount_fen")
    payable_fen = serializers.IntegerField(source="amounts.payable_fen")
    coupons = QuotedCouponSerializer(many=True)
    problems = ProblemSerializer(many=True)


class OrderQuery(serializers.Serializer):
    status = serializers.ChoiceField(choices=OrderStatus.choices, required=False)
    search = serializers.CharField(
        required=False, max_length=50, help_text="An order number, or a word in a product's name."
    )


class OrderCountsSerializer(serializers.Serializer):
    """Orders by status; every status is there."""

    pending_payment = serializers.IntegerField()
    paid = serializers.IntegerField()
    partly_shipped = serializers.IntegerField()
    shipped = serializers.IntegerField()
    completed = serializers.IntegerField()
    cancelled = serializers.IntegerField()


class OrderLineSerializer(serializers.ModelSerializer):
    image_url = serializers.SerializerMethodField()
    total_fen = serializers.IntegerField()
    options = serializers.DictField(child=serializers.CharField())
    is_reviewed = serializers.SerializerMethodField()

    class Meta:
        model = OrderLine
        fields = [
            "id",
            "sku",
            "product",
            "name",
            "options",
            "image_url",
            "unit_fen",
            "quantity",
            "total_fen",
            "discount_fen",
            "shipped_quantity",
            "refunded_quantity",
            "is_reviewed",
        ]

    def get_image_url(self, line: OrderLine) -> str:
        return picture_url(line.picture, "thumb")

    def get_is_reviewed(self, line: OrderLine) -> bool:
        return line.reviewed_at is not None


class OrderEventSerializer(serializers.ModelSerializer):
    class Meta:
        model = OrderEvent
        fields = ["to_status", "actor", "note", "created_at"]


class ShipmentLineSerializer(serializers.ModelSerializer):
    class Meta:
        model = ShipmentLine
        fields = ["line", "quantity"]


class ShipmentSerializer(serializers.ModelSerializer):
    """One parcel."""

    carrier = serializers.CharField(source="carrier.name")
    lines = ShipmentLineSerializer(many=True)

    class Meta:
        model = Shipment
        fields = ["carrier", "tracking_number", "shipped_at", "lines"]


class OrderAddressSerializer(serializers.ModelSerializer):
    class Meta:
        model = Order
        fields = ["recipient", "phone", "province", "city", "district", "detail", "region_code"]


class OrderCardSerializer(serializers.ModelSerializer):
    """What a list of orders shows."""

    lines = OrderLineSerializer(many=True)
    actions = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Order
        fields = [
            "number",
            "status",
            "goods_fen",
            "freight_fen",
            "discount_fen",
            "payable_fen",
            "lines",
            "actions",
            "placed_at",
            "pay_before",
        ]


class OrderSerializer(OrderCardSerializer):
    address = OrderAddressSerializer(source="*")
    events = OrderEventSerializer(many=True)
    shipments = ShipmentSerializer(many=True)
    refunds = serializers.SerializerMethodField()

    class Meta(OrderCardSerializer.Meta):
        fields = [
            *OrderCardSerializer.Meta.fields,
            "freight_discount_fen",
            "note",
            "address",
            "events",
            "shipments",
            "refunds",
            "paid_at",
            "shipped_at",
            "completed_at",
            "cancelled_at",
            "cancel_reason",
        ]

    def get_refunds(self, order: Order) -> list[dict[str, Any]]:
        return as_json_list(RefundSerializer, order.refunds.all())


class CancelInput(serializers.Serializer):
    reason = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
