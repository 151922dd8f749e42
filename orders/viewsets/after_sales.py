"""What a customer does with an order once it was paid: ask for a refund, review."""

from typing import Any

from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from miniback.core.errors import NotFound
from miniback.core.schema import describe, path_id
from orders.serializers import (
    RefundDetailSerializer,
    RefundInput,
    ReviewSerializer,
    ReviewsInput,
)
from orders.services import after_sales, reviews
from orders.services.life import OrderStatusConflict

NUMBER = path_id("number", text=True)


class AfterSalesActions:
    """Part of `OrderViewSet`, whose rows are the customer's own."""

    get_object: Any

    @describe(
        "Ask for a refund",
        request=RefundInput,
        answers={201: RefundDetailSerializer},
        errors=[
            NotFound,
            OrderStatusConflict,
            after_sales.OverRefund,
            after_sales.RefundWindowOver,
        ],
        sends={
            "lines": [{"line": 31, "quantity": 1}],
            "kind": "refund_only",
            "reason": "不想要了",
            "images": [],
        },
        parameters=[NUMBER],
    )
    @action(methods=["post"], detail=True)
    def refunds(self, request: Request, number: str) -> Response:
        """For pieces of lines, as often as pieces are left; staff decide.

        `refund_only` before shipment or without sending back, `return` to send the goods back.
        """
        form = RefundInput(data=request.data)
        form.is_valid(raise_exception=True)
        wanted = dict(form.validated_data)
        refund = after_sales.request_refund(
            self.get_object(), quantities=wanted.pop("lines"), **wanted
        )
        return Response(RefundDetailSerializer(refund).data, status=status.HTTP_201_CREATED)

    @describe(
        "Review what was bought",
        request=ReviewsInput,
        answers={201: ReviewSerializer(many=True)},
        errors=[
            NotFound,
            OrderStatusConflict,
            reviews.AlreadyReviewed,
            reviews.NothingKept,
        ],
        sends={
            "reviews": [
                {"line": 31, "rating": 5, "text": "很香", "images": [], "is_anonymous": False}
            ]
        },
        parameters=[NUMBER],
    )
    @action(methods=["post"], detail=True)
    def reviews(self, request: Request, number: str) -> Response:
        """Of a completed order, each line once; all of them or none."""
        form = ReviewsInput(data=request.data)
        form.is_valid(raise_exception=True)
        written = reviews.review_order(
            self.get_object(), reviews=form.validated_data["reviews"], user=request.user
        )
        return Response(ReviewSerializer(written, many=True).data, status=status.HTTP_201_CREATED)
