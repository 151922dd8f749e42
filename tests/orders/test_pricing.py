from hypothesis import given
from hypothesis import strategies as st

from orders.pricing import price, refundable, spread

lines = st.lists(st.tuples(st.integers(0, 10_000_000), st.integers(1, 999)), max_size=50)


@given(lines)
def test_what_is_payable_adds_up(lines: list[tuple[int, int]]) -> None:
    amounts = price([unit * count for unit, count in lines])
    assert amounts.goods_fen == sum(unit * count for unit, count in lines)
    assert amounts.payable_fen == amounts.goods_fen + amounts.freight_fen - amounts.discount_fen
    assert amounts.payable_fen >= 0


@given(st.lists(st.integers(0, 10_000_000), min_size=1, max_size=50), st.data())
def test_a_discount_is_spread_to_the_fen(weights: list[int], data: st.DataObject) -> None:
    """D5: nothing is lost, nothing is negative, no line gets more than it costs."""
    amount = data.draw(st.integers(0, sum(weights)))
    parts = spread(amount, weights)
    assert sum(parts) == amount
    assert all(0 <= part <= weight for part, weight in zip(parts, weights, strict=True))


def test_the_largest_remainder_gets_the_fen() -> None:
    assert spread(100, [1, 1, 1]) == [34, 33, 33]
    assert spread(5, [3, 3, 4]) == [2, 1, 2]
    assert spread(0, [5]) == [0]
    assert spread(0, [0, 0]) == [0, 0]


@given(st.integers(0, 10_000_000), st.lists(st.integers(1, 20), min_size=1, max_size=20))
def test_refunds_in_any_split_return_exactly_what_was_paid(paid: int, splits: list[int]) -> None:
    """D5: never more, never negative, and all of it when all is back."""
    pieces, back, back_fen = sum(splits), 0, 0
    for count in splits:
        back += count
        part = refundable(paid, pieces=pieces, back=back, back_fen=back_fen)
        assert part >= 0
        back_fen += part
        assert back_fen <= paid
    assert back_fen == paid
