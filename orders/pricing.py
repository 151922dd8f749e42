"""What an order costs, in fen. Pure arithmetic."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Amounts(NamedTuple):
    goods_fen: int
    freight_fen: int
    discount_fen: int

    @property
    def payable_fen(self) -> int:
        return self.goods_fen + self.freight_fen - self.discount_fen


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


def price(lines: Iterable[tuple[int, int]], *, freight_fen: int = 0) -> Amounts:
    """``lines`` are (unit price in fen, pieces)."""
    goods = sum(unit_fen * quantity for unit_fen, quantity in lines)
    return Amounts(goods_fen=goods, freight_fen=freight_fen, discount_fen=0)


def refundable(total_fen: int, *, pieces: int, back: int, back_fen: int) -> int:
    """What is due when ``back`` of a line's ``pieces`` are back in all, and ``back_fen`` was promised.

    The target grows with the pieces, so that order and splitting do not matter and the last
    piece takes the rest.
    """
    return total_fen * back // pieces - back_fen
