"""The engine against what it cannot avoid: one table, every row a ratio of two figures from one run.

    python tests/benchmarks/bench_engine.py [--model SmolLM2-135M-Instruct] [--samples 8 --length 128] [--json FILE]
        [--rows candidate original pruning auto memory twins sparsegpt]
    python tests/benchmarks/bench_engine.py --random 2048 8192 16 32 8 --length 2048 --rows candidate original

candidate   one lambda of the exact search, against the matrix products that it cannot do without: per block the pruned
            pass in full and the dense pass up to the inputs of the last group, timed as bare products with the blocks'
            own weights, in their order, plus the attention
original    one lambda as the original implementation goes about it, sequence by sequence and with a full sort of every
            linear's metric, against ours
pruning     pruning with Wanda, against the two passes through the blocks that it takes
auto        every candidate, against as few as find the lowest score (step "both")
memory      what a search needs beside the model, against one block's copy and the activations: what a walk through the
            blocks needs that does nothing else
twins       the sparse twin's own bytes, against the share of the weights that is prunable
sparsegpt   the linears of a group pruned at once, against one by one

Times are CPU seconds of the process; on a GPU wall-clock seconds with everything waited for.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import neuroal  # before torch and numpy: it decides how they use the processor

# isort: split
import psutil
import torch
import torch.nn.functional as F

from neuroal.api import drain
from neuroal.blocks import DecoderStack
from neuroal.heap import working_heap
from neuroal.models.loading import LanguageModel
from neuroal.pruners.sparsegpt import SparseGPT
from neuroal.pruners.wanda import Wanda
from neuroal.pruning import iter_prune
from neuroal.runs.events import CandidateFinished
from neuroal.twin import own_bytes, sparse_twin
from tests.benchmarks.bench_growth import save_random


@dataclass(frozen=True)
class Row:
    """A figure, what it is measured against, and the ratio that is aimed at (at most, or at least where ``more``)."""

    what: str
    figure: float
    against: float
    unit: str
    target: float | None
    more: bool = False

    @property
    def ratio(self) -> float:
        return self.figure / self.against

    def line(self) -> str:
        """As a line of a Markdown table."""
        met = "" if self.target is None else "yes" if (self.ratio >= self.target) == self.more else "**no**"
        aim = "" if self.target is None else f"{'>=' if self.more else '<='} {self.target:g}"
        return (
            f"| {self.what} | {self.figure:.3g} {self.unit} | {self.against:.3g} {self.unit} | {self.ratio:.2f} "
            f"| {aim} | {met} |"
        )


def spent(device: torch.device) -> float:
    """Seconds so far."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def timed(work: Callable[[], object], device: torch.device, times: int = 1) -> float:
    """Mean seconds of a call after one that is not counted."""
    work()
    started = spent(device)
    for _ in range(times):
        work()
    return (spent(device) - started) / times


