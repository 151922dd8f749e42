"""What carrying an order costs, in fen. Pure arithmetic over templates and their rules."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

PIECE, WEIGHT, FIXED = "piece", "weight", "fixed"


class Rule(NamedTuple):
    """For the places in ``regions``: names of provinces or cities, or beginnings of region codes.

    No regions: everywhere else. Units are pieces, or grams.
    """

    regions: Sequence[str]
    is_served: bool
    first_units: int
    first_fen: int
    extra_units: int
    extra_fen: int
    free_from_fen: int | None
    free_from_units: int | None


class Place(NamedTuple):
    province: str
    city: str
    region_code: str


class Load(NamedTuple):
    """Everything of one order that one template carries."""

    unit: str
    rules: Sequence[Rule]
    pieces: int
    weight_g: int
    goods_fen: int


def rule_for(rules: Sequence[Rule], place: Place | None) -> Rule | None:
    """The rule that knows the place best; None: the template does not deliver there."""
    ranked = sorted(rules, key=lambda rule: _fit(rule, place), reverse=True)
    if not ranked or _fit(ranked[0], place) < 0 or not ranked[0].is_served:
        return None
    return ranked[0]


def _fit(rule: Rule, place: Place | None) -> int:
    """-1: not this place; 0: everywhere else; more: the more exact."""
    if not rule.regions:
        return 0
    if place is None:
        return -1
    fits = [-1]
    for region in rule.regions:
        if region.isdigit() and place.region_code.startswith(region):
            fits.append(len(region))
        # A city's code has four digits, a province's two.
        elif region == place.city:
            fits.append(4)
        elif region == place.province:
            fits.append(2)
    return max(fits)


def freight_of(load: Load, place: Place | None) -> int | None:
    """What one template asks for its load; None: it does not deliver there."""
    rule = rule_for(load.rules, place)
    if rule is None:
        return None
    units = load.weight_g if load.unit == WEIGHT else load.pieces
    if rule.free_from_fen is not None and load.goods_fen >= rule.free_from_fen:
        return 0
    if rule.free_from_units is not None and units >= rule.free_from_units:
        return 0
    if load.unit == FIXED or units <= rule.first_units or not rule.extra_units:
        return rule.first_fen
    steps = -(-(units - rule.first_units) // rule.extra_units)
    return rule.first_fen + steps * rule.extra_fen


def total(loads: Iterable[Load], place: Place | None) -> int:
    """Every template of an order asks for itself; what is not delivered asks nothing."""
    return sum(freight_of(load, place) or 0 for load in loads)
