"""Categories, brands, products and what a customer chooses of them."""

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from catalog.models.freight import FreightTemplate
from miniback.core.fields import FenField
from miniback.core.pictures import PictureField

# What a list shows of a product.
CARD_COLUMNS = (
    "id",
    "name",
    "subtitle",
    "cover",
    "price_fen",
    "market_price_fen",
    "sales_count",
    "in_stock",
)
# Of tags and attributes.
MAX_WORDS, MAX_WORD = 20, 30


class CategoryTree:
    """Which category hangs below which."""

    def __init__(self, rows: Iterable[tuple[int, int | None]]) -> None:
        self.children: dict[int | None, list[int]] = {}
        for row_id, parent_id in rows:
            self.children.setdefault(parent_id, []).append(row_id)

    def with_descendants(self, category_ids: Iterable[int]) -> set[int]:
        """Ids of these categories and of everything below them."""
        found: set[int] = set()
        waiting = list(category_ids)
        while waiting:
            row_id = waiting.pop()
            if row_id not in found:
                found.add(row_id)
                waiting += self.children.get(row_id, [])
        return found


class CategoryQuerySet(models.QuerySet["Category"]):
    def with_descendants(self, category_id: int) -> set[int]:
        """Ids of a category and everything below it, from one query over the (small) table."""
        return self.tree().with_descendants([category_id])

    def tree(self) -> "CategoryTree":
        """The whole (small) table at once, for more than one question."""
        return CategoryTree(self.values_list("id", "parent_id"))


class Category(models.Model):
    parent = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="children",
        verbose_name=_("parent"),
    )
    name = models.CharField(_("name"), max_length=50)
    picture = PictureField(_("picture"), blank=True)
    position = models.PositiveIntegerField(_("position"), default=0, help_text=_("low first"))
    is_visible = models.BooleanField(_("visible"), default=True)
    is_shortcut = models.BooleanField(_("on the home page"), default=False)

    objects = CategoryQuerySet.as_manager()

    class Meta:
        verbose_name = _("category")
        verbose_name_plural = _("categories")

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse a parent below the category itself: the branch would hang on nothing."""
        below = Category.objects.with_descendants(self.pk) if self.pk else set()
        if self.parent_id in below:
            raise ValidationError({"parent": _("Choose a category that is not below this one.")})


class Brand(models.Model):
    name = models.CharField(_("name"), max_length=50, unique=True)
    logo = PictureField(_("logo"), blank=True)

    class Meta:
        verbose_name = _("brand")
        verbose_name_plural = _("brands")

    def __str__(self) -> str:
        return self.name


class ProductStatus(models.TextChoices):
    DRAFT = "draft", _("draft")
    SCHEDULED = "scheduled", _("scheduled")
    ON_SALE = "on_sale", _("on sale")
    OFF_SALE = "off_sale", _("off sale")


class ProductQuerySet(models.QuerySet["Product"]):
    def on_sale(self) -> "ProductQuerySet":
        return self.filter(status=ProductStatus.ON_SALE)

    def cards(self) -> "models.QuerySet[Product, Any]":
        """What a list shows, from the product's own row: no join, no object."""
        return self.values(*CARD_COLUMNS, "published_at", *self.query.annotation_select)

    def details(self) -> "models.QuerySet[Product, Any]":
        """A product's page as far as one row goes: the card, the brand, the count of reviews."""
        stars = [f"review_summary__stars_{rating}" for rating in range(1, 6)]
        brand = ["brand_id", "brand__name", "brand__logo"]
        return self.values(
            *CARD_COLUMNS, "category_id", "tags", "attributes", "detail_html", *brand, *stars
        )


def validate_tags(tags: Any) -> None:
    """Refuse what is not a list of up to 20 different words, such as ["新品"]."""
    if (
        not isinstance(tags, list)
        or not all(isinstance(tag, str) and 0 < len(tag) <= MAX_WORD for tag in tags)
        or len(set(tags)) != len(tags)
        or len(tags) > MAX_WORDS
    ):
        raise ValidationError(_('Enter different words, such as ["new", "gift"].'))


def validate_attributes(attributes: Any) -> None:
    """Refuse what is not one value, or a list of values, for each of up to 20 names."""
    if not isinstance(attributes, dict) or len(attributes) > MAX_WORDS:
        raise ValidationError(_('Enter names and values, such as {"material": "cotton"}.'))
    for name, value in attributes.items():
        words = [name, *(value if isinstance(value, list) else [value])]
        if not all(isinstance(word, str) and 0 < len(word) <= MAX_WORD for word in words):
            raise ValidationError(_('Enter names and values, such as {"material": "cotton"}.'))


