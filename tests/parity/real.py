"""Every run of the original implementation on SmolLM2, done again: how near scores, masks and perplexities are.

    python tests/parity/real.py [part of a run's name ...]

Minutes each; set OMP_NUM_THREADS to what the machine has to spare. AlphaPruning is fragile here by the reference's own
account: its exponents jump with the last bits of singular values.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

import neuroal
from tests.parity.figures import TOP_UPS, figures, mask_hash, zero_masks


def redo(run: dict[str, Any], golden: dict[str, Any]) -> dict[str, Any]:
    """One run, compared with the reference's."""
    tokens, held_out = (torch.tensor(golden["tokens"][name]) for name in ("calib", "eval"))
    model = neuroal.load("SmolLM2-135M-Instruct", device="cpu", dtype="float32").model
    model.set_attn_implementation("eager")
    step, top_up = run["step"] or "both", TOP_UPS[run["allocation"]]
    settings = {"pruner": run["method"], "top_up": top_up, "step": step, "sparsity": run["sparsity"], "gqa": "base"}
    allocation = neuroal.allocate(model, tokens, **settings)
    neuroal.prune(model, tokens, allocation)
    loss, masks = math.log(neuroal.perplexity(model, held_out)), zero_masks(model, run["linears"])
    same = {"masks": sum(mask_hash(masks[n]) == f["mask_sha256"] for n, f in run["linears"].items())}
    same["counts"] = sum(int(masks[n].sum()) == f["zeros"] for n, f in run["linears"].items())
    same["linears"] = len(masks)
    return {"id": run["id"], **same, "perplexity": [math.exp(loss), math.exp(run["eval_loss"])]} | _scores(
        run, allocation
    )


def _scores(run: dict[str, Any], allocation: neuroal.Allocation) -> dict[str, Any]:
    """Chosen lambdas, and the largest relative difference of any candidate's score, by step."""
    found = {}
    for step in ("block", "row"):
        theirs, ours = run["search"].get(step), getattr(allocation, f"{step}_scores")
        if theirs:
            pairs = zip(ours.values(), theirs["scores"], strict=True)
            found[step] = {
                "lambda": [getattr(allocation, f"{step}_lambda"), theirs["best_lambda"]],
                "largest difference": max(abs(a - b) / b for a, b in pairs),
            }
    return found


if __name__ == "__main__":
    reference = figures("real")
    for each in reference["runs"]:
        if not sys.argv[1:] or any(part in each["id"] for part in sys.argv[1:]):
            print(json.dumps(redo(each, reference)), flush=True)
