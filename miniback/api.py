"""The API as one table: every app's viewsets, mounted under /api/v1/."""

from accounts.viewsets import AddressViewSet, AuthViewSet, MeViewSet
from catalog.viewsets import (
    BrandViewSet,
    CategoryViewSet,
    FavouriteViewSet,
    FootprintViewSet,
    HomeViewSet,
    HotKeywordViewSet,
    MyReviewViewSet,
    ProductViewSet,
    SearchHistoryViewSet,
    ShopWindowViewSet,
    SuggestionViewSet,
)
from miniback.core.routers import ApiRouter
from miniback.core.viewsets import UploadViewSet
from orders.viewsets import (
    CartLineViewSet,
    CartViewSet,
    CouponViewSet,
    MessageViewSet,
    OrderViewSet,
    PaymentViewSet,
    RefundViewSet,
)

router = ApiRouter()
# Addresses are tried in this order; the busiest is found first.
router.register("products", ProductViewSet, "product")
router.register_singleton("auth", AuthViewSet, "auth")
router.register_singleton("me", MeViewSet, "me")
router.register("addresses", AddressViewSet, "address")
router.register("uploads", UploadViewSet, "upload")
router.register_singleton("home", HomeViewSet, "home")
router.register("categories", CategoryViewSet, "category")
router.register("brands", BrandViewSet, "brand")
router.register_singleton("search/hot", HotKeywordViewSet, "hot-keyword")
router.register_singleton("search/suggestions", SuggestionViewSet, "suggestion")
router.register_singleton("search/history", SearchHistoryViewSet, "search-history")
router.register("favourites", FavouriteViewSet, "favourite")
router.register_singleton("footprints", FootprintViewSet, "footprint")
router.register("reviews", MyReviewViewSet, "my-review")
router.register_singleton("cart", CartViewSet, "cart")
router.register("cart/lines", CartLineViewSet, "cart-line")
router.register("coupons", CouponViewSet, "coupon")
router.register("orders", OrderViewSet, "order")
router.register("payments", PaymentViewSet, "payment")
router.register("refunds", RefundViewSet, "refund")
router.register_singleton("messages", MessageViewSet, "message")

_WINDOW = tuple(
    f"/api/v1/{prefix}"
    for prefix, viewset, _name in router.registry
    if issubclass(viewset, ShopWindowViewSet)
)


def is_public(path: str) -> bool:
    """Whether a GET of ``path`` has the same answer for everybody: the read cache may keep it."""
    return path.startswith(_WINDOW)
