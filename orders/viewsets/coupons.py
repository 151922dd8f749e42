"""Coupons."""

from functools import partial
from typing import Any

from django.db.models import Count, IntegerField, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from miniback.core.errors import KeyMismatch, NotFound, Throttled
from miniback.core.idempotency import run_request_once
from miniback.core.schema import describe, idempotency_key, path_id
from orders.models import ClaimedCoupon, Coupon, CouponSource
from orders.serializers import (
    ClaimedCouponSerializer,
    CouponSerializer,
    MyCouponsQuery,
    RedeemInput,
)
from orders.services import coupons

REFUSALS: list[Any] = [
    coupons.CouponEnded, coupons.CouponsGone, coupons.CouponLimit, KeyMismatch,
]  # fmt: skip


class CouponViewSet(GenericViewSet):
    serializer_class = CouponSerializer
    queryset = Coupon.objects.none()
    lookup_value_regex = r"[0-9]{1,18}"
    ordering = "-id"

    @describe("List coupons to claim", answers={200: CouponSerializer(many=True)})
    def list(self, request: Request) -> Response:
        """Newest first. Coupons for new customers are in `coupons/mine/` without claiming."""
        had = (
            ClaimedCoupon.objects.for_customer(request.user)
            .filter(coupon=OuterRef("pk"))
            .order_by()
            .values("coupon")
            .annotate(count=Count("pk"))
            .values("count")
        )
        offered = Coupon.objects.running(timezone.now()).filter(source=CouponSource.CLAIM)
        page = self.paginate_queryset(
            offered.annotate(had=Coalesce(Subquery(had, output_field=IntegerField()), 0))
        )
        return self.get_paginated_response(CouponSerializer(page, many=True).data)

    @describe(
        "List my coupons",
        answers={200: ClaimedCouponSerializer(many=True)},
        parameters=[MyCouponsQuery],
    )
    @action(methods=["get"], detail=False)
    def mine(self, request: Request) -> Response:
        """Newest first; those that can still be used, were used, or are over."""
        query = MyCouponsQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        coupons.welcome(request.user)
        mine = ClaimedCoupon.objects.for_customer(request.user).select_related("coupon")
        in_state = getattr(mine, query.validated_data["state"])(timezone.now())
        page = self.paginate_queryset(in_state)
        return self.get_paginated_response(ClaimedCouponSerializer(page, many=True).data)

    @describe(
        "Claim a coupon",
        answers={201: ClaimedCouponSerializer},
        errors=[NotFound, *REFUSALS],
        parameters=[path_id(), idempotency_key()],
    )
    @action(methods=["post"], detail=True)
    def claim(self, request: Request, pk: str) -> Response:
        """Gives this customer one of them."""
        claim = partial(coupons.claim_coupon, request.user, int(pk))
        return _given(run_request_once(request, claim).made)

    @describe(
        "Redeem a code",
        request=RedeemInput,
        answers={201: ClaimedCouponSerializer},
        errors=[NotFound, *REFUSALS, Throttled],
        sends={"code": "SPRING2026"},
        parameters=[idempotency_key()],
    )
    @action(methods=["post"], detail=False)
    def redeem(self, request: Request) -> Response:
        """Letter case and width do not matter; ten tries a minute."""
        form = RedeemInput(data=request.data)
        form.is_valid(raise_exception=True)
        redeem = partial(coupons.redeem_code, request.user, form.validated_data["code"])
        return _given(run_request_once(request, redeem).made)


def _given(claimed: ClaimedCoupon) -> Response:
    return Response(ClaimedCouponSerializer(claimed).data, status=status.HTTP_201_CREATED)
