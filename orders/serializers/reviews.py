"""Reviews of bought lines in JSON."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from catalog.models import Review
from miniback.core.serializers import IdField, StrictIntegerField


class ReviewInput(serializers.Serializer):
    line = IdField(help_text="Id of a line of the order.")
    rating = StrictIntegerField(min_value=1, max_value=5)
    text = serializers.CharField(max_length=1000, required=False, allow_blank=True, default="")
    images = serializers.ListField(
        child=serializers.CharField(max_length=22),
        max_length=9,
        default=list,
        help_text="Upload ids.",
    )
    is_anonymous = serializers.BooleanField(default=False)


class ReviewsInput(serializers.Serializer):
    reviews = serializers.ListField(child=ReviewInput(), allow_empty=False, max_length=100)

    def validate_reviews(self, reviews: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len({review["line"] for review in reviews}) != len(reviews):
            raise serializers.ValidationError(_("A line stands twice."))
        return reviews


class ReviewSerializer(serializers.ModelSerializer):
    class Meta:
        model = Review
        fields = ["id", "product", "sku", "rating", "text", "images", "is_anonymous", "created_at"]
