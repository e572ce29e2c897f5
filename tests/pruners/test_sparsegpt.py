"""SparseGPT against textbook updates with an explicit inverse, and on Hessians that are hard to invert."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import LlamaForCausalLM

import neuroal
from neuroal.errors import UserError
from neuroal.masks import keep_counts
from neuroal.options import Options
from neuroal.pruners import PRUNERS, sparsegpt
from neuroal.pruners.sparsegpt import SparseGPT
from neuroal.statistics import FadingNorm, InputNorm


def _gathered(inputs: Tensor, name: str = "sparsegpt") -> Any:
    statistics = PRUNERS.get(name)().statistics()
    statistics.update(inputs)
    return statistics


def _correlated(features: int, tokens: int = 64) -> Tensor:
    """Inputs [2, tokens, features] that a few directions dominate."""
    return torch.randn(2, tokens, features) @ torch.randn(features, features).cumsum(0)


# --- against the textbook -------------------------------------------------------------------------------------------

Choose = Callable[[np.ndarray, int, int], np.ndarray]


def _textbook(weight: Tensor, inputs: Tensor, chunk: int, choose: Choose) -> np.ndarray:
    """Optimal brain surgery in float64: prune a column, pay its error with the inverse Hessian of the columns not yet
    passed, strike the column out of that inverse.

    Args:
        choose: the chunk's mask from its saliencies [out, c], its first column and the one after its last.
    """
    w, x = weight.double().numpy().copy(), inputs.double().numpy()
    hessian = 2 / len(x) * sum(s.T @ s for s in x)
    hessian += 0.01 * np.diag(hessian).mean() * np.eye(len(hessian))
    inverse = np.linalg.inv(hessian)
    remaining = []  # the inverse with all columns before j struck out
    for j in range(w.shape[1]):
        remaining.append(inverse.copy())
        inverse = inverse - np.outer(inverse[:, j], inverse[j]) / inverse[j, j]
    costs = np.array([remaining[j][j, j] for j in range(w.shape[1])])
    for start in range(0, w.shape[1], chunk):
        end = min(start + chunk, w.shape[1])
        mask = choose(w[:, start:end] ** 2 / costs[start:end], start, end)
        for j in range(start, end):
            lost = np.where(mask[:, j - start], w[:, j], 0.0)
            w[:, j + 1 :] -= np.outer(lost / costs[j], remaining[j][j, j + 1 :])
            w[:, j] = np.where(mask[:, j - start], 0.0, w[:, j])
    return w


def _by_threshold(sparsity: float) -> Choose:
    def choose(scores: np.ndarray, start: int, end: int) -> np.ndarray:
        return scores <= np.sort(scores, axis=None)[int(scores.size * sparsity)]

    return choose


def _by_row(counts: list[int], columns: int) -> Choose:
    def choose(scores: np.ndarray, start: int, end: int) -> np.ndarray:
        mask = np.zeros_like(scores, dtype=bool)
        for row, count in enumerate(counts):
            here = count * end // columns - count * start // columns
            mask[row, np.argsort(scores[row])[:here]] = True
        return mask

    return choose


def _smallest(count: int) -> Choose:
    def choose(scores: np.ndarray, start: int, end: int) -> np.ndarray:
        mask = np.zeros_like(scores, dtype=bool)
        np.put_along_axis(mask, np.argsort(scores, axis=1)[:, :count], True, axis=1)
        return mask

    return choose


@pytest.mark.parametrize("columns", [8, 22])
def test_one_ratio_equals_the_textbook(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """In chunks of eight columns, the last one shorter."""
    monkeypatch.setattr(sparsegpt, "CHUNK", 8)
    weight, inputs = torch.randn(5, columns), _correlated(columns)
    pruned = SparseGPT().prune(weight, _gathered(inputs), 0.6)
    expected = _textbook(weight, inputs, 8, _by_threshold(0.6))
    assert np.array_equal(pruned.numpy() == 0, expected == 0)
    assert np.allclose(pruned, expected, rtol=1e-3, atol=1e-4)


def test_ratios_by_row_equal_the_textbook(monkeypatch: pytest.MonkeyPatch) -> None:
    """13 of 22 over chunks of 8, 8 and 6: 4 by the eighth column, 9 by the sixteenth, 13 at the end."""
    monkeypatch.setattr(sparsegpt, "CHUNK", 8)
    weight, inputs, ratios = torch.randn(3, 22), _correlated(22), np.array([0.1, 0.59, 0.9])
    counts = (22 - keep_counts(22, ratios)).tolist()
    pruned = SparseGPT().prune(weight, _gathered(inputs), ratios)
    expected = _textbook(weight, inputs, 8, _by_row(counts, 22))
    assert counts[1] == 13 and (pruned == 0).sum(1).tolist() == counts
    assert [int((pruned[1, a:b] == 0).sum()) for a, b in ((0, 8), (8, 16), (16, 22))] == [4, 5, 4]
    assert np.array_equal(pruned.numpy() == 0, expected == 0)
    assert np.allclose(pruned, expected, rtol=1e-3, atol=1e-4)


def test_groups_equal_the_textbook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each group's mask is chosen on weights as compensated by then, also within a chunk of two groups."""
    monkeypatch.setattr(sparsegpt, "CHUNK", 8)
    weight, inputs = torch.randn(5, 20), _correlated(20)
    pruned = SparseGPT().prune(weight, _gathered(inputs), 0.5, of=4)
    expected = _textbook(weight, inputs, 4, _smallest(2))
    assert np.array_equal(pruned.numpy() == 0, expected == 0)
    assert np.allclose(pruned, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("of", [None, 4])
def test_it_hurts_the_outputs_less_than_wanda_at_the_same_counts(of: int | None) -> None:
    weight, inputs = torch.randn(24, 32), _correlated(32)
    ratio: Any = 0.5 if of else np.full(24, 0.5)
    damage = {}
    for name in ("wanda", "sparsegpt"):
        pruned = PRUNERS.get(name)().prune(weight, _gathered(inputs, name), ratio, of)
        assert (pruned == 0).sum(1).tolist() == [16] * 24
        damage[name] = float((inputs @ (weight - pruned).t()).norm())
    assert damage["sparsegpt"] < 0.7 * damage["wanda"]


def test_its_metric_is_the_saliency_of_the_first_chunk() -> None:
    weight, inputs = torch.randn(5, 12), _correlated(12)
    metric = SparseGPT().metric(weight, _gathered(inputs))
    pruned = SparseGPT().prune(weight, _gathered(inputs), 0.5)
    assert torch.equal(pruned == 0, metric <= metric.flatten().sort().values[30])


def test_exact_statistics_take_plain_norms() -> None:
    from neuroal.options import Options

    assert type(SparseGPT().norms()) is FadingNorm
    assert type(SparseGPT(Options(exact_statistics=True)).norms()) is InputNorm


# --- Hessians that are hard to invert -------------------------------------------------------------------------------

RATIOS = np.array([0.25, 0.5, 0.75])


def _dead(x: Tensor) -> Tensor:
    x[..., [0, 7]] = 0
    return x


def _duplicated(x: Tensor) -> Tensor:
    x[..., 8:] = x[..., :8]
    return x


@pytest.mark.parametrize(
    "inputs",
    [
        lambda: torch.randn(1, 3, 16),
        lambda: torch.ones(1, 4, 16),
        lambda: _duplicated(torch.randn(2, 9, 16)),
        lambda: torch.randn(2, 40, 16) * 1e12,
        lambda: torch.randn(2, 40, 16) * 1e-9,
        lambda: torch.randn(2, 40, 16) * torch.logspace(-6, 6, 16),
        lambda: torch.zeros(1, 4, 16),
    ],
    ids=["fewer tokens than columns", "constant", "duplicated", "huge", "small", "badly scaled", "nothing"],
)
def test_weights_stay_finite_and_counts_exact(inputs: Callable[[], Tensor]) -> None:
    weight = torch.randn(3, 16)
    pruned = SparseGPT().prune(weight, _gathered(inputs()), RATIOS)
    assert torch.isfinite(pruned).all()
    lost = (pruned == 0).sum(1).tolist()
    assert lost == [4, 8, 12] or (lost == [16] * 3 and not bool(inputs().any()))


def test_what_no_input_reaches_becomes_zero() -> None:
    weight = torch.randn(4, 16)
    pruned = SparseGPT().prune(weight, _gathered(_dead(_correlated(16))), np.full(4, 0.5))
    assert (pruned[:, [0, 7]] == 0).all()
    assert (pruned == 0).sum(1).tolist() == [8] * 4


def _failing(monkeypatch: pytest.MonkeyPatch, fails: Iterator[bool]) -> None:
    """Cholesky factors fail as told, and succeed once nothing more is told."""
    factor = torch.linalg.cholesky_ex

    def cholesky_ex(matrix: Tensor, **settings: Any) -> tuple[Tensor, Tensor]:
        lower, info = factor(matrix, **settings)
        return (lower, torch.ones_like(info)) if next(fails, False) else (lower, info)

    monkeypatch.setattr(torch.linalg, "cholesky_ex", cholesky_ex)


@pytest.mark.parametrize("fails", [[True], [False, True]], ids=["the factor", "the factor of the inverse"])
def test_a_failure_raises_the_damping_tenfold_and_is_told_once(
    monkeypatch: pytest.MonkeyPatch, fails: list[bool]
) -> None:
    weight, inputs = torch.randn(3, 16), _correlated(16)
    with monkeypatch.context() as patched:
        patched.setattr(sparsegpt, "DAMPING", 0.1)
        expected = SparseGPT().prune(weight, _gathered(inputs), RATIOS)
    _failing(monkeypatch, iter(fails))
    pruner = SparseGPT()
    pruned = pruner.prune(weight, _gathered(inputs), RATIOS)
    assert torch.equal(pruned == 0, expected == 0) and torch.allclose(pruned, expected, rtol=1e-3, atol=1e-5)
    (notice,) = pruner.notices
    assert "raised from 1% to 10%" in notice


def test_a_hopeless_hessian_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    _failing(monkeypatch, iter(lambda: True, False))
    with pytest.raises(UserError, match="cannot invert the Hessian") as caught:
        SparseGPT().prune(torch.randn(3, 16), _gathered(_correlated(16)), 0.5)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_exact_statistics_factor_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights stay float32 whatever the factor was computed in."""
    seen, factor = [], torch.linalg.cholesky_ex

    def cholesky_ex(matrix: torch.Tensor, **settings: object) -> object:
        seen.append(matrix.dtype)
        return factor(matrix, **settings)

    monkeypatch.setattr(torch.linalg, "cholesky_ex", cholesky_ex)
    weight, inputs = torch.randn(6, 16), torch.randn(2, 8, 16)
    for exact, dtype in ((False, torch.float32), (True, torch.float64)):
        seen.clear()
        pruner = SparseGPT(Options(exact_statistics=exact))
        statistics = pruner.statistics()
        statistics.update(inputs)
        assert pruner.prune(weight, statistics, 0.5).dtype == torch.float32
        assert set(seen) == {dtype}


def test_sparsegpt_at_a_ratio_of_zero_prunes_nothing(model: LlamaForCausalLM, tokens: Tensor) -> None:
    allocation = neuroal.allocate(model, tokens, pruner="sparsegpt", top_up="custom", block_sparsity=(0.0, 0.5, 0.5))
    report = neuroal.prune(model, tokens, allocation)
    assert not any(share for path, share in report.achieved.items() if path.startswith("model.layers.0."))


# --- several linears at once ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", [None, 4])
@pytest.mark.parametrize("by_row", [False, True])
def test_linears_below_each_other_are_pruned_as_if_alone(of: int | None, by_row: bool) -> None:
    """Queries, keys and values share an input; each has a threshold, a count per row or groups of its own."""
    statistics = _gathered(_correlated(24))
    weights = [torch.randn(rows, 24) for rows in (16, 8, 8)]
    ratios: list[Any] = [0.5, 0.25, 0.75]
    if by_row and of is None:
        ratios = [np.linspace(0.2, 0.8, len(weight)) for weight in weights]
    together = SparseGPT().prune_together(weights, statistics, ratios, of)
    for weight, ratio, pruned in zip(weights, ratios, together, strict=True):
        alone = SparseGPT().prune(weight, statistics, ratio, of)
        assert torch.equal(alone == 0, pruned == 0)
        torch.testing.assert_close(alone, pruned)
