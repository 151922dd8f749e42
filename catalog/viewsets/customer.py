"""What a customer keeps of the shop window: favourites, footprints, searches, reviews."""

from functools import partial
from typing import Any

from django.db.models import QuerySet
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from catalog.models import CARD_COLUMNS, Favourite, Footprint, Review, SearchHistory
from catalog.serializers.customer import (
    FavouriteQuery,
    FollowUpInput,
    FootprintInput,
    KeptProductSerializer,
    MyReviewSerializer,
    SearchHistoryListSerializer,
    SearchInput,
    kept_product,
)
from catalog.services import customers
from catalog.services.reviews import AlreadyFollowedUp, follow_up_review
from miniback.core.errors import KeyMismatch, NotFound
from miniback.core.idempotency import run_request_once
from miniback.core.schema import describe, idempotency_key, path_id
from miniback.core.serializers import parse

KEPT_COLUMNS = [f"product__{column}" for column in [*CARD_COLUMNS, "status"]]


class FavouriteViewSet(GenericViewSet):
    serializer_class = KeptProductSerializer
    queryset = Favourite.objects.none()
    lookup_field, lookup_value_regex = "product", r"[0-9]{1,18}"
    ordering = "-id"

    def get_queryset(self) -> QuerySet[Favourite]:
        return Favourite.objects.filter(user=self.request.user.pk)

    @describe(
        "List my favourites",
        answers={200: KeptProductSerializer(many=True)},
        parameters=[FavouriteQuery],
    )
    def list(self, request: Request) -> Response:
        """Latest first; with `product` only those of these products."""
        query = parse(FavouriteQuery, request.query_params)
        mine = self.get_queryset()
        if wanted := query.get("product"):
            mine = mine.filter(product__in=wanted)
        rows = self.paginate_queryset(mine.values("id", "created_at", *KEPT_COLUMNS)) or []
        return self.get_paginated_response([kept_product(row, "created_at") for row in rows])

    @describe(
        "Keep a favourite",
        answers={204: None},
        errors=[NotFound, customers.TooManyFavourites],
        parameters=[path_id("product")],
    )
    def update(self, request: Request, product: str) -> Response:
        """Keeping it again changes nothing. At most 1,000."""
        customers.add_favourite(request.user, int(product))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @describe("Give up a favourite", answers={204: None}, parameters=[path_id("product")])
    def destroy(self, request: Request, product: str) -> Response:
        """Whether it was one or not."""
        self.get_queryset().filter(product=int(product)).delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


class FootprintViewSet(GenericViewSet):
    serializer_class = FootprintInput
    queryset = Footprint.objects.none()
    ordering = "-viewed_at"

    def get_queryset(self) -> QuerySet[Footprint]:
        return Footprint.objects.filter(user=self.request.user.pk)

    @describe("List my footprints", answers={200: KeptProductSerializer(many=True)})
    def retrieve(self, request: Request) -> Response:
        """The last 200 products I looked at, latest first."""
        rows = self.paginate_queryset(self.get_queryset().values("id", "viewed_at", *KEPT_COLUMNS))
        return self.get_paginated_response([kept_product(row, "viewed_at") for row in rows or []])

    @describe(
        "Leave a footprint",
        request=FootprintInput,
        answers={204: None},
        errors=[NotFound],
        sends={"product": 1},
    )
    def create(self, request: Request) -> Response:
        """Call it when a product's page opens: reading the page itself is the same for everybody."""
        form = FootprintInput(data=request.data)
        form.is_valid(raise_exception=True)
        customers.note_footprint(request.user, form.validated_data["product"])
        return Response(status=status.HTTP_204_NO_CONTENT)

    @describe("Clear my footprints", answers={204: None})
    def destroy(self, request: Request) -> Response:
        """All of them."""
        self.get_queryset().delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


class SearchHistoryViewSet(GenericViewSet):
    serializer_class = SearchInput
    queryset = SearchHistory.objects.none()

    def get_queryset(self) -> QuerySet[SearchHistory]:
        return SearchHistory.objects.filter(user=self.request.user.pk)

    @describe("List my searches", answers={200: SearchHistoryListSerializer})
    def retrieve(self, request: Request) -> Response:
        """The last 20 different ones, latest first."""
        latest = self.get_queryset().order_by("-searched_at", "-id")
        return Response(SearchHistoryListSerializer({"results": latest}).data)

    @describe(
        "Remember a search",
        request=SearchInput,
        answers={204: None},
        sends={"keyword": "绿茶"},
    )
    def create(self, request: Request) -> Response:
        """Call it when the customer searches: the search itself is the same for everybody."""
        form = SearchInput(data=request.data)
        form.is_valid(raise_exception=True)
        customers.note_search(request.user, form.validated_data["keyword"])
        return Response(status=status.HTTP_204_NO_CONTENT)

    @describe("Clear my searches", answers={204: None})
    def destroy(self, request: Request) -> Response:
        """All of them."""
        self.get_queryset().delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


class MyReviewViewSet(GenericViewSet):
    serializer_class = MyReviewSerializer
    queryset = Review.objects.none()
    lookup_value_regex = r"[0-9]{1,18}"
    ordering = "-id"

    def get_queryset(self) -> QuerySet[Review]:
        return Review.objects.filter(user=self.request.user.pk).select_related("product")

    @describe("List my reviews", answers={200: MyReviewSerializer(many=True)})
    def list(self, request: Request) -> Response:
        """Newest first. New ones are written at `orders/{number}/reviews/`."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(MyReviewSerializer(page, many=True).data)

    @describe(
        "Follow a review up",
        request=FollowUpInput,
        answers={200: MyReviewSerializer},
        errors=[NotFound, AlreadyFollowedUp, KeyMismatch],
        sends={"text": "喝完一罐再说：好茶。", "images": []},
        parameters=[path_id(), idempotency_key()],
    )
    @action(methods=["post"], detail=True, url_path="follow-up")
    def follow_up(self, request: Request, pk: str) -> Response:
        """What turned out later, once a review."""
        review: Any = self.get_object()
        form = FollowUpInput(data=request.data)
        form.is_valid(raise_exception=True)
        follow_up = partial(follow_up_review, review, **form.validated_data)
        return Response(MyReviewSerializer(run_request_once(request, follow_up).made).data)
