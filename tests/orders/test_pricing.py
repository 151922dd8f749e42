from hypothesis import given
from hypothesis import strategies as st

from orders.pricing import price

lines = st.lists(st.tuples(st.integers(0, 10_000_000), st.integers(1, 999)), max_size=50)


@given(lines)
def test_what_is_payable_adds_up(lines: list[tuple[int, int]]) -> None:
    amounts = price(lines)
    assert amounts.goods_fen == sum(unit * count for unit, count in lines)
    assert amounts.payable_fen == amounts.goods_fen + amounts.freight_fen - amounts.discount_fen
    assert amounts.payable_fen >= 0
