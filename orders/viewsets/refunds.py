"""A customer's refunds."""

from django.db.models import Prefetch, QuerySet
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from miniback.core.errors import NotFound
from miniback.core.schema import describe, path_id
from orders.models import Refund, RefundLine
from orders.serializers import RefundDetailSerializer, ReturnParcelInput
from orders.services import after_sales

NUMBER = path_id("number", text=True)


class RefundViewSet(GenericViewSet):
    serializer_class = RefundDetailSerializer
    queryset = Refund.objects.none()
    lookup_field = "number"
    lookup_value_regex = r"[0-9A-Z]{1,64}"
    ordering = "-id"

    def get_queryset(self) -> QuerySet[Refund]:
        lines = RefundLine.objects.select_related("line").order_by("line_id")
        mine: QuerySet[Refund] = Refund.objects.for_customer(self.request.user)
        return mine.select_related("order").prefetch_related(Prefetch("lines", lines))

    @describe("List my refunds", answers={200: RefundDetailSerializer(many=True)})
    def list(self, request: Request) -> Response:
        """Newest first."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(RefundDetailSerializer(page, many=True).data)

    @describe(
        "Read a refund",
        answers={200: RefundDetailSerializer},
        errors=[NotFound],
        parameters=[NUMBER],
    )
    def retrieve(self, request: Request, number: str) -> Response:
        """`decision` is what staff answered; `actions` are the buttons to show."""
        return Response(RefundDetailSerializer(self.get_object()).data)

    @describe(
        "Withdraw a refund",
        answers={200: RefundDetailSerializer},
        errors=[NotFound, after_sales.RefundStatusConflict],
        parameters=[NUMBER],
    )
    @action(methods=["post"], detail=True)
    def withdraw(self, request: Request, number: str) -> Response:
        """Until staff have agreed, or while goods are still to come back."""
        after_sales.withdraw_refund(self.get_object())
        return Response(RefundDetailSerializer(self.get_object()).data)

    @describe(
        "Register the return parcel",
        request=ReturnParcelInput,
        answers={200: RefundDetailSerializer},
        errors=[NotFound, after_sales.RefundStatusConflict],
        sends={"carrier": "顺丰速运", "tracking_number": "SF1234567890"},
        parameters=[NUMBER],
    )
    @action(methods=["post"], detail=True, url_path="return-parcel")
    def return_parcel(self, request: Request, number: str) -> Response:
        """After staff agreed to a return: how the goods come back."""
        form = ReturnParcelInput(data=request.data)
        form.is_valid(raise_exception=True)
        after_sales.register_return(self.get_object(), **form.validated_data)
        return Response(RefundDetailSerializer(self.get_object()).data)
