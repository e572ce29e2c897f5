"""Every pruner under every top-up on one model: perplexity on held-out prose, and CPU seconds.

    python tests/benchmarks/bench_methods.py results.json [--sparsity 0.6 0.7] [--pruners wanda sparsegpt] [--exact]
        [--model SmolLM2-135M-Instruct] [--samples 8 --length 128] [--windows 16 --window-length 512]

Each figure is written as soon as it is there, and what the file holds already is not done again; methods_smollm2.json
beside this script holds those of the README.
    python tests/benchmarks/bench_methods.py results.json --table      prints the figures as Markdown.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import neuroal  # before torch and numpy: it decides how they use the processor

# isort: split
from torch import Tensor

from neuroal.api import drain
from neuroal.models.loading import LanguageModel
from neuroal.options import Options
from neuroal.pruners import PRUNERS
from neuroal.pruning import iter_written
from neuroal.topups import TOP_UPS
from neuroal.twin import sparse_twin

Figures = dict[str, dict[str, Any]]


def columns() -> list[tuple[str, str]]:
    """(top-up, step) of every column; a list given by hand is nothing to compare. Step "both" goes on from "block"."""
    kinds = [(t.name, step) for t in TOP_UPS.entries if t.name != "custom" for step in (t.steps or ("",))]
    return sorted(kinds, key=lambda kind: (kind[0] != "uniform", kind[1] == "both"))


@dataclass(frozen=True)
class Ground:
    """What every figure is measured on; ``written`` is what refitting reads besides, None for no refitting."""

    lm: LanguageModel
    tokens: Tensor
    windows: Tensor
    written: Tensor | None


def measure(arguments: argparse.Namespace, ground: Ground) -> None:
    """Fills the file."""
    path = Path(arguments.results[0])
    figures: Figures = json.loads(path.read_text()) if path.exists() else {}
    if "dense" not in figures:
        figures["dense"] = {"ppl": neuroal.perplexity(ground.lm.model, ground.windows)}
    for sparsity in arguments.sparsity:
        for pruner in arguments.pruners:
            for top_up, step in columns():
                if step and step not in arguments.steps:
                    continue
                for key, found in _cells(ground, (pruner, top_up, step, sparsity), figures, arguments.exact):
                    figures[key] = found
                    path.write_text(json.dumps(figures, indent=1))
                    print(key, found, flush=True)


def _key(pruner: str, top_up: str, step: str, sparsity: float, exact: bool = False, refit: bool = False) -> str:
    """The name of a cell in the file."""
    suffix = (" exact" if exact and step else "") + (" reconstruct" if refit else "")
    return f"{pruner} {top_up} {step} {sparsity}{suffix}"


def _cells(
    ground: Ground, what: tuple[str, str, str, float], known: Figures, exact: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The cell without refitting and the one with it, where not known; one search serves both."""
    pruner, top_up, step, sparsity = what
    plain, refitted = (_key(*what, exact, refit) for refit in (False, True))
    wanted = [key for key in (plain, refitted)[: 1 if ground.written is None else 2] if key not in known]
    if not wanted:
        return
    settings = {"pruner": pruner, "top_up": top_up, "step": step or "both", "sparsity": sparsity}
    settings["mode"] = "exact" if exact else "auto"
    before, earlier = known.get(plain, {}), 0.0
    if step == "both" and not before:
        block = known.get(_key(pruner, top_up, "block", sparsity, exact), {})
        before, earlier = {"scores": block.get("scores", ())}, block.get("search", 0.0)
    started = time.process_time()
    try:
        allocation = drain(neuroal.iter_allocate(ground.lm.model, ground.tokens, known=_scores(before), **settings))
    except neuroal.UserError as refusal:
        yield from ((key, {"refused": str(refusal)}) for key in wanted)
        return
    search = before.get("search", earlier + time.process_time() - started)
    for key in wanted:
        yield key, {"search": search, **_pruned(ground, allocation, key == refitted)}


def _pruned(ground: Ground, allocation: neuroal.Allocation, refit: bool) -> dict[str, Any]:
    """The figures of one pruning of a twin."""
    allocation.options["reconstruct"] = refit
    twin = sparse_twin(ground.lm.model, (linear.path for linear in ground.lm.stack.all_linears()))
    started = time.process_time()
    report = drain(neuroal.iter_prune(twin, ground.tokens, allocation, written=ground.written if refit else None))
    seconds = time.process_time() - started
    return {
        "ppl": neuroal.perplexity(twin, ground.windows),
        "overall": report.overall,
        "lambdas": [allocation.block_lambda, allocation.row_lambda],
        "scores": [list((scores or {}).items()) for scores in (allocation.block_scores, allocation.row_scores)],
        "prune": seconds,
    }


def _scores(found: dict[str, Any]) -> dict[tuple[str, float], float]:
    """Scores of a search done before, so that only its winner is walked again."""
    steps = zip(("block", "row"), found.get("scores", ()), strict=False)
    return {(step, lam): score for step, scores in steps for lam, score in scores}


def table(figures: Figures, sparsities: list[float], pruners: list[str], exact: bool) -> str:
    """One Markdown table per sparsity, of the columns that hold anything; each cell "perplexity (CPU seconds)"."""
    lines = [f"Dense: {figures['dense']['ppl']:.1f}", ""]
    for sparsity in sparsities:
        rows = {
            name: [figures.get(_key(pruner, t, s, sparsity, exact, refit)) for t, s in columns()]
            for pruner in pruners
            for refit, name in ((False, pruner), (True, f"{pruner}, refitted"))
        }
        held = [i for i in range(len(columns())) if any(row[i] for row in rows.values())]
        heads = [" ".join(columns()[i]).strip() for i in held]
        lines += [f"| {sparsity:.0%} | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
        for name, row in rows.items():
            if any(row):
                lines.append(f"| {name} | " + " | ".join(_cell(row[i]) for i in held) + " |")
        lines.append("")
    return "\n".join(lines)


def _cell(found: dict[str, Any] | None) -> str:
    if not found or "refused" in found:
        return "" if not found else "refused"
    return f"{found['ppl']:,.1f} ({found['search'] + found['prune']:.0f} s)"


def main() -> None:
    """Measures, or prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", help="one file to fill, or several to print")
    parser.add_argument("--model", default="SmolLM2-135M-Instruct")
    parser.add_argument("--sparsity", type=float, nargs="+", default=[0.6, 0.7])
    parser.add_argument("--pruners", nargs="+", default=list(PRUNERS.labels))
    parser.add_argument("--steps", nargs="+", default=["block", "both"])
    parser.add_argument("--exact", action="store_true", help="NeuroAL scores every lambda")
    parser.add_argument("--plain", action="store_true", help="without refitting")
    parser.add_argument("--table", action="store_true")
    for name, default in (("samples", 8), ("length", 128), ("windows", 16), ("window-length", 512)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    if arguments.table:
        figures = {
            key: found for file in arguments.results for key, found in json.loads(Path(file).read_text()).items()
        }
        print(table(figures, arguments.sparsity, arguments.pruners, arguments.exact))
        return
    lm = neuroal.load(arguments.model, device="cpu", dtype="float32")
    tokens = neuroal.calibration_tokens(lm.tokenizer, samples=arguments.samples, length=arguments.length)
    windows = neuroal.held_out_windows(lm.tokenizer, windows=arguments.windows, length=arguments.window_length)
    written = None if arguments.plain else drain(iter_written(lm.model, tokens, Options().continuations))
    measure(arguments, Ground(lm, tokens, windows, written))


if __name__ == "__main__":
    main()
