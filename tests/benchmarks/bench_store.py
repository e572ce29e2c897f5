"""A big history: 2,000 runs with 1,000,000 events, in SQLite and in PostgreSQL, with plain and with packed logs.

    python tests/benchmarks/bench_store.py [runs]

PostgreSQL is Debian's, started for this on a socket; without it SQLite alone is measured. Opening: a Store and its
Jobs until they are ready, in this process, so with warm imports. Every other figure is the median of several.
"""

from __future__ import annotations

import datetime
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sqlalchemy import insert

from neuroal.runs.history import Query
from neuroal.runs.jobs import Jobs
from neuroal.runs.rows import EventRow, RunRow
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from neuroal.runs.summary import summary
from tests.components.logs import realistic
from tests.runs.postgresql import binaries, running

EVENTS = 1_000_000
PRUNERS, TOP_UPS = ("wanda", "magnitude", "sparsegpt", "multiflow"), ("neuroal", "owl", "uniform", "alphapruning")
DURABLE = {"listen_addresses": "''"}  # for the rest PostgreSQL's own settings
NOW = datetime.datetime.now(datetime.timezone.utc)


def fill(store: Store, runs: int) -> None:
    """Runs of the past two years, each with the first part of a real log and its end."""
    log = realistic(blocks=30)
    size = EVENTS // runs
    log = [*log[: size - 21], *log[-21:]]
    payloads = [json.dumps({k: v for k, v in r.items() if k not in "nt"}, separators=(",", ":")) for r in log]
    figures = summary(log)
    with store.engine.begin() as connection:
        for i in range(runs):
            connection.execute(insert(RunRow), [_run(i, runs, figures)])
            rows = enumerate(zip(log, payloads, strict=True), 1)
            connection.execute(
                insert(EventRow), [{"run_id": f"run-{i}", "n": n, "t": r["t"], "payload": p} for n, (r, p) in rows]
            )


def _run(i: int, runs: int, figures: dict[str, Any]) -> dict[str, Any]:
    asked = {"model": "SmolLM2-135M-Instruct", "pruner": PRUNERS[i % 4], "top_up": TOP_UPS[i // 4 % 4]}
    spec = RunSpec(**asked)
    found = {**figures, **asked, "perplexity": 20.0 + i * 7919 % 1000 / 10}
    created = (NOW - datetime.timedelta(days=730 * (runs - i) / runs)).isoformat(timespec="microseconds")
    return {
        "id": f"run-{i}", "key": spec.key(), "spec": spec.to_json(), "status": "failed" if i % 10 == 9 else "finished",
        "private": False, "created": created, "kind": "run", "summary": json.dumps(found),
        "name": f"Number {i}" if i % 5 == 0 else "", "tags": '["thesis","old"]' if i % 7 == 0 else "[]",
        "pinned": i % 100 == 0, "deleted": "",
    }  # fmt: skip


def milliseconds(work: Callable[[], Any], times: int = 15) -> float:
    """The median."""
    return statistics.median(_once(work) for _ in range(times))


def _once(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def figures(where: Path | str, runs: int) -> Iterator[tuple[str, float]]:
    """What is measured, and its milliseconds."""
    began = time.perf_counter()
    store = Store(where)
    jobs = Jobs(store, lambda *_: iter(()))  # type: ignore[arg-type, return-value]
    yield "open", (time.perf_counter() - began) * 1000
    yield "list the newest 50", milliseconds(store.history)
    yield "list, by perplexity", milliseconds(lambda: store.history(Query(order="perplexity", descending=False)))
    yield "list, the last page", milliseconds(lambda: store.history(Query(offset=runs - 50)))
    yield "filter: text of two words", milliseconds(lambda: store.history(Query(text="sparsegpt owl")))
    yield "filter: text of one run", milliseconds(lambda: store.history(Query(text="number 1995")))
    yield (
        "filter: text, tag, status, by KL",
        milliseconds(lambda: store.history(Query(text="smol", tags=["thesis"], status="finished", order="kl"))),
    )
    yield "filter: pinned", milliseconds(lambda: store.history(Query(pinned=True)))
    yield "filter: 1,000 ids", milliseconds(lambda: store.history(Query(ids=[f"run-{2 * i}" for i in range(1000)])))
    yield "list all", milliseconds(lambda: store.history(Query(limit=runs)))
    yield "was it answered", milliseconds(lambda: store.answered("nothing"))
    ids = iter(range(runs))
    yield "read one log", milliseconds(lambda: store.events(f"run-{next(ids) * 37 % runs}"))
    numbers = itertools.count(store.events("run-0")[-1]["n"] + 1)
    yield (
        "append an event",
        milliseconds(lambda: store.append("run-0", next(numbers), 1.0, {"kind": "Notice", "message": "x"}), 200),
    )
    jobs.close()
    store.close()


def pack(where: Path | str) -> tuple[int, float]:
    """Packs what is older than 30 days: how many runs, in how many seconds."""
    store = Store(where)
    began = time.perf_counter()
    packed = sum(map(store.pack, store.packable(NOW - datetime.timedelta(days=30))))
    seconds = time.perf_counter() - began
    store.close()
    return packed, seconds


def main() -> None:
    """Prints a table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        places: dict[str, Path | str] = {"SQLite": folder}
        if programs := binaries():
            places["PostgreSQL"] = stack.enter_context(running(programs, DURABLE)).new_database()
        for name, where in places.items():
            store = Store(where)
            seconds = _once(lambda store=store: fill(store, runs)) / 1000
            store.close()
            print(f"\n{name}: {runs:,} runs, {EVENTS:,} events, written in {seconds:.0f} s", flush=True)
            plain = dict(figures(where, runs))
            packed, seconds = pack(where)
            for what, ms in figures(where, runs):
                print(f"  {what:34} {plain[what]:8.1f} ms {ms:8.1f} ms packed")
            print(f"  packing {packed} logs took {seconds:.1f} s, {seconds / packed * 1000:.1f} ms each", flush=True)
        print(f"\nSQLite's file: {(folder / 'runs.sqlite').stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
