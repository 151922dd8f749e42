"""What an order costs, in fen. Pure arithmetic."""

from collections.abc import Sequence
from typing import NamedTuple

AMOUNT, PERCENT, FREIGHT = "amount", "percent", "freight"

# Why a coupon takes nothing off an order.
NOT_YET_VALID, EXPIRED, USED = "not_yet_valid", "expired", "used"
OUT_OF_SCOPE, BELOW_THRESHOLD, NO_FREIGHT = "out_of_scope", "below_threshold", "no_freight"


class Discount(NamedTuple):
    """What a coupon takes off each line, in the order of the lines, and off the freight."""

    lines: list[int]
    freight_fen: int = 0

    @property
    def total_fen(self) -> int:
        return sum(self.lines) + self.freight_fen


class Amounts(NamedTuple):
    """``freight_discount_fen`` is the part of ``discount_fen`` that is not spread over the lines."""

    goods_fen: int
    freight_fen: int
    discount_fen: int
    freight_discount_fen: int

    @property
    def payable_fen(self) -> int:
        return self.goods_fen + self.freight_fen - self.discount_fen


class Offer(NamedTuple):
    """The terms of a coupon. ``percent_off`` is 20 for what China calls 8折."""

    kind: str
    threshold_fen: int
    amount_fen: int
    percent_off: int
    max_discount_fen: int | None


def spread(amount_fen: int, weights: Sequence[int]) -> list[int]:
    """Split an amount by weights, to the fen, by largest remainder; ties go to the first.

    The parts sum to ``amount_fen``, and no part exceeds its weight as long as the amount does not
    exceed their sum. Nothing can be spread over weights that are all zero.
    """
    total = sum(weights)
    if not total:
        return [0] * len(weights)
    parts = [amount_fen * weight // total for weight in weights]
    # sorted() is stable: equal remainders keep their order.
    by_remainder = sorted(range(len(weights)), key=lambda i: -(amount_fen * weights[i] % total))
    for index in by_remainder[: amount_fen - sum(parts)]:
        parts[index] += 1
    return parts


def discount(
    offer: Offer, totals: Sequence[int], covered: Sequence[bool], freight_fen: int
) -> Discount | str:
    """What an offer takes off lines that cost ``totals``, or the reason why nothing.

    The threshold is compared with the lines that the offer covers, and the discount is spread over
    those; it never exceeds them. A percentage is rounded half up, once, on their sum.
    """
    weights = [total if inside else 0 for total, inside in zip(totals, covered, strict=True)]
    base = sum(weights)
    if not any(covered):
        return OUT_OF_SCOPE
    if base < offer.threshold_fen:
        return BELOW_THRESHOLD
    if offer.kind == FREIGHT:
        return Discount([0] * len(weights), freight_fen) if freight_fen else NO_FREIGHT
    off = offer.amount_fen if offer.kind == AMOUNT else (base * offer.percent_off + 50) // 100
    if offer.max_discount_fen is not None:
        off = min(off, offer.max_discount_fen)
    return Discount(spread(min(off, base), weights))


def price(totals: Sequence[int], *, freight_fen: int = 0, off: Discount | None = None) -> Amounts:
    """``totals`` are what the lines cost before any discount."""
    return Amounts(
        goods_fen=sum(totals),
        freight_fen=freight_fen,
        discount_fen=off.total_fen if off else 0,
        freight_discount_fen=off.freight_fen if off else 0,
    )


def refundable(total_fen: int, *, pieces: int, back: int, back_fen: int) -> int:
    """What is due when ``back`` of a line's ``pieces`` are back in all, and ``back_fen`` was promised.

    The target grows with the pieces, so that order and splitting do not matter and the last
    piece takes the rest.
    """
    return total_fen * back // pieces - back_fen
