"""What a customer does with an order once it was paid: ask for a refund, review."""

from functools import partial
from typing import Any

from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from miniback.core.errors import KeyMismatch, NotFound
from miniback.core.idempotency import run_request_once
from miniback.core.schema import describe, idempotency_key, path_id
from orders.models import Order
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
            KeyMismatch,
        ],
        sends={
            "lines": [{"line": 31, "quantity": 1}],
            "kind": "refund_only",
            "reason": "不想要了",
            "images": [],
        },
        parameters=[NUMBER, idempotency_key(is_required=True)],
    )
    @action(methods=["post"], detail=True)
    def refunds(self, request: Request, number: str) -> Response:
        """For pieces of lines, as often as pieces are left; staff decide.

        `refund_only` before shipment or without sending back, `return` to send the goods back. Repeat
        a request whose answer was lost with the same `Idempotency-Key`: it is asked for once.
        """
        order = self.get_object()
        form = RefundInput(data=request.data)
        form.is_valid(raise_exception=True)
        wanted = dict(form.validated_data)
        quantities = wanted.pop("lines")
        outcome = run_request_once(
            request,
            partial(after_sales.request_refund, order, quantities=quantities, **wanted),
            is_required=True,
        )
        answer = RefundDetailSerializer(outcome.made).data
        return Response(answer, status=status.HTTP_201_CREATED)

    @describe(
        "Review what was bought",
        request=ReviewsInput,
        answers={201: ReviewSerializer(many=True)},
        errors=[
            NotFound,
            OrderStatusConflict,
            reviews.AlreadyReviewed,
            reviews.NothingKept,
            KeyMismatch,
        ],
        sends={
            "reviews": [
                {"line": 31, "rating": 5, "text": "很香", "images": [], "is_anonymous": False}
            ]
        },
        parameters=[NUMBER, idempotency_key()],
    )
    @action(methods=["post"], detail=True)
    def reviews(self, request: Request, number: str) -> Response:
        """Of a completed order, each line once; all of them or none."""
        order: Order = self.get_object()
        form = ReviewsInput(data=request.data)
        form.is_valid(raise_exception=True)
        wanted = form.validated_data["reviews"]

        def review() -> Order:
            reviews.review_order(order, reviews=wanted, user=request.user)
            return order

        run_request_once(request, review)
        written = reviews.reviews_of(order, [row["line"] for row in wanted])
        return Response(ReviewSerializer(written, many=True).data, status=status.HTTP_201_CREATED)
