"""Every family through every pruner: uniform and NeuroAL's two steps, counted; the dense model stays as it was."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

import neuroal
from neuroal.blocks import DecoderStack
from neuroal.pruners import PRUNERS
from tests.families.conftest import Case

SPARSITY = 0.55


def _zeros(model: nn.Module) -> dict[str, np.ndarray]:
    """Zeros in each row, {linear path: int64 [rows]}."""
    return {linear.path: (linear.weight == 0).sum(1).numpy() for linear in DecoderStack(model).all_linears()}


def _unread(case: Case, pruner: str) -> tuple[str, ...]:
    """Names of the linears that stay dense because this pruner waits in vain for their input."""
    return case.family.unread if PRUNERS.get(pruner).needs_data else ()


@pytest.mark.parametrize("pruner", PRUNERS.labels)
def test_uniform_counts_are_exact(case: Case, pruner: str) -> None:
    """The ratio, rounded down, of every row; where kept weights move, of the whole linear and up to its threshold."""
    pruned = copy.deepcopy(case.model)
    allocation = neuroal.allocate(case.model, case.tokens, pruner=pruner, top_up="uniform", sparsity=SPARSITY)
    report = neuroal.prune(pruned, case.tokens, allocation)
    zeros = _zeros(pruned)
    for linear in case.stack.all_linears():
        rows, columns = linear.weight.shape
        count = zeros[linear.path]
        if linear.name in _unread(case, pruner):
            assert count.sum() == 0
        elif pruner == "sparsegpt":
            assert count.sum() == int(rows * columns * SPARSITY) + 1
        else:
            assert (count == int(columns * SPARSITY)).all()
        assert report.achieved[linear.path] == pytest.approx(count.sum() / (rows * columns))


@pytest.mark.parametrize("pruner", PRUNERS.labels)
def test_neuroal_runs_and_its_ratios_are_reached(case: Case, pruner: str) -> None:
    before = {name: tensor.clone() for name, tensor in case.model.state_dict().items()}
    allocation = neuroal.allocate(
        case.model, case.tokens, pruner=pruner, step="both", sparsity=SPARSITY, lambdas=(0.0, 0.1)
    )
    assert all(torch.equal(tensor, before[name]) for name, tensor in case.model.state_dict().items())
    assert len(allocation.block_scores) == len(allocation.row_scores) == 2
    pruned = copy.deepcopy(case.model)
    neuroal.prune(pruned, case.tokens, allocation)
    zeros = _zeros(pruned)
    for linear in case.stack.all_linears():
        if linear.name not in _unread(case, pruner):
            rows, columns = linear.weight.shape
            wanted = np.broadcast_to(allocation.sparsity[linear.path], rows) * columns
            assert np.abs(zeros[linear.path] - wanted).mean() <= 1, linear.path
    generated = pruned.generate(case.tokens[:1], max_new_tokens=2, do_sample=False)
    assert generated.shape[0] == 1 and generated.shape[1] > case.tokens.shape[1]
