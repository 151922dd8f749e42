"""The shop window: the same for everybody, so without authentication."""

from typing import Any

from django.db.models import Prefetch
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from catalog.models import Brand, Category, Product, ProductOption, ProductPicture, Sku
from catalog.serializers import (
    BrandSerializer,
    CategorySerializer,
    ProductCardSerializer,
    ProductQuery,
    ProductSerializer,
    category_tree,
    product_card,
)
from miniback.core.errors import NotFound
from miniback.core.schema import describe, path_id


class ShopWindowViewSet(GenericViewSet):
    # An expired token must not break the shop window.
    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]


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
    ordering = "id"

    @describe("List brands", answers={200: BrandSerializer(many=True)}, public=True)
    def list(self, request: Request) -> Response:
        """Oldest first."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(BrandSerializer(page, many=True).data)


class ProductViewSet(ShopWindowViewSet):
    serializer_class = ProductCardSerializer
    queryset = Product.objects.none()
    lookup_value_regex = r"[0-9]{1,18}"

    @describe(
        "List products on sale",
        answers={200: ProductCardSerializer(many=True)},
        parameters=[ProductQuery],
        public=True,
    )
    def list(self, request: Request) -> Response:
        """Filter, search by name, and order; unknown parameters are ignored."""
        query = ProductQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        self.ordering = query.validated_data["ordering"]
        cards = filter_products(query.validated_data).cards()
        page = self.paginate_queryset(cards) or []
        return self.get_paginated_response([product_card(row) for row in page])

    @describe(
        "Read a product",
        answers={200: ProductSerializer},
        errors=[NotFound],
        parameters=[path_id()],
        public=True,
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        """With pictures, options and the SKUs that can be bought."""
        self.queryset = (
            Product.objects.on_sale()
            .select_related("brand")
            .prefetch_related(
                Prefetch("pictures", ProductPicture.objects.order_by("position", "id")),
                Prefetch("options", ProductOption.objects.order_by("position", "id")),
                Prefetch("skus", Sku.objects.filter(is_active=True).order_by("id")),
            )
        )
        return Response(ProductSerializer(self.get_object()).data)


def filter_products(wanted: dict[str, Any]) -> Any:
    """Products on sale that match a validated ProductQuery."""
    products = Product.objects.on_sale()
    if category := wanted.get("category"):
        products = products.filter(category__in=Category.objects.with_descendants(category))
    if brand := wanted.get("brand"):
        products = products.filter(brand=brand)
    for word in wanted.get("search", "").split()[:5]:
        products = products.filter(name__icontains=word)
    if (lowest := wanted.get("min_price_fen")) is not None:
        products = products.filter(price_fen__gte=lowest)
    if (highest := wanted.get("max_price_fen")) is not None:
        products = products.filter(price_fen__lte=highest)
    if wanted["in_stock"] is not None:
        products = products.filter(in_stock=wanted["in_stock"])
    return products
