"""Coupons in JSON."""

from typing import Any

from django.utils import timezone
from rest_framework import serializers

from miniback.core.serializers import as_json
from orders.models import ClaimedCoupon, Coupon

TERMS = ["name", "kind", "threshold_fen", "amount_fen", "percent_off", "max_discount_fen", "scope"]


class CouponSerializer(serializers.ModelSerializer):
    """An offer that can be claimed."""

    left = serializers.SerializerMethodField(help_text="How many can still be had; null: no limit.")
    may_claim = serializers.SerializerMethodField(help_text="Whether this customer may have one.")

    class Meta:
        model = Coupon
        fields = ["id", *TERMS, "starts_on", "ends_on", "valid_days", "left", "may_claim"]

    def get_left(self, coupon: Coupon) -> int | None:
        return None if coupon.quota is None else coupon.quota - coupon.claimed_count

    def get_may_claim(self, coupon: Coupon) -> bool:
        has = coupon.had  # type: ignore[attr-defined]
        return bool(has < coupon.per_customer and self.get_left(coupon) != 0)


class ClaimedCouponSerializer(serializers.ModelSerializer):
    """A customer's copy: its ``id`` is what a quote and an order take."""

    name = serializers.CharField(source="coupon.name")
    kind = serializers.CharField(source="coupon.kind")
    threshold_fen = serializers.IntegerField(source="coupon.threshold_fen")
    amount_fen = serializers.IntegerField(source="coupon.amount_fen")
    percent_off = serializers.IntegerField(source="coupon.percent_off")
    max_discount_fen = serializers.IntegerField(source="coupon.max_discount_fen", allow_null=True)
    scope = serializers.CharField(source="coupon.scope")
    state = serializers.SerializerMethodField(help_text="`usable`, `used` or `expired`.")

    class Meta:
        model = ClaimedCoupon
        fields = ["id", *TERMS, "state", "claimed_at", "valid_from", "valid_until", "used_at"]

    def get_state(self, claimed: ClaimedCoupon) -> str:
        if claimed.used_at:
            return "used"
        return "expired" if claimed.valid_until <= timezone.now() else "usable"


class QuotedCouponSerializer(serializers.Serializer):
    """One of the customer's coupons beside a quote."""

    saves_fen = serializers.IntegerField()
    reason = serializers.CharField(
        help_text="Why it takes nothing off: `not_yet_valid`, `out_of_scope`, `below_threshold`, "
        "`no_freight`; empty when it can be used."
    )

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return {
            **as_json(ClaimedCouponSerializer, instance.claimed),
            **super().to_representation(instance),
        }


class RedeemInput(serializers.Serializer):
    code = serializers.CharField(max_length=64)


class MyCouponsQuery(serializers.Serializer):
    state = serializers.ChoiceField(choices=["usable", "used", "expired"], default="usable")
