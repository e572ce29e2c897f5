"""The figures of the original implementation on SmolLM2: two candidates of its block search, and the chosen one pruned.

The whole search takes minutes; ``python tests/parity/real.py`` does every run of the reference and prints how near.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

import neuroal
from tests.parity.figures import DATA, figures, mask_hash, zero_masks

RUN = "wanda-neuroal-block-0.6"


@pytest.fixture(scope="module")
def found(converted: Path) -> dict[str, Any]:
    """The reference's figures of one run, and ours."""
    golden = figures("real")
    run = next(run for run in golden["runs"] if run["id"] == RUN)
    best = run["search"]["block"]["best_lambda"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEUROAL_DATA", str(converted))
        model = neuroal.load("SmolLM2-135M-Instruct", device="cpu", dtype="float32").model
    model.set_attn_implementation("eager")
    tokens, held_out = (torch.tensor(golden["tokens"][name]) for name in ("calib", "eval"))
    allocation = neuroal.allocate(model, tokens, step="block", sparsity=0.6, lambdas=(0.25, best), gqa="base")
    neuroal.prune(model, tokens, allocation)
    return {"run": run, "allocation": allocation, "model": model, "loss": math.log(neuroal.perplexity(model, held_out))}


def test_scores_agree(found: dict[str, Any]) -> None:
    search = found["run"]["search"]["block"]
    theirs = dict(zip(search["lambdas"], search["scores"], strict=True))
    assert found["allocation"].block_lambda == search["best_lambda"]
    for lam, score in found["allocation"].block_scores.items():
        assert score == pytest.approx(theirs[lam], rel=1e-3)


def test_counts_are_equal_and_nearly_all_masks(found: dict[str, Any]) -> None:
    """A mask flip is amplified by the blocks after it, so another processor may end with a few other masks."""
    theirs = found["run"]["linears"]
    ours = zero_masks(found["model"], theirs)
    assert len(theirs) == 210
    assert all(int(ours[name].sum()) == figure["zeros"] for name, figure in theirs.items())
    assert sum(mask_hash(ours[name]) == figure["mask_sha256"] for name, figure in theirs.items()) >= 100


def test_perplexity_is_within_three_percent(found: dict[str, Any]) -> None:
    assert math.exp(found["loss"]) == pytest.approx(math.exp(found["run"]["eval_loss"]), rel=0.03)


def test_the_data_of_the_reference_stays_small() -> None:
    files = [file for file in DATA.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 5_000_000
