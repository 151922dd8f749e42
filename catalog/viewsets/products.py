"""Products: lists, search, one product's page, its reviews and what goes with it."""

from typing import Any

from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import (
    Product,
    ProductOption,
    ProductPicture,
    Review,
    ReviewSummary,
    Sku,
)
from catalog.serializers.products import (
    SKU_COLUMNS,
    ProductCardSerializer,
    ProductPageSerializer,
    ProductQuery,
    ProductSerializer,
    product_card,
    product_detail,
)
from catalog.serializers.window import (
    STAR_GROUPS,
    ReviewPageSerializer,
    ReviewQuery,
    ShareSerializer,
    product_review,
    review_summary,
)
from catalog.services.facets import facets_of
from catalog.services.home import suggest_instead
from catalog.services.products import topic
from catalog.services.sharing import share_product
from catalog.viewsets.filters import CardPagination, filter_products, reading_order
from catalog.viewsets.window import ShopWindowViewSet
from miniback.core.errors import NotFound, PlatformUnavailable, Throttled
from miniback.core.pagination import KeysetPagination
from miniback.core.queries import CompiledValues
from miniback.core.schema import describe, path_id
from miniback.core.serializers import parse, parse_query
from miniback.core.uploads import upload_urls

RELATED = 10

# A product's page, compiled once: building four statements would cost three times what they take.
_id = [Product._meta.pk]
DETAILS = CompiledValues(lambda pk: Product.objects.on_sale().details().filter(pk=pk), _id)
PICTURES = CompiledValues(
    lambda pk: (
        ProductPicture.objects.filter(product=pk).order_by("position", "id").values("picture")
    ),
    _id,
)
OPTIONS = CompiledValues(
    lambda pk: (
        ProductOption.objects.filter(product=pk).order_by("position", "id").values("name", "values")
    ),
    _id,
)
SKUS = CompiledValues(
    lambda pk: Sku.objects.filter(product=pk, is_active=True).order_by("id").values(*SKU_COLUMNS),
    _id,
)


class ProductViewSet(ShopWindowViewSet):
    serializer_class = ProductCardSerializer
    pagination_class = CardPagination
    queryset = Product.objects.none()
    lookup_value_regex = r"[0-9]{1,18}"

    @describe(
        "List products on sale",
        answers={200: ProductPageSerializer},
        parameters=[ProductQuery],
        public=True,
    )
    def list(self, request: Request) -> Response:
        """Filter, search and order; unknown parameters are ignored.

        A search is ordered by relevance. Words are found in name, brand, category, tags, SKU codes,
        subtitle and attributes; nobody needs to put spaces between Chinese words.
        """
        wanted = parse_query(ProductQuery, request)
        self.wanted, self.ordering = wanted, reading_order(wanted)
        page: list[Any] = self.paginate_queryset(Product.objects.all()) or []
        answer = self.get_paginated_response([product_card(row) for row in page])
        if "cursor" not in request.query_params:
            if wanted["facets"]:
                answer.data["facets"] = facets_of(filter_products(wanted), self.ordering)
            if wanted["search"].strip() and not page:
                answer.data["suggestions"] = suggest_instead(wanted["search"])
        return answer

    @describe(
        "Read a product",
        answers={200: ProductSerializer},
        errors=[NotFound],
        parameters=[path_id()],
        public=True,
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        """With pictures, options, attributes, rating and the SKUs that can be bought."""
        row = DETAILS.first(pk)
        if row is None:
            raise NotFound
        self.topic = topic(row["id"])
        return Response(
            product_detail(
                row, pictures=PICTURES.all(pk), options=OPTIONS.all(pk), skus=SKUS.all(pk)
            )
        )

    @describe(
        "List reviews of a product",
        answers={200: ReviewPageSerializer},
        errors=[NotFound],
        parameters=[path_id(), ReviewQuery],
        public=True,
    )
    @action(methods=["get"], detail=True, pagination_class=KeysetPagination)
    def reviews(self, request: Request, pk: str) -> Response:
        """Newest first, with the shop's replies; `summary` counts all of them."""
        query = parse(ReviewQuery, request.query_params)
        if not Product.objects.on_sale().filter(pk=pk).exists():
            raise NotFound
        self.topic, self.ordering = topic(int(pk)), "-id"
        shown = Review.objects.filter(product=int(pk), is_visible=True).select_related(
            "user", "sku"
        )
        if rating := query.get("rating"):
            shown = shown.filter(rating__in=STAR_GROUPS.get(rating) or [int(rating)])
        if query["with_images"]:
            shown = shown.filter(has_images=True)
        page = self.paginate_queryset(shown) or []
        urls = upload_urls(name for review in page for name in _uploads(review))
        answer = self.get_paginated_response([product_review(review, urls) for review in page])
        summary = ReviewSummary.objects.filter(product=int(pk)).first() or ReviewSummary()
        answer.data["summary"] = review_summary(summary)
        return answer

    @describe(
        "Read how to share a product",
        answers={200: ShareSerializer},
        errors=[NotFound, Throttled, PlatformUnavailable],
        parameters=[path_id()],
        public=True,
    )
    @action(methods=["get"], detail=True, url_path="share-code")
    def share_code(self, request: Request, pk: str) -> Response:
        """Pictures that are made when they are first asked for, and never change."""
        share = share_product(int(pk))
        self.topic = topic(int(pk))
        return Response(share._asdict())

    @describe(
        "List what goes with a product",
        answers={200: ProductCardSerializer(many=True)},
        errors=[NotFound],
        parameters=[path_id()],
        public=True,
    )
    @action(methods=["get"], detail=True)
    def related(self, request: Request, pk: str) -> Response:
        """At most ten: what staff chose, then what sells best in the same category."""
        product = Product.objects.on_sale().filter(pk=pk).first()
        if product is None:
            raise NotFound
        chosen = list(product.related.on_sale().cards().order_by("id")[:RELATED])
        others = Product.objects.on_sale().filter(category=product.category_id)
        others = others.exclude(pk__in=[pk, *(card["id"] for card in chosen)])
        best = others.cards().order_by("-sales_count", "-id")[: RELATED - len(chosen)]
        cards = [product_card(card) for card in [*chosen, *best]]
        return Response({"results": cards, "next_cursor": None})


def _uploads(review: Review) -> list[str]:
    avatar = [] if review.is_anonymous or not review.user.avatar_id else [review.user.avatar_id]
    return [*review.images, *review.follow_up_images, *avatar]
