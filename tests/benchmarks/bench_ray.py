"""A sweep by the thread engine against a Ray cluster of nodes on this machine, one processor each.

    python tests/benchmarks/bench_ray.py [model] [nodes]

Prints one line of JSON: seconds of a first sweep, in which workers start and import torch, and of a second one with
other calibration text; the ratio of the second ones; and whether all figures and masks are equal. Each engine computes
with one thread per run.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("OMP_NUM_THREADS", "1")

from neuroal.runs.workshop import Workshop
from neuroal.sweeps.spec import SweepSpec
from tests.cluster.local import local_cluster

TOP_UPS = ("uniform", "owl", "alphapruning", "neuroal")
SPARSITIES = (0.5, 0.6)


def swept(workshop: Workshop, model: str, seed: int) -> tuple[float, dict[int, Any]]:
    """Seconds of a sweep, and what each of its runs found."""
    base = {"model": model, "mode": "exact", "samples": 8, "length": 128, "eval_length": 256, "seed": seed}
    axes = ([{"top_up": name} for name in TOP_UPS], [{"sparsity": ratio} for ratio in SPARSITIES])
    spec = SweepSpec(base, axes)
    started = time.perf_counter()
    sweep_id = workshop.sweeps.start(spec)
    while workshop.sweeps.jobs.status(sweep_id) in ("queued", "running"):
        time.sleep(0.05)
    seconds = time.perf_counter() - started
    found = {}
    for record in workshop.sweeps.jobs.read(sweep_id)[0]:
        if record["kind"] == "MemberFinished":
            assert record["status"] == "finished", record
            measured = [r for r in workshop.jobs.read(record["run"])[0] if r["kind"] == "Measured"]
            figures = [(r["metric"], r["variant"], r["value"]) for r in measured]
            found[record["index"]] = (figures, workshop._masks(record["run"]).read_bytes())
    return seconds, found


def timed(model: str) -> tuple[list[float], list[dict[int, Any]], int]:
    """Of the engine that the environment asks for."""
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop(Path(folder))
        workshop.pool.get(model)
        sweeps = [swept(workshop, model, seed) for seed in (0, 1)]
        workshop.close()
        return [round(seconds, 1) for seconds, _ in sweeps], [found for _, found in sweeps], workshop.jobs.workers


def main(model: str = "tiny", nodes: str = "2") -> None:
    """Both engines, one after the other."""
    os.environ.pop("NEUROAL_ENGINE", None)
    by_thread, expected, _ = timed(model)
    with local_cluster(int(nodes)) as cluster:
        os.environ |= {**cluster.environment, "NEUROAL_ENGINE": "ray", "RAY_ADDRESS": cluster.address}
        by_ray, found, workers = timed(model)
    figures = {"model": model, "runs": len(TOP_UPS) * len(SPARSITIES), "processors": os.cpu_count(), "workers": workers}
    figures |= {"thread_s": by_thread, "ray_s": by_ray, "ratio": round(by_thread[1] / by_ray[1], 2)}
    print(json.dumps(figures | {"equal": found == expected}))


if __name__ == "__main__":
    main(*sys.argv[1:])
