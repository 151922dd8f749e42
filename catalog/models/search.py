"""The index of what is on sale: by words of its text, and by tag and attribute."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from catalog.models.product import Product
from catalog.words import MAX_TOKEN
from miniback.core.fields import ExactCharField, FenField

MAX_FACET = 100


class SearchToken(models.Model):
    """A word, a pair of Chinese characters or a single one that stands in a product's text.

    Rows exist for products on sale only. ``weight`` is the order of relevance and ``price_fen`` the
    product's price, so that the first page of a common word is read from an index and no row more.
    """

    pk = models.CompositePrimaryKey("token", "product_id")
    token = ExactCharField(max_length=MAX_TOKEN)
    product = models.ForeignKey(Product, models.CASCADE, related_name="search_tokens")
    weight = models.SmallIntegerField()
    price_fen = FenField()

    class Meta:
        verbose_name = _("search token")
        verbose_name_plural = _("search tokens")
        indexes = [
            models.Index(fields=["token", "weight", "product"], name="searchtoken_relevance"),
            models.Index(fields=["token", "price_fen", "product"], name="searchtoken_price"),
        ]

    def __str__(self) -> str:
        return self.token


class SearchText(models.Model):
    """A product's text as it is searched: what pairs of characters found is checked again on it."""

    product = models.OneToOneField(
        Product, models.CASCADE, primary_key=True, related_name="search_text"
    )
    text = models.TextField()

    class Meta:
        verbose_name = _("search text")
        verbose_name_plural = _("search texts")

    def __str__(self) -> str:
        return self.text[:50]


class ProductFacet(models.Model):
    """A tag ("tag:新品") or an attribute ("attribute:材质:纯棉") of a product on sale."""

    pk = models.CompositePrimaryKey("facet", "product_id")
    facet = ExactCharField(max_length=MAX_FACET)
    product = models.ForeignKey(Product, models.CASCADE, related_name="facets")

    class Meta:
        verbose_name = _("product facet")
        verbose_name_plural = _("product facets")

    def __str__(self) -> str:
        return self.facet
