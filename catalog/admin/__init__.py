"""The catalogue desk."""

from catalog.admin import freight, products, reviews, window

__all__ = ["freight", "products", "reviews", "window"]
