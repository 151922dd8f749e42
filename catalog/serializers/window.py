"""The shop window's other shapes: categories, the home page, reviews."""

from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from catalog.models import (
    Banner,
    Category,
    HotKeyword,
    LinkKind,
    Review,
    ReviewSummary,
)
from catalog.serializers.products import ProductCardSerializer
from miniback.core.pictures import picture_url

STAR_GROUPS = {"good": [4, 5], "medium": [3], "bad": [1, 2]}


class CategorySerializer(serializers.Serializer):
    """``children`` has the same shape, to any depth."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    picture_url = serializers.CharField()
    children = serializers.ListField(child=serializers.DictField())


def category_tree(categories: list[Category]) -> list[dict[str, Any]]:
    """Nest categories that are in order; what hangs below an invisible one is left out."""
    nodes: dict[int, dict[str, Any]] = {
        row.pk: {
            "id": row.pk,
            "name": row.name,
            "picture_url": picture_url(row.picture.name, "card"),
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


class LinkSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=LinkKind.choices)
    value = serializers.CharField()


class BannerSerializer(serializers.ModelSerializer):
    image_url = serializers.SerializerMethodField()
    link = serializers.SerializerMethodField()

    class Meta:
        model = Banner
        fields = ["title", "image_url", "link"]

    def get_image_url(self, banner: Banner) -> str:
        return picture_url(banner.picture.name)

    def get_link(self, banner: Banner) -> "dict[str, str]":
        return {"kind": banner.link_kind, "value": banner.link_value}


class ShortcutSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    picture_url = serializers.SerializerMethodField()

    def get_picture_url(self, category: Category) -> str:
        return picture_url(category.picture.name, "card")


class HomeRowSerializer(serializers.Serializer):
    title = serializers.CharField()
    products = ProductCardSerializer(many=True)


class HomeSerializer(serializers.Serializer):
    banners = BannerSerializer(many=True)
    shortcuts = ShortcutSerializer(many=True)
    rows = HomeRowSerializer(many=True)


class HotKeywordSerializer(serializers.ModelSerializer):
    class Meta:
        model = HotKeyword
        fields = ["keyword", "is_highlighted"]


class HotSerializer(serializers.Serializer):
    """``default`` stands in the empty search field."""

    default = serializers.CharField()
    results = HotKeywordSerializer(many=True)


class SuggestionQuery(serializers.Serializer):
    q = serializers.CharField(max_length=50)


class SuggestionsSerializer(serializers.Serializer):
    results = serializers.ListField(child=serializers.CharField())


class ReviewQuery(serializers.Serializer):
    rating = serializers.ChoiceField(
        choices=[*STAR_GROUPS, *"12345"], required=False, help_text="A number of stars, or a group."
    )
    with_images = serializers.BooleanField(default=False)


class FollowUpSerializer(serializers.Serializer):
    text = serializers.CharField()
    image_urls = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()


class ProductReviewSerializer(serializers.Serializer):
    """Describes `product_review`."""

    id = serializers.IntegerField()
    author = serializers.CharField(
        help_text="A nickname; of an anonymous review only `a customer`."
    )
    author_avatar_url = serializers.CharField()
    rating = serializers.IntegerField()
    text = serializers.CharField()
    image_urls = serializers.ListField(child=serializers.CharField())
    sku_options = serializers.DictField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    reply = serializers.CharField()
    follow_up = FollowUpSerializer(allow_null=True)


class ReviewSummarySerializer(serializers.Serializer):
    rating = serializers.FloatField(allow_null=True)
    count = serializers.IntegerField()
    stars = serializers.DictField(child=serializers.IntegerField())
    with_images = serializers.IntegerField()


class ReviewPageSerializer(serializers.Serializer):
    results = ProductReviewSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)
    summary = ReviewSummarySerializer()


def review_summary(summary: ReviewSummary) -> dict[str, Any]:
    return {
        "rating": summary.rating,
        "count": summary.count,
        "stars": {str(rating): number for rating, number in summary.stars.items()},
        "with_images": summary.with_images,
    }


class ShareSerializer(serializers.Serializer):
    code_url = serializers.URLField(help_text="The mini-program code of the product's page.")
    poster_url = serializers.URLField(
        allow_null=True, help_text="With picture, price and name; null where the shop has no font."
    )


def product_review(review: Review, urls: dict[str, str]) -> dict[str, Any]:
    """A review as everybody may see it; ``urls`` maps upload ids to URLs. Reads user and SKU."""
    author, avatar = _("a customer"), ""
    if not review.is_anonymous:
        author = review.user.nickname or author
        if review.user.is_avatar_shown:
            avatar = urls.get(review.user.avatar_id or "", "")
    return {
        "id": review.pk,
        "author": author,
        "author_avatar_url": avatar,
        "rating": review.rating,
        "text": review.text,
        "image_urls": [urls[name] for name in review.images if name in urls],
        "sku_options": review.sku.options,
        "created_at": review.created_at,
        "reply": review.reply,
        "follow_up": review.followed_up_at
        and {
            "text": review.follow_up,
            "image_urls": [urls[name] for name in review.follow_up_images if name in urls],
            "created_at": review.followed_up_at,
        },
    }
