"""Payments."""

from django.db.models import QuerySet
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from miniback.core.errors import NotFound, PlatformUnavailable, Throttled
from miniback.core.schema import describe, path_id
from orders.models import Payment
from orders.serializers import PaymentSerializer
from orders.services.settlement import check_payment_for_customer

NUMBER = path_id("number", text=True)


class PaymentViewSet(GenericViewSet):
    serializer_class = PaymentSerializer
    queryset = Payment.objects.none()
    lookup_field = "number"
    lookup_value_regex = r"[0-9A-Z]{1,32}"

    def get_queryset(self) -> QuerySet[Payment]:
        return Payment.objects.for_customer(self.request.user).select_related("order")

    @describe(
        "Ask whether a payment was made",
        answers={200: PaymentSerializer},
        errors=[NotFound, Throttled, PlatformUnavailable],
        parameters=[NUMBER],
    )
    @action(methods=["post"], detail=True)
    def check(self, request: Request, number: str) -> Response:
        """Asks the platform now, at most once in two seconds."""
        checked = check_payment_for_customer(self.get_object())
        return Response(PaymentSerializer(checked).data)
