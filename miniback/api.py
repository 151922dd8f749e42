"""The API as one table: every app's viewsets, mounted under /api/v1/."""

from accounts.viewsets import AddressViewSet, AuthViewSet, MeViewSet
from catalog.viewsets import BrandViewSet, CategoryViewSet, ProductViewSet
from miniback.core.routers import ApiRouter
from miniback.core.viewsets import UploadViewSet
from orders.viewsets import (
    CartLineViewSet,
    CartViewSet,
    CouponViewSet,
    OrderViewSet,
    PaymentViewSet,
    RefundViewSet,
)

router = ApiRouter()
router.register_singleton("auth", AuthViewSet, "auth")
router.register_singleton("me", MeViewSet, "me")
router.register("addresses", AddressViewSet, "address")
router.register("uploads", UploadViewSet, "upload")
router.register("categories", CategoryViewSet, "category")
router.register("brands", BrandViewSet, "brand")
router.register("products", ProductViewSet, "product")
router.register_singleton("cart", CartViewSet, "cart")
router.register("cart/lines", CartLineViewSet, "cart-line")
router.register("coupons", CouponViewSet, "coupon")
router.register("orders", OrderViewSet, "order")
router.register("payments", PaymentViewSet, "payment")
router.register("refunds", RefundViewSet, "refund")
