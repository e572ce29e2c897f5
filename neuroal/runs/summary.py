"""A run in a few figures, read from its log: what lists, maps and comparisons show without opening it.

Kept beside the run in the store when it ends, so that thousands of runs can be listed without reading an event.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neuroal.runs.spec import RunSpec

Record = dict[str, Any]
Summary = dict[str, Any]

# Of a question: what tells runs apart at first sight.
ASKED = ("model", "pruner", "top_up", "step", "sparsity", "pattern", "reconstruct", "seed", "samples", "length")

# Figures with a name of their own; each is a number or None.
FIGURES = (
    "achieved", "perplexity", "perplexity_stderr", "perplexity_dense", "perplexity_uniform", "alignment",
    "alignment_uniform", "kl", "top1", "zeroshot", "zeroshot_dense", "encoded", "block_lambda", "row_lambda",
    "search_seconds", "seconds",
)  # fmt: skip

# What a perplexity depends on beside the model (``neuroal.evaluation.card`` says which two may be compared).
SCALE = ("revision", "eval_source", "eval_length", "eval_tokens")


def asked(spec: RunSpec) -> Summary:
    """What is known of a run before it starts."""
    return {name: getattr(spec, name) for name in ASKED}


def summary(records: Iterable[Record]) -> Summary:
    """What a log says so far.

    Returns:
        ASKED, as in the spec; FIGURES: achieved sparsity (0..1), perplexities of the pruned model, the dense one and
        the uniform control, alignment scores of both pruned ones, KL divergence from the dense model (nats) and
        agreement of the first choice (0..1), mean zero-shot accuracy (0..1), bytes of the pruned model as bitmask and
        values compressed over those of the dense one, chosen lambdas, seconds of the search or rating, and of the whole
        run; SCALE: the model's revision, and source, window length and number of tokens that the perplexity was
        measured on; "verdict" of the collapse probes, and "started_at".
    """
    found: Summary = dict.fromkeys((*ASKED, *FIGURES, *SCALE, "verdict", "started_at"))
    drawn = None
    for record in records:
        kind = record["kind"]
        if kind == "RunStarted":
            found |= {name: record["spec"].get(name) for name in ASKED}
            found |= {"started_at": record["started_at"], "revision": record["spec"].get("revision")}
        elif kind == "CalibrationReady":
            drawn = record["t"]
        elif kind == "AllocationReady" and drawn is not None:
            found["search_seconds"] = round(record["t"] - drawn, 3)
        elif kind == "LambdaChosen":
            found[f"{record['step']}_lambda"] = record["lam"]
        elif kind == "PruningFinished" and record["variant"] == "chosen":
            found["achieved"] = record["overall"]
        elif kind == "Measured":
            _take_measured(found, record)
        elif kind == "RunFinished":
            found["seconds"] = record["seconds"]
    return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in found.items()}


def _take_measured(found: Summary, record: Record) -> None:
    metric, variant, value = record["metric"], record["variant"], record["value"]
    details = record.get("details", {})
    if metric == "perplexity":
        found["perplexity" if variant == "chosen" else f"perplexity_{variant}"] = value
        if variant == "chosen":
            found["perplexity_stderr"] = record["stderr"]
            found |= {f"eval_{name}": record[name] for name in ("source", "length", "tokens")}
    elif metric == "alignment":
        found["alignment" if variant == "chosen" else f"alignment_{variant}"] = value
    elif metric == "zeroshot":
        found["zeroshot" if variant == "chosen" else f"zeroshot_{variant}"] = value
    elif variant != "chosen":
        return
    elif metric == "divergence":
        found |= {"kl": value, "top1": details.get("top1")}
    elif metric == "cost":
        found["encoded"] = value
    elif metric == "probes":
        found["verdict"] = details.get("verdict")
