"""The API of the deal."""

from orders.viewsets.callbacks import AlipayCallback, WeChatPayCallback, WeChatPushCallback
from orders.viewsets.cart import CartLineViewSet, CartViewSet
from orders.viewsets.coupons import CouponViewSet
from orders.viewsets.messages import MessageViewSet
from orders.viewsets.orders import OrderViewSet
from orders.viewsets.payments import PaymentViewSet
from orders.viewsets.refunds import RefundViewSet

__all__ = [
    "AlipayCallback",
    "CartLineViewSet",
    "CartViewSet",
    "CouponViewSet",
    "MessageViewSet",
    "OrderViewSet",
    "PaymentViewSet",
    "RefundViewSet",
    "WeChatPayCallback",
    "WeChatPushCallback",
]
