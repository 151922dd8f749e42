"""Payments in JSON."""

from rest_framework import serializers

from orders.models import Channel, Payment
from orders.status import OrderStatus


class PayInput(serializers.Serializer):
    channel = serializers.ChoiceField(choices=Channel.choices)


class PayRequestSerializer(serializers.Serializer):
    payment = serializers.CharField(source="payment.number", help_text="The payment's number.")
    params = serializers.DictField(
        child=serializers.CharField(), help_text="The five fields of `wx.requestPayment`."
    )


class PaymentSerializer(serializers.ModelSerializer):
    order = serializers.CharField(source="order.number")
    order_status = serializers.ChoiceField(choices=OrderStatus.choices, source="order.status")

    class Meta:
        model = Payment
        fields = ["number", "status", "amount_fen", "is_applied", "order", "order_status"]
