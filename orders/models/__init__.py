"""Tables of the deal: cart, order, payment, shipment, and the books of all three."""

from orders.models.bill import (
    Bill,
    BillDifference,
    DifferenceKind,
    DifferenceStatus,
    Resolution,
)
from orders.models.books import Account, LedgerEntry, LedgerTransaction
from orders.models.cart import MAX_CART_LINES, CartLine
from orders.models.coupon import ClaimedCoupon, Coupon, CouponKind, CouponScope, CouponSource
from orders.models.daily import DailyProduct, DailyTotal
from orders.models.message import MessageConsent, MessageKind, MessageTemplate
from orders.models.order import Order, OrderEvent, OrderEventKind, OrderLine, new_number
from orders.models.payment import (
    Channel,
    Notice,
    NoticeOutcome,
    Payment,
    Refund,
    RefundApproval,
    RefundAttempt,
    RefundLine,
)
from orders.models.shipment import Carrier, Shipment, ShipmentLine

__all__ = [
    "MAX_CART_LINES",
    "Account",
    "Bill",
    "BillDifference",
    "Carrier",
    "CartLine",
    "Channel",
    "ClaimedCoupon",
    "Coupon",
    "CouponKind",
    "CouponScope",
    "CouponSource",
    "DailyProduct",
    "DailyTotal",
    "DifferenceKind",
    "DifferenceStatus",
    "LedgerEntry",
    "LedgerTransaction",
    "MessageConsent",
    "MessageKind",
    "MessageTemplate",
    "Notice",
    "NoticeOutcome",
    "Order",
    "OrderEvent",
    "OrderEventKind",
    "OrderLine",
    "Payment",
    "Refund",
    "RefundApproval",
    "RefundAttempt",
    "RefundLine",
    "Resolution",
    "Shipment",
    "ShipmentLine",
    "new_number",
]
