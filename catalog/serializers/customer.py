"""What a customer keeps of the shop window, in JSON."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from catalog.models import ProductStatus, Review, SearchHistory
from catalog.serializers.products import ProductCardSerializer, product_card
from catalog.words import MAX_QUERY, normalise
from miniback.core.serializers import IdField


class FavouriteQuery(serializers.Serializer):
    product = serializers.RegexField(
        r"^[0-9]{1,18}(,[0-9]{1,18}){0,49}$",
        required=False,
        help_text="Only these product ids, such as 1,2,3 (up to 50): which of them are favourites?",
    )

    def validate_product(self, value: str) -> list[int]:
        return [int(word) for word in value.split(",")]


class KeptProductSerializer(ProductCardSerializer):
    """Describes `kept_product`; ``is_on_sale`` false: it is shown, and cannot be bought."""

    is_on_sale = serializers.BooleanField()
    kept_at = serializers.DateTimeField()


def kept_product(row: dict[str, Any], moment: str) -> dict[str, Any]:
    """A row of a favourite or footprint, with its product's columns below ``product__``."""
    start = "product__"
    product = {k.removeprefix(start): v for k, v in row.items() if k.startswith(start)}
    is_on_sale = product["status"] == ProductStatus.ON_SALE
    return {**product_card(product), "is_on_sale": is_on_sale, "kept_at": row[moment]}


class FootprintInput(serializers.Serializer):
    product = IdField()


class SearchInput(serializers.Serializer):
    keyword = serializers.CharField(max_length=MAX_QUERY)

    def validate_keyword(self, value: str) -> str:
        if not normalise(value):
            raise serializers.ValidationError(_("Enter a word."))
        return value


class SearchHistorySerializer(serializers.ModelSerializer):
    class Meta:
        model = SearchHistory
        fields = ["keyword", "searched_at"]


class SearchHistoryListSerializer(serializers.Serializer):
    results = SearchHistorySerializer(many=True)


class FollowUpInput(serializers.Serializer):
    text = serializers.CharField(max_length=1000)
    images = serializers.ListField(
        child=serializers.CharField(max_length=22),
        max_length=9,
        default=list,
        help_text="Upload ids.",
    )


class MyReviewSerializer(serializers.ModelSerializer):
    product_name = serializers.CharField(source="product.name")

    class Meta:
        model = Review
        fields = [
            "id",
            "product",
            "product_name",
            "sku",
            "rating",
            "text",
            "images",
            "is_anonymous",
            "created_at",
            "reply",
            "follow_up",
            "follow_up_images",
            "followed_up_at",
        ]
