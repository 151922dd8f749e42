"""The cart."""

from functools import partial

from django.db.models import Sum
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from miniback.core.errors import KeyMismatch, NotFound
from miniback.core.idempotency import run_request_once
from miniback.core.schema import describe, idempotency_key, path_id
from orders.models import CartLine
from orders.serializers import (
    CartCountSerializer,
    CartLineChange,
    CartLineInput,
    CartLineSerializer,
    CartSelection,
    CartSerializer,
)
from orders.services import cart


class CartViewSet(GenericViewSet):
    serializer_class = CartSerializer

    @describe("Read my cart", answers={200: CartSerializer})
    def retrieve(self, request: Request) -> Response:
        """Prices are today's; a line that cannot be bought says why in `problem`."""
        lines = cart.read_cart(request.user)
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

    @describe(
        "Tick or untick lines",
        request=CartSelection,
        answers={204: None},
        sends={"lines": [3, 4], "is_selected": True},
    )
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
        errors=[cart.NotBuyable, cart.CartFull, cart.TooMany, NotFound, KeyMismatch],
        sends={"sku": 12, "quantity": 2},
        parameters=[idempotency_key()],
    )
    def create(self, request: Request) -> Response:
        """Adds to the line that is there.

        A repeat with the same `Idempotency-Key` adds nothing; 404 if the line was removed since.
        """
        form = CartLineInput(data=request.data)
        form.is_valid(raise_exception=True)
        sku, quantity = form.validated_data["sku"], form.validated_data["quantity"]
        add = partial(cart.add_to_cart, request.user, sku_id=sku, quantity=quantity)
        line = run_request_once(request, add).made
        return Response(CartLineSerializer(line).data, status=status.HTTP_201_CREATED)

    @describe(
        "Change a cart line",
        request=CartLineChange,
        answers={200: CartLineSerializer},
        errors=[NotFound],
        sends={"quantity": 3, "is_selected": True},
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
