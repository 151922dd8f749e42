"""Orders."""

from typing import Any

from django.db.models import Count, Prefetch, prefetch_related_objects
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from catalog.services.stock import OutOfStock
from miniback.core.errors import KeyMismatch, NotFound, PlatformUnavailable
from miniback.core.idempotency import run_once, run_request_once
from miniback.core.models import knows
from miniback.core.schema import describe, idempotency_key
from miniback.core.serializers import as_json, as_json_list, parse
from orders.models import Order, OrderEvent, OrderEventKind, OrderLine, Shipment
from orders.models.order import OrderQuerySet
from orders.serializers import (
    CancelInput,
    OrderCardSerializer,
    OrderCountsSerializer,
    OrderInput,
    OrderQuery,
    OrderSerializer,
    PayInput,
    PayRequestSerializer,
    QuoteInput,
    QuoteSerializer,
)
from orders.services import cart, checkout, payment
from orders.services.cancellation import cancel_order
from orders.services.fulfillment import confirm_receipt, hide_order
from orders.services.life import OrderStatusConflict
from orders.status import Actor, OrderStatus
from orders.viewsets.after_sales import NUMBER, AfterSalesActions


class OrderViewSet(AfterSalesActions, GenericViewSet):
    serializer_class = OrderSerializer
    queryset = Order.objects.none()
    lookup_field = "number"
    lookup_value_regex = r"[0-9A-Z]{1,32}"
    ordering = "-id"

    def get_queryset(self) -> OrderQuerySet:
        return Order.objects.for_customer(self.request.user)

    @describe(
        "Price an order",
        request=QuoteInput,
        answers={200: QuoteSerializer},
        errors=[NotFound, checkout.CartEmpty, checkout.OrderTooLarge],
        sends={"lines": [{"sku": 12, "quantity": 2}], "address": 5},
    )
    @action(methods=["post"], detail=False)
    def quote(self, request: Request) -> Response:
        """What an order would cost, and what stands in its way; reserves nothing.

        Send `lines` to buy at once, or `from_cart: true` for the cart's selected lines.
        """
        form = QuoteInput(data=request.data)
        form.is_valid(raise_exception=True)
        quoted = checkout.quote(
            request.user,
            quantities=form.validated_data["quantities"],
            address_id=form.validated_data["address"],
            coupon_id=form.validated_data["coupon"],
        )
        return Response(QuoteSerializer(quoted).data)

    @describe(
        "Place an order",
        request=OrderInput,
        answers={201: OrderSerializer, 200: OrderSerializer},
        errors=[
            OutOfStock,
            cart.NotBuyable,
            checkout.PriceChanged,
            checkout.NotDelivered,
            checkout.CartEmpty,
            checkout.OrderTooLarge,
            checkout.OverLimit,
            checkout.CouponNotUsable,
            NotFound,
            KeyMismatch,
        ],
        sends={"from_cart": True, "address": 5, "note": "轻放", "payable_fen": 3980},
        parameters=[idempotency_key(is_required=True)],
    )
    def create(self, request: Request) -> Response:
        """Takes the stock and holds it until `pay_before`; an order that costs nothing is paid at once.

        Repeat a request whose answer was lost with the same `Idempotency-Key`: 200 with the order
        that was placed. `payable_fen` is what the customer saw; if it is no longer true, 409
        `price_changed`.
        """
        wanted = parse(OrderInput, request.data)
        outcome = run_once(
            user=request.user,
            key=request.headers.get("Idempotency-Key", ""),
            body={"operation": "place_order", **wanted},
            act=lambda: checkout.place_order(
                request.user,
                quantities=wanted["quantities"],
                address_id=wanted["address"],
                coupon_id=wanted["coupon"],
                payable_fen=wanted["payable_fen"],
                note=wanted["note"],
            ),
        )
        code = status.HTTP_200_OK if outcome.is_replay else status.HTTP_201_CREATED
        return _answer(outcome.made, code)

    @describe(
        "List my orders",
        answers={200: OrderCardSerializer(many=True)},
        parameters=[OrderQuery],
    )
    def list(self, request: Request) -> Response:
        """Newest first."""
        wanted = parse(OrderQuery, request.query_params)
        search = wanted.pop("search", "")
        orders = self.get_queryset().visible().filter(**wanted).prefetch_related(_lines())
        if search:
            orders = orders.matching(search)
        page = self.paginate_queryset(orders)
        return self.get_paginated_response(as_json_list(OrderCardSerializer, page or []))

    @describe("Count my orders", answers={200: OrderCountsSerializer})
    @action(methods=["get"], detail=False)
    def counts(self, request: Request) -> Response:
        """By status, for the page "mine"."""
        rows = self.get_queryset().visible().values_list("status").annotate(Count("id"))
        return Response({status: 0 for status in OrderStatus.values} | dict(rows))

    @describe(
        "Remove an order from my list",
        answers={204: None},
        errors=[NotFound, OrderStatusConflict],
        parameters=[NUMBER],
    )
    def destroy(self, request: Request, number: str) -> Response:
        """Only one that is completed or cancelled; it can still be read by its number."""
        hide_order(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @describe(
        "Read an order", answers={200: OrderSerializer}, errors=[NotFound], parameters=[NUMBER]
    )
    def retrieve(self, request: Request, number: str) -> Response:
        """`actions` are the buttons to show; `events` tell its story."""
        return _answer(self.get_object())

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
            KeyMismatch,
        ],
        sends={"channel": "wechat"},
        gives={
            "payment": "P261123K3M9QX4TB0VNWE7A",
            "params": {
                "timeStamp": "1795400000",
                "nonceStr": "5f8a2c",
                "package": "prepay_id=wx23101500000000",
                "signType": "RSA",
                "paySign": "oR9d8...",
            },
        },
        parameters=[NUMBER, idempotency_key()],
    )
    @action(methods=["post"], detail=True)
    def pay(self, request: Request, number: str) -> Response:
        """Gives what `wx.requestPayment` needs. Its success means nothing: ask `payments/{number}/check/`."""
        form = PayInput(data=request.data)
        form.is_valid(raise_exception=True)
        order, channel = self.get_object(), form.validated_data["channel"]
        # Asking twice gives the same payment by itself; the key only keeps to what it stands for.
        run_request_once(request, lambda: None)
        asked = payment.start_payment(order, channel=channel, payer=_identity(request))
        return Response(PayRequestSerializer(asked).data)

    @describe(
        "Cancel an order",
        request=CancelInput,
        answers={200: OrderSerializer},
        errors=[NotFound, OrderStatusConflict],
        sends={"reason": "不想买了"},
        parameters=[NUMBER],
    )
    @action(methods=["post"], detail=True)
    def cancel(self, request: Request, number: str) -> Response:
        """While nothing was paid for it. Money that arrives nevertheless goes back by itself."""
        form = CancelInput(data=request.data)
        form.is_valid(raise_exception=True)
        order = cancel_order(
            self.get_object(),
            actor=Actor.CUSTOMER,
            user=request.user,
            reason=form.validated_data["reason"],
        )
        return _answer(order)

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
        return _answer(order)


def _answer(order: Order, code: int = status.HTTP_200_OK) -> Response:
    """Everything that an order's page shows."""
    if not knows(order, "lines", "events", "shipments", "refunds"):
        _read_details(order)
    return Response(as_json(OrderSerializer, order), status=code)


def _read_details(order: Order) -> None:
    shipments = Shipment.objects.select_related("carrier").prefetch_related("lines").order_by("id")
    # Only what moved the order: why staff changed something is for staff.
    events = OrderEvent.objects.filter(kind=OrderEventKind.STATUS).order_by("id")
    prefetch_related_objects(
        [order],
        _lines(),
        Prefetch("events", events),
        Prefetch("shipments", shipments),
        "refunds",
    )


def _lines() -> Prefetch:
    return Prefetch("lines", OrderLine.objects.order_by("id"))


def _identity(request: Request) -> Any:
    """The identity this session logged in with: its openid pays."""
    return request.auth.identity  # type: ignore[union-attr]
