"""N:M patterns: what is read, and how ratios of blocks become whole numbers of M."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from neuroal.errors import UserError
from neuroal.patterns import Pattern, apportion


@pytest.mark.parametrize(
    ("text", "written", "sparsity"),
    [("2:4", "2:4", 0.5), (" 4 : 8\n", "4:8", 0.5), ("1:4", "1:4", 0.75), ("3:4", "3:4", 0.25),
     ("1:128", "1:128", 127 / 128)],
)  # fmt: skip
def test_a_pattern_is_read_and_stands_for_a_ratio(text: str, written: str, sparsity: float) -> None:
    pattern = Pattern.parse(text)
    assert str(pattern) == written
    assert pattern.sparsity == sparsity


@pytest.mark.parametrize(
    "text",
    ["", "2", "2:", ":4", "2/4", "a:b", "2:4:8", "-1:4", "2.0:4", "0:4", "4:4", "4:2", "2:129", "20000:40000",
     None, 0.5, ["2:4"]],
)  # fmt: skip
def test_what_is_no_pattern_is_refused_in_one_sentence(text: Any) -> None:
    with pytest.raises(UserError, match="write N:M") as caught:
        Pattern.parse(text)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_a_refusal_does_not_repeat_an_endless_text() -> None:
    with pytest.raises(UserError) as caught:
        Pattern.parse("2" * 50_000)
    assert len(str(caught.value)) < 500


# --- apportioning ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratios", "sizes", "counts"),
    [
        ((0.5, 0.5), (1, 1), (2, 2)),  # nothing to round
        ((0.25, 0.5, 0.75), (7, 7, 7), (1, 2, 3)),
        ((0.3, 0.7), (5, 5), (1, 3)),  # wanted 1.2 and 2.8, together 4
        ((0.4, 0.5, 0.6), (1, 1, 1), (2, 2, 2)),  # 1.6, 2 and 2.4: the largest remainder goes up
        ((0.6, 0.6), (1, 1), (3, 2)),  # 2.4 twice: together nearest to 5; the first one goes up
        ((0.3, 0.7), (3, 1), (1, 3)),  # 1.2 three times over and 2.8: up goes the second, which leaves 0.4 of 3
        ((1.0, 1.0), (1, 1), (3, 3)),  # never all of M
        ((0.0, 0.0), (1, 1), (0, 0)),
    ],
)
def test_counts_by_hand(ratios: tuple[float, ...], sizes: tuple[int, ...], counts: tuple[int, ...]) -> None:
    assert apportion(ratios, sizes, of=4) == [k / 4 for k in counts]


@pytest.mark.parametrize(
    ("ratios", "counts"),
    [
        ((0.99, 0.99, 0.99, 0.0), (3, 3, 3, 3)),  # wanted 11.88 of 16; three are full at 3, so the last takes the rest
        ((1.4, 0.1), (3, 3)),  # AlphaPruning asks for more than everything: wanted 6
    ],
)
def test_what_full_blocks_cannot_lose_is_lost_by_the_others(ratios: tuple[float, ...], counts: tuple[int, ...]) -> None:
    assert apportion(ratios, [1] * len(ratios), of=4) == [k / 4 for k in counts]


_OF = st.sampled_from([2, 4, 8, 5])
_RATIOS = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@settings(max_examples=100, deadline=None)
@given(_RATIOS, _OF, st.data())
def test_the_total_is_kept_to_half_a_block(shares: list[float], of: int, data: st.DataObject) -> None:
    """With equal blocks that is the nearest whole number of groups, so the total is exact."""
    equal = data.draw(st.booleans())
    sizes = [1] * len(shares) if equal else data.draw(st.lists(st.integers(1, 9), min_size=12))[: len(shares)]
    ratios = [r * (of - 1) / of for r in shares]  # no block is asked for more than it can give
    counts = [round(r * of) for r in apportion(ratios, sizes, of)]
    for count, ratio in zip(counts, ratios, strict=True):
        assert 0 <= count < of and abs(count - ratio * of) < 1 + 1e-6
    drift = sum(n * (k - r * of) for n, k, r in zip(sizes, counts, ratios, strict=True))
    assert abs(drift) <= max(sizes) / 2 + 1e-6


@settings(max_examples=60, deadline=None)
@given(_RATIOS, _OF)
@example([0.0, 1.0, 1.0, 1.0, 1e-38], 4)  # a difference that is lost beside a count
def test_a_sparser_block_never_loses_less(ratios: list[float], of: int) -> None:
    found = apportion(ratios, [1] * len(ratios), of)
    ordered = [count for _, count in sorted(zip(ratios, found, strict=True))]
    assert ordered == sorted(ordered)
    assert max(found) < 1
