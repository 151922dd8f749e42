"""The back office of the deal. Importing the modules registers their pages."""

from orders.admin import coupons, customers, messages, money, orders, refunds

__all__ = ["coupons", "customers", "messages", "money", "orders", "refunds"]
