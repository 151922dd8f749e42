"""The back office of the deal. Importing the modules registers their pages."""

from orders.admin import coupons, messages, money, orders

__all__ = ["coupons", "messages", "money", "orders"]
