/**
 * Shared pieces of the figures: axes, layouts, colour scales, and two order statistics.
 * The twin of components/plotting.py.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  // What the axis title and a colour bar need under a plot, in pixels.
  const BAR_MARGIN = { l: 8, r: 28, t: 12, b: 104 };

  /** A text in which Plotly finds no markup: a run may have any name. */
  const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

  function axis(palette, title, more = {}) {
    return {
      title: { text: title, standoff: 8 }, gridcolor: palette.grid, linecolor: palette.grid,
      zeroline: false, automargin: true, tickfont: { color: palette.muted }, ...more,
    };
  }

  /** Transparent, so that the card shows through in light and dark; the legend sits above the plot. */
  function layout(palette, height, xaxis, yaxis, more = {}) {
    return {
      height, margin: { l: 8, r: 12, t: 12, b: 8 }, xaxis, yaxis,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: palette.font, size: 13, color: palette.text },
      legend: {
        orientation: "h", x: 0, y: 1.02, xanchor: "left", yanchor: "bottom", entrywidth: 0, font: { size: 11 },
      },
      hoverlabel: { align: "left" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: palette.muted, activecolor: palette.text }, ...more,
    };
  }

  /** Colours at equal distances, as Plotly wants a scale. */
  const scale = (colors) => colors.map((color, i) => [i / (colors.length - 1), color]);

  /** A thin bar under the plot: beside it, it would take a quarter of a phone's width. */
  function colorbar(palette, title, more = {}) {
    return {
      orientation: "h", thickness: 8, len: 0.9, x: 0.5, y: 0, yref: "container", yanchor: "bottom",
      ypad: 4, nticks: 5, tickangle: 0, outlinewidth: 0, title: { text: title, side: "bottom" },
      tickfont: { color: palette.muted, size: 11 }, ...more,
    };
  }

  const sorted = (values) => [...values].sort((a, b) => a - b);
  const quantile = (values, share) => sorted(values)[Math.floor((values.length - 1) * share)];
  const range = (length) => Array.from({ length }, (_, i) => i);
  const notNull = (values) => values.filter((value) => value !== null);
  const total = (values) => values.reduce((sum, value) => sum + value, 0);

  function median(values) {
    const ordered = sorted(values), half = Math.floor(values.length / 2);
    return values.length % 2 ? ordered[half] : (ordered[half - 1] + ordered[half]) / 2;
  }

  NeuroAL.plotting = { BAR_MARGIN, axis, layout, plain, scale, colorbar, quantile, median, range, notNull, total };
})();
