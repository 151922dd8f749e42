"""Tables of the deal: cart, order, payment, shipment, and the books of all three."""

from orders.models.cart import MAX_CART_LINES, CartLine
from orders.models.order import Order, OrderEvent, OrderLine, new_number
from orders.models.payment import Channel, Notice, NoticeOutcome, Payment, Refund
from orders.models.shipment import Carrier, Shipment

__all__ = [
    "MAX_CART_LINES",
    "Carrier",
    "CartLine",
    "Channel",
    "Notice",
    "NoticeOutcome",
    "Order",
    "OrderEvent",
    "OrderLine",
    "Payment",
    "Refund",
    "Shipment",
    "new_number",
]
