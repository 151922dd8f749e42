"""What: categories, brands, products, their options and SKUs, stock and its book."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from miniback.core.fields import ExactCharField, FenField
from miniback.core.models import AppendOnlyModel, AppendOnlyQuerySet, random_id


def picture_path(instance: models.Model, filename: str) -> str:
    """A random name: unguessable, cacheable for ever, and never the uploader's."""
    name = random_id()
    return f"catalog/{name[:2].lower()}/{name}.{filename.rpartition('.')[2].lower()[:5]}"


def picture_url(name: str) -> str:
    """Absolute URL of a stored picture, or "" for none."""
    return default_storage.url(name) if name else ""


class CategoryQuerySet(models.QuerySet["Category"]):
    def with_descendants(self, category_id: int) -> set[int]:
        """Ids of a category and everything below it, from one query over the (small) table."""
        children: dict[int | None, list[int]] = {}
        for row_id, parent_id in self.values_list("id", "parent_id"):
            children.setdefault(parent_id, []).append(row_id)
        found: set[int] = set()
        waiting = [category_id]
        while waiting:
            row_id = waiting.pop()
            if row_id not in found:
                found.add(row_id)
                waiting += children.get(row_id, [])
        return found


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
    picture = models.ImageField(_("picture"), upload_to=picture_path, blank=True)
    position = models.PositiveIntegerField(_("position"), default=0, help_text=_("low first"))
    is_visible = models.BooleanField(_("visible"), default=True)

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
    logo = models.ImageField(_("logo"), upload_to=picture_path, blank=True)

    class Meta:
        verbose_name = _("brand")
        verbose_name_plural = _("brands")

    def __str__(self) -> str:
        return self.name


class FreightUnit(models.TextChoices):
    PIECE = "piece", _("by piece")
    WEIGHT = "weight", _("by weight (grams)")
    FIXED = "fixed", _("fixed")


class FreightTemplate(models.Model):
    """How products are charged for delivery; a product without one is delivered free."""

    name = models.CharField(_("name"), max_length=50, unique=True)
    unit = models.CharField(
        _("charged"), max_length=10, choices=FreightUnit, default=FreightUnit.PIECE
    )

    class Meta:
        verbose_name = _("freight template")
        verbose_name_plural = _("freight templates")

    def __str__(self) -> str:
        return self.name


def validate_regions(regions: Any) -> None:
    """Refuse what is not a list of names or codes, such as ["新疆维吾尔自治区", "3301"]."""
    if not isinstance(regions, list) or not all(isinstance(r, str) and r for r in regions):
        raise ValidationError(_('Enter names or region codes, such as ["浙江省", "3301"].'))


