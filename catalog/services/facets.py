"""What a list of products could be narrowed by: categories, brands, price bands, each with a count."""

from collections import Counter
from typing import Any

from django.db.models import QuerySet

from catalog.models import Brand, Category, Product
from miniback.core.pagination import page

# Counting every product of a common word costs what a hundred pages cost.
SAMPLE = 1000
BANDS = 4


def facets_of(products: "QuerySet[Product]", order: str) -> dict[str, Any]:
    """Facets of the first thousand of ``products`` in this order."""
    first = page(products, order, None, SAMPLE + 1)
    rows = list(first.values_list("category_id", "brand_id", "price_fen"))
    sample = rows[:SAMPLE]
    return {
        "categories": _named(Category, Counter(category for category, _b, _p in sample)),
        "brands": _named(Brand, Counter(brand for _c, brand, _p in sample if brand)),
        "price_bands": price_bands([price for _c, _b, price in sample]),
        "is_complete": len(rows) <= SAMPLE,
    }


def _named(model: Any, counts: "Counter[int]") -> list[dict[str, Any]]:
    common = counts.most_common(20)
    names = dict(model.objects.filter(pk__in=dict(common)).values_list("pk", "name"))
    return [{"id": pk, "name": names[pk], "count": count} for pk, count in common if pk in names]


def price_bands(prices: list[int]) -> list[dict[str, int]]:
    """Up to four bands with about as many products each, at round prices; none overlaps another.

    Bounds are in fen and both belong to the band, as in the list's filters.
    """
    ordered = sorted(prices)
    if not ordered:
        return []
    cuts = {_round(ordered[len(ordered) * part // BANDS]) for part in range(1, BANDS)}
    inner = sorted(cut for cut in cuts if ordered[0] < cut <= ordered[-1])
    edges = [ordered[0], *inner, ordered[-1] + 1]
    bands = []
    for low, above in zip(edges, edges[1:], strict=False):
        count = sum(low <= price < above for price in ordered)
        if count:
            bands.append({"min_price_fen": low, "max_price_fen": above - 1, "count": count})
    return bands


def _round(fen: int) -> int:
    """To two digits and whole yuan: 12,345 fen is 12,000."""
    unit = max(100, 10 ** (len(str(fen)) - 2))
    return fen // unit * unit