class Bench:
    """A model and tokens to measure on."""

    def __init__(self, model: str, samples: int, length: int) -> None:
        self.lm: LanguageModel = neuroal.load(model)
        self.name = f"{model} {samples}x{length}"
        self.tokens = neuroal.calibration_tokens(self.lm.tokenizer, samples=samples, length=length)
        self.stack = DecoderStack(self.lm.model)
        self.captured = self.stack.capture(self.tokens)
        self.device = self.stack.device

    def candidate(self) -> Iterator[Row]:
        """One lambda against its matrix products."""
        yield Row("a lambda candidate / its matrix products", self.ours(), self.floor(), "s", 1.25)

    def ours(self) -> float:
        """Seconds of one lambda: the mean of three, after one that is not counted."""
        marks = []
        for event in neuroal.iter_allocate(self.lm.model, self.tokens, step="block", lambdas=(0.05, 0.1, 0.15, 0.2)):
            if isinstance(event, CandidateFinished):
                marks.append(spent(self.device))
        return (marks[-1] - marks[0]) / 3

    def original(self) -> Iterator[Row]:
        """One lambda sequence by sequence, and with full sorts; without what it adds up, which costs least."""
        alone = [self.stack.capture(row[None]) for row in self.tokens]
        twin = DecoderStack(self.twin())

        def candidate() -> None:
            hidden = [captured.hidden for captured in alone]
            for b in range(len(self.stack)):
                for states, captured in zip(hidden, alone, strict=True):
                    self.stack.gather(b, states, captured, Wanda().statistics)
                for linear, own in zip(self.stack.linears[b], twin.linears[b], strict=True):
                    norms = torch.rand(linear.weight.shape[1], device=self.device)
                    order = torch.sort(linear.weight.abs() * norms, dim=-1, stable=True)[1]
                    own.weight.data.copy_(linear.weight).scatter_(1, order[:, : int(0.6 * order.shape[1])], 0)
                block = twin.blocks[b]
                hidden = [self.stack.replay(b, s, captured, block) for s, captured in zip(hidden, alone, strict=True)]

        with torch.no_grad(), working_heap():
            took = timed(candidate, self.device, 2)
        yield Row("a lambda candidate, as the original does it / ours", took, self.ours(), "s", None)

    def floor(self) -> float:
        """Seconds of the products and the attention that a candidate cannot do without."""
        samples, length = self.tokens.shape
        config, weight = self.stack.model.config.get_text_config(), self.stack.linears[0][0].weight
        kind = {"dtype": weight.dtype, "device": self.device}
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        query = torch.rand(samples, config.num_attention_heads, length, width, **kind)
        inputs = {
            linear.weight.shape[1]: torch.rand(samples, length, linear.weight.shape[1], **kind)
            for linear in self.stack.all_linears()
        }

        def products() -> None:
            for groups in self.stack.groups:
                for g, group in enumerate(groups):
                    for linear in group * (1 if g == len(groups) - 1 else 2):
                        F.linear(inputs[linear.weight.shape[1]], linear.weight)
                for _ in range(2):
                    F.scaled_dot_product_attention(query, query, query, is_causal=True)

        return timed(products, self.device, 3)

    def pruning(self) -> Iterator[Row]:
        """Wanda's final pruning against two forward passes."""
        allocation = neuroal.allocate(self.lm.model, self.tokens, top_up="uniform", sparsity=0.6)

        def passes() -> None:
            hidden = self.captured.hidden
            for b in range(len(self.stack)):
                self.stack.replay(b, hidden, self.captured)
                hidden = self.stack.replay(b, hidden, self.captured)

        yield Row(
            "pruning with Wanda / two passes",
            timed(lambda: drain(iter_prune(self.twin(), self.tokens, allocation)), self.device),
            timed(passes, self.device),
            "s",
            1.3,
        )

    def twin(self) -> torch.nn.Module:
        """A fresh sparse twin."""
        return sparse_twin(self.lm.model, (linear.path for linear in self.stack.all_linears()))

    def auto(self) -> Iterator[Row]:
        """Every candidate against some of them."""
        took = {}
        for mode in ("exact", "auto"):
            started = spent(self.device)
            neuroal.allocate(self.lm.model, self.tokens, mode=mode, sparsity=0.6)
            took[mode] = spent(self.device) - started
        yield Row("every candidate / as few as will do", took["exact"], took["auto"], "s", 4, more=True)

    def memory(self) -> Iterator[Row]:
        """Peaks of a search and of a walk, each in a process of its own."""

        def peak_of(what: str) -> int:
            command = [sys.executable, __file__, "--peak", what, *self.name.replace("x", " ").split()]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            return int(done.stdout.splitlines()[-1])

        block = sum(linear.weight.nbytes for linear in self.stack.linears[0])
        found, allowed = peak_of("search"), block + peak_of("walk")
        yield Row("memory of a search / a block's copy and activations", found / 1e6, allowed / 1e6, "MB", 1)

    def sparsegpt(self) -> Iterator[Row]:
        """The column loop over a group's linears at once, against linear by linear."""
        gathered, _ = self.stack.gather(0, self.captured.hidden, self.captured, SparseGPT().statistics, outputs=False)
        groups = self.stack.groups[0]
        pairs = [([linear.weight for linear in group], stat) for group, stat in zip(groups, gathered, strict=True)]

        def prune(together: bool) -> None:
            for weights, stat in pairs:
                for some in [weights] if together else [[weight] for weight in weights]:
                    SparseGPT().prune_together(some, stat, [0.6] * len(some))

        at_once, one_by_one = (timed(lambda t=together: prune(t), self.device, 3) for together in (True, False))
        yield Row("SparseGPT on a block, groups at once / one by one", at_once, one_by_one, "s", 1)

    def twins(self) -> Iterator[Row]:
        """Dense and twin together, against the dense model and the share that is prunable."""
        info, dense = self.lm.info, sum(t.nbytes for t in self.lm.model.parameters())
        allowed = dense * (1 + info.prunable / info.parameters)
        yield Row("dense + twin / dense x (1 + prunable share)", (dense + own_bytes(self.twin(), self.lm.model)) / 1e6,
                  allowed / 1e6, "MB", 1.001)  # fmt: skip


