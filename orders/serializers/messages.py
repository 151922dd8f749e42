"""Messages of the platform in JSON."""

from rest_framework import serializers

from orders.models import MessageTemplate


class MessageTemplateSerializer(serializers.ModelSerializer):
    """A template to ask the customer's consent for."""

    class Meta:
        model = MessageTemplate
        fields = ["kind", "template_id"]


class ConsentsInput(serializers.Serializer):
    """Those of ``wx.requestSubscribeMessage`` that were answered with "accept"."""

    template_ids = serializers.ListField(
        child=serializers.CharField(max_length=64), min_length=1, max_length=10
    )
