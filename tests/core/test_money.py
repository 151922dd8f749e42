import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniback.core.money import NotYuan, format_yuan, parse_yuan


def test_every_price_makes_the_round_trip() -> None:
    """T08: 19.9 is 1990 fen, never 1989."""
    assert parse_yuan("19.9") == 1990
    for fen in range(1, 1_000_000):
        assert parse_yuan(format_yuan(fen)) == fen


@given(st.integers(-(10**13), 10**13))
def test_any_amount_makes_the_round_trip(fen: int) -> None:
    assert parse_yuan(format_yuan(fen)) == fen


@pytest.mark.parametrize("text", ["", "abc", "1.999", "1e3", "１２", "1,000", "--1", "1.", "NaN"])
def test_refuses_what_is_not_yuan(text: str) -> None:
    with pytest.raises(NotYuan):
        parse_yuan(text)
