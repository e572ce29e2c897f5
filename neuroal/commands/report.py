"""What a run comes to, as JSON and as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neuroal.commands.output import Output
from neuroal.evaluation.kinds import EVALUATIONS
from neuroal.folding.fold import fold_all
from neuroal.folding.status import fixed, lambda_text, sentence, variant_name
from neuroal.folding.titles import title
from neuroal.runs.summary import summary

Record = dict[str, Any]
Document = dict[str, Any]


def document(run_id: str, spec: Mapping[str, Any], key: str, records: Sequence[Record], **more: Any) -> Document:
    """All there is to say of a run.

    Args:
        run_id: "" where it is not kept.
        spec: its config card. more: further entries.

    Returns:
        JSON values: ``run``, ``status``, ``message`` (a sentence), ``title``, ``key``, ``spec``, ``summary`` (see
        ``neuroal.runs.summary``), ``search`` (by step: lambdas, scores, the chosen one), ``sparsity`` (of each block),
        ``measured`` (by metric and variant) and ``notices``.
    """
    state = fold_all(records)
    return {
        "run": run_id,
        "status": state["status"],
        "message": sentence(state),
        "title": title(spec),
        "key": key,
        **more,
        "spec": dict(spec),
        "summary": summary(records),
        "search": {name: _search(step) for name, step in state["steps"].items()},
        "sparsity": (state["allocation"] or {}).get("sparsity"),
        "measured": state["measured"],
        "notices": state["notices"],
    }


def _search(step: Mapping[str, Any]) -> Document:
    scored = [(lam, score) for lam, score in zip(step["lambdas"], step["totals"], strict=False) if score is not None]
    return {"lambdas": [lam for lam, _ in scored], "scores": [score for _, score in scored], "chosen": step["chosen"]}


def tell(out: Output, told: Document, records: Sequence[Record]) -> None:
    """A run in a few lines and tables."""
    out.line(told["title"])
    out.line(told["message"])
    tell_search(out, told)
    tell_figures(out, told, records)
    if told["run"]:
        out.line(f"Run {told['run']}")


def tell_search(out: Output, told: Document) -> None:
    """Chosen lambdas and ratios, a line each."""
    for step, found in told["search"].items():
        if chosen := found["chosen"]:
            near = ", ".join(map(lambda_text, chosen["near_ties"])) or "none"
            scored = f"of {len(found['lambdas'])} scored; within 1 %: {near}"
            out.line(f"{step.capitalize()} lambda {lambda_text(chosen['lam'])}, score {chosen['score']:.6g} ({scored})")
    ratios = [ratio for ratio in told["sparsity"] or () if ratio is not None]
    if ratios:
        achieved = told["summary"]["achieved"]
        zeros = "" if achieved is None else f"; {100 * achieved:.2f} % of all are zero"
        out.line(f"Blocks lose {100 * min(ratios):.1f} to {100 * max(ratios):.1f} % of their weights{zeros}")


def tell_figures(out: Output, told: Document, records: Sequence[Record]) -> None:
    """What was measured: a row a figure, a column a model."""
    measured = told["measured"]
    if not measured:
        return
    state = fold_all(records)
    seen = [v for v in ("dense", "uniform", "chosen") if any(v in each for each in measured.values())]
    head = ["", *(variant_name(state, variant) for variant in seen)]
    out.table(head, [_row(metric, measured[metric], seen) for metric in measured])


def _row(metric: str, of: Mapping[str, Any], seen: Sequence[str]) -> list[str]:
    name, slash, part = metric.partition("/")
    label = EVALUATIONS.labels.get(name, name) + (f" {part}" if slash else "")
    return [label, *(_figure(of.get(variant)) for variant in seen)]


def _figure(found: Mapping[str, Any] | None) -> str:
    if not found or found["value"] is None:
        return "–"
    value, error = found["value"], found["stderr"]
    digits = 2 if abs(value) >= 10 else 4
    shown = f"{value:.6g}" if abs(value) >= 1e6 else fixed(value, digits)
    return f"{shown} ± {fixed(error, digits)}" if error and abs(value) < 1e6 else shown
