"""CPU seconds of one lambda candidate against the matrix products that it cannot avoid, in one process.

    python tests/benchmarks/bench_search.py [model] [samples] [length]

Floor: per block the pruned pass in full and the dense pass up to the inputs of the last group, timed as bare matrix
products of the same shapes, plus their attention.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import neuroal
from neuroal.blocks import DecoderStack
from neuroal.runs.events import CandidateFinished


def cpu_seconds(work: Callable[[], object], times: int) -> float:
    """Mean CPU seconds of a call after one that is not counted."""
    work()
    started = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - started) / times


def floor(stack: DecoderStack, tokens: torch.Tensor) -> float:
    """CPU seconds that one candidate cannot do without."""
    samples, length = tokens.shape
    total = 0.0
    config = stack.model.config.get_text_config()
    heads = config.num_attention_heads
    query = torch.rand(samples, heads, length, config.hidden_size // heads)
    total += 2 * cpu_seconds(lambda: F.scaled_dot_product_attention(query, query, query, is_causal=True), 5)
    for g, group in enumerate(stack.groups[0]):
        passes = 1 if g == len(stack.groups[0]) - 1 else 2
        for linear in group:
            inputs = torch.rand(samples, length, linear.weight.shape[1])
            total += passes * cpu_seconds(lambda x=inputs, w=linear.weight: F.linear(x, w), 5)
    return total * len(stack)


def main(model: str = "SmolLM2-135M-Instruct", samples: str = "8", length: str = "128") -> None:
    """Prints one line of JSON."""
    lm = neuroal.load(model)
    tokens = neuroal.calibration_tokens(lm.tokenizer, samples=int(samples), length=int(length))
    stack = DecoderStack(lm.model)
    stack.capture(tokens)
    lambdas, marks = (0.05, 0.1, 0.15), []
    for event in neuroal.iter_allocate(lm.model, tokens, step="block", lambdas=lambdas):
        if isinstance(event, CandidateFinished):
            marks.append((time.process_time(), time.perf_counter()))
    candidate = (marks[-1][0] - marks[0][0]) / (len(marks) - 1)
    wall = (marks[-1][1] - marks[0][1]) / (len(marks) - 1)
    least = floor(stack, tokens)
    row = {"model": model, "tokens": f"{samples}x{length}", "threads": torch.get_num_threads()}
    figures = {"cpu_s": candidate, "wall_s": wall, "floor_cpu_s": least, "ratio": candidate / least}
    print(json.dumps({**row, **{k: round(v, 3) for k, v in figures.items()}}))


if __name__ == "__main__":
    main(*sys.argv[1:])
