/**
 * The two heatmaps: lambda by block while searching, and how the row step spreads sparsity inside each block.
 * The twin of components/heatmaps.py.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { activeStep, lambdaText } = NeuroAL;
  const { BAR_MARGIN, axis, layout, scale, colorbar, quantile, median, range, notNull, total } = NeuroAL.plotting;

  // --- heatmap: which block does each lambda hurt? ------------------------------------------------------------------

  /** Lambda by block. Once two candidates are done, colour is the difference from each block's median over them. */
  function heatmap(state, palette, name) {
    const step = state.steps[name || activeStep(state) || ""];
    if (!step || !notNull(step.scores.flat()).length) return null;
    const done = step.scores.filter((_, i) => step.totals[i] !== null);
    const relative = done.length >= 2;
    const z = relative ? percents(step, done) : step.scores;
    const flat = notNull(z.flat()).map(Math.abs);
    // One extreme candidate must not wash out all others: colours saturate beyond the 90th percentile.
    const limit = (flat.length ? quantile(flat, 0.9) : 0) || 1;
    const trace = {
      type: "heatmap", z, x: range(step.blocks), y: step.lambdas.map(lambdaText),
      customdata: cellFacts(step), xgap: 1, ygap: 1, hoverongaps: false,
      colorscale: scale(palette[relative ? "diverging" : "sequential"]),
      hovertemplate:
        "<b>block %{x}, lambda %{y}</b><br>score %{customdata[0]:.4~g}" +
        (relative ? "<br>%{z:+.1f} % from the block's median" : "") +
        "<br>sparsity of the block %{customdata[1]:.1%}<extra></extra>",
      colorbar: relative
        ? colorbar(palette, "% from the block's median", { ticksuffix: " %" })
        : colorbar(palette, "score of the block", { exponentformat: "power" }),
      ...(relative ? { zmin: -limit, zmid: 0, zmax: limit } : {}),
    };
    const xaxis = axis(palette, "block", { showgrid: false, dtick: 5, constrain: "domain" });
    const yaxis = axis(palette, "lambda", { type: "category", dtick: 1, autorange: "reversed", showgrid: false });
    const more = { ...marks(step, palette), margin: BAR_MARGIN };
    const height = Math.max(240, 118 + 19 * step.lambdas.length); // see components/heatmaps.py
    return { data: [trace], layout: layout(palette, height, xaxis, yaxis, more) };
  }

  /** Percent from the median of the finished candidates, block by block; null where there is nothing to compare. */
  function percents(step, done) {
    const medians = range(step.blocks).map((block) => {
      const known = notNull(done.filter((row) => block < row.length).map((row) => row[block]));
      return known.length ? median(known) : 0;
    });
    const percent = (score, b) => (score === null || !medians[b] ? null : (100 * (score - medians[b])) / medians[b]);
    return step.scores.map((row) => row.map(percent));
  }

  /** Per cell: the raw score, and the sparsity that the candidate asks of the block. */
  function cellFacts(step) {
    const asked = (i, b) => (step.sparsity[i] && b < step.sparsity[i].length ? step.sparsity[i][b] : null);
    return step.scores.map((row, i) => row.map((score, b) => [score, asked(i, b)]));
  }

  /** A frame and a star for the winner; before there is one, a frame around the candidate being tried. */
  function marks(step, palette) {
    const { chosen, current } = step;
    const index = chosen === null ? current : chosen.index;
    if (index === null) return { shapes: [], annotations: [] };
    const color = chosen === null ? palette.muted : palette.star;
    const frame = {
      type: "rect", xref: "paper", x0: 0, x1: 1, yref: "y", y0: index - 0.5, y1: index + 0.5,
      line: { color, width: chosen === null ? 1 : 2.5 },
    };
    const sign = {
      text: chosen === null ? "◀" : "★", font: { color, size: chosen === null ? 12 : 17 },
      xref: "paper", x: 1, xanchor: "left", yref: "y", y: index, showarrow: false,
    };
    return { shapes: [frame], annotations: [sign] };
  }

  // --- rows: how the row step spreads the sparsity inside each block ------------------------------------------------

  /** Block by row sparsity; colour is the share of the block's rows in a bin of 2 %. */
  function rows(state, palette) {
    if (state.rows === null) return null;
    const { edges, counts } = state.rows;
    const used = range(edges.length - 1).filter((i) => counts.some((bins) => bins[i]));
    if (!used.length) return null;
    const bins = range(used[used.length - 1] + 1).slice(used[0]);
    const totals = counts.map(total);
    const z = bins.map((i) => counts.map((row, b) => (row[i] ? row[i] / totals[b] : null)));
    const trace = {
      type: "heatmap", z, x: range(totals.length), hoverongaps: false, xgap: 1,
      y: bins.map((i) => (edges[i] + edges[i + 1]) / 2),
      // A block whose rows all agree would take the whole scale.
      zmin: 0, zmax: quantile(notNull(z.flat()), 0.95), colorscale: scale(palette.sequential),
      hovertemplate: "<b>block %{x}</b><br>%{z:.1%} of its rows have a sparsity near %{y:.0%}<extra></extra>",
      colorbar: colorbar(palette, "share of the block's rows", { tickformat: ".0%" }),
    };
    const xaxis = axis(palette, "block", { showgrid: false, dtick: 5 });
    const yaxis = axis(palette, "sparsity of a row", { tickformat: ".0%" });
    return { data: [trace], layout: layout(palette, 380, xaxis, yaxis, { margin: BAR_MARGIN }) };
  }

  Object.assign(NeuroAL, { heatmap, rows });
})();
