"""Products in JSON, and the questions the product list answers."""

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from catalog.models import ReviewSummary
from miniback.core.pictures import picture_url
from miniback.core.serializers import FenInputField, IdField

ORDERINGS = ["-published_at", "price_fen", "-price_fen", "-sales_count", "-relevance"]
RELEVANCE = "-relevance"


class ProductQuery(serializers.Serializer):
    category = IdField(required=False, help_text="With everything below it.")
    brand = IdField(required=False)
    search = serializers.CharField(required=False, max_length=50, allow_blank=True, default="")
    tag = serializers.CharField(required=False, max_length=30)
    attribute = serializers.CharField(
        required=False, max_length=200, help_text="`材质:纯棉`; several with commas between them."
    )
    min_price_fen = FenInputField(required=False)
    max_price_fen = FenInputField(required=False)
    in_stock = serializers.BooleanField(required=False, allow_null=True, default=None)
    ordering = serializers.ChoiceField(
        choices=ORDERINGS, required=False, help_text="A search's default is relevance."
    )
    facets = serializers.BooleanField(
        default=False,
        help_text="Of the first page: categories, brands and prices of what is found.",
    )

    def validate_attribute(self, value: str) -> list[tuple[str, str]]:
        pairs = [pair.partition(":") for pair in value.split(",")]
        if not all(name and value for name, _colon, value in pairs) or len(pairs) > 5:
            raise serializers.ValidationError(_("Write name:value, up to five of them."))
        return [(name, value) for name, _colon, value in pairs]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        has_text = bool(attrs["search"].strip())
        attrs.setdefault("ordering", RELEVANCE if has_text else ORDERINGS[0])
        if attrs["ordering"] == RELEVANCE and not has_text:
            raise serializers.ValidationError({"ordering": _("Only a search has a relevance.")})
        return attrs


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
    return {
        "id": row["id"],
        "name": row["name"],
        "subtitle": row["subtitle"],
        "cover_url": picture_url(row["cover"], "card"),
        "price_fen": row["price_fen"],
        "market_price_fen": row["market_price_fen"],
        "sales_count": row["sales_count"],
        "in_stock": row["in_stock"],
    }


class CountedSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    count = serializers.IntegerField()


class PriceBandSerializer(serializers.Serializer):
    min_price_fen = serializers.IntegerField()
    max_price_fen = serializers.IntegerField()
    count = serializers.IntegerField()


class FacetsSerializer(serializers.Serializer):
    """Of at most a thousand products found; `is_complete` says whether that was all."""

    categories = CountedSerializer(many=True)
    brands = CountedSerializer(many=True)
    price_bands = PriceBandSerializer(many=True)
    is_complete = serializers.BooleanField()


class ProductPageSerializer(serializers.Serializer):
    """``facets`` where asked for; ``suggestions`` where a search found nothing."""

    results = ProductCardSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)
    facets = FacetsSerializer(required=False)
    suggestions = serializers.ListField(child=serializers.CharField(), required=False)


class BrandSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    logo_url = serializers.CharField()


def brand_card(brand_id: int, name: str, logo: str) -> dict[str, Any]:
    return {"id": brand_id, "name": name, "logo_url": picture_url(logo, "thumb")}


class OptionSerializer(serializers.Serializer):
    name = serializers.CharField()
    values = serializers.ListField(child=serializers.CharField())


class SkuSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    code = serializers.CharField()
    options = serializers.DictField(child=serializers.CharField())
    price_fen = serializers.IntegerField()
    market_price_fen = serializers.IntegerField(allow_null=True)
    stock = serializers.IntegerField()
    image_url = serializers.CharField()


class ProductSerializer(ProductCardSerializer):
    """Describes `product_detail`."""

    category = serializers.IntegerField()
    brand = BrandSerializer(allow_null=True)
    tags = serializers.ListField(child=serializers.CharField())
    attributes = serializers.DictField()
    images = serializers.ListField(child=serializers.CharField())
    options = OptionSerializer(many=True)
    skus = SkuSerializer(many=True)
    detail_html = serializers.CharField()
    rating = serializers.FloatField(allow_null=True)
    review_count = serializers.IntegerField()


def product_detail(
    row: dict[str, Any],
    *,
    pictures: Iterable[dict[str, Any]],
    options: list[dict[str, Any]],
    skus: Iterable[dict[str, Any]],
) -> dict[str, Any]:
    """A row of ``Product.objects.details()`` and what hangs on it, as JSON."""
    stars = {f"stars_{n}": row[f"review_summary__stars_{n}"] or 0 for n in range(1, 6)}
    summary = ReviewSummary(**stars)
    return {
        **product_card(row),
        "category": row["category_id"],
        "brand": row["brand_id"]
        and brand_card(row["brand_id"], row["brand__name"], row["brand__logo"]),
        "tags": row["tags"],
        "attributes": row["attributes"],
        "images": [picture_url(picture["picture"]) for picture in pictures],
        "options": options,
        "skus": [sku_card(sku) for sku in skus],
        "detail_html": row["detail_html"],
        "rating": summary.rating,
        "review_count": summary.count,
    }


SKU_COLUMNS = ["id", "code", "options", "price_fen", "market_price_fen", "stock", "picture"]


def sku_card(row: dict[str, Any]) -> dict[str, Any]:
    card = dict(row)
    card["image_url"] = picture_url(card.pop("picture"), "card")
    return card