class FreightRule(models.Model):
    template = models.ForeignKey(FreightTemplate, models.CASCADE, related_name="rules")
    regions = models.JSONField(
        _("regions"),
        default=list,
        blank=True,
        validators=[validate_regions],
        help_text=_("provinces, cities or beginnings of region codes; empty: everywhere else"),
    )
    is_served = models.BooleanField(_("delivered"), default=True)
    first_units = models.PositiveIntegerField(_("first units"), default=1)
    first_fen = FenField(_("price of the first units"), default=0)
    extra_units = models.PositiveIntegerField(_("each further units"), default=1)
    extra_fen = FenField(_("price of each further"), default=0)
    free_from_fen = FenField(_("free from an amount of"), null=True, blank=True)
    free_from_units = models.PositiveIntegerField(_("free from units"), null=True, blank=True)

    class Meta:
        verbose_name = _("freight rule")
        verbose_name_plural = _("freight rules")
        constraints = [
            models.CheckConstraint(
                condition=Q(first_fen__gte=0, extra_fen__gte=0), name="freightrule_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return ", ".join(self.regions) or str(_("everywhere else"))


class ProductStatus(models.TextChoices):
    DRAFT = "draft", _("draft")
    ON_SALE = "on_sale", _("on sale")
    OFF_SALE = "off_sale", _("off sale")


class ProductQuerySet(models.QuerySet["Product"]):
    def on_sale(self) -> "ProductQuerySet":
        return self.filter(status=ProductStatus.ON_SALE)

    def cards(self) -> "models.QuerySet[Product, Any]":
        """What a list shows, from the product's own row: no join, no object."""
        return self.values(
            "id",
            "name",
            "subtitle",
            "cover",
            "price_fen",
            "market_price_fen",
            "sales_count",
            "in_stock",
            "published_at",
        )


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
    cover = models.ImageField(_("cover"), upload_to=picture_path, blank=True)
    detail_html = models.TextField(_("description"), blank=True)
    status = models.CharField(
        _("status"), max_length=10, choices=ProductStatus, default=ProductStatus.DRAFT
    )
    published_at = models.DateTimeField(_("published at"))
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
            models.Index(fields=["status", "published_at", "id"], name="product_published"),
            models.Index(fields=["status", "price_fen", "id"], name="product_price"),
            models.Index(fields=["status", "sales_count", "id"], name="product_sales"),
        ]

    def __str__(self) -> str:
        return self.name


class ProductPicture(models.Model):
    product = models.ForeignKey(Product, models.CASCADE, related_name="pictures")
    picture = models.ImageField(_("picture"), upload_to=picture_path)
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


def validate_sku_options(options: Any) -> None:
    """Refuse what is not one word for each option, such as {"colour": "red"}."""
    if not isinstance(options, dict) or not all(isinstance(v, str) for v in options.values()):
        raise ValidationError(_('Enter one value for each option, such as {"colour": "red"}.'))


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


class Sku(models.Model):
    """What is bought: a product with one value of each option. ``stock`` is what can still be sold."""

    product = models.ForeignKey(
        Product, models.PROTECT, related_name="skus", verbose_name=_("product")
    )
    code = ExactCharField(_("SKU code"), max_length=50, unique=True)
    options = models.JSONField(
        _("options"),
        default=dict,
        blank=True,
        validators=[validate_sku_options],
        help_text=_('such as {"colour": "red"}'),
    )
    price_fen = FenField(_("price"))
    market_price_fen = FenField(_("market price"), null=True, blank=True)
    stock = models.BigIntegerField(_("stock"), default=0, editable=False)
    weight_g = models.PositiveIntegerField(_("weight in grams"), default=0)
    picture = models.ImageField(_("picture"), upload_to=picture_path, blank=True)
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("SKU")
        verbose_name_plural = _("SKUs")
        constraints = [
            models.CheckConstraint(condition=Q(stock__gte=0), name="sku_stock_not_negative"),
            models.CheckConstraint(condition=Q(price_fen__gte=0), name="sku_price_not_negative"),
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def options_text(self) -> str:
        """ "red, 500 g" """
        return ", ".join(str(value) for value in self.options.values())

    @property
    def is_buyable(self) -> bool:
        """Reads ``product``: load it with the SKU."""
        return self.is_active and self.product.status == ProductStatus.ON_SALE


class StockMovementKind(models.TextChoices):
    INITIAL = "initial", _("initial")
    ADJUST = "adjust", _("adjusted by staff")
    RESERVE = "reserve", _("taken by an order")
    RELEASE = "release", _("given back by an order")
    RETURN = "return", _("returned by a customer")


class StockMovement(AppendOnlyModel):
    """The book of stock: the sum of a SKU's deltas is its stock."""

    sku = models.ForeignKey(Sku, models.PROTECT, related_name="movements", verbose_name=_("SKU"))
    kind = models.CharField(_("kind"), max_length=10, choices=StockMovementKind)
    delta = models.BigIntegerField(_("change"))
    reference = ExactCharField(
        _("reference"), max_length=40, db_index=True, help_text=_("such as an order number")
    )
    event_key = ExactCharField(_("event key"), max_length=100, unique=True)
    note = models.CharField(_("reason"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        verbose_name = _("stock movement")
        verbose_name_plural = _("stock movements")
        constraints = [
            models.CheckConstraint(condition=~Q(delta=0), name="stockmovement_not_nothing"),
        ]

    def __str__(self) -> str:
        return self.event_key
