"""Refunds in JSON."""

from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from miniback.core.pictures import picture_url
from miniback.core.serializers import IdField, QuantityField
from orders.models import Refund, RefundLine
from orders.status import RefundKind

CUSTOMER_REFUND_KINDS = [
    choice
    for choice in RefundKind.choices
    if choice[0] in {RefundKind.REFUND_ONLY, RefundKind.RETURN}
]


class RefundLineInput(serializers.Serializer):
    line = IdField(help_text="Id of a line of the order.")
    quantity = QuantityField()


class RefundInput(serializers.Serializer):
    lines = serializers.ListField(child=RefundLineInput(), allow_empty=False, max_length=50)
    kind = serializers.ChoiceField(choices=CUSTOMER_REFUND_KINDS)
    reason = serializers.CharField(max_length=80)
    images = serializers.ListField(
        child=serializers.CharField(max_length=22),
        max_length=9,
        default=list,
        help_text="Upload ids.",
    )

    def validate_lines(self, lines: list[dict[str, int]]) -> dict[int, int]:
        """Line id -> pieces."""
        quantities = {line["line"]: line["quantity"] for line in lines}
        if len(quantities) != len(lines):
            raise serializers.ValidationError(_("A line stands twice."))
        return quantities


class ReturnParcelInput(serializers.Serializer):
    carrier = serializers.CharField(max_length=50)
    tracking_number = serializers.RegexField(r"^[0-9A-Za-z-]{4,50}$")


class RefundSerializer(serializers.ModelSerializer):
    """Until `succeeded`, money is on its way, also while it is `failed` or `to_pay_out`.

    `to_pay_out`: the platform could not pay it back, the shop will. `written_off`: it will not be
    paid. With `kind` `external` the shop has given it back elsewhere; with `amount_fen` 0 only goods
    come back.
    """

    class Meta:
        model = Refund
        fields = [
            "number", "kind", "amount_fen", "status", "method", "reason", "created_at",
            "succeeded_at",
        ]  # fmt: skip
        extra_kwargs: ClassVar[Any] = {
            "method": {"help_text": "Who pays it back: the `platform`, or the `shop` by itself."}
        }


class RefundLineSerializer(serializers.ModelSerializer):
    name = serializers.CharField(source="line.name")
    image_url = serializers.SerializerMethodField()

    class Meta:
        model = RefundLine
        fields = ["line", "name", "image_url", "quantity", "amount_fen"]

    def get_image_url(self, part: RefundLine) -> str:
        return picture_url(part.line.picture, "thumb")


class RefundDetailSerializer(RefundSerializer):
    order = serializers.CharField(source="order.number")
    lines = RefundLineSerializer(many=True)
    actions = serializers.ListField(child=serializers.CharField())

    class Meta(RefundSerializer.Meta):
        fields = [
            *RefundSerializer.Meta.fields,
            "order",
            "freight_fen",
            "lines",
            "decision",
            "decided_at",
            "return_carrier",
            "return_tracking",
            "actions",
        ]
