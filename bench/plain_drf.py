"""The reference of `bench-catalogue`: the catalogue as DRF's tutorial would write it, with prefetch.

`ModelViewSet`, nested `ModelSerializer`s, page numbers: what most shops on Django look like.
"""

from django.http import HttpRequest, HttpResponse
from rest_framework.pagination import PageNumberPagination
from rest_framework.permissions import AllowAny
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import ModelSerializer
from rest_framework.viewsets import ModelViewSet

from catalog.models import Brand, Category, Product, ProductOption, ProductPicture, Sku


class BrandSerializer(ModelSerializer):
    class Meta:
        model = Brand
        fields = "__all__"


class CategorySerializer(ModelSerializer):
    class Meta:
        model = Category
        fields = "__all__"


class PictureSerializer(ModelSerializer):
    class Meta:
        model = ProductPicture
        fields = "__all__"


class OptionSerializer(ModelSerializer):
    class Meta:
        model = ProductOption
        fields = "__all__"


class SkuSerializer(ModelSerializer):
    class Meta:
        model = Sku
        fields = "__all__"


class ProductSerializer(ModelSerializer):
    brand = BrandSerializer()
    category = CategorySerializer()
    pictures = PictureSerializer(many=True)
    options = OptionSerializer(many=True)
    skus = SkuSerializer(many=True)

    class Meta:
        model = Product
        fields = "__all__"


class Pages(PageNumberPagination):
    page_size = 20


class PlainProductViewSet(ModelViewSet):
    authentication_classes = []
    permission_classes = [AllowAny]
    pagination_class = Pages
    serializer_class = ProductSerializer
    queryset = (
        Product.objects.filter(status="on_sale")
        .select_related("brand", "category")
        .prefetch_related("pictures", "options", "skus", "related")
        .order_by("-published_at", "-id")
    )


router = SimpleRouter()
router.register("plain/products", PlainProductViewSet)


def hello(request: HttpRequest) -> HttpResponse:
    """Django with its middleware, and nothing else."""
    return HttpResponse("hello", content_type="text/plain")
