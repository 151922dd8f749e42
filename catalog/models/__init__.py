"""What: categories, brands, products, SKUs, stock and its book, freight templates, reviews."""

from catalog.models.freight import (
    FreightRule,
    FreightTemplate,
    FreightUnit,
    validate_regions,
)
from catalog.models.pictures import (
    picture_path,
    picture_url,
)
from catalog.models.product import (
    Brand,
    Category,
    CategoryQuerySet,
    Product,
    ProductOption,
    ProductPicture,
    ProductQuerySet,
    ProductStatus,
    validate_option_values,
)
from catalog.models.review import Review
from catalog.models.stock import (
    Sku,
    StockMovement,
    StockMovementKind,
    validate_sku_options,
)

__all__ = [
    "Brand",
    "Category",
    "CategoryQuerySet",
    "FreightRule",
    "FreightTemplate",
    "FreightUnit",
    "Product",
    "ProductOption",
    "ProductPicture",
    "ProductQuerySet",
    "ProductStatus",
    "Review",
    "Sku",
    "StockMovement",
    "StockMovementKind",
    "picture_path",
    "picture_url",
    "validate_option_values",
    "validate_regions",
    "validate_sku_options",
]
