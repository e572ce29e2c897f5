"""What calibration alone does to the perplexities, beside the difference between the method and its control.

Above, a row for each calibration: the perplexities of both, joined, and the bands of their means and standard
deviations. Below, on an axis of its own, the differences against zero and against what calibration alone does.
"""

from __future__ import annotations

from typing import Any

from components.plotting import Figure, Palette, axis, layout
from neuroal.folding.fold import State
from neuroal.folding.status import variant_name

PREFIX = "sensitivity/"

# Heights in pixels: a row, the axis between the two plots, what is around them.
ROW, BETWEEN, AROUND = 28, 66, 96

# The rows of the lower plot; all have their place from the start.
EACH, MEAN, ALONE = "each", "mean", "calibration"

# Errors over the text, which is the same in every row and so hides no difference, are drawn this faintly.
FAINT = "55"

# Digits that a perplexity is shown with, however large it is.
SHOWN = ",.4~r"


def spread(state: State, palette: Palette) -> Figure | None:
    """Both plots; of a run that is its own control the upper one only."""
    found = calibrations(state)
    if not found:
        return None
    total = (state["measured"].get("sensitivity", {}).get("chosen") or {"details": {}})["details"]
    paired = [one for one in found if one["difference"] is not None]
    names = {variant: variant_name(state, variant) for variant in ("chosen", "uniform")}
    data = [_joined(paired, palette), _dots(paired, "uniform", names["uniform"], palette)] if paired else []
    data.append(_dots(found, "chosen", names["chosen"], palette))
    values = [one[variant] for one in found for variant in ("chosen", "uniform") if one[variant] is not None]
    wide = max(values) > 20 * min(values)
    shapes = [s for v, of in (("uniform", "uniform"), ("chosen", "method")) if total.get(of)
              for s in _band(total[of], palette[v], min(values) if wide else None)]  # fmt: skip
    xaxis = axis(palette, "perplexity", type="log" if wide else "linear", tickangle=0)
    yaxis = _names(palette, [one["what"] for one in found])
    upper, lower = ROW * len(found), ROW * 3
    if not paired:
        return {"data": data, "layout": layout(palette, upper + AROUND, xaxis, yaxis, shapes=shapes)}
    height = upper + BETWEEN + lower
    title = f"{names['chosen']} − {names['uniform']}"
    zero = {"zeroline": True, "zerolinecolor": palette["text"], "zerolinewidth": 2, "rangemode": "tozero"}
    more = {
        "xaxis2": axis(palette, title, anchor="y2", tickangle=0, **zero),
        "yaxis2": {**_names(palette, [EACH, MEAN, ALONE]), "anchor": "x2", "domain": [0, lower / height]},
        "shapes": [*shapes, *_alone(total, palette)],
    }
    yaxis["domain"] = [(lower + BETWEEN) / height, 1]
    data += _differences(paired, total, names["chosen"], palette)
    return {"data": data, "layout": layout(palette, height + AROUND, xaxis, yaxis, **more)}


def _names(palette: Palette, names: list[str]) -> dict[str, Any]:
    """An axis of names from the top; their letters are small, for they take a large part of a phone's width."""
    small = {"color": palette["muted"], "size": 12}
    return axis(palette, "", type="category", categoryorder="array", categoryarray=names, showgrid=False,
                fixedrange=True, range=[len(names) - 0.5, -0.5], tickfont=small)  # fmt: skip


def calibrations(state: State) -> list[dict[str, Any]]:
    """What is known of each, in the order in which it was measured; without those that have no figure."""
    found = []
    for metric, variants in state["measured"].items():
        one = variants.get("chosen")
        if metric.startswith(PREFIX) and one is not None and one["value"] is not None:
            details = one["details"]
            found.append(
                {
                    "what": metric[len(PREFIX) :], "chosen": one["value"], "chosen_stderr": one["stderr"],
                    "uniform": details.get("uniform"), "uniform_stderr": details.get("uniform_stderr"),
                    "difference": details.get("difference"),
                }
            )  # fmt: skip
    return found


# --- above: the perplexities ----------------------------------------------------------------------------------------


