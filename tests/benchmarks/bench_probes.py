"""The collapse probes along sparsity: every figure, the verdict, and the seconds of one run of them.

    python tests/benchmarks/bench_probes.py [--model SmolLM2-135M-Instruct] [--sparsity 0 0.3 0.5 0.6 0.7 0.8 0.9]
        [--pruner wanda] [--samples 8 --length 64] [--texts]

The thresholds of neuroal/evaluation/verdict.py were set on this table, with the uniform sparsity of the defaults.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import neuroal  # before torch and numpy: it decides how they use the processor

# isort: split
from torch import nn

from neuroal.api import drain
from neuroal.evaluation.probes import Probes, iter_probes
from neuroal.evaluation.verdict import Mean
from neuroal.models.loading import LanguageModel
from neuroal.twin import sparse_twin

COLUMNS = ("repetition", "distinct_1", "distinct_2", "non_words", "perplexity", "perplexity_new", "length", "empty")


def pruned(lm: LanguageModel, pruner: str, sparsity: float, samples: int, length: int) -> nn.Module:
    """A twin at uniform sparsity; the dense model itself at 0."""
    if not sparsity:
        return lm.model
    tokens = neuroal.calibration_tokens(lm.tokenizer, samples=samples, length=length)
    allocation = neuroal.allocate(lm.model, tokens, pruner=pruner, top_up="uniform", sparsity=sparsity)
    twin = sparse_twin(lm.model, (linear.path for linear in lm.stack.all_linears()))
    neuroal.prune(twin, tokens, allocation)
    return twin


def cell(mean: Mean, digits: int) -> str:
    return "-" if mean.value is None else f"{mean.value:,.{digits}f} ± {mean.stderr:,.{digits}f}"


def row(sparsity: float, probes: Probes, seconds: float) -> str:
    digits = dict.fromkeys(COLUMNS, 2) | {"perplexity": 1, "perplexity_new": 1, "length": 0}
    cells = [cell(getattr(probes.figures, name), digits[name]) for name in COLUMNS]
    return "| " + " | ".join([f"{sparsity:.0%}", *cells, probes.verdict, f"{seconds:.1f}"]) + " |"


def main() -> None:
    """Prints the table as Markdown, a row as soon as it is there, then the reasons, then the texts if asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="SmolLM2-135M-Instruct")
    parser.add_argument("--sparsity", type=float, nargs="+", default=[0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9])
    parser.add_argument("--pruner", default="wanda")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--texts", action="store_true", help="print the answers as well")
    arguments = parser.parse_args()
    lm = neuroal.load(arguments.model, device="cpu", dtype="float32")
    reference = drain(iter_probes(lm.model, lm.model, lm.tokenizer))
    print("| sparsity | " + " | ".join(COLUMNS) + " | verdict | seconds |")
    print("|---" * (len(COLUMNS) + 3) + "|", flush=True)
    found: dict[float, Probes] = {}
    for sparsity in arguments.sparsity:
        model = pruned(lm, arguments.pruner, sparsity, arguments.samples, arguments.length)
        started = time.perf_counter()
        known = None if model is lm.model else reference
        found[sparsity] = drain(iter_probes(lm.model, model, lm.tokenizer, reference=known))
        print(row(sparsity, found[sparsity], time.perf_counter() - started), flush=True)
    for sparsity, probes in found.items():
        for sentence in (*probes.reasons, *probes.notices):
            print(f"{sparsity:.0%}: {sentence}")
    if arguments.texts:
        for sparsity, probes in found.items():
            for answer in probes.answers:
                print(f"\n[{sparsity:.0%}] {answer.prompt!r} -> {answer.text!r}")


if __name__ == "__main__":
    main()
