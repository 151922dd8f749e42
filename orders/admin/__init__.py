"""The back office of the deal. Importing the modules registers their pages."""

from orders.admin import bills, coupons, customers, messages, money, orders, refunds

__all__ = ["bills", "coupons", "customers", "messages", "money", "orders", "refunds"]
