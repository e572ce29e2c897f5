"""Shared pieces of the figures: palettes, axes, layouts, colour scales, and two order statistics."""

from __future__ import annotations

from typing import Any

Palette = dict[str, Any]
Figure = dict[str, Any]
Matrix = list[list[Any]]

_VIRIDIS = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"]

# Okabe-Ito hues; the diverging scale runs from blue (better) to orange (worse) through the card's own background.
LIGHT: Palette = {
    "font": "system-ui, sans-serif", "text": "#27272a", "muted": "#71717a", "grid": "#e4e4e7",
    "block": "#0072B2", "row": "#B65A00", "target": "#71717a", "trying": "#7aa6c2", "star": "#009E73",
    "dense": "#71717a", "uniform": "#D98200", "chosen": "#0072B2",
    "series": ["#0072B2", "#009E73", "#AA3377", "#4B3F9E", "#7A6A00", "#0F8B8D", "#A63D40", "#5C7A29"],
    "sequential": _VIRIDIS, "diverging": ["#0a5a94", "#4f9bcb", "#b5d5e8", "#f4f4f5", "#f8cf9d", "#e08a2e", "#9c4a00"],
}  # fmt: skip
DARK: Palette = {
    **LIGHT, "text": "#f4f4f5", "muted": "#a1a1aa", "grid": "#3f3f46",
    "block": "#56B4E9", "row": "#F0A74A", "target": "#a1a1aa", "trying": "#5b7f95", "star": "#2fd6a3",
    "dense": "#a1a1aa", "uniform": "#E69F00", "chosen": "#56B4E9",
    "series": ["#56B4E9", "#2fd6a3", "#E58BC6", "#A99CF0", "#D8C94A", "#5FD4D6", "#F08A8D", "#A9CC6B"],
    "diverging": ["#7cc7f5", "#3d8fc4", "#24506d", "#27272a", "#6b4519", "#c97a22", "#ffb765"],
}  # fmt: skip


def plain(text: str) -> str:
    """A text in which Plotly finds no markup: a run may have any name."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def axis(palette: Palette, title: str, **more: Any) -> dict[str, Any]:
    """An axis in the page's colours, with room for its labels; ``more`` overrides."""
    base = {"title": {"text": title, "standoff": 8}, "gridcolor": palette["grid"], "linecolor": palette["grid"],
            "zeroline": False, "automargin": True, "tickfont": {"color": palette["muted"]}}  # fmt: skip
    return {**base, **more}


def layout(palette: Palette, height: int, xaxis: dict[str, Any], yaxis: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Transparent, so that the card shows through in light and dark; the legend sits above the plot."""
    base = {
        "height": height, "margin": {"l": 8, "r": 12, "t": 12, "b": 8}, "xaxis": xaxis, "yaxis": yaxis,
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": palette["font"], "size": 13, "color": palette["text"]},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom",
                   "entrywidth": 0, "font": {"size": 11}},
        "hoverlabel": {"align": "left"},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": palette["muted"], "activecolor": palette["text"]},
    }  # fmt: skip
    return {**base, **more}


# What the axis title and a colour bar need under a plot, in pixels.
BAR_MARGIN = {"l": 8, "r": 28, "t": 12, "b": 104}


def scale(colors: list[str]) -> list[list[Any]]:
    """Colours at equal distances, as Plotly wants a scale."""
    return [[i / (len(colors) - 1), color] for i, color in enumerate(colors)]


def colorbar(palette: Palette, title: str, **more: Any) -> dict[str, Any]:
    """A thin bar under the plot: beside it, it would take a quarter of a phone's width."""
    base = {"orientation": "h", "thickness": 8, "len": 0.9, "x": 0.5, "y": 0, "yref": "container", "yanchor": "bottom",
            "ypad": 4, "nticks": 5, "tickangle": 0, "outlinewidth": 0, "title": {"text": title, "side": "bottom"},
            "tickfont": {"color": palette["muted"], "size": 11}}  # fmt: skip
    return {**base, **more}


def quantile(values: list[float], share: float) -> float:
    """The value below which ``share`` of the values lie; no interpolation."""
    return sorted(values)[int((len(values) - 1) * share)]


def median(values: list[float]) -> float:
    """The middle value, or the mean of the two in the middle; as the browser's twin computes it."""
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2
