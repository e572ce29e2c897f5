"""The figures of a run as tables for a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from neuroal.evaluation.card import cards
from neuroal.runs.summary import ASKED, SCALE
from neuroal.runs.summary import FIGURES as FIGURES_OF_RUNS

Record = dict[str, Any]
Rows = list[Sequence[Any]]

# Of a run on a map; the sparsity that was asked for is there anyway.
_OF_POINTS = (*(name for name in ASKED if name != "sparsity"), *FIGURES_OF_RUNS, *SCALE)

FIGURES = ("metric", "variant", "value", "stderr", "tokens", "length", "source", "achieved", "seconds")


def tables(records: Iterable[Record]) -> dict[str, str]:
    """CSV texts by file name; only those that have a row.

    Returns:
        figures.csv: every figure that was measured; blocks.csv: sparsity ratios asked and achieved, by block;
        lambdas.csv: every score, by step and lambda.
    """
    records = list(records)
    found = {
        "figures.csv": [FIGURES, *([card[name] for name in FIGURES] for card in cards(records))],
        "blocks.csv": _blocks(records),
        "lambdas.csv": _lambdas(records),
    }
    return {name: _csv(rows) for name, rows in found.items() if len(rows) > 1}


def config_cards(records: Iterable[Record]) -> str:
    """What each figure depends on, as JSON."""
    return json.dumps(cards(records), indent=1)


def _blocks(records: list[Record]) -> Rows:
    cells: dict[int, dict[str, float]] = {}
    for record in records:
        if record["kind"] == "BlockPruned":
            row = cells.setdefault(record["block"], {})
            row |= {f"{record['variant']} {name}": record[name] for name in ("requested", "achieved")}
    names = sorted({name for row in cells.values() for name in row})
    return [["block", *names], *([block, *(cells[block].get(name) for name in names)] for block in sorted(cells))]


def _lambdas(records: list[Record]) -> Rows:
    scores = {(r["step"], r["lam"]): r["score"] for r in records if r["kind"] == "CandidateFinished"}
    chosen = {(r["step"], r["lam"]) for r in records if r["kind"] == "LambdaChosen"}
    rows = [[step, lam, score, int((step, lam) in chosen)] for (step, lam), score in scores.items()]
    return [["step", "lambda", "score", "chosen"], *rows]


def point_tables(records: Iterable[Record]) -> dict[str, str]:
    """Every run of a sweep with its figures, as CSV and as JSON, by file name.

    Args:
        records: the sweep's log.
    """
    points: list[dict[str, Any]] = []
    for record in records:
        if record["kind"] == "SweepStarted":
            asked = ("label", "sparsity", "control")
            points = [{"run": i, **{name: m[name] for name in asked}} for i, m in enumerate(record["members"])]
        elif record["kind"] == "MemberFinished":
            figures = {name: record["summary"].get(name) for name in _OF_POINTS}
            points[record["index"]] |= {"status": record["status"], **figures}
    names = list(dict.fromkeys(name for point in points for name in point))
    rows: Rows = [names, *([point.get(name) for name in names] for point in points)]
    return {"points.csv": _csv(rows), "points.json": json.dumps(points, indent=1)}


def _csv(rows: Rows) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula becomes one that it shows: the text may be a stranger's."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