def _joined(paired: list[dict[str, Any]], palette: Palette) -> dict[str, Any]:
    """A thin line from the control to the method, one for each calibration."""
    return {
        "type": "scatter", "mode": "lines", "hoverinfo": "skip", "showlegend": False, "connectgaps": False,
        "x": [value for one in paired for value in (one["uniform"], one["chosen"], None)],
        "y": [what for one in paired for what in (one["what"], one["what"], None)],
        "line": {"color": palette["muted"], "width": 1.5},
    }  # fmt: skip


def _dots(found: list[dict[str, Any]], variant: str, name: str, palette: Palette) -> dict[str, Any]:
    symbol = "circle" if variant == "chosen" else "diamond"
    errors = [one[f"{variant}_stderr"] for one in found]
    return {
        "type": "scatter", "mode": "markers", "name": name,
        "x": [one[variant] for one in found], "y": [one["what"] for one in found],
        "error_x": {"type": "data", "array": errors, "color": palette[variant] + FAINT, "thickness": 2, "width": 0},
        "marker": {"color": palette[variant], "size": 9, "symbol": symbol},
        "hovertemplate": f"<b>%{{y}}</b><br>{name}: %{{x:{SHOWN}}} ± %{{error_x.array:{SHOWN}}}<extra></extra>",
    }  # fmt: skip


def _band(figure: dict[str, Any], color: str, least: float | None) -> list[dict[str, Any]]:
    """Mean and standard deviation over the calibrations.

    Args:
        least: where the band begins at the latest, on an axis that has no zero.
    """
    low, mean = figure["mean"] - figure["deviation"], figure["mean"]
    low = low if least is None else max(low, least)
    across = {"yref": "y domain", "y0": 0, "y1": 1, "layer": "below"}
    return [
        {"type": "rect", "x0": low, "x1": mean + figure["deviation"], "fillcolor": color, "opacity": 0.16,
         "line": {"width": 0}, **across},
        {"type": "line", "x0": mean, "x1": mean, "line": {"color": color, "width": 1.5, "dash": "dot"}, **across},
    ]  # fmt: skip


# --- below: the differences -----------------------------------------------------------------------------------------


def _differences(paired: list[dict[str, Any]], total: dict[str, Any], name: str, palette: Palette) -> list[Any]:
    """Of each calibration; their mean, in the colour of whom it speaks for; and how far calibration alone goes."""
    lower = {"type": "scatter", "xaxis": "x2", "yaxis": "y2", "showlegend": False}
    data = [{
        **lower, "mode": "markers", "x": [one["difference"] for one in paired], "y": [EACH] * len(paired),
        "customdata": [one["what"] for one in paired],
        "marker": {"color": palette["text"], "size": 9, "opacity": 0.55},
        "hovertemplate": f"<b>%{{customdata}}</b><br>difference %{{x:+{SHOWN}}}<extra></extra>",
    }]  # fmt: skip
    mean = total.get("difference")
    if mean:
        color = palette[{"better": "chosen", "worse": "uniform"}.get(total.get("verdict", ""), "muted")]
        data.append({
            **lower, "mode": "markers", "x": [mean["mean"]], "y": [MEAN],
            "error_x": {"type": "data", "array": [mean["high"] - mean["mean"]], "color": color, "thickness": 3},
            "marker": {"color": color, "size": 7},
            "hovertemplate": f"mean difference %{{x:+{SHOWN}}} ± %{{error_x.array:{SHOWN}}}<extra></extra>",
        })  # fmt: skip
    if total.get("apart"):
        data.append({
            **lower, "mode": "lines+markers", "x": [-total["apart"], total["apart"]], "y": [ALONE, ALONE],
            "line": {"color": palette["muted"], "width": 3},
            "marker": {"color": palette["muted"], "size": 10, "symbol": "line-ns-open", "line": {"width": 3}},
            "customdata": [total["apart"]] * 2,
            "hovertemplate": f"two runs of {name} on calibrations of their own<br>are less than "
                             f"%{{customdata:{SHOWN}}} apart in 95 % of cases<extra></extra>",
        })  # fmt: skip
    return data


def _alone(total: dict[str, Any], palette: Palette) -> list[dict[str, Any]]:
    """A band as wide as calibration alone makes it."""
    if not total.get("apart"):
        return []
    return [{
        "type": "rect", "xref": "x2", "x0": -total["apart"], "x1": total["apart"],
        "yref": "y2 domain", "y0": 0, "y1": 1, "layer": "below",
        "fillcolor": palette["muted"], "opacity": 0.12, "line": {"width": 0},
    }]  # fmt: skip
