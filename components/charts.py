"""Figures: a state becomes plain Plotly figure dicts, ``{"data": [...], "layout": {...}}``. Pure, no plotly needed.

The same figures are drawn in the browser by ``assets/live/figures.js``; ``tests/components/test_fold_js.py`` holds the
two together. So that both give the same JSON, numbers stay raw and Plotly's own formats make them text.
A figure is absent while it has nothing to say.
"""

from __future__ import annotations

from typing import Any

from components.heatmaps import heatmap, rows
from components.plotting import DARK, LIGHT, Figure, Matrix, Palette, axis, layout
from components.spread import spread
from neuroal.folding.fold import State, empty_state, fold, fold_all
from neuroal.folding.status import active_step, lambda_text, progress, sentence, target, variant_name

__all__ = ["DARK", "LIGHT", "NAMES", "empty_state", "figures", "fold", "fold_all", "progress", "sentence"]

NAMES = ("heatmap", "scores", "ratings", "sparsity", "rows", "damage", "spread")


def figures(state: State, *, palette: Palette, step: str | None = None) -> dict[str, Figure]:
    """All figures that have something to say, by name (see ``NAMES``).

    Args:
        state: what ``fold`` gives.
        palette: ``LIGHT``, ``DARK`` or one with the same keys.
        step: which search step the heatmap shows; None for the one going on, or the last one.
    """
    drawn = {
        "heatmap": heatmap(state, palette, step),
        "scores": _scores(state, palette),
        "ratings": _ratings(state, palette),
        "sparsity": _sparsity(state, palette),
        "rows": rows(state, palette),
        "damage": _damage(state, palette),
        "spread": spread(state, palette),
    }
    return {name: figure for name, figure in drawn.items() if figure is not None}


# --- scores: the curve whose lowest point wins ----------------------------------------------------------------------


def _scores(state: State, palette: Palette) -> Figure | None:
    """Total score against lambda: one curve per step, a star on each winner, rings on what came within 1 % of it."""
    steps = [(name, state["steps"][name]) for name in ("block", "row") if name in state["steps"]]
    curves = [(name, points) for name, step in steps if (points := _points(step))]
    if not curves:
        return None
    values = [score for _, points in curves for _, score in points]
    # The whole grid from the start, so that the curve grows into place instead of being rescaled.
    end = max(lam for _, step in steps for lam in step["lambdas"]) or 1
    data = [_curve(name, points, palette) for name, points in curves]
    uniform = _uniform_score(state)
    if uniform is not None:
        data.insert(0, _uniform_line(uniform, end, palette))
        values.append(uniform)
    chosen = [step["chosen"] for _, step in steps if step["chosen"] is not None]
    ties = [p for _, step in steps if step["chosen"] for p in _points(step) if p[0] in step["chosen"]["near_ties"]]
    if ties:
        ring = {"symbol": "circle-open", "size": 14, "color": palette["muted"], "line": {"width": 1}}
        data.append(_points_trace("within 1 %", ties, ring))
    if chosen:
        star = {"symbol": "star", "size": 16, "color": palette["star"]}
        data.append(_points_trace("chosen", [[c["lam"], c["score"]] for c in chosen], star))
    wide = min(values) > 0 and max(values) > 4 * min(values)
    xaxis = axis(palette, "lambda", tickformat=".2f", range=[-0.03 * end, 1.04 * end])
    yaxis = axis(palette, "alignment score", type="log" if wide else "linear", exponentformat="power")
    return {"data": data, "layout": layout(palette, 320, xaxis, yaxis)}


def _points(step: dict[str, Any]) -> Matrix:
    """``[lambda, total score]`` of the finished candidates, by lambda."""
    known = [[lam, total] for lam, total in zip(step["lambdas"], step["totals"], strict=True) if total is not None]
    return sorted(known, key=lambda point: point[0])


def _curve(name: str, points: Matrix, palette: Palette) -> dict[str, Any]:
    marker = {"symbol": "circle" if name == "block" else "square", "size": 7}
    trace = _points_trace(f"{name} step", points, marker)
    hover = f"{name} step<br>lambda %{{x:.4~f}}<br>score %{{y:.5~g}}<extra></extra>"
    line = {"color": palette[name], "width": 2}
    return {**trace, "mode": "lines+markers", "line": line, "hoverinfo": "all", "hovertemplate": hover}


def _points_trace(label: str, points: Matrix, marker: dict[str, Any]) -> dict[str, Any]:
    return {"type": "scatter", "mode": "markers", "name": label, "x": [p[0] for p in points],
            "y": [p[1] for p in points], "marker": marker, "hoverinfo": "skip"}  # fmt: skip


def _uniform_score(state: State) -> float | None:
    """The score of uniform sparsity, which only the row step alone computes."""
    totals = state["steps"].get("alignment", {"totals": []})["totals"]
    return totals[0] if totals else None


def _uniform_line(score: float, end: float, palette: Palette) -> dict[str, Any]:
    line = {"color": palette["uniform"], "width": 1.5, "dash": "dash"}
    return {"type": "scatter", "mode": "lines", "name": "uniform", "x": [0, end], "y": [score, score], "line": line,
            "hovertemplate": "uniform sparsity<br>score %{y:.5~g}<extra></extra>"}  # fmt: skip


# --- ratings: what a top-up without search goes by ------------------------------------------------------------------


