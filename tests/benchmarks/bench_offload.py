"""A model with every decoder block on disk against the same model in memory: equal results, and the memory of each.

    python tests/benchmarks/bench_offload.py [model] [samples] [length]

Each is searched, pruned and measured in a process of its own; resident sets are peaks of the phase, in MB, pages of
mapped files included.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

LAMBDAS = (0.05, 0.1, 0.15)


@contextmanager
def phase(name: str, figures: dict[str, object]) -> Iterator[None]:
    """Seconds, CPU seconds and peak resident set of what is done inside."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is resident now
    started, worked = time.perf_counter(), time.process_time()
    yield
    status = Path("/proc/self/status").read_text()
    figures[f"{name}_peak_mb"] = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) // 1024
    figures[f"{name}_s"] = round(time.perf_counter() - started, 1)
    figures[f"{name}_cpu_s"] = round(time.process_time() - worked, 1)


def measured(device: str, model: str, samples: int, length: int) -> dict[str, object]:
    """One process's figures: what must be equal under "same", and what it cost."""
    import torch

    import neuroal
    from neuroal.residence import read_weight
    from neuroal.twin import sparse_twin

    figures: dict[str, object] = {"device": device}
    with phase("load", figures):
        lm = neuroal.load(model, device=device, dtype="float32")
    tokens = neuroal.calibration_tokens(lm.tokenizer, samples=samples, length=length)
    windows = neuroal.held_out_windows(lm.tokenizer, "prose", 8, 128)
    with phase("search", figures):
        allocation = neuroal.allocate(lm.model, tokens, lambdas=LAMBDAS)
    paths = [linear.path for linear in lm.stack.all_linears()]
    twin = sparse_twin(lm.model, paths)
    with phase("prune", figures):
        report = neuroal.prune(twin, tokens, allocation)
    with phase("evaluate", figures):
        dense, pruned = (neuroal.perplexity(each, windows) for each in (lm.model, twin))
    masks = hashlib.sha256()
    for path in paths:
        masks.update(torch.count_nonzero(read_weight(twin, path), 1).numpy().tobytes())
        masks.update((read_weight(twin, path) != 0).numpy().tobytes())
    scores = [list(allocation.block_scores.values()), list(allocation.row_scores.values())]
    chosen = [allocation.block_lambda, allocation.row_lambda]
    same = {"lambda": chosen, "scores": scores, "masks": masks.hexdigest()[:16], "zeros": report.overall}
    return figures | {"same": same | {"perplexity": [dense, pruned]}, "notices": lm.info.notices}


def main(model: str = "SmolLM2-135M-Instruct", samples: str = "4", length: str = "128", device: str = "") -> None:
    """Prints one line of JSON; with a device, that process's own."""
    if device:
        print(json.dumps(measured(device, model, int(samples), int(length))))
        return
    rows = []
    for each in ("cpu", "disk"):
        command = [sys.executable, __file__, model, samples, length, each]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows.append(json.loads(output.splitlines()[-1]))
    same = [row.pop("same") for row in rows]
    print(json.dumps({"model": model, "equal": same[0] == same[1], "same": same[0], "processes": rows}))


if __name__ == "__main__":
    main(*sys.argv[1:])
