"""The shop window: the same for everybody, so without authentication, and cached in front of Django."""

from typing import Any

from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from catalog.models import Brand, Category
from catalog.serializers.products import BrandSerializer, brand_card, product_card
from catalog.serializers.window import (
    CategorySerializer,
    HomeSerializer,
    HotSerializer,
    SuggestionQuery,
    SuggestionsSerializer,
    category_tree,
)
from catalog.services import home
from miniback.core.errors import NotFound
from miniback.core.public_requests import PUBLIC
from miniback.core.read_cache import TOPIC_HEADER
from miniback.core.schema import describe, path_id
from miniback.core.serializers import parse


class ShopWindowViewSet(GenericViewSet):
    """``topic`` says what an answer is about, for the read cache; empty: anything may change it."""

    # An expired token must not break the shop window.
    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]
    topic = ""

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        """Let the read cache keep what was found."""
        answer: Response = super().finalize_response(request, response, *args, **kwargs)
        if answer.status_code == status.HTTP_200_OK:
            answer["Cache-Control"] = PUBLIC
            if self.topic:
                answer[TOPIC_HEADER] = self.topic
        return answer


class CategoryViewSet(ShopWindowViewSet):
    serializer_class = CategorySerializer
    pagination_class = None

    @describe("Read the category tree", answers={200: CategorySerializer(many=True)}, public=True)
    def list(self, request: Request) -> Response:
        """The whole tree at once; `results` are the roots."""
        visible = Category.objects.filter(is_visible=True).order_by("position", "id")
        return Response({"results": category_tree(list(visible)), "next_cursor": None})


class BrandViewSet(ShopWindowViewSet):
    serializer_class = BrandSerializer
    queryset = Brand.objects.all()
    lookup_value_regex = r"[0-9]{1,18}"
    ordering = "id"

    @describe("List brands", answers={200: BrandSerializer(many=True)}, public=True)
    def list(self, request: Request) -> Response:
        """Oldest first."""
        page = self.paginate_queryset(self.get_queryset()) or []
        return self.get_paginated_response(
            [brand_card(one.pk, one.name, one.logo.name) for one in page]
        )

    @describe(
        "Read a brand",
        answers={200: BrandSerializer},
        errors=[NotFound],
        parameters=[path_id()],
        public=True,
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        """Its products are in `products/?brand=`."""
        brand = self.get_object()
        return Response(brand_card(brand.pk, brand.name, brand.logo.name))


class HomeViewSet(ShopWindowViewSet):
    serializer_class = HomeSerializer

    @describe("Read the home page", answers={200: HomeSerializer}, public=True)
    def retrieve(self, request: Request) -> Response:
        """Banners, category shortcuts and product rows, as staff composed them."""
        page = {
            "banners": home.banners(),
            "shortcuts": home.shortcuts(),
            "rows": [
                {"title": row.title, "products": [product_card(card) for card in cards]}
                for row, cards in home.rows()
            ],
        }
        return Response(HomeSerializer(page).data)


class HotKeywordViewSet(ShopWindowViewSet):
    serializer_class = HotSerializer

    @describe("List hot keywords", answers={200: HotSerializer}, public=True)
    def retrieve(self, request: Request) -> Response:
        """What the search page offers, and the word in its empty field."""
        words = home.hot_keywords()
        default = next((row.keyword for row in words if row.is_default), "")
        return Response(HotSerializer({"default": default, "results": words}).data)


class SuggestionViewSet(ShopWindowViewSet):
    serializer_class = SuggestionsSerializer

    @describe(
        "Complete a search",
        answers={200: SuggestionsSerializer},
        parameters=[SuggestionQuery],
        public=True,
    )
    def retrieve(self, request: Request) -> Response:
        """Up to ten: hot keywords that begin with `q`, then names of products it finds."""
        query = parse(SuggestionQuery, request.query_params)
        return Response({"results": home.suggest(query["q"])})