def peak(what: str, model: str, samples: str, length: str) -> None:
    """Prints the bytes that a search of two candidates, or a walk, needs beside the model that is there."""
    lm = neuroal.load(model)
    tokens = neuroal.calibration_tokens(lm.tokenizer, samples=int(samples), length=int(length))
    for parameter in lm.model.parameters():
        parameter.sum()
    neuroal.allocate(lm.model, tokens[:1, :16], top_up="uniform")  # what is imported and set up once
    before = psutil.Process().memory_info().rss
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here (Linux)
    if what == "search":
        neuroal.allocate(lm.model, tokens, step="block", lambdas=(0.1, 0.2))
    else:
        walk(DecoderStack(lm.model), tokens)
    highest = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(int(highest.split()[1]) * 1024 - before)


def walk(stack: DecoderStack, tokens: torch.Tensor) -> None:
    """Through all blocks, with the memory kept that is freed, as a search keeps it."""
    with working_heap():
        captured = stack.capture(tokens)
        hidden = captured.hidden
        for b in range(len(stack)):
            hidden = stack.replay(b, hidden, captured)


ROWS = ("candidate", "original", "pruning", "auto", "memory", "twins", "sparsegpt")


def main() -> None:
    """Prints the table, and writes JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="SmolLM2-135M-Instruct")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS)
    parser.add_argument("--json", type=Path)
    shape = ("HIDDEN", "INNER", "BLOCKS", "HEADS", "SHARED")
    parser.add_argument(
        "--random", nargs=5, type=int, metavar=shape, help="random weights of this shape; no memory row"
    )
    parser.add_argument("--peak", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        peak(*arguments.peak)
        return
    with tempfile.TemporaryDirectory() as folder:
        if arguments.random:
            save_random(Path(folder), *arguments.random)
        bench = Bench(folder if arguments.random else arguments.model, arguments.samples, arguments.length)
    if arguments.random:
        bench.name = "random weights, " + " ".join(map(str, arguments.random))
    print(f"{bench.name}, {torch.get_num_threads()} threads, {bench.device}, {bench.lm.info.dtype}\n")
    print("| what | figure | against | ratio | target | met |\n|---|---|---|---|---|---|")
    rows = []
    for name in arguments.rows:
        for row in getattr(bench, name)():
            print(row.line(), flush=True)
            rows.append({**asdict(row), "ratio": row.ratio})
    if arguments.json:
        about = {"bench": bench.name, "threads": torch.get_num_threads(), "device": str(bench.device)}
        arguments.json.write_text(json.dumps({**about, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
