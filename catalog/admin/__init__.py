"""The catalogue desk."""

from catalog.admin import categories, freight, home, products, reviews, stock

__all__ = ["categories", "freight", "home", "products", "reviews", "stock"]
