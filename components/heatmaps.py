"""The two heatmaps: lambda by block while searching, and how the row step spreads sparsity inside each block."""

from __future__ import annotations

from typing import Any

from components.plotting import BAR_MARGIN, Figure, Matrix, Palette, axis, colorbar, layout, median, quantile, scale
from neuroal.folding.fold import State
from neuroal.folding.status import active_step, lambda_text

# --- heatmap: which block does each lambda hurt? --------------------------------------------------------------------


def heatmap(state: State, palette: Palette, name: str | None) -> Figure | None:
    """Lambda by block. Once two candidates are done, colour is the difference from each block's median over them:
    blocks differ in magnitude far more than candidates do, and would hide the comparison."""
    step = state["steps"].get(name or active_step(state) or "")
    if step is None or all(score is None for row in step["scores"] for score in row):
        return None
    done = [row for row, total in zip(step["scores"], step["totals"], strict=True) if total is not None]
    relative = len(done) >= 2
    z = _relative(step, done) if relative else step["scores"]
    flat = [abs(value) for row in z for value in row if value is not None]
    # One extreme candidate must not wash out all others: colours saturate beyond the 90th percentile.
    limit = (quantile(flat, 0.9) if flat else 0) or 1
    trace = {
        "type": "heatmap", "z": z, "x": list(range(step["blocks"])), "y": [lambda_text(lam) for lam in step["lambdas"]],
        "customdata": _cell_facts(step), "xgap": 1, "ygap": 1, "hoverongaps": False,
        "colorscale": scale(palette["diverging" if relative else "sequential"]),
        "hovertemplate": "<b>block %{x}, lambda %{y}</b><br>score %{customdata[0]:.4~g}"
        + ("<br>%{z:+.1f} % from the block's median" if relative else "")
        + "<br>sparsity of the block %{customdata[1]:.1%}<extra></extra>",
        "colorbar": colorbar(palette, "% from the block's median", ticksuffix=" %")
        if relative else colorbar(palette, "score of the block", exponentformat="power"),
        **({"zmin": -limit, "zmid": 0, "zmax": limit} if relative else {}),
    }  # fmt: skip
    shapes, notes = _marks(step, palette)
    xaxis = axis(palette, "block", showgrid=False, dtick=5, constrain="domain")
    yaxis = axis(palette, "lambda", type="category", dtick=1, autorange="reversed", showgrid=False)
    # Room for axis, colour bar and titles also with a grid of one or two: Plotly fails on a plot of no height.
    height = max(240, 118 + 19 * len(step["lambdas"]))
    more = {"shapes": shapes, "annotations": notes, "margin": BAR_MARGIN}
    return {"data": [trace], "layout": layout(palette, height, xaxis, yaxis, **more)}


def _relative(step: dict[str, Any], done: Matrix) -> Matrix:
    """Percent from the median of the finished candidates, block by block; None where there is nothing to compare."""
    medians = []
    for block in range(step["blocks"]):
        known = [row[block] for row in done if block < len(row) and row[block] is not None]
        medians.append(median(known) if known else 0)
    return [[_percent(score, medians[b]) for b, score in enumerate(row)] for row in step["scores"]]


def _percent(score: float | None, median_score: float) -> float | None:
    return None if score is None or not median_score else 100 * (score - median_score) / median_score


def _cell_facts(step: dict[str, Any]) -> list[Matrix]:
    """Per cell: the raw score, and the sparsity that the candidate asks of the block."""
    facts = []
    for row, sparsity in zip(step["scores"], step["sparsity"], strict=True):
        facts.append([[score, sparsity[b] if sparsity and b < len(sparsity) else None] for b, score in enumerate(row)])
    return facts


def _marks(step: dict[str, Any], palette: Palette) -> tuple[list[Any], list[Any]]:
    """A frame and a star for the winner; before there is one, a frame around the candidate being tried."""
    chosen, current = step["chosen"], step["current"]
    index = current if chosen is None else chosen["index"]
    if index is None:
        return [], []
    color = palette["muted"] if chosen is None else palette["star"]
    frame = {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": index - 0.5, "y1": index + 0.5,
             "line": {"color": color, "width": 1 if chosen is None else 2.5}}  # fmt: skip
    sign = {"text": "◀" if chosen is None else "★", "font": {"color": color, "size": 12 if chosen is None else 17},
            "xref": "paper", "x": 1, "xanchor": "left", "yref": "y", "y": index, "showarrow": False}  # fmt: skip
    return [frame], [sign]


# --- rows: how the row step spreads the sparsity inside each block --------------------------------------------------


def rows(state: State, palette: Palette) -> Figure | None:
    """Block by row sparsity; colour is the share of the block's rows in a bin of 2 %."""
    allocated = state["rows"]
    if allocated is None:
        return None
    used = [i for i in range(len(allocated["edges"]) - 1) if any(counts[i] for counts in allocated["counts"])]
    if not used:
        return None
    bins = range(used[0], used[-1] + 1)
    totals = [sum(counts) for counts in allocated["counts"]]
    z = [[c[i] / n if c[i] else None for c, n in zip(allocated["counts"], totals, strict=True)] for i in bins]
    shares = [share for row in z for share in row if share is not None]
    trace = {
        "type": "heatmap", "z": z, "x": list(range(len(totals))), "hoverongaps": False, "xgap": 1,
        "y": [(allocated["edges"][i] + allocated["edges"][i + 1]) / 2 for i in bins],
        # A block whose rows all agree would take the whole scale.
        "zmin": 0, "zmax": quantile(shares, 0.95), "colorscale": scale(palette["sequential"]),
        "hovertemplate": "<b>block %{x}</b><br>%{z:.1%} of its rows have a sparsity near %{y:.0%}<extra></extra>",
        "colorbar": colorbar(palette, "share of the block's rows", tickformat=".0%"),
    }  # fmt: skip
    xaxis = axis(palette, "block", showgrid=False, dtick=5)
    yaxis = axis(palette, "sparsity of a row", tickformat=".0%")
    return {"data": [trace], "layout": layout(palette, 380, xaxis, yaxis, margin=BAR_MARGIN)}
