"""The back office of the deal. Importing the modules registers their pages."""

from orders.admin import money, orders

__all__ = ["money", "orders"]
