"""Writes the notebook that the README links to: ``python tests/benchmarks/write_notebook.py``.

Kept as a script because a notebook's JSON is nothing to edit by hand; ``tests/test_notebook.py`` runs its cells.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PATH = Path(__file__).resolve().parents[2] / "assets" / "notebook.ipynb"

# Prose and code by turns.
CELLS = (
    """# NeuroAL from Python
A small language model is pruned, and shown is why each block keeps what it keeps. The model has 1.7 million parameters
and ships with the app, so nothing is downloaded and every cell takes seconds; with another name
(`"SmolLM2-135M-Instruct"`, an id of the Hugging Face Hub, a folder) the same cells prune that one.

The package lies in the folder of the project, wherever in it this notebook was started.""",
    """import sys
from pathlib import Path

root = next(folder for folder in [Path.cwd(), *Path.cwd().parents] if (folder / "neuroal").is_dir())
sys.path.insert(0, str(root))""",
    """Everything of the package is loaded on first use.""",
    """import neuroal

lm = neuroal.load("tiny")
print(f"{lm.info.parameters:,} parameters in {lm.info.blocks} blocks, {lm.info.dtype} on {lm.info.device}")""",
    """## Search
NeuroAL tries slopes *lambda*: the larger, the denser the first blocks are kept and the sparser the last ones, while the
whole model keeps its sparsity. Each is scored by how far the activations of the pruned blocks are from those of the
dense ones (lower is better). `mode="exact"` scores every one of the paper's grid. `iter_allocate` gives the events of
the search while it goes on; `neuroal.allocate` only its result.""",
    """from neuroal.runs.events import CandidateFinished

tokens = neuroal.calibration_tokens(lm.tokenizer, source="prose", samples=4, length=64, seed=0)
search = neuroal.iter_allocate(
    lm.model, tokens, pruner="wanda", top_up="neuroal", step="block", sparsity=0.7, mode="exact"
)
while True:
    try:
        event = next(search)
    except StopIteration as end:
        allocation = end.value
        break
    if isinstance(event, CandidateFinished):
        print(f"lambda {event.lam:.2f}: {event.score:.4f}")
print(f"chosen: lambda {allocation.block_lambda}")""",
    """The score of every lambda, with the one that was chosen. A flat curve would say that there is little to gain.""",
    """import plotly.graph_objects as go

scores = allocation.block_scores
figure = go.Figure(go.Scatter(x=list(scores), y=list(scores.values()), mode="lines+markers", name="score"))
figure.add_vline(x=allocation.block_lambda, line_dash="dot", annotation_text="chosen")
figure.update_layout(xaxis_title="lambda", yaxis_title="alignment score, lower is better", height=360)
figure""",
    """How sparse each block becomes; beside it the same sparsity everywhere, which is the control.""",
    """ratios = allocation.per_block(lm.stack)
figure = go.Figure(go.Bar(x=list(range(len(ratios))), y=ratios, name="NeuroAL"))
figure.add_hline(y=allocation.target, line_dash="dash", annotation_text="uniform")
figure.update_layout(xaxis_title="block", yaxis_title="sparsity", yaxis_tickformat=".0%", height=360)
figure""",
    """## Prune and measure
`neuroal.prune` writes to the model that it is given, so a copy is pruned here and the dense model stays for comparison.
Perplexity is measured on held-out text, of which no part was used to calibrate.""",
    """import copy

windows = neuroal.held_out_windows(lm.tokenizer, source="prose", windows=8, length=128)
uniform = neuroal.allocate(lm.model, tokens, pruner="wanda", top_up="uniform", sparsity=0.7)
perplexity, pruned = {"dense": neuroal.perplexity(lm.model, windows)}, {}
for name, ratios_of in {"uniform": uniform, "NeuroAL": allocation}.items():
    pruned[name] = copy.deepcopy(lm.model)
    report = neuroal.prune(pruned[name], tokens, ratios_of)
    perplexity[name] = neuroal.perplexity(pruned[name], windows)
    print(f"{name}: {report.overall:.1%} of the weights in the blocks are zero")
for name, value in perplexity.items():
    print(f"{name}: perplexity {value:.1f}")""",
    """On so small a model the difference between the two is small, and with eight windows noise is a part of it. The
section "What pruning does to SmolLM2" of the README has figures of a larger model.

## Save
The pruned weights are zeros in ordinary tensors, so the model is saved and loaded as any other of transformers.""",
    """import tempfile

folder = Path(tempfile.mkdtemp()) / "tiny-pruned"
pruned["NeuroAL"].save_pretrained(folder)
lm.tokenizer.save_pretrained(folder)
again = neuroal.load(str(folder))
print(f"saved and loaded again: perplexity {neuroal.perplexity(again.model, windows):.1f}")""",
)


def notebook() -> str:
    """The file's text: no outputs, so that it changes only where its cells do."""
    cells = [_cell(index, text) for index, text in enumerate(CELLS)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    whole = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _cell(index: int, text: str) -> dict[str, Any]:
    lines = text.splitlines(keepends=True)
    if index % 2 == 0:
        return {"cell_type": "markdown", "id": f"cell-{index}", "metadata": {}, "source": lines}
    code = {"cell_type": "code", "execution_count": None, "outputs": []}
    return {**code, "id": f"cell-{index}", "metadata": {}, "source": lines}


if __name__ == "__main__":
    PATH.write_text(notebook(), encoding="utf-8")
