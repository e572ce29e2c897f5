"""The map that ships: a sweep over pruners, top-ups and sparsities on SmolLM2, recorded as an example.

    python tests/benchmarks/bench_map.py FOLDER [--model SmolLM2-135M-Instruct] [--pruners wanda magnitude]
        [--sparsity 0.4 0.5 0.6 0.7 0.8] [--samples 8 --length 128] [--record NAME]

FOLDER keeps the runs: what is there already is not asked again, so that the script may be stopped and started anew.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import neuroal  # noqa: F401 (before torch and numpy: it decides how they use the processor)

# isort: split
from neuroal.pruners import PRUNERS
from neuroal.runs.examples import save_example
from neuroal.runs.log import ENDED
from neuroal.runs.workshop import Workshop
from neuroal.sweeps.estimate import estimate_sweep
from neuroal.sweeps.spec import SweepSpec

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "sweeps"

TOP_UPS = (
    {"top_up": "uniform"}, {"top_up": "owl"}, {"top_up": "alphapruning"}, {"top_up": "neuroal", "step": "block"},
    {"top_up": "neuroal", "step": "both"},
)  # fmt: skip


def main() -> None:
    """Runs the sweep, and records it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="SmolLM2-135M-Instruct")
    parser.add_argument("--pruners", nargs="+", default=["wanda", "magnitude"])
    parser.add_argument("--sparsity", type=float, nargs="+", default=[0.4, 0.5, 0.6, 0.7, 0.8])
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--record", help="name of the example")
    arguments = parser.parse_args()
    base = {
        "model": arguments.model, "samples": arguments.samples, "length": arguments.length, "dtype": "float32",
        "evaluations": ["perplexity", "alignment"],
    }  # fmt: skip
    axes = (
        [{"pruner": name} for name in arguments.pruners],
        TOP_UPS,
        [{"sparsity": value} for value in arguments.sparsity],
    )
    spec, workshop = SweepSpec(base, axes), Workshop(arguments.folder)
    print(estimate_sweep(spec, workshop.jobs.answered).sentence, flush=True)
    sweep_id, seen = workshop.sweeps.start(spec), 0
    while workshop.sweeps.jobs.status(sweep_id) not in ENDED:
        records, _ = workshop.sweeps.jobs.read(sweep_id, seen)
        for record in records:
            seen = record["n"]
            if record["kind"] == "MemberFinished":
                figures = record["summary"]
                print(record["index"], record["status"], figures.get("top_up"), figures.get("perplexity"), flush=True)
        time.sleep(1)
    if arguments.record:
        title, records = f"{arguments.model}: what sparsity costs", workshop.sweeps.jobs.read(sweep_id)[0]
        save_example(arguments.record, title, caption(records), records, FOLDER)
    workshop.close()


def caption(records: list[dict[str, Any]]) -> str:
    """What to notice, in the sweep's own figures: how far below uniform its first pruner's best top-up came."""
    runs = [r["summary"] for r in records if r["kind"] == "MemberFinished"]
    first = [run for run in runs if run["pruner"] == runs[0]["pruner"]]
    sparsities, gained, none = sorted({run["sparsity"] for run in first}), [], []
    for sparsity in sparsities:
        at = {(run["top_up"], run["step"]): run["perplexity"] for run in first if run["sparsity"] == sparsity}
        control = next(value for (top_up, _), value in at.items() if top_up == "uniform")
        gain, where = (
            1 - min(value for (top_up, _), value in at.items() if top_up != "uniform") / control,
            _at(sparsity),
        )
        (gained if gain > 0 else none).append(f"{100 * gain:.0f} % {where}" if gain > 0 else where)
    pruner = PRUNERS.labels[runs[0]["pruner"]].split(":")[0]
    return (
        f"A recorded sweep of {len(runs)} runs on {runs[0]['model']}; perplexity on held-out prose. With {pruner}, the "
        f"best top-up's is below uniform's by {', '.join(gained)}{'; none is ' if none else ''}{', '.join(none)}."
    )


def _at(sparsity: float) -> str:
    return f"at {100 * sparsity:.0f} %"


if __name__ == "__main__":
    main()
