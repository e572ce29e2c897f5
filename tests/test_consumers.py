"""Layouts of shared weights, found by gradients: each kind once, on attention and gates written out by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from neuroal.calls import Call
from neuroal.consumers import Fold, discovered, grouped_query
from neuroal.linears import find_linears

WIDTH, HEAD = 12, 3
HEADS = WIDTH // HEAD

Split = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """[B, T, heads, head] each -> [B, T, W]; keys and values are repeated for the query heads that share them."""
    k, v = (x.repeat_interleave(q.shape[2] // x.shape[2], dim=2) for x in (k, v))
    mixed = nn.functional.scaled_dot_product_attention(*(x.transpose(1, 2) for x in (q, k, v)), is_causal=True)
    return mixed.transpose(1, 2).flatten(2)


class Fused(nn.Module):
    """A block with one weight for several projections, which ``mix`` turns into the consumer's input."""

    def __init__(self, rows: int, mix: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.fused, self.out, self.mix = nn.Linear(WIDTH, rows), nn.Linear(WIDTH, WIDTH), mix

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(self.mix(self.fused(x)))


def _found(rows: int, mix: Callable[[Tensor], Tensor], dtype: torch.dtype = torch.float32) -> Fold | None:
    block = Fused(rows, mix).to(dtype)
    fused, out = find_linears("block", block)
    fold = discovered(block, torch.randn(1, 6, WIDTH, dtype=dtype), Call((None,), {}, 0), fused, out)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in block.modules())
    assert all(p.grad is None for p in block.parameters())
    return fold


def _rows(fold: Fold | None) -> list[float]:
    """The driver 0, 1, 2 ... folded."""
    assert fold is not None
    return fold(np.arange(float(WIDTH))).tolist()


def _concatenated(y: Tensor) -> Tensor:
    return _attend(*(part.unflatten(-1, (HEADS, HEAD)) for part in y.chunk(3, -1)))


def _interleaved(y: Tensor) -> Tensor:
    return _attend(*y.unflatten(-1, (HEADS, 3, HEAD)).unbind(3))


def _grouped(y: Tensor) -> Tensor:
    """Two groups of two query heads, each followed by its key and its value."""
    y = y.unflatten(-1, (2, 4, HEAD))
    return _attend(y[..., :2, :].flatten(2, 3), y[..., 2, :], y[..., 3, :])


def _multi_query(y: Tensor) -> Tensor:
    q, k, v = y.split([WIDTH, HEAD, HEAD], -1)
    return _attend(q.unflatten(-1, (HEADS, HEAD)), k.unsqueeze(2), v.unsqueeze(2))


def test_concatenated_queries_keys_and_values() -> None:
    fold = _found(3 * WIDTH, _concatenated)
    assert _rows(fold) == [*range(WIDTH)] * 3
    assert not fold.is_grouped_query


def test_interleaved_queries_keys_and_values() -> None:
    heads = [[3 * h, 3 * h + 1, 3 * h + 2] for h in range(HEADS)]
    assert _rows(_found(3 * WIDTH, _interleaved)) == [x for head in heads for x in head * 3]


def test_grouped_queries_take_the_mean_of_what_they_serve() -> None:
    """Query heads 0..2 and 3..5 share the key and value chunk 1.5..3.5."""
    fold = _found(8 * HEAD, _grouped)
    assert _rows(fold) == [
        0,
        1,
        2,
        3,
        4,
        5,
        1.5,
        2.5,
        3.5,
        1.5,
        2.5,
        3.5,
        6,
        7,
        8,
        9,
        10,
        11,
        7.5,
        8.5,
        9.5,
        7.5,
        8.5,
        9.5,
    ]
    assert fold.is_grouped_query


def test_one_key_and_value_for_all_queries() -> None:
    assert _rows(_found(WIDTH + 2 * HEAD, _multi_query)) == [*range(WIDTH), 4.5, 5.5, 6.5, 4.5, 5.5, 6.5]


def test_a_single_head() -> None:
    def mix(y: Tensor) -> Tensor:
        return _attend(*(part.unsqueeze(2) for part in y.chunk(3, -1)))

    assert _rows(_found(3 * WIDTH, mix)) == [*range(WIDTH)] * 3


def test_gate_and_up_in_halves() -> None:
    def mix(y: Tensor) -> Tensor:
        gate, up = y.chunk(2, -1)
        return nn.functional.silu(gate) * up

    assert _rows(_found(2 * WIDTH, mix)) == [*range(WIDTH)] * 2


def test_gate_and_up_interleaved() -> None:
    """With a gate that is shut for good on one feature: then nothing reaches its rows."""

    def mix(y: Tensor) -> Tensor:
        shut = torch.ones(WIDTH, dtype=y.dtype)
        shut[5] = 0
        return nn.functional.silu(y[..., ::2]) * y[..., 1::2] * shut

    assert _rows(_found(2 * WIDTH, mix)) == [x for j in range(WIDTH) for x in (j, j)]


def test_what_does_not_fit_has_no_fold() -> None:
    def scattered(y: Tensor) -> Tensor:
        return _concatenated(y[..., torch.randperm(3 * WIDTH, generator=torch.Generator().manual_seed(0))])

    assert _found(3 * WIDTH, scattered) is None
    assert _found(2 * WIDTH, lambda y: y[..., :WIDTH]) is None, "half of the rows feed nothing"
    assert _found(2 * WIDTH, lambda y: y.sum(-1, keepdim=True).expand(-1, -1, WIDTH)) is None, "all feed all"
    assert _found(2 * WIDTH, lambda y: torch.ones(1, 6, WIDTH)) is None, "the consumer reads something else"
    assert _found(WIDTH - 5, lambda y: torch.cat([y, y[..., :5]], -1)) is None, "a width that no head divides"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_shows_the_same(dtype: torch.dtype) -> None:
    """Rows that feed nothing receive exact zeros in any precision."""
    assert _rows(_found(3 * WIDTH, _interleaved, dtype)) == _rows(_found(3 * WIDTH, _interleaved))


def test_it_works_where_gradients_are_off() -> None:
    expected = _rows(_found(3 * WIDTH, _concatenated))
    with torch.no_grad():
        assert _rows(_found(3 * WIDTH, _concatenated)) == expected
    with torch.inference_mode():
        hidden = torch.randn(1, 6, WIDTH)
    block = Fused(3 * WIDTH, _concatenated).requires_grad_(False)
    fused, out = find_linears("block", block)
    assert _rows(discovered(block, hidden, Call((None,), {}, 0), fused, out)) == expected


def test_declared_heads_fold_consecutive_query_heads() -> None:
    assert _rows(grouped_query(6, 12, 3)) == [1.5, 2.5, 3.5, 7.5, 8.5, 9.5]
    assert grouped_query(5, 12, 3) is None
    assert grouped_query(4, 12, 3) is None
