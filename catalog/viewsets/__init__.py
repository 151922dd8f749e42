"""The doors of the catalogue: the shop window, and what a customer keeps of it."""

from catalog.viewsets.customer import (
    FavouriteViewSet,
    FootprintViewSet,
    MyReviewViewSet,
    SearchHistoryViewSet,
)
from catalog.viewsets.products import ProductViewSet
from catalog.viewsets.window import (
    BrandViewSet,
    CategoryViewSet,
    HomeViewSet,
    HotKeywordViewSet,
    ShopWindowViewSet,
    SuggestionViewSet,
)

__all__ = [
    "BrandViewSet",
    "CategoryViewSet",
    "FavouriteViewSet",
    "FootprintViewSet",
    "HomeViewSet",
    "HotKeywordViewSet",
    "MyReviewViewSet",
    "ProductViewSet",
    "SearchHistoryViewSet",
    "ShopWindowViewSet",
    "SuggestionViewSet",
]