def _ratings(state: State, palette: Palette) -> Figure | None:
    """One bar per block, as the blocks are rated; the axis has room for all of them from the start."""
    ratings = state["ratings"]
    if ratings is None:
        return None
    values, label = ratings["values"], ratings["label"]
    blocks = max(len(values), state["model"]["blocks"] if state["model"] else 0)
    trace = {"type": "bar", "name": label, "x": list(range(len(values))), "y": values,
             "marker": {"color": palette["block"]},
             "hovertemplate": f"block %{{x}}<br>{label}: %{{y:.4~g}}<extra></extra>"}  # fmt: skip
    xaxis = axis(palette, "block", dtick=5, range=[-0.5, blocks - 0.5], showgrid=False)
    yaxis = axis(palette, ratings["measure"], rangemode="tozero")
    return {"data": [trace], "layout": layout(palette, 320, xaxis, yaxis, bargap=0.25)}


# --- sparsity: what each block was asked, and what it got -----------------------------------------------------------


def _sparsity(state: State, palette: Palette) -> Figure | None:
    """Per block: target, plan (or the candidate being tried), and what was achieved, counted on the weights."""
    plan, label, color = _plan(state, palette)
    achieved = [(v, state["pruned"][v]["achieved"]) for v in ("chosen", "uniform") if v in state["pruned"]]
    blocks = max([len(plan), *(len(values) for _, values in achieved)])
    if not blocks:
        return None
    aim = target(state)
    values = [v for v in [*plan, *(x for _, a in achieved for x in a), aim] if v is not None]
    data = []
    if aim is not None:
        line = {"color": palette["target"], "width": 1.5, "dash": "dash"}
        data.append(_sparsity_trace("target", [-0.5, blocks - 0.5], [aim] * 2, mode="lines", line=line))
    if plan:
        line = {"color": color, "width": 2.5, "shape": "hvh"}
        data.append(_sparsity_trace(label, list(range(len(plan))), plan, mode="lines", line=line))
    for variant, ratios in achieved:
        marker = {"color": palette[variant], "size": 7, "symbol": "circle" if variant == "chosen" else "x-thin-open"}
        name = "achieved" if variant == "chosen" else "uniform"
        data.append(_sparsity_trace(name, list(range(len(ratios))), ratios, mode="markers", marker=marker))
    # Room around a flat line. No fixed range: one that changes would undo a person's zoom.
    room = {"include": [min(values) - 0.02, max(values) + 0.02], "clipmin": 0, "clipmax": 1}
    xaxis = axis(palette, "block", dtick=5, range=[-0.5, blocks - 0.5])
    yaxis = axis(palette, "sparsity", tickformat=".0%", autorangeoptions=room)
    return {"data": data, "layout": layout(palette, 320, xaxis, yaxis)}


def _sparsity_trace(name: str, x: list[float], y: list[Any], **more: Any) -> dict[str, Any]:
    base = {"type": "scatter", "name": name, "x": x, "y": y}
    return {**base, "hovertemplate": f"block %{{x}}<br>{name} %{{y:.2%}}<extra></extra>", **more}


def _plan(state: State, palette: Palette) -> tuple[list[float], str, str]:
    """Sparsity per block, its name and colour: the allocation, or the block step's winner, or the current candidate."""
    if state["allocation"] is not None:
        return state["allocation"]["sparsity"], "chosen", palette["chosen"]
    step = state["steps"].get(active_step(state) or "")
    best = state["steps"].get("block", {"chosen": None})
    if best["chosen"] is not None:
        return best["sparsity"][best["chosen"]["index"]] or [], "chosen by the block step", palette["chosen"]
    if step is None or step["current"] is None:
        return [], "", ""
    label = f"trying lambda {lambda_text(step['lambdas'][step['current']])}"
    return step["sparsity"][step["current"]] or [], label, palette["trying"]


# --- damage: what the pruning cost ----------------------------------------------------------------------------------


def _damage(state: State, palette: Palette) -> Figure | None:
    """Perplexity of the dense, the uniform and the chosen model; a log axis where they are orders apart."""
    measured = state["measured"].get("perplexity", {})
    shown = [v for v in ("dense", "uniform", "chosen") if measured.get(v, {"value": None})["value"] is not None]
    if not shown:
        return None
    values = [measured[v]["value"] for v in shown]
    trace = {
        "type": "bar", "x": [variant_name(state, v) for v in shown], "y": values, "width": 0.7,
        "marker": {"color": [palette[v] for v in shown]}, "cliponaxis": False,
        "error_y": {"type": "data", "array": [measured[v]["stderr"] for v in shown], "color": palette["text"]},
        "text": values, "texttemplate": "<b>%{y:,.2f}</b>", "textposition": "inside", "insidetextanchor": "middle",
        "textangle": 0, "constraintext": "none",
        "hovertemplate": "<b>%{x}</b><br>perplexity %{y:,.2f} ± %{error_y.array:.2f}<extra></extra>",
    }  # fmt: skip
    wide = max(values) > 20 * min(values)
    xaxis = axis(palette, "", showgrid=False, type="category")
    yaxis = axis(palette, "perplexity", type="log" if wide else "linear", rangemode="tozero", dtick=1 if wide else None)
    return {"data": [trace], "layout": layout(palette, 380, xaxis, yaxis)}
