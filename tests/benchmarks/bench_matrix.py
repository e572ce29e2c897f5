"""What looking into the matrices of a run costs: one walk over its models, then each matrix, by time and bytes.

    python tests/benchmarks/bench_matrix.py FOLDER [model] [samples] [length]

FOLDER keeps the run, so that only the first time has to prune. CPU seconds tell more than seconds on a busy machine.
"""

from __future__ import annotations

import gzip
import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import neuroal  # noqa: F401 (before torch and numpy: it decides how they use the processor)

# isort: split
from components.matrix_route import figures, overview
from neuroal.inspection.walk import iter_inspect
from neuroal.runs.spec import RunSpec
from neuroal.runs.workshop import Workshop


def main(folder: str, model: str = "SmolLM2-135M-Instruct", samples: str = "8", length: str = "128") -> None:
    """Prints the figures, one a line."""
    workshop = Workshop(Path(folder))
    spec = RunSpec(model=model, top_up="uniform", samples=int(samples), length=int(length), evaluations=())
    run = workshop.start(spec)
    while workshop.jobs.status(run) in ("queued", "running"):
        time.sleep(0.1)
    lm, twin = workshop.pair(run)
    started, worked = time.perf_counter(), time.process_time()
    for _ in iter_inspect(spec, lm, twin):
        pass
    print(f"walk: {time.perf_counter() - started:.1f} s, {time.process_time() - worked:.1f} CPU-s")
    while isinstance(found := workshop.inspector.look(run), str):
        time.sleep(0.05)
    print(f"kept: {(workshop.inspector.folder / f'{run}.safetensors').stat().st_size / 1e6:.2f} MB on disk")
    print(f"list: {len(gzip.compress(json.dumps(overview(found)).encode(), 4))} bytes")
    by_shape: dict[tuple[int, int], list[tuple[float, int, float, int]]] = {}
    for seen in found.linears:
        started = time.perf_counter()
        told = json.dumps(figures(workshop.inspector.figures(run, seen.place)), separators=(",", ":")).encode()
        middle = time.perf_counter()
        whole = {"top": 0, "left": 0, "rows": seen.rows, "columns": seen.columns}
        bits = workshop.inspector.cells(run, seen.place, **whole, cell=1)
        cost = (middle - started, len(gzip.compress(told, 4)), time.perf_counter() - middle, len(bits))
        by_shape.setdefault((seen.rows, seen.columns), []).append(cost)
    for (rows, columns), costs in by_shape.items():
        told, size, drawn, bits = (statistics.median(column) for column in zip(*costs, strict=True))
        print(
            f"{rows} × {columns}: figures {1000 * told:.1f} ms, {size:.0f} bytes; bits {1000 * drawn:.1f} ms, "
            f"{bits:.0f} bytes"
        )
    workshop.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
