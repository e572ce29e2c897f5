"""Makes tests/parity/data from a folder of reference figures: the tiny models, and per run what a test compares.

    python tests/parity/build.py <folder with llama.json, llama/, ...>

Seconds, environment and packed masks are left out; masks are compared by their hashes. Of the real model only figures
are kept: its weights come from a package.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
FAMILIES = ("llama", "mistral", "opt", "phi")
REAL = "real"
RUN_KEYS = ("id", "method", "allocation", "step", "sparsity", "error", "granularity", "eval_loss")
LINEAR_KEYS = ("zeros", "mask_sha256", "kept_rows_sha256", "weight_l2")
SEARCH_KEYS = ("lambdas", "scores", "best_lambda", "score")


def build(reference: Path) -> None:
    """Writes one gzipped JSON and one model folder per family."""
    for family in (*FAMILIES, REAL):
        golden = json.loads((reference / f"{family}.json").read_text())
        kept = {
            "tokens": golden["tokens"],
            "dense": golden["dense"],
            "runs": [_run(run) for run in golden["runs"]],
        }
        with gzip.GzipFile(DATA / f"{family}.json.gz", "wb", mtime=0) as file:
            file.write(json.dumps(kept, separators=(",", ":")).encode())
        if family == REAL:
            continue
        (DATA / family).mkdir(parents=True, exist_ok=True)
        for name in ("config.json", "model.safetensors"):
            shutil.copyfile(reference / family / name, DATA / family / name)


def _run(run: dict[str, Any]) -> dict[str, Any]:
    kept = {k: run.get(k) for k in RUN_KEYS}
    kept |= {k: run[k] for k in ("requested", "owl_outlier_pct", "alpha_metric", "dsnot") if k in run}
    kept["search"] = {
        step: {k: v for k, v in found.items() if k in SEARCH_KEYS}
        for step, found in (run.get("search") or {}).items()
        if isinstance(found, dict) and "score" in "".join(found)
    }
    kept["linears"] = {
        name: {k: figures[k] for k in LINEAR_KEYS if k in figures}
        for name, figures in (run.get("linears") or {}).items()
    }
    return kept


if __name__ == "__main__":
    build(Path(sys.argv[1]))
