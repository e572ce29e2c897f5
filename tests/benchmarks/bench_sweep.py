"""How long a sweep of 300 runs on SmolLM2 takes on workers of a cluster, from measured costs of such runs.

    python tests/benchmarks/bench_sweep.py [workers]

Five pruners, as they are and refitted, under six top-ups, at 40 to 80 % sparsity. Search and pruning cost as in
methods_smollm2.json, at each sparsity the mean of 60 and 70 %; measuring its perplexity costs a run as in
damage_smollm2.json. These are measured; so is the share of matrix products. How much faster a GPU does these products,
and whether it does anything else faster, is not.
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from neuroal.runs.estimate import duration
from neuroal.sweeps.estimate import spread_over

HERE = Path(__file__).resolve().parent

PRUNERS = ("wanda", "magnitude", "multiflow", "sparsegpt", "random")
TOP_UPS = ("uniform ", "owl ", "alphapruning ", "neuroal row", "neuroal block", "neuroal both")
SPARSITIES = 5

# Of the time of a lambda candidate on SmolLM2, one thread: 1.19 times its bare matrix products (bench_engine.py).
PRODUCTS = 1 / 1.19

# How many times as fast as one of these processors a GPU is taken to do them.
TIMES = (1, 10, 100, float("inf"))


def costs() -> list[float]:
    """Seconds of each run on one processor."""
    figures = json.loads((HERE / "methods_smollm2.json").read_text())
    damage = json.loads((HERE / "damage_smollm2.json").read_text())
    measuring = statistics.mean(found["perplexity"]["seconds"] for found in damage.values())
    runs = []
    for pruner, top_up, refitted in itertools.product(PRUNERS, TOP_UPS, ("", " reconstruct")):
        measured = [figures[f"{pruner} {top_up} {ratio}{refitted}"] for ratio in ("0.6", "0.7")]
        runs += [statistics.mean(each["search"] + each["prune"] for each in measured) + measuring] * SPARSITIES
    return runs


def main(workers: str = "4") -> None:
    """One line of JSON."""
    runs = costs()
    alone = spread_over(runs, int(workers))
    by_speed: dict[str, Any] = {str(g): duration(alone * (1 - PRODUCTS + PRODUCTS / g)) for g in TIMES}
    told = {"runs": len(runs), "mean_s": round(statistics.mean(runs), 1), "longest_s": round(max(runs), 1)}
    told |= {"one_processor": duration(sum(runs)), "workers": int(workers), "on_them": duration(alone)}
    print(json.dumps(told | {"products": round(PRODUCTS, 2), "with_products_so_many_times_as_fast": by_speed}))


if __name__ == "__main__":
    main(*sys.argv[1:])
