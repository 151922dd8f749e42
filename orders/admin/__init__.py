"""The back office of the deal. Importing the modules registers their pages."""

from orders.admin import coupons, money, orders

__all__ = ["coupons", "money", "orders"]
