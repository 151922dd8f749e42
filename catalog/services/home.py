"""The home page as staff composed it, and what the search field offers."""

from typing import Any

from django.utils import timezone

from catalog.models import (
    Banner,
    Category,
    HomeRow,
    HomeRowProduct,
    HomeRowRule,
    HotKeyword,
    Product,
)
from catalog.services.search import engine
from catalog.words import normalise

Card = dict[str, Any]
ORDERS = {HomeRowRule.NEWEST: "-published_at", HomeRowRule.BEST_SELLING: "-sales_count"}
SUGGESTIONS = 10


def banners() -> list[Banner]:
    return list(Banner.objects.showing(timezone.now()))


def shortcuts() -> list[Category]:
    return list(
        Category.objects.filter(is_shortcut=True, is_visible=True).order_by("position", "id")
    )


def rows() -> list[tuple[HomeRow, list[Card]]]:
    """Each visible row with the cards of its products on sale; a row without any is left out."""
    shown = list(HomeRow.objects.filter(is_visible=True).order_by("position", "id"))
    picked = _picked(shown)
    tree = Category.objects.tree() if any(row.category_id for row in shown) else None
    filled = []
    for row in shown:
        if row.rule == HomeRowRule.PICKED:
            cards = picked.get(row.pk, [])[: row.size]
        else:
            products = Product.objects.on_sale()
            if row.category_id and tree:
                below = tree.with_descendants([row.category_id])
                products = products.filter(category__in=below)
            order = ORDERS[HomeRowRule(row.rule)]
            cards = list(products.cards().order_by(order, "-id")[: row.size])
        if cards:
            filled.append((row, cards))
    return filled


def _picked(shown: list[HomeRow]) -> dict[int, list[Card]]:
    """The chosen products of all rows, by two queries."""
    wanted = [row.pk for row in shown if row.rule == HomeRowRule.PICKED]
    pairs = HomeRowProduct.objects.filter(row__in=wanted).order_by("position", "id")
    chosen = list(pairs.values_list("row_id", "product_id"))
    ids = {product_id for _row, product_id in chosen}
    cards = {card["id"]: card for card in Product.objects.on_sale().filter(pk__in=ids).cards()}
    result: dict[int, list[Card]] = {}
    for row_id, product_id in chosen:
        if product_id in cards:
            result.setdefault(row_id, []).append(cards[product_id])
    return result


def hot_keywords() -> list[HotKeyword]:
    return list(HotKeyword.objects.order_by("position", "id")[:50])


def suggest(text: str) -> list[str]:
    """Up to ten words to search for: hot keywords that begin so, then names of products."""
    begun = normalise(text)
    if not begun:
        return []
    hot = [row.keyword for row in hot_keywords() if normalise(row.keyword).startswith(begun)]
    found = engine().matching(Product.objects.all(), begun)
    names = found.order_by("-relevance", "-id").values_list("name", flat=True)
    return list(dict.fromkeys([*hot, *names[: 2 * SUGGESTIONS]]))[:SUGGESTIONS]


def suggest_instead(text: str) -> list[str]:
    """For a search that found nothing: what its parts find, else the hot keywords."""
    parts = [suggest(part) for part in normalise(text).split()[:3]]
    found = list(dict.fromkeys(word for part in parts for word in part))
    return (found or [row.keyword for row in hot_keywords()])[:SUGGESTIONS]
