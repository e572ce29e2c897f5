"""The map of a sweep: every run a point, one line per method, the control and the dense model always drawn; and the
gain over the control as a heat map.

The browser draws the same with ``assets/map/figures.js``; ``tests/components/test_map_js.py`` holds the two together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from components.plotting import BAR_MARGIN, Figure, Palette, axis, colorbar, layout, plain, quantile, scale
from neuroal.folding.status import fixed
from neuroal.folding.sweep_fold import State

Point = dict[str, Any]

# What an axis can show: its title, whether less is better, how it is written, and the figure of the dense model.
AXES: dict[str, dict[str, Any]] = {
    "sparsity": {"title": "sparsity", "less": False, "percent": True, "log": False, "dense": None},
    "perplexity": {"title": "perplexity", "less": True, "percent": False, "log": True, "dense": "perplexity_dense"},
    "alignment": {"title": "alignment score", "less": True, "percent": False, "log": False, "dense": None},
    "kl": {"title": "KL divergence from dense, nats", "less": True, "percent": False, "log": False, "dense": None},
    "zeroshot": {"title": "zero-shot mean", "less": False, "percent": True, "log": False, "dense": "zeroshot_dense"},
    "encoded": {"title": "encoded size / dense size", "less": True, "percent": True, "log": False, "dense": None},
    "search_seconds": {"title": "seconds of search", "less": True, "percent": False, "log": False, "dense": None},
}

# Runs beside those of the sweep, by what they are, each with a mark of its own: name of the trace, which belong to it.
OTHERS: dict[str, Callable[[Point], bool]] = {
    "other runs": lambda point: not point["focus"] and not point["custom"],
    "own ratios": lambda point: not point["focus"] and point["custom"],
    "this run": lambda point: point["focus"],
}
MARKS = {"other runs": ("square-open", 9), "own ratios": ("star-diamond", 13), "this run": ("star", 17)}

# Of the controls of several pruners, which share a colour.
CONTROLS = ("diamond", "diamond-open", "diamond-wide", "diamond-wide-open", "diamond-cross", "diamond-x")

# With more of them than this their names would cover the map; they are still told where one points.
MOST_NAMED = 8

# The scale of the gains reaches at least so far.
LEAST_GAIN = 0.05


def tradeoff(
    state: State, palette: Palette, x: str = "sparsity", y: str = "perplexity", others: Sequence[Point] = ()
) -> Figure | None:
    """Every finished run that has both figures; rings mark those that no other one beats in both.

    Args:
        x, y: names in ``AXES``.
        others: runs beside those of the sweep, as ``components.others`` finds them.
    """
    points, beside = _points(_finished(state), x, y), _points(others, x, y)
    if not points and not beside:
        return None
    data, symbols = [], _symbols(state)
    for label, color in _colors(state, palette).items():
        own = [point for point in points if point["label"] == label]
        if own:
            data += _line(label, own, color, symbols[label], x, y)
    for name, belongs in OTHERS.items():
        own = [point for point in beside if belongs(point)]
        if own:
            data.append(_beside(name, own, len(beside) <= MOST_NAMED, x, y, palette))
    points += beside
    data.append(_front(points, x, y, palette))
    base, notes = _baseline(points, y, palette)
    values = [point["y"] for point in points]
    log = AXES[y]["log"] and min(values) > 0
    xaxis = axis(palette, AXES[x]["title"], **_format(x, points, "x"))
    yaxis = axis(palette, AXES[y]["title"], **_format(y, points, "y"), **({"type": "log"} if log else {}))
    return {"data": data, "layout": layout(palette, 460, xaxis, yaxis, shapes=base, annotations=notes)}


def gain(state: State, palette: Palette) -> Figure | None:
    """By how much each method's perplexity is below the control's, by sparsity: the mean over runs that repeat it."""
    rows = {label: cells for label, cells in _gains(state).items() if cells}
    if not rows:
        return None
    columns = sorted({sparsity for cells in rows.values() for sparsity in cells})
    z = [[cells.get(sparsity) for sparsity in columns] for cells in rows.values()]
    sizes = [abs(value) for row in z for value in row if value is not None]
    # Differences of less than this look like what they are: none.
    limit = max(quantile(sizes, 0.9), LEAST_GAIN)
    trace = {
        "type": "heatmap", "z": z, "x": [_percent(sparsity) for sparsity in columns],
        "y": [plain(label) for label in rows],
        "xgap": 2, "ygap": 2, "hoverongaps": False, "zmin": -limit, "zmid": 0, "zmax": limit,
        "colorscale": scale(palette["diverging"][::-1]), "texttemplate": "%{z:+.1%}",
        "hovertemplate": "<b>%{y}, %{x}</b><br>perplexity %{z:+.1%} below uniform's<extra></extra>",
        "colorbar": colorbar(palette, "perplexity below uniform's", tickformat="+.0%"),
    }  # fmt: skip
    xaxis = axis(palette, "sparsity", type="category", showgrid=False, tickangle=0)
    yaxis = axis(palette, "", type="category", dtick=1, autorange="reversed", showgrid=False)
    height = max(240, 150 + 34 * len(rows))
    return {"data": [trace], "layout": layout(palette, height, xaxis, yaxis, margin=BAR_MARGIN)}


def verdicts(state: State) -> list[dict[str, Any]]:
    """Did a method help, by how much, at what cost: for each that is not the control, the best first.

    Returns:
        label, runs, better (in how many its perplexity was below the control's), gain (mean share by which it was),
        seconds (mean of its search; None where unknown).
    """
    found = []
    for label in _labels(state):
        runs = [m for m in _finished(state) if m["label"] == label and _gain(m) is not None]
        if runs:
            gains = [_gain(m) for m in runs]
            seconds = [m["summary"]["search_seconds"] for m in runs if m["summary"].get("search_seconds") is not None]
            found.append({
                "label": label, "runs": len(runs), "better": sum(g > 0 for g in gains), "gain": sum(gains) / len(gains),
                "seconds": sum(seconds) / len(seconds) if seconds else None,
            })  # fmt: skip
    return sorted(found, key=lambda one: -one["gain"])


# --- runs -----------------------------------------------------------------------------------------------------------


def _finished(state: State) -> list[dict[str, Any]]:
    return [member for member in state["members"] if member["status"] == "finished"]


def _labels(state: State) -> list[str]:
    """Of the methods, in the order of the sweep."""
    return list(dict.fromkeys(member["label"] for member in state["members"]))


def _colors(state: State, palette: Palette) -> dict[str, str]:
    """By label; controls are drawn in the colour of the control wherever it appears."""
    control = {member["label"] for member in state["members"] if member["control"]}
    colors, used = {}, 0
    for label in _labels(state):
        if label in control:
            colors[label] = palette["uniform"]
        else:
            colors[label] = palette["series"][used % len(palette["series"])]
            used += 1
    return colors


def _symbols(state: State) -> dict[str, str]:
    """By label."""
    controls = list(dict.fromkeys(member["label"] for member in state["members"] if member["control"]))
    marks = {label: CONTROLS[place % len(CONTROLS)] for place, label in enumerate(controls)}
    return {label: marks.get(label, "circle") for label in _labels(state)}


def _points(runs: Iterable[dict[str, Any]], x: str, y: str) -> list[Point]:
    """Those that have both figures, with their places."""
    placed = ({**run, "x": _value(run, x), "y": _value(run, y)} for run in runs)
    return [point for point in placed if None not in (point["x"], point["y"])]


def _value(member: dict[str, Any], name: str) -> float | None:
    if name == "sparsity":
        return (
            member["summary"].get("achieved") if member["summary"].get("achieved") is not None else member["sparsity"]
        )
    return member["summary"].get(name)


def _gain(member: dict[str, Any]) -> float | None:
    """The share by which a run's perplexity is below that of its control."""
    own, control = member["summary"].get("perplexity"), member["summary"].get("perplexity_uniform")
    return None if member["control"] or own is None or not control else 1 - own / control


def _gains(state: State) -> dict[str, dict[float, float]]:
    """By label and sparsity asked for."""
    found: dict[str, dict[float, float]] = {}
    for label in _labels(state):
        cells: dict[float, list[float]] = {}
        for member in _finished(state):
            if member["label"] == label and (value := _gain(member)) is not None:
                cells.setdefault(member["sparsity"], []).append(value)
        found[label] = {sparsity: sum(values) / len(values) for sparsity, values in cells.items()}
    return found


# --- traces ---------------------------------------------------------------------------------------------------------


def _line(label: str, points: list[Point], color: str, symbol: str, x: str, y: str) -> list[dict[str, Any]]:
    """The points of a method, joined along the sparsity asked for; where runs repeat it, through their mean."""
    control = points[0]["control"]
    asked = sorted({point["sparsity"] for point in points})
    means = [[p for p in points if p["sparsity"] == sparsity] for sparsity in asked]
    through = [[sum(p[axis_] for p in group) / len(group) for group in means] for axis_ in ("x", "y")]
    ordered = sorted(points, key=lambda point: point["sparsity"])
    line = {"color": color, "width": 2, "dash": "dash" if control else "solid"}
    path = {"type": "scatter", "mode": "lines", "name": plain(label), "legendgroup": label, "showlegend": False,
            "x": through[0], "y": through[1], "line": line, "hoverinfo": "skip"}  # fmt: skip
    marks = {
        "type": "scatter", "mode": "markers", "name": plain(label), "legendgroup": label,
        "x": [p["x"] for p in ordered], "y": [p["y"] for p in ordered], "customdata": [p["run"] for p in ordered],
        "marker": {"color": color, "size": 9, "symbol": symbol},
        "hovertemplate": f"<b>%{{fullData.name}}</b><br>{_told(x, y)}<extra></extra>",
    }  # fmt: skip
    return [path, marks]


def _told(x: str, y: str) -> str:
    """Both figures of a point, for a hover text."""
    return f"{AXES[x]['title']} %{{x:{_shape(x)}}}<br>{AXES[y]['title']} %{{y:{_shape(y)}}}"


def _beside(name: str, points: list[Point], named: bool, x: str, y: str, palette: Palette) -> dict[str, Any]:
    """Runs beside those of the sweep; the one that is looked for always has its name on the map."""
    symbol, size = MARKS[name]
    return {
        "type": "scatter", "mode": "markers+text" if named or name == "this run" else "markers", "name": name,
        "x": [p["x"] for p in points], "y": [p["y"] for p in points], "customdata": [p["run"] for p in points],
        "text": [plain(p["label"]) for p in points], "textposition": "top center", "cliponaxis": False,
        "textfont": {"color": palette["text"], "size": 11},
        "marker": {"color": palette["text"], "size": size, "symbol": symbol},
        "hovertemplate": f"<b>%{{text}}</b><br>{_told(x, y)}<extra></extra>",
    }  # fmt: skip


def _front(points: list[Point], x: str, y: str, palette: Palette) -> dict[str, Any]:
    """Rings around the runs that no other one beats in both figures (Pareto)."""
    best = sorted((p for p in points if not any(_beats(q, p, x, y) for q in points)), key=lambda p: p["x"])
    ring = {"symbol": "circle-open", "size": 16, "color": palette["text"], "line": {"width": 1.5}}
    return {"type": "scatter", "mode": "markers", "name": "not beaten in both", "x": [p["x"] for p in best],
            "y": [p["y"] for p in best], "marker": ring, "hoverinfo": "skip"}  # fmt: skip


def _beats(one: Point, other: Point, x: str, y: str) -> bool:
    """Whether a run is no worse in either figure and better in one."""
    pairs = [(one["x"], other["x"], AXES[x]["less"]), (one["y"], other["y"], AXES[y]["less"])]
    no_worse = all(a <= b if less else a >= b for a, b, less in pairs)
    return no_worse and any(a != b for a, b, _ in pairs)


def _baseline(points: list[Point], y: str, palette: Palette) -> tuple[list[Any], list[Any]]:
    """A line for every dense model."""
    name = AXES[y]["dense"]
    found = sorted({p["summary"].get(name) for p in points} - {None}) if name else []
    line = {"color": palette["dense"], "width": 1.5, "dash": "dot"}
    shapes = [{"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": v, "y1": v, "line": line} for v in found]
    notes = [] if len(found) != 1 else [_note(found[0], AXES[y]["log"], palette)]
    return shapes, notes


def _note(value: float, log: bool, palette: Palette) -> dict[str, Any]:
    """What the line is. Plotly wants the logarithm on such an axis; the place above is the same for both."""
    return {"text": "dense", "xref": "paper", "x": 0, "xanchor": "left", "yref": "y", "yanchor": "bottom",
            "y": _log10(value) if log and value > 0 else value, "showarrow": False,
            "font": {"color": palette["dense"], "size": 11}}  # fmt: skip


def _log10(value: float) -> float:
    """To 12 digits: the last bit of a logarithm is not the same everywhere."""
    return float(f"{math.log10(value):.12g}")


def _format(name: str, points: list[Point], which: str) -> dict[str, Any]:
    """Of an axis in percent; it has room around its points, so that not all its ticks are the same whole number."""
    if not AXES[name]["percent"]:
        return {}
    values = [point[which] for point in points]
    room = [min(values) - 0.02, max(values) + 0.02]
    # Around one value alone Plotly would leave a room of 100 %.
    alone = {"range": room} if min(values) == max(values) else {"autorangeoptions": {"include": room}}
    return {"tickformat": ".0%", **alone}


def _shape(name: str) -> str:
    return ".1%" if AXES[name]["percent"] else ",.4~g"


def _percent(share: float) -> str:
    """Whole where it is whole."""
    return f"{fixed(100 * share, 1).removesuffix('.0')} %"
