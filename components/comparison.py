"""Figures of two to four runs together. Pure, as ``components/charts.py``, and with a twin in the browser as well:
``assets/history/compare_figures.js``; ``tests/components/test_comparison_js.py`` holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.plotting import Figure, Palette, axis, layout, plain
from neuroal.folding.fold import State

# A run: the name that the legend shows, and its state.
Run = tuple[str, State]

# Besides the colour, so that lines that lie upon each other, or are seen without colours, are told apart.
DASHES = ("solid", "dash", "dot", "dashdot")


def comparison(runs: Sequence[Run], *, palette: Palette) -> dict[str, Figure]:
    """All figures that have something to say, by name: allocations, rows, perplexity."""
    drawn = {
        "allocations": _allocations(runs, palette),
        "rows": _rows(runs, palette),
        "perplexity": _perplexity(runs, palette),
    }
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _line(index: int, name: str, palette: Palette, x: list[Any], y: list[Any], hover: str) -> dict[str, Any]:
    line = {"color": palette["series"][index], "width": 2.5, "shape": "hvh", "dash": DASHES[index]}
    return {"type": "scatter", "mode": "lines", "name": plain(name), "x": x, "y": y, "line": line,
            "hovertemplate": f"<b>%{{fullData.name}}</b><br>{hover}<extra></extra>"}  # fmt: skip


def _allocations(runs: Sequence[Run], palette: Palette) -> Figure | None:
    """The sparsity that each run asks of each block, overlaid."""
    found = [(i, name, s["allocation"]["sparsity"]) for i, (name, s) in enumerate(runs) if s["allocation"] is not None]
    values = [ratio for _, _, ratios in found for ratio in ratios]
    if not values:
        return None
    hover = "block %{x}: %{y:.2%}"
    data = [_line(i, name, palette, list(range(len(ratios))), ratios, hover) for i, name, ratios in found]
    blocks = max(len(ratios) for _, _, ratios in found)
    room = {"include": [min(values) - 0.02, max(values) + 0.02], "clipmin": 0, "clipmax": 1}
    xaxis = axis(palette, "block", dtick=5, range=[-0.5, blocks - 0.5])
    yaxis = axis(palette, "sparsity", tickformat=".0%", autorangeoptions=room)
    return {"data": data, "layout": layout(palette, 340, xaxis, yaxis, showlegend=True)}


def _rows(runs: Sequence[Run], palette: Palette) -> Figure | None:
    """How the sparsity of single rows is distributed over the whole model: the share of all rows in a bin of 2 %."""
    found = [(i, name, s["rows"]) for i, (name, s) in enumerate(runs) if s["rows"] is not None]
    bins = [(i, name, r["edges"], [sum(c[b] for c in r["counts"]) for b in range(len(r["edges"]) - 1)])
            for i, name, r in found]  # fmt: skip
    used = [b for _, _, _, counts in bins for b, count in enumerate(counts) if count]
    if not used:
        return None
    # One empty bin on either side brings the lines down to zero.
    shown = range(max(0, min(used) - 1), min(max(len(counts) for *_, counts in bins), max(used) + 2))
    data = []
    for i, name, edges, counts in bins:
        total = sum(counts) or 1
        x = [(edges[b] + edges[b + 1]) / 2 for b in shown]
        y = [counts[b] / total for b in shown]
        data.append(_line(i, name, palette, x, y, "%{y:.1%} of all rows have a sparsity near %{x:.0%}"))
    xaxis = axis(palette, "sparsity of a row", tickformat=".0%")
    yaxis = axis(palette, "share of all rows", tickformat=".0%", rangemode="tozero")
    return {"data": data, "layout": layout(palette, 340, xaxis, yaxis, showlegend=True)}


def _perplexity(runs: Sequence[Run], palette: Palette) -> Figure | None:
    """Perplexity of the dense model, the uniform control and the run, for each run; a log axis where they are far
    apart."""
    measured = [(name, s["measured"].get("perplexity", {})) for name, s in runs]
    shown = [(name, m) for name, m in measured if any(_value(m, v) is not None for v in ("dense", "uniform", "chosen"))]
    if not shown:
        return None
    labels = {"dense": "dense", "uniform": "uniform control", "chosen": "this run"}
    names = [plain(name).replace(", ", ",<br>") for name, _ in shown]
    data = [_bars(v, label, names, [m for _, m in shown], palette) for v, label in labels.items()]
    values = [value for trace in data for value in trace["x"] if value is not None]
    wide = max(values) > 20 * min(values)
    figures_axis = axis(
        palette, "perplexity", type="log" if wide else "linear", rangemode="tozero", dtick=1 if wide else None
    )
    names_axis = axis(palette, "", showgrid=False, type="category", autorange="reversed")
    # Lying bars leave room for the names of runs, also on a phone; their figures stand behind them.
    more = {"barmode": "group", "bargap": 0.25, "margin": {"l": 8, "r": 56, "t": 12, "b": 8}, "showlegend": True}
    return {"data": data, "layout": layout(palette, 120 + 84 * len(shown), figures_axis, names_axis, **more)}


def _bars(
    variant: str, label: str, names: list[str], measured: list[dict[str, Any]], palette: Palette
) -> dict[str, Any]:
    values = [_value(m, variant) for m in measured]
    errors = [m[variant]["stderr"] if _value(m, variant) is not None else None for m in measured]
    return {
        "type": "bar", "orientation": "h", "name": label, "x": values, "y": names,
        "marker": {"color": palette[variant]}, "cliponaxis": False,
        "customdata": errors, "text": values, "texttemplate": "%{x:.4~s}", "textposition": "outside",
        "hovertemplate": f"<b>%{{y}}</b><br>{label}: %{{x:,.2f}} ± %{{customdata:.2f}}<extra></extra>",
    }  # fmt: skip


def _value(measured: dict[str, Any], variant: str) -> float | None:
    return measured[variant]["value"] if variant in measured else None
