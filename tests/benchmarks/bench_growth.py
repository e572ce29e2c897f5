"""How cost grows: seconds and peak memory of runs against tokens, candidates and parameters, and against the estimate.

    python tests/benchmarks/bench_growth.py [--series tokens candidates parameters kinds] [--json FILE]

Every run is a process of its own with a loaded model, as the app has it. Larger models have random weights in Llama's
shapes. A line is fitted through each series: seconds = fixed + slope x; the estimate is the one that the page shows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import neuroal  # noqa: F401  (before torch and numpy: it decides how they use the processor)

# isort: split
import numpy as np
import torch

from neuroal.runs.estimate import estimate
from neuroal.runs.events import ModelReady, RunFinished
from neuroal.runs.pool import ModelPool
from neuroal.runs.run import run
from neuroal.runs.spec import PRESETS, RunSpec

SMOLLM2, TINY = "SmolLM2-135M-Instruct", "tiny"
ONE = {"step": "block", "lambdas": (0.1,), "evaluations": ()}

# Hidden size, intermediate size, blocks, heads, key/value heads: about 0.36, 0.5 and 1.1 billion parameters.
SHAPES = {"0.36B": (960, 2560, 32, 15, 5), "0.5B": (1024, 4096, 30, 16, 8), "1.1B": (2048, 5632, 22, 32, 4)}

Case = tuple[str, float, dict[str, Any]]


def series(folder: Path) -> dict[str, list[Case]]:
    """(label, x, settings) of every run, by series."""
    quick = {k: v for k, v in PRESETS["Quick"].items() if v is not None}
    fast = {"model": SMOLLM2, **quick}
    tokens = [
        (f"{8 * length}", 8.0 * length, {"model": SMOLLM2, **ONE, "samples": 8, "length": length})
        for length in (64, 128, 256, 512, 1024, 2048)
    ]
    lambdas = (0.05, 0.1, 0.12, 0.15, 0.2, 0.25)
    candidates = [(str(n), float(n), {"model": SMOLLM2, **ONE, **quick, "lambdas": lambdas[:n]}) for n in (1, 2, 4, 6)]
    parameters = [(name, 0.0, {"model": name, **ONE, **quick}) for name in (TINY, SMOLLM2)]
    parameters += [(name, 0.0, {"model": str(folder / name), **ONE, **quick}) for name in SHAPES]
    kinds = [
        ("Quick", {**fast}),
        ("Quick, exact", {**fast, "mode": "exact"}),
        ("Quick, rows", {**fast, "step": "row"}),
        ("Quick, uniform", {**fast, "top_up": "uniform"}),
        ("Quick, OWL, MULTIFLOW", {**fast, "top_up": "owl", "pruner": "multiflow"}),
        (
            "Quick, AlphaPruning, magnitude",
            {**fast, "top_up": "alphapruning", "pruner": "magnitude"},
        ),
        ("Quick, DSnoT", {**fast, "top_up": "dsnot"}),
        ("Quick, SparseGPT uniform", {**fast, "pruner": "sparsegpt", "top_up": "uniform"}),
        ("Quick, uniform, refitted", {**fast, "top_up": "uniform", "reconstruct": True}),
        ("Balanced, blocks", {"model": SMOLLM2, "step": "block"}),
        ("Balanced, tiny", {"model": TINY}),
        ("Quick, tiny, exact", {"model": TINY, **quick, "mode": "exact"}),
        ("Quick, tiny, SparseGPT", {"model": TINY, **quick, "pruner": "sparsegpt"}),
    ]
    return {
        "tokens": tokens, "candidates": candidates, "parameters": parameters,
        "kinds": [(label, 0.0, settings) for label, settings in kinds],
    }  # fmt: skip


def measured(settings: dict[str, Any]) -> dict[str, Any]:
    """One run in a process of its own (Linux)."""
    command = [sys.executable, __file__, "--one", json.dumps(settings)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ})
    return json.loads(answer.stdout.splitlines()[-1])


def one(settings: dict[str, Any]) -> None:
    """Prints the figures of a run on a loaded model: seconds and the estimate's, peak bytes and the estimate's."""
    spec = RunSpec.from_dict(settings)
    pool = ModelPool()
    lm = pool.get(spec.model, dtype=spec.dtype)
    for parameter in lm.model.parameters():
        parameter.sum()  # resident, as after any use
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here (Linux)
    expected = estimate(spec)
    started, parts, last = 0.0, {}, "preparing"
    for event in run(spec, pool=pool):
        now = time.perf_counter()
        if isinstance(event, ModelReady):
            started = since = now
        stage = getattr(event, "stage", None)
        if started and stage:
            parts[last] = parts.get(last, 0.0) + now - since
            last, since = stage, now
        if isinstance(event, RunFinished):
            parts[last] = parts.get(last, 0.0) + now - since
    print(json.dumps({
        "seconds": sum(parts.values()), "estimate": sum(expected.seconds.values()), "parts": parts,
        "estimated": expected.seconds, "peak": _peak(),
        "memory": expected.memory, "parameters": lm.info.parameters,
    }))  # fmt: skip


def _peak() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


def build(folder: Path) -> None:
    """Models of random weights in half precision, with the teaching model's tokenizer and a small vocabulary."""
    for name, shape in SHAPES.items():
        save_random(folder / name, *shape)


def save_random(folder: Path, hidden: int, inner: int, blocks: int, heads: int, shared: int) -> None:
    """One of them."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(Path(__file__).resolve().parents[2] / "assets" / "tiny")
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=hidden, intermediate_size=inner, num_hidden_layers=blocks,
        num_attention_heads=heads, num_key_value_heads=shared, tie_word_embeddings=True, max_position_embeddings=2048,
    )  # fmt: skip
    torch.set_default_dtype(torch.bfloat16)
    model = LlamaForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def figures(cases: list[Case]) -> Iterator[dict[str, Any]]:
    """The figures of each run of a series, printed as they come."""
    print("\n| run | seconds | estimate | off by | peak MB | estimate |\n|---|---|---|---|---|---|")
    for label, x, settings in cases:
        found = measured(settings)
        found |= {"run": label, "x": x or found["parameters"] / 1e6}
        off = found["estimate"] / found["seconds"] - 1
        print(
            f"| {label} | {found['seconds']:.1f} | {found['estimate']:.1f} | {off:+.0%} "
            f"| {found['peak'] / 1e6:.0f} | {found['memory'] / 1e6:.0f} |",
            flush=True,
        )
        yield found


def main() -> None:
    """Measures and fits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", nargs="+", default=["tokens", "candidates", "parameters", "kinds"])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments.one)
        return
    results: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        if "parameters" in arguments.series:
            build(Path(folder))
        for name, cases in series(Path(folder)).items():
            if name in arguments.series:
                results[name] = list(figures(cases))
    for name in set(results) - {"kinds"}:
        x, y = (np.array([f[k] for f in results[name]]) for k in ("x", "seconds"))
        slope, fixed = np.polyfit(x, y, 1)
        print(f"{name}: {fixed:.2f} s + {slope:.4g} s for each")
    errors = [abs(f["estimate"] / f["seconds"] - 1) for found in results.values() for f in found]
    print(f"within 30 %: {sum(e <= 0.3 for e in errors)} of {len(errors)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