class Product(models.Model):
    """An article (SPU). Price and availability are copies that the services keep right."""

    category = models.ForeignKey(
        Category, models.PROTECT, related_name="products", verbose_name=_("category")
    )
    brand = models.ForeignKey(
        Brand,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="products",
        verbose_name=_("brand"),
    )
    freight_template = models.ForeignKey(
        FreightTemplate,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="products",
        verbose_name=_("freight template"),
        help_text=_("empty: delivered free"),
    )
    name = models.CharField(_("name"), max_length=100)
    subtitle = models.CharField(_("subtitle"), max_length=200, blank=True)
    cover = PictureField(_("cover"), blank=True)
    detail_html = models.TextField(_("description"), blank=True)
    status = models.CharField(
        _("status"), max_length=10, choices=ProductStatus, default=ProductStatus.DRAFT
    )
    purchase_limit = models.PositiveIntegerField(
        _("purchase limit"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("pieces a customer may buy in all; empty: no limit"),
    )
    published_at = models.DateTimeField(
        _("published at"), help_text=_("a scheduled product goes on sale then")
    )
    tags = models.JSONField(
        _("tags"),
        default=list,
        blank=True,
        validators=[validate_tags],
        help_text=_('such as ["new"]'),
    )
    attributes = models.JSONField(
        _("attributes"),
        default=dict,
        blank=True,
        validators=[validate_attributes],
        help_text=_('such as {"material": "cotton", "season": ["spring", "autumn"]}'),
    )
    related = models.ManyToManyField(
        "self",
        symmetrical=False,
        blank=True,
        verbose_name=_("related products"),
        help_text=_("shown first; others of the category follow"),
    )
    price_fen = FenField(_("price"), default=0, editable=False)
    market_price_fen = FenField(_("market price"), null=True, editable=False)
    sales_count = models.PositiveIntegerField(_("sold"), default=0, editable=False)
    in_stock = models.BooleanField(_("in stock"), default=False, editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects = ProductQuerySet.as_manager()

    class Meta:
        verbose_name = _("product")
        verbose_name_plural = _("products")
        indexes = [
            # Not the status first: MariaDB would hold on to it and read a deep page from the first row
            # on. Past what is not on sale a list is read.
            models.Index(fields=["published_at", "id"], name="product_published"),
            models.Index(fields=["price_fen", "id"], name="product_price"),
            models.Index(fields=["sales_count", "id"], name="product_sales"),
            # For the job that publishes what is due.
            models.Index(fields=["status", "published_at"], name="product_due"),
            # Within a category, and within a brand. By sales the list above is read, and sifted:
            # sales are spread over all of them, and change too often for two more indexes.
            models.Index(
                fields=["category", "status", "published_at", "id"], name="product_category"
            ),
            models.Index(
                fields=["category", "status", "price_fen", "id"], name="product_category_price"
            ),
            models.Index(fields=["brand", "status", "published_at", "id"], name="product_brand"),
            models.Index(fields=["brand", "status", "price_fen", "id"], name="product_brand_price"),
        ]

    def __str__(self) -> str:
        return self.name


class ProductPicture(models.Model):
    product = models.ForeignKey(Product, models.CASCADE, related_name="pictures")
    picture = PictureField(_("picture"))
    position = models.PositiveIntegerField(_("position"), default=0, help_text=_("low first"))

    class Meta:
        verbose_name = _("product picture")
        verbose_name_plural = _("product pictures")

    def __str__(self) -> str:
        return self.picture.name


def validate_option_values(values: Any) -> None:
    """Refuse what is not a list of different words, such as ["red", "blue"]."""
    words = isinstance(values, list) and all(isinstance(v, str) and v for v in values)
    if not words or len(set(values)) != len(values):
        raise ValidationError(_('Enter different values, such as ["red", "blue"].'))


class ProductOption(models.Model):
    """One thing a customer chooses, such as colour, and the values there are."""

    product = models.ForeignKey(Product, models.CASCADE, related_name="options")
    name = models.CharField(_("name"), max_length=20)
    values = models.JSONField(
        _("values"),
        default=list,
        validators=[validate_option_values],
        help_text=_('such as ["red", "blue"]'),
    )
    position = models.PositiveIntegerField(_("position"), default=0, help_text=_("low first"))

    class Meta:
        verbose_name = _("option")
        verbose_name_plural = _("options")
        constraints = [
            models.UniqueConstraint(fields=["product", "name"], name="productoption_once"),
        ]

    def __str__(self) -> str:
        return self.name
