"""The cart in JSON."""

from rest_framework import serializers

from miniback.core.pictures import picture_url
from miniback.core.serializers import IdField, QuantityField
from orders.models import CartLine


class CartLineInput(serializers.Serializer):
    sku = IdField()
    quantity = QuantityField()


class CartLineChange(serializers.Serializer):
    quantity = QuantityField()
    is_selected = serializers.BooleanField()


class CartSelection(serializers.Serializer):
    lines = serializers.ListField(
        child=IdField(), max_length=100, allow_null=True, default=None, help_text="Null means all."
    )
    is_selected = serializers.BooleanField()


class CartLineSerializer(serializers.ModelSerializer):
    product = serializers.IntegerField(source="sku.product_id")
    name = serializers.CharField(source="sku.product.name")
    options = serializers.DictField(source="sku.options", child=serializers.CharField())
    image_url = serializers.SerializerMethodField()
    price_fen = serializers.IntegerField(source="sku.price_fen")
    stock = serializers.IntegerField(source="sku.stock")
    problem = serializers.CharField(help_text="`off_sale`, `out_of_stock`, `over_limit` or empty.")

    class Meta:
        model = CartLine
        fields = [
            "id",
            "sku",
            "product",
            "name",
            "options",
            "image_url",
            "price_fen",
            "stock",
            "quantity",
            "is_selected",
            "problem",
        ]

    def get_image_url(self, line: CartLine) -> str:
        return picture_url(line.sku.picture.name or line.sku.product.cover.name, "thumb")


class CartSerializer(serializers.Serializer):
    lines = CartLineSerializer(many=True)
    goods_fen = serializers.IntegerField(help_text="Of selected lines without a problem.")
    count = serializers.IntegerField(help_text="Pieces in all lines.")


class CartCountSerializer(serializers.Serializer):
    count = serializers.IntegerField()
