"""Cart, orders, payments, and the platforms' callbacks."""

from typing import Any

from django.db.models import Prefetch, QuerySet, Sum
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import OpenApiParameter
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from catalog.services import OutOfStock
from miniback.core.errors import KeyMismatch, NotFound, PayloadTooLarge, Throttled
from miniback.core.idempotency import run_once
from miniback.core.schema import describe, path_id
from miniback.platforms.errors import Misconfigured, NoticeRejected
from orders.models import CartLine, Order, OrderEvent, OrderLine, Payment, Shipment
from orders.serializers import (
    CancelInput,
    CartCountSerializer,
    CartLineChange,
    CartLineInput,
    CartLineSerializer,
    CartSelection,
    CartSerializer,
    OrderCardSerializer,
    OrderInput,
    OrderQuery,
    OrderSerializer,
    PayInput,
    PaymentSerializer,
    PayRequestSerializer,
    QuoteInput,
    QuoteSerializer,
)
from orders.services import cart, checkout, notices, payment
from orders.services.cancellation import cancel_order
from orders.services.channels import PlatformUnavailable
from orders.services.fulfillment import confirm_receipt
from orders.services.life import OrderStatusConflict
from orders.status import Actor

MAX_NOTICE_BYTES = 64 * 1024
NUMBER = path_id("number", text=True)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="Made when the confirm page opens, kept until it is answered; 8 to 64 characters.",
)


class CartViewSet(GenericViewSet):
    serializer_class = CartSerializer

    @describe("Read my cart", answers={200: CartSerializer})
    def retrieve(self, request: Request) -> Response:
        """Prices are today's; a line that cannot be bought says why in `problem`."""
        lines = list(CartLine.objects.for_customer(request.user).with_sku().order_by("-id"))
        goods_fen = sum(
            line.sku.price_fen * line.quantity
            for line in lines
            if line.is_selected and not line.problem
        )
        count = sum(line.quantity for line in lines)
        body = {"lines": lines, "goods_fen": goods_fen, "count": count}
        return Response(CartSerializer(body).data)

    @describe("Count the pieces in my cart", answers={200: CartCountSerializer})
    @action(methods=["get"], detail=False)
    def count(self, request: Request) -> Response:
        """One small query, for the badge on every page."""
        pieces = CartLine.objects.for_customer(request.user).aggregate(count=Sum("quantity"))
        return Response({"count": pieces["count"] or 0})

    @describe("Tick or untick lines", request=CartSelection, answers={204: None})
    @action(methods=["put"], detail=False)
    def selection(self, request: Request) -> Response:
        """`lines` are ids of cart lines, or null for all."""
        form = CartSelection(data=request.data)
        form.is_valid(raise_exception=True)
        cart.select_in_cart(request.user, **form.validated_data)
        return Response(status=status.HTTP_204_NO_CONTENT)


class CartLineViewSet(GenericViewSet):
    serializer_class = CartLineSerializer
    queryset = CartLine.objects.none()
    lookup_value_regex = r"[0-9]{1,18}"

    @describe(
        "Put into the cart",
        request=CartLineInput,
        answers={201: CartLineSerializer},
        errors=[cart.NotBuyable, cart.CartFull, cart.TooMany],
    )
    def create(self, request: Request) -> Response:
        """Adds to the line that is there."""
        form = CartLineInput(data=request.data)
        form.is_valid(raise_exception=True)
        sku, quantity = form.validated_data["sku"], form.validated_data["quantity"]
        line = cart.add_to_cart(request.user, sku_id=sku, quantity=quantity)
        return Response(CartLineSerializer(line).data, status=status.HTTP_201_CREATED)

    @describe(
        "Change a cart line",
        request=CartLineChange,
        answers={200: CartLineSerializer},
        errors=[NotFound],
        parameters=[path_id()],
    )
    def update(self, request: Request, pk: str) -> Response:
        """Send both fields."""
        form = CartLineChange(data=request.data)
        form.is_valid(raise_exception=True)
        line = cart.change_cart_line(request.user, int(pk), **form.validated_data)
        return Response(CartLineSerializer(line).data)

    @describe("Remove a cart line", answers={204: None}, errors=[NotFound], parameters=[path_id()])
    def destroy(self, request: Request, pk: str) -> Response:
        """Removes the line with all its pieces."""
        cart.remove_from_cart(request.user, int(pk))
        return Response(status=status.HTTP_204_NO_CONTENT)


