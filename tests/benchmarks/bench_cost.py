"""The cost card of a model at some sparsities, what zstd takes of the time, and two of its levels.

python tests/benchmarks/bench_cost.py [--model SmolLM2-135M-Instruct] [--sparsity 0.5 0.6 0.7] [--pattern 2:4]
    [--pruner wanda] [--samples 8 --length 64] [--repeats 5] [--levels 1 3] [--json card.json]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import neuroal  # before torch and numpy: it decides how they use the processor

# isort: split
from torch import nn

from neuroal.api import drain
from neuroal.blocks import DecoderStack
from neuroal.evaluation import encoding
from neuroal.evaluation.cost import Cost, iter_cost
from neuroal.evaluation.footprint import iter_footprint
from neuroal.evaluation.throughput import Rate
from neuroal.models.loading import LanguageModel
from neuroal.twin import sparse_twin


class Stopwatch:
    """The seconds spent in zstd, by standing before the one function that calls it."""

    def __init__(self) -> None:
        self.seconds, self._frame = 0.0, encoding._frame
        encoding._frame = self

    def __call__(self, *arguments: Any) -> bytes:
        started = time.perf_counter()
        try:
            return self._frame(*arguments)
        finally:
            self.seconds += time.perf_counter() - started


def pruned(lm: LanguageModel, arguments: argparse.Namespace, **what: Any) -> nn.Module:
    tokens = neuroal.calibration_tokens(lm.tokenizer, samples=arguments.samples, length=arguments.length)
    allocation = neuroal.allocate(lm.model, tokens, pruner=arguments.pruner, top_up="uniform", **what)
    twin = sparse_twin(lm.model, allocation.sparsity)
    neuroal.prune(twin, tokens, allocation)
    return twin


def show(card: Cost) -> None:
    sizes, memory = card.sizes, card.memory
    print(f"  weights {sizes.weights:,}, non-zeros {sizes.nonzeros:,} ({sizes.nonzeros / sizes.weights:.1%})")
    print(f"  prunable {sizes.prunable:,}, non-zeros {sizes.prunable_nonzeros:,}", end="")
    print(f"; linears pruned {sizes.pruned_linears}, in 2:4 {sizes.two_four}")
    for label, name in (
        ("dense", "dense"),
        ("dense, zstd", "dense_zstd"),
        ("pruned, zstd", "zstd"),
        ("bitmask", "bitmask"),
        ("bitmask, zstd", "bitmask_zstd"),
    ):
        count = getattr(sizes, name)
        print(f"  {label:14} {count / 1e6:8.1f} MB  {count / sizes.dense:6.1%} of dense")
    print("  memory, MB: " + ", ".join(f"{k} {v / 1e6:.1f}" for k, v in dataclasses.asdict(memory).items()))
    for name, each in (("dense", card.dense), ("pruned", card.pruned)):
        print(f"  {name:6} tokens/s: reading {_rate(each.reading)}, writing {_rate(each.writing)}")
    print(f"  {card.sentence}")
    for notice in card.notices:
        print(f"  ! {notice}")


def _rate(rate: Rate) -> str:
    return f"{rate.median:.1f} ({rate.smallest:.1f} to {rate.largest:.1f})"


def levels(lm: LanguageModel, twin: nn.Module, wanted: list[int]) -> None:
    """All the compressing at each level."""
    stack = DecoderStack(twin)
    for level in wanted:
        watch, started = Stopwatch(), time.perf_counter()
        sizes = drain(iter_footprint(lm.model, stack, level))
        whole, encoding._frame = time.perf_counter() - started, watch._frame
        figures = ", ".join(f"{n} {getattr(sizes, n) / 1e6:.1f}" for n in ("dense_zstd", "zstd", "bitmask_zstd"))
        print(f"  zstd {level}: {watch.seconds:.1f} of {whole:.1f} s; MB: {figures}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="SmolLM2-135M-Instruct")
    parser.add_argument("--sparsity", type=float, nargs="*", default=[0.5, 0.6, 0.7])
    parser.add_argument("--pattern")
    parser.add_argument("--pruner", default="wanda")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--levels", type=int, nargs="*", default=[])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    lm, cards = neuroal.load(arguments.model), {}
    asked: list[dict[str, Any]] = [{"sparsity": s} for s in arguments.sparsity]
    asked += [{"pattern": arguments.pattern}] if arguments.pattern else []
    for what in asked:
        twin = pruned(lm, arguments, **what)
        watch, started = Stopwatch(), time.perf_counter()
        card = drain(iter_cost(lm.model, twin, lm.tokenizer, repeats=arguments.repeats))
        seconds, encoding._frame = time.perf_counter() - started, watch._frame
        name = f"{arguments.model} {arguments.pruner} {next(iter(what.values()))}"
        print(f"{name}: {seconds:.1f} s, of which {watch.seconds:.1f} s in zstd at level {encoding.LEVEL}")
        show(card)
        levels(lm, twin, arguments.levels)
        cards[name] = dataclasses.asdict(card) | {"seconds": seconds, "zstd_seconds": watch.seconds}
        if arguments.json:
            arguments.json.write_text(json.dumps(cards, indent=1))


if __name__ == "__main__":
    main()
