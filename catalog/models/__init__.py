"""What: categories, brands, products, SKUs, stock and its book, freight, reviews, home page, search."""

from catalog.models.customer import Favourite, Footprint, SearchHistory
from catalog.models.freight import (
    FreightRule,
    FreightTemplate,
    FreightUnit,
    validate_regions,
)
from catalog.models.home import (
    Banner,
    HomeRow,
    HomeRowProduct,
    HomeRowRule,
    HotKeyword,
    LinkKind,
)
from catalog.models.pictures import picture_path
from catalog.models.product import (
    CARD_COLUMNS,
    Brand,
    Category,
    CategoryQuerySet,
    CategoryTree,
    Product,
    ProductOption,
    ProductPicture,
    ProductQuerySet,
    ProductStatus,
    validate_option_values,
)
from catalog.models.review import Moderation, PictureCheck, Review, ReviewSummary
from catalog.models.search import MAX_FACET, ProductFacet, SearchText, SearchToken
from catalog.models.stock import (
    Sku,
    StockMovement,
    StockMovementKind,
    validate_sku_options,
)

__all__ = [
    "CARD_COLUMNS",
    "MAX_FACET",
    "Banner",
    "Brand",
    "Category",
    "CategoryQuerySet",
    "CategoryTree",
    "Favourite",
    "Footprint",
    "FreightRule",
    "FreightTemplate",
    "FreightUnit",
    "HomeRow",
    "HomeRowProduct",
    "HomeRowRule",
    "HotKeyword",
    "LinkKind",
    "Moderation",
    "PictureCheck",
    "Product",
    "ProductFacet",
    "ProductOption",
    "ProductPicture",
    "ProductQuerySet",
    "ProductStatus",
    "Review",
    "ReviewSummary",
    "SearchHistory",
    "SearchText",
    "SearchToken",
    "Sku",
    "StockMovement",
    "StockMovementKind",
    "picture_path",
    "validate_option_values",
    "validate_regions",
    "validate_sku_options",
]
