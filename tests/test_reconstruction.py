"""Reconstruction against least squares solved by hand and by torch.linalg.solve, and what must hold for any input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from neuroal.masks import keep_counts, select
from neuroal.pruners import PRUNERS
from neuroal.pruners.alps import DAMPING as ALPS_DAMPING
from neuroal.reconstruction import DAMPING, damped, reconstruct
from neuroal.statistics import Gathered, Gram, InputNorm

UNDAMPED = 0.0


def gathered(inputs: Tensor) -> Gathered:
    statistics = Gathered(Gram(), InputNorm())
    statistics.update(inputs)
    return statistics


def random_case(rows: int = 12, columns: int = 20) -> tuple[Tensor, Tensor, Tensor]:
    """A weight, a pattern, and inputs whose features are correlated and of different size."""
    mixing = torch.randn(columns, columns) * torch.logspace(-0.5, 0.5, columns)
    return torch.randn(rows, columns), torch.rand(rows, columns) < 0.4, torch.randn(2, 32, columns) @ mixing


def losses(weight: Tensor, solution: Tensor, statistics: Gathered, damping: float) -> Tensor:
    """The damped objective of each row in float64."""
    difference = (solution.double() - weight.double()).cpu()
    return ((difference @ damped(statistics.gram, damping).double()) * difference).sum(1)


def test_two_columns_by_hand() -> None:
    # 2 XᵀX = [[4, 2], [2, 2]]; W = [3, 4], the second is pruned: v = 3 + 4 * 1/2 = 5
    statistics = gathered(torch.tensor([[[1.0, 0.0], [1.0, 1.0]]]))
    assert torch.allclose(statistics.gram, torch.tensor([[4.0, 2.0], [2.0, 2.0]]))
    solution = reconstruct(
        torch.tensor([[3.0, 4.0]]), torch.tensor([[True, False]]), statistics, iterations=1, damping=UNDAMPED
    )
    assert solution[0].tolist() == pytest.approx([5.0, 0.0], rel=1e-4)


def test_damping_by_hand() -> None:
    # mean of the diagonal 1.5, damping 2: A = [[5, 1], [1, 4]], so v = 3 + 4 * 1/5
    statistics = gathered(torch.tensor([[[1.0, 0.0], [1.0, 1.0]]]))
    solution = reconstruct(
        torch.tensor([[3.0, 4.0]]), torch.tensor([[True, False]]), statistics, iterations=1, damping=2.0
    )
    assert solution[0].tolist() == pytest.approx([3.8, 0.0])


def test_three_columns_by_hand() -> None:
    # XᵀX = [[3, 1, 1], [1, 2, 0], [1, 0, 1]], W = [1, 1, 6], the last is pruned:
    # [[3, 1], [1, 2]] u = 6 * [1, 0]  =>  u = [2.4, -1.2]
    inputs = torch.tensor([[[1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    statistics = gathered(inputs)
    assert torch.allclose(statistics.gram, torch.tensor([[6.0, 2.0, 2.0], [2.0, 4.0, 0.0], [2.0, 0.0, 2.0]]))
    kept = torch.tensor([[True, True, False]])
    solution = reconstruct(torch.tensor([[1.0, 1.0, 6.0]]), kept, statistics, iterations=2, damping=UNDAMPED)
    assert solution[0].tolist() == pytest.approx([3.4, -0.2, 0.0], rel=1e-4)


def test_converged_is_the_exact_solution_of_each_row() -> None:
    weight, kept, inputs = random_case()
    statistics = gathered(inputs)
    solution = reconstruct(weight, kept, statistics, iterations=200, damping=0.1)
    matrix = damped(statistics.gram, 0.1).double()
    for row, pattern, found in zip(weight.double(), kept, solution, strict=True):
        exact = torch.zeros_like(row)
        exact[pattern] = torch.linalg.solve(matrix[pattern][:, pattern], (matrix @ row)[pattern])
        assert torch.allclose(found.double(), exact, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_pruned_stay_exactly_zero_and_no_row_gets_worse(dtype: torch.dtype) -> None:
    weight, kept, inputs = random_case()
    weight, statistics = weight.to(dtype), gathered(inputs.to(dtype))
    before = weight.clone()
    solution = reconstruct(weight, kept, statistics)
    assert solution.dtype == dtype and solution.isfinite().all()
    assert not solution[~kept].any()
    assert torch.equal(weight, before)
    masked, moved = (losses(weight, w, statistics, DAMPING) for w in (weight.masked_fill(~kept, 0), solution))
    assert (moved <= masked * (1 + 1e-5)).all() and moved.sum() < 0.9 * masked.sum()


def test_the_objective_falls_with_every_iteration() -> None:
    weight, kept, inputs = random_case()
    statistics = gathered(inputs)
    course = [
        losses(weight, reconstruct(weight, kept, statistics, iterations=n), statistics, DAMPING)
        for n in (0, 1, 2, 4, 8)
    ]
    for earlier, later in zip(course, course[1:], strict=False):
        assert (later <= earlier * (1 + 1e-5)).all()


def test_no_iterations_is_the_masked_weight() -> None:
    weight, kept, inputs = random_case()
    assert torch.equal(reconstruct(weight, kept, gathered(inputs), iterations=0), weight.masked_fill(~kept, 0))


def test_dead_inputs_change_nothing_they_multiply() -> None:
    weight, kept, inputs = random_case()
    inputs[..., 3] = 0
    solution = reconstruct(weight, kept, gathered(inputs), iterations=100)
    assert solution.isfinite().all()
    assert torch.equal(solution[:, 3], weight[:, 3].masked_fill(~kept[:, 3], 0))


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_useless_inputs_leave_the_masked_weight(value: float) -> None:
    weight, kept, _ = random_case()
    solution = reconstruct(weight, kept, gathered(torch.full((1, 4, 20), value)))
    assert torch.equal(solution, weight.masked_fill(~kept, 0))


@pytest.mark.parametrize("every", [True, False])
def test_nothing_or_everything_kept(every: bool) -> None:
    weight, _, inputs = random_case()
    solution = reconstruct(weight, torch.full_like(weight, every, dtype=torch.bool), gathered(inputs))
    assert torch.equal(solution, weight if every else torch.zeros_like(weight))


def test_one_row_and_one_token() -> None:
    weight, kept, inputs = random_case(rows=1)
    solution = reconstruct(weight, kept, gathered(inputs[0, :1]), iterations=50)
    assert solution.shape == (1, 20) and solution.isfinite().all() and not solution[~kept].any()


ALPS = PRUNERS.get("alps")


def test_the_pattern_of_alps_loses_less_than_wandas() -> None:
    weight, _, inputs = random_case(rows=24, columns=40)
    statistics = gathered(inputs)
    wanda = ~select(weight.abs() * statistics.norm, 0.6)
    fixed = reconstruct(weight, wanda, statistics, iterations=50, damping=ALPS_DAMPING)
    found = ALPS().prune(weight, statistics, 0.6)
    ours, theirs = (losses(weight, each, statistics, ALPS_DAMPING).sum() for each in (found, fixed))
    assert ours < 0.97 * theirs


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_counts_of_alps_are_those_of_the_masks(dtype: torch.dtype) -> None:
    weight, _, inputs = random_case()
    statistics, rows = gathered(inputs), np.linspace(0.3, 0.9, 12)
    even, varied = (ALPS().prune(weight.to(dtype), statistics, sparsity) for sparsity in (0.6, rows))
    assert even.dtype == dtype and even.isfinite().all()
    assert even.count_nonzero(1).tolist() == [8] * 12  # 20 - floor(20 * 0.6)
    assert varied.count_nonzero(1).tolist() == keep_counts(20, rows).tolist()


def test_alps_without_any_input_keeps_the_largest_weights() -> None:
    weight = random_case()[0]
    found = ALPS().prune(weight, gathered(torch.zeros(1, 4, 20)), 0.5)
    assert torch.equal(found, weight.masked_fill(select(weight.abs(), 0.5), 0))
