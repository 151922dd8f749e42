"""What an order costs, in fen. Pure arithmetic."""

from collections.abc import Iterable
from typing import NamedTuple


class Amounts(NamedTuple):
    goods_fen: int
    freight_fen: int
    discount_fen: int

    @property
    def payable_fen(self) -> int:
        return self.goods_fen + self.freight_fen - self.discount_fen


def price(lines: Iterable[tuple[int, int]]) -> Amounts:
    """``lines`` are (unit price in fen, pieces)."""
    goods = sum(unit_fen * quantity for unit_fen, quantity in lines)
    return Amounts(goods_fen=goods, freight_fen=0, discount_fen=0)
