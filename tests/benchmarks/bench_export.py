"""Bytes and seconds of every form that a pruned model can be taken away in, and what decoding the sparse file takes.

python tests/benchmarks/bench_export.py FOLDER [--model SmolLM2-135M-Instruct] [--sparsity 0.5 0.7]
    [--dtype float32 float16] [--pruner wanda] [--samples 8 --length 64]

FOLDER: a new one, for the files; removed again.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import neuroal  # before torch and numpy: it decides how they use the processor

# isort: split
from neuroal.export import FORMS, Exported, Source, decode, export, of_model
from neuroal.models.loading import LanguageModel
from neuroal.twin import sparse_twin

HEAD = f"{'form':8} {'MB':>8} {'of safetensors':>15} {'seconds':>8}"


def pruned(lm: LanguageModel, sparsity: float, arguments: argparse.Namespace) -> Source:
    tokens = neuroal.calibration_tokens(lm.tokenizer, samples=arguments.samples, length=arguments.length)
    allocation = neuroal.allocate(lm.model, tokens, pruner=arguments.pruner, top_up="uniform", sparsity=sparsity)
    twin = sparse_twin(lm.model, allocation.sparsity)
    neuroal.prune(twin, tokens, allocation)
    return of_model(twin, lm.tokenizer, name=lm.info.name, folder=lm.info.folder, allocation=allocation)


def row(name: str, nbytes: int, dense: int, seconds: float) -> None:
    print(f"{name:8} {nbytes / 1e6:8.1f} {nbytes / dense:15.1%} {seconds:8.1f}", flush=True)


def measure(source: Source, folder: Path) -> None:
    dense = 0
    for form, known in FORMS.items():
        made: Exported = export(source, form, folder / f"model{known.suffix}")
        dense = dense or made.told.dense_bytes
        row(form, made.told.bytes, dense, made.told.seconds)
        if form == "sparse":
            started = time.perf_counter()
            decode(made.path, folder / "decoded")
            row("(decode)", made.told.dense_bytes, dense, time.perf_counter() - started)
            shutil.rmtree(folder / "decoded")
        shutil.rmtree(made.path) if form == "folder" else made.path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="SmolLM2-135M-Instruct")
    parser.add_argument("--sparsity", type=float, nargs="*", default=[0.5, 0.7])
    parser.add_argument("--dtype", nargs="*", default=["float32", "float16"])
    parser.add_argument("--pruner", default="wanda")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--length", type=int, default=64)
    arguments: Any = parser.parse_args()
    arguments.folder.mkdir()
    try:
        for dtype in arguments.dtype:
            lm = neuroal.load(arguments.model, dtype=dtype)
            for sparsity in arguments.sparsity:
                source = pruned(lm, sparsity, arguments)
                print(f"\n{arguments.model}, {dtype}, {arguments.pruner} at {sparsity:.0%}\n{HEAD}", flush=True)
                measure(source, arguments.folder)
    finally:
        shutil.rmtree(arguments.folder)


if __name__ == "__main__":
    main()
