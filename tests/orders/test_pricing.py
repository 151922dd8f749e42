from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orders.pricing import (
    BELOW_THRESHOLD,
    NO_FREIGHT,
    OUT_OF_SCOPE,
    Discount,
    Offer,
    discount,
    price,
    refundable,
    spread,
)

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


def offer(kind: str = "amount", **terms: Any) -> Offer:
    whole = {"threshold_fen": 0, "amount_fen": 0, "percent_off": 0, "max_discount_fen": None}
    return Offer(kind=kind, **{**whole, **terms})


@pytest.mark.parametrize(
    ("base", "percent", "off"),
    [
        (1, 50, 1),
        (1, 49, 0),
        (250, 15, 38),
        (249, 15, 37),
        (333, 10, 33),
        (335, 10, 34),
        (999, 100, 999),
    ],
)
def test_a_percentage_is_rounded_half_up_on_the_order(base: int, percent: int, off: int) -> None:
    """D6: once, on the sum, not line by line."""
    taken = discount(offer("percent", percent_off=percent), [base], [True], 0)
    assert taken == Discount([off])
    lines = [5] * 10
    assert discount(offer("percent", percent_off=10), lines, [True] * 10, 0).total_fen == 5


def test_a_cap_and_a_threshold() -> None:
    half = offer("percent", percent_off=50, max_discount_fen=300)
    assert discount(half, [400, 400], [True, True], 0) == Discount([150, 150])
    far = offer(amount_fen=100, threshold_fen=801)
    assert discount(far, [400, 400], [True, True], 0) == BELOW_THRESHOLD
    # Only what it covers counts.
    assert discount(
        offer(amount_fen=9, threshold_fen=400), [400, 400], [True, False], 0
    ) == Discount([9, 0])
    assert discount(half, [400], [False], 0) == OUT_OF_SCOPE
    assert discount(offer("freight"), [400], [True], 0) == NO_FREIGHT
    assert discount(offer("freight"), [400], [True], 500) == Discount([0], 500)


@given(
    st.lists(st.tuples(st.integers(0, 1_000_000), st.booleans()), min_size=1, max_size=50),
    st.sampled_from(["amount", "percent", "freight"]),
    st.integers(0, 100_000),
    st.integers(0, 100),
    st.none() | st.integers(0, 100_000),
    st.integers(0, 10_000),
)
# Nine yuan off a cart of five, which chance may miss.
@example([(500, True)], "amount", 900, 0, None, 0)
def test_any_coupon_on_any_cart(
    cart: list[tuple[int, bool]],
    kind: str,
    amount: int,
    percent: int,
    cap: int | None,
    freight: int,
) -> None:
    """D5, T10: within each line, exact in sum, and never less than nothing to pay."""
    totals, covered = [fen for fen, _inside in cart], [inside for _fen, inside in cart]
    terms = offer(kind, amount_fen=amount, percent_off=percent, max_discount_fen=cap)
    off = discount(terms, totals, covered, freight)
    amounts = price(totals, freight_fen=freight, off=off if isinstance(off, Discount) else None)
    assert amounts.payable_fen >= 0
    if not isinstance(off, Discount):
        return
    assert amounts.discount_fen == sum(off.lines) + off.freight_fen
    assert all(
        0 <= part <= (total if inside else 0)
        for part, total, inside in zip(off.lines, totals, covered, strict=True)
    )
    assert 0 <= off.freight_fen <= freight
    if kind == "amount" and cap is None:
        assert sum(off.lines) == min(amount, sum(t for t, inside in cart if inside))
