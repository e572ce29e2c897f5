"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from transformers import LlamaForCausalLM

import neuroal
from neuroal.pruners import PRUNERS
from neuroal.topups import TOP_UPS


def test_every_exported_name_exists_and_is_documented() -> None:
    for name in neuroal.__all__:
        assert getattr(neuroal, name).__doc__, name
    assert set(neuroal.__all__) == set(dir(neuroal))
    with pytest.raises(AttributeError, match="prunes"):
        _ = neuroal.prunes


@pytest.mark.parametrize("module", ["neuroal", "neuroal.runs.spec", "neuroal.runs.workshop", "neuroal.models"])
def test_what_the_page_needs_at_start_does_not_import_torch(module: str) -> None:
    code = f"import {module}, sys; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_engine_never_imports_the_page() -> None:
    code = (
        "import pkgutil, importlib, sys, neuroal\n"
        "for m in pkgutil.walk_packages(neuroal.__path__, 'neuroal.'):\n"
        "    if not m.name.endswith('__main__'): importlib.import_module(m.name)\n"
        "sys.exit('gradio' in sys.modules or 'plotly' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("top_up", TOP_UPS.labels)
@pytest.mark.parametrize("pruner", PRUNERS.labels)
def test_every_pruner_goes_with_every_top_up(
    model: LlamaForCausalLM, tokens: torch.Tensor, pruner: str, top_up: str
) -> None:
    """But for DSnoT, which cannot follow a pruner that moves weights, and says so."""
    settings = {"pruner": pruner, "top_up": top_up, "sparsity": 0.5, "lambdas": (0.1,)}
    if top_up == "custom":
        settings["block_sparsity"] = (0.4, 0.5, 0.6)
    if top_up == "dsnot" and PRUNERS.get(pruner).moves_weights:
        with pytest.raises(neuroal.UserError, match="choose Wanda"):
            neuroal.allocate(model, tokens, **settings)
        return
    before = [p.clone() for p in model.parameters()]
    allocation = neuroal.allocate(model, tokens, **settings)
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True)), "left bit-identical"
    assert neuroal.prune(model, tokens, allocation).overall == pytest.approx(0.5, abs=0.05)
    assert all(torch.isfinite(p).all() for p in model.parameters())
