"""The catalogue desk."""

from catalog.admin import freight, products, reviews, stock, window

__all__ = ["freight", "products", "reviews", "stock", "window"]
