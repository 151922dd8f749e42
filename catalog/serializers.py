"""Shapes of the catalogue in JSON, and the query of the product list."""

from typing import Any

from rest_framework import serializers

from catalog.models import Brand, Category, Product, Sku, picture_url
from miniback.core.serializers import FenInputField, IdField

ORDERINGS = ["-published_at", "price_fen", "-price_fen", "-sales_count"]


class ProductQuery(serializers.Serializer):
    category = IdField(required=False, help_text="With everything below it.")
    brand = IdField(required=False)
    search = serializers.CharField(required=False, max_length=50, allow_blank=True)
    min_price_fen = FenInputField(required=False)
    max_price_fen = FenInputField(required=False)
    in_stock = serializers.BooleanField(required=False, allow_null=True, default=None)
    ordering = serializers.ChoiceField(choices=ORDERINGS, default=ORDERINGS[0])


class CategorySerializer(serializers.Serializer):
    """``children`` has the same shape, to any depth."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    picture_url = serializers.CharField()
    children = serializers.ListField(child=serializers.DictField())


class BrandSerializer(serializers.ModelSerializer):
    logo_url = serializers.SerializerMethodField()

    class Meta:
        model = Brand
        fields = ["id", "name", "logo_url"]

    def get_logo_url(self, brand: Brand) -> str:
        return picture_url(brand.logo.name)


class ProductCardSerializer(serializers.Serializer):
    """Describes `product_card`; lists are rendered by that function, ten times as fast."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    subtitle = serializers.CharField()
    cover_url = serializers.CharField()
    price_fen = serializers.IntegerField()
    market_price_fen = serializers.IntegerField(allow_null=True)
    sales_count = serializers.IntegerField()
    in_stock = serializers.BooleanField()


def product_card(row: dict[str, Any]) -> dict[str, Any]:
    """A row of ``Product.objects.cards()`` as JSON."""
    card = {name: row[name] for name in ProductCardSerializer._declared_fields if name in row}
    card["cover_url"] = picture_url(row["cover"])
    return card


class OptionSerializer(serializers.Serializer):
    name = serializers.CharField()
    values = serializers.ListField(child=serializers.CharField())


class SkuSerializer(serializers.ModelSerializer):
    options = serializers.DictField(child=serializers.CharField())
    image_url = serializers.SerializerMethodField()

    class Meta:
        model = Sku
        fields = ["id", "code", "options", "price_fen", "market_price_fen", "stock", "image_url"]

    def get_image_url(self, sku: Sku) -> str:
        return picture_url(sku.picture.name)


class ProductSerializer(serializers.ModelSerializer):
    cover_url = serializers.SerializerMethodField()
    brand = BrandSerializer(allow_null=True)
    images = serializers.SerializerMethodField()
    options = OptionSerializer(many=True)
    skus = serializers.SerializerMethodField()

    class Meta:
        model = Product
        fields = [
            "id",
            "name",
            "subtitle",
            "cover_url",
            "price_fen",
            "market_price_fen",
            "sales_count",
            "in_stock",
            "category",
            "brand",
            "images",
            "options",
            "skus",
            "detail_html",
        ]

    def get_cover_url(self, product: Product) -> str:
        return picture_url(product.cover.name)

    def get_images(self, product: Product) -> list[str]:
        return [picture_url(row.picture.name) for row in product.pictures.all()]

    def get_skus(self, product: Product) -> list[dict[str, Any]]:
        return list(SkuSerializer(product.skus.all(), many=True).data)


def category_tree(categories: list[Category]) -> list[dict[str, Any]]:
    """Nest categories that are in order; what hangs below an invisible one is left out."""
    nodes: dict[int, dict[str, Any]] = {
        row.pk: {
            "id": row.pk,
            "name": row.name,
            "picture_url": picture_url(row.picture.name),
            "children": [],
        }
        for row in categories
    }
    roots: list[dict[str, Any]] = []
    for row in categories:
        siblings = roots if row.parent_id is None else nodes.get(row.parent_id, {}).get("children")
        if siblings is not None:
            siblings.append(nodes[row.pk])
    return roots
