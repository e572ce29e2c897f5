"""The figures of the original implementation, reproduced: lambdas, scores, counts, masks and losses.

The data was produced by running the original research code on tiny random models of four families; data/*.json.gz hold
its figures (see build.py). Selected here: magnitude and Wanda with uniform and NeuroAL (block, row, both).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM

import neuroal

DATA = Path(__file__).parent / "data"
FAMILIES = ("llama", "mistral", "opt", "phi")
METHODS, ALLOCATIONS = ("magnitude", "wanda"), ("uniform", "neuroal")


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> dict[str, Any]:
    """One family's figures and its dense model, in eager attention as the original ran it."""
    figures = json.loads(gzip.decompress((DATA / f"{request.param}.json.gz").read_bytes()))
    figures["runs"] = [
        run
        for run in figures["runs"]
        if run["method"] in METHODS and run["allocation"] in ALLOCATIONS and not run["error"]
    ]
    figures["folder"] = DATA / request.param
    return figures


@pytest.fixture(scope="module")
def results(family: dict[str, Any]) -> list[dict[str, Any]]:
    """Every selected run, done again by this engine."""
    tokens = torch.tensor(family["tokens"]["calib"])
    held_out = torch.tensor(family["tokens"]["eval"])
    return [_redo(run, family["folder"], tokens, held_out) for run in family["runs"]]


def _redo(run: dict[str, Any], folder: Path, tokens: torch.Tensor, held_out: torch.Tensor) -> dict[str, Any]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    allocation = neuroal.allocate(
        model,
        tokens,
        pruner=run["method"],
        top_up=run["allocation"],
        step=run["step"] or "both",
        sparsity=run["sparsity"],
        mode="exact",
        gqa="base",
    )
    neuroal.prune(model, tokens, allocation)
    return {"run": run, "allocation": allocation, "model": model, "loss": math.log(neuroal.perplexity(model, held_out))}


def _zero_masks(result: dict[str, Any]) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """(W == 0, the reference's figures) of every linear."""
    model: nn.Module = result["model"]
    for name, figures in result["run"]["linears"].items():
        yield (model.get_submodule(name).weight == 0).numpy(), figures


def test_every_kind_of_run_is_covered(family: dict[str, Any]) -> None:
    kinds = {(run["method"], run["allocation"], run["step"]) for run in family["runs"]}
    steps = {None, "block", "row", "both"}
    assert kinds == {(m, "uniform" if s is None else "neuroal", s) for m in METHODS for s in steps}


def test_scores_agree(results: list[dict[str, Any]]) -> None:
    """Within 1e-5 relative for 99 % of the candidates and 1e-3 for all."""
    errors = [
        abs(ours - theirs) / theirs
        for result in results
        for step, found in result["run"]["search"].items()
        if step in ("block", "row")
        for ours, theirs in zip(getattr(result["allocation"], f"{step}_scores").values(), found["scores"], strict=True)
    ]
    assert len(errors) > 200
    assert max(errors) <= 1e-3
    assert sum(e <= 1e-5 for e in errors) >= 0.99 * len(errors)


def test_grids_and_chosen_lambdas_are_equal(results: list[dict[str, Any]]) -> None:
    for result in results:
        for step in ("block", "row"):
            found = result["run"]["search"].get(step)
            scores = getattr(result["allocation"], f"{step}_scores")
            assert (scores is None) == (found is None), result["run"]["id"]
            if found:
                assert list(scores) == found["lambdas"], result["run"]["id"]
                assert getattr(result["allocation"], f"{step}_lambda") == found["best_lambda"], result["run"]["id"]


def test_counts_per_linear_and_per_row_are_equal(results: list[dict[str, Any]]) -> None:
    for result in results:
        for zeros, figures in _zero_masks(result):
            assert int(zeros.sum()) == figures["zeros"], result["run"]["id"]
            kept = (~zeros).sum(1).astype("<i4")
            assert hashlib.sha256(kept.tobytes()).hexdigest() == figures["kept_rows_sha256"], result["run"]["id"]


def test_masks_are_bit_equal(results: list[dict[str, Any]]) -> None:
    """At least 99.9 %: another processor may swap two weights that are equal to the last bits."""
    equal = [
        hashlib.sha256(np.packbits(zeros).tobytes()).hexdigest() == figures["mask_sha256"]
        for result in results
        for zeros, figures in _zero_masks(result)
    ]
    assert len(equal) > 400
    assert sum(equal) >= 0.999 * len(equal)


def test_losses_after_pruning_agree(results: list[dict[str, Any]]) -> None:
    for result in results:
        assert result["loss"] == pytest.approx(result["run"]["eval_loss"], abs=1e-4), result["run"]["id"]