class OrderViewSet(GenericViewSet):
    serializer_class = OrderSerializer
    queryset = Order.objects.none()
    lookup_field = "number"
    lookup_value_regex = r"[0-9A-Z]{1,32}"
    ordering = "-id"

    def get_queryset(self) -> QuerySet[Order]:
        return Order.objects.for_customer(self.request.user)

    @describe(
        "Price an order",
        request=QuoteInput,
        answers={200: QuoteSerializer},
        errors=[checkout.CartEmpty, checkout.OrderTooLarge],
    )
    @action(methods=["post"], detail=False)
    def quote(self, request: Request) -> Response:
        """What an order would cost, and what stands in its way; reserves nothing.

        Send `lines` to buy at once, or `from_cart: true` for the cart's selected lines.
        """
        form = QuoteInput(data=request.data)
        form.is_valid(raise_exception=True)
        quoted = checkout.quote(request.user, quantities=form.validated_data["quantities"])
        return Response(QuoteSerializer(quoted).data)

    @describe(
        "Place an order",
        request=OrderInput,
        answers={201: OrderSerializer, 200: OrderSerializer},
        errors=[
            OutOfStock,
            cart.NotBuyable,
            checkout.PriceChanged,
            checkout.CartEmpty,
            checkout.OrderTooLarge,
            checkout.NothingToPay,
            NotFound,
            KeyMismatch,
        ],
        parameters=[IDEMPOTENCY_KEY],
    )
    def create(self, request: Request) -> Response:
        """Takes the stock and holds it until `pay_before`.

        Repeat a request whose answer was lost with the same `Idempotency-Key`: 200 with the order
        that was placed. `payable_fen` is what the customer saw; if it is no longer true, 409
        `price_changed`.
        """
        form = OrderInput(data=request.data)
        form.is_valid(raise_exception=True)
        wanted = dict(form.validated_data)
        outcome = run_once(
            user=request.user,
            key=request.headers.get("Idempotency-Key", ""),
            body={"operation": "place_order", **wanted},
            act=lambda: checkout.place_order(
                request.user,
                quantities=wanted["quantities"],
                address_id=wanted["address"],
                payable_fen=wanted["payable_fen"],
                note=wanted["note"],
            ),
        )
        code = status.HTTP_200_OK if outcome.is_replay else status.HTTP_201_CREATED
        return self._answer(outcome.made, code)

    @describe(
        "List my orders",
        answers={200: OrderCardSerializer(many=True)},
        parameters=[OrderQuery],
    )
    def list(self, request: Request) -> Response:
        """Newest first."""
        query = OrderQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        orders = self.get_queryset().filter(**query.validated_data).prefetch_related(_lines())
        page = self.paginate_queryset(orders)
        return self.get_paginated_response(OrderCardSerializer(page, many=True).data)

    @describe(
        "Read an order", answers={200: OrderSerializer}, errors=[NotFound], parameters=[NUMBER]
    )
    def retrieve(self, request: Request, number: str) -> Response:
        """`actions` are the buttons to show; `events` tell its story."""
        return Response(OrderSerializer(get_object_or_404(self._whole(), number=number)).data)

    @describe(
        "Pay an order",
        request=PayInput,
        answers={200: PayRequestSerializer},
        errors=[
            NotFound,
            OrderStatusConflict,
            payment.PaymentExpired,
            payment.WrongPlatform,
            PlatformUnavailable,
        ],
        parameters=[NUMBER],
    )
    @action(methods=["post"], detail=True)
    def pay(self, request: Request, number: str) -> Response:
        """Gives what `wx.requestPayment` needs. Its success means nothing: ask `payments/{number}/check/`."""
        form = PayInput(data=request.data)
        form.is_valid(raise_exception=True)
        asked = payment.start_payment(
            self.get_object(), channel=form.validated_data["channel"], payer=_identity(request)
        )
        return Response(PayRequestSerializer(asked).data)

    @describe(
        "Cancel an order",
        request=CancelInput,
        answers={200: OrderSerializer},
        errors=[NotFound, OrderStatusConflict],
        parameters=[NUMBER],
    )
    @action(methods=["post"], detail=True)
    def cancel(self, request: Request, number: str) -> Response:
        """Only while it waits for payment. Money that arrives nevertheless goes back by itself."""
        form = CancelInput(data=request.data)
        form.is_valid(raise_exception=True)
        order = cancel_order(
            self.get_object(),
            actor=Actor.CUSTOMER,
            user=request.user,
            reason=form.validated_data["reason"],
        )
        return self._answer(order)

    @describe(
        "Confirm receipt",
        answers={200: OrderSerializer},
        errors=[NotFound, OrderStatusConflict],
        parameters=[NUMBER],
    )
    @action(methods=["post"], detail=True, url_path="confirm-receipt")
    def confirm_receipt(self, request: Request, number: str) -> Response:
        """The parcel is here; the order is completed."""
        order = confirm_receipt(self.get_object(), actor=Actor.CUSTOMER, user=request.user)
        return self._answer(order)

    def _answer(self, order: Order, code: int = status.HTTP_200_OK) -> Response:
        return Response(OrderSerializer(self._whole().get(pk=order.pk)).data, status=code)

    def _whole(self) -> QuerySet[Order]:
        """Orders with everything that an order's page shows."""
        return self.get_queryset().prefetch_related(
            _lines(),
            Prefetch("events", OrderEvent.objects.order_by("id")),
            Prefetch("shipments", Shipment.objects.select_related("carrier").order_by("id")),
            "payments__refunds",
        )


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
        checked = payment.check_payment_for_customer(self.get_object())
        return Response(PaymentSerializer(checked).data)


@method_decorator(csrf_exempt, name="dispatch")
class WeChatPayCallback(View):
    """WeChat Pay's notices, in its own format: the status is what counts.

    Not a view of the API: no cookie, no token, no parser stands before the raw body.
    """

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not length.isdigit() or int(length) > MAX_NOTICE_BYTES:
            return JsonResponse({"code": "FAIL", "message": PayloadTooLarge.code}, status=413)
        try:
            notices.receive_wechatpay_notice(request.headers, request.body)
        except NoticeRejected as error:
            code = 400 if error.code == "BAD_RESOURCE" else 401
            return JsonResponse({"code": "FAIL", "message": error.code}, status=code)
        except Misconfigured:
            return JsonResponse({"code": "FAIL", "message": "NOT_READY"}, status=503)
        return HttpResponse(status=204)


def _lines() -> Prefetch:
    return Prefetch("lines", OrderLine.objects.order_by("id"))


def _identity(request: Request) -> Any:
    """The identity this session logged in with: its openid pays."""
    return request.auth.identity  # type: ignore[union-attr]
