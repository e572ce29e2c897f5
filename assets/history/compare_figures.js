/**
 * Figures of two to four runs together. The twin of components/comparison.py;
 * tests/components/test_comparison_js.py holds them together.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { axis, layout, plain, range, notNull, total } = NeuroAL.plotting;

  const DASHES = ["solid", "dash", "dot", "dashdot"];
  const VARIANTS = { dense: "dense", uniform: "uniform control", chosen: "this run" };

  /**
   * All figures that have something to say, by name.
   * @param {[string, object][]} runs the name that the legend shows, and what `fold` gives
   */
  function comparison(runs, palette) {
    const drawn = [["allocations", allocations], ["rows", rows], ["perplexity", perplexity]];
    return Object.fromEntries(drawn.map(([name, draw]) => [name, draw(runs, palette)]).filter(([, fig]) => fig !== null));
  }

  function line(index, name, palette, x, y, hover) {
    return {
      type: "scatter", mode: "lines", name: plain(name), x, y,
      line: { color: palette.series[index], width: 2.5, shape: "hvh", dash: DASHES[index] },
      hovertemplate: `<b>%{fullData.name}</b><br>${hover}<extra></extra>`,
    };
  }

  /** The sparsity that each run asks of each block, overlaid. */
  function allocations(runs, palette) {
    const found = runs.map(([name, state], i) => [i, name, state.allocation?.sparsity ?? null])
      .filter(([, , ratios]) => ratios !== null);
    const values = found.flatMap(([, , ratios]) => ratios);
    if (!values.length) return null;
    const data = found.map(([i, name, ratios]) =>
      line(i, name, palette, range(ratios.length), ratios, "block %{x}: %{y:.2%}"));
    const blocks = Math.max(...found.map(([, , ratios]) => ratios.length));
    const room = { include: [Math.min(...values) - 0.02, Math.max(...values) + 0.02], clipmin: 0, clipmax: 1 };
    const xaxis = axis(palette, "block", { dtick: 5, range: [-0.5, blocks - 0.5] });
    const yaxis = axis(palette, "sparsity", { tickformat: ".0%", autorangeoptions: room });
    return { data, layout: layout(palette, 340, xaxis, yaxis, { showlegend: true }) };
  }

  /** How the sparsity of single rows is distributed over the whole model: the share of all rows in a bin of 2 %. */
  function rows(runs, palette) {
    const bins = runs.map(([name, state], i) => [i, name, state.rows]).filter(([, , allocated]) => allocated !== null)
      .map(([i, name, { edges, counts }]) =>
        [i, name, edges, range(edges.length - 1).map((b) => total(counts.map((row) => row[b])))]);
    const used = bins.flatMap(([, , , counts]) => range(counts.length).filter((b) => counts[b]));
    if (!used.length) return null;
    const last = Math.min(Math.max(...bins.map(([, , , counts]) => counts.length)), Math.max(...used) + 2);
    const shown = range(last).slice(Math.max(0, Math.min(...used) - 1));
    const data = bins.map(([i, name, edges, counts]) => {
      const all = total(counts) || 1;
      const x = shown.map((b) => (edges[b] + edges[b + 1]) / 2);
      const y = shown.map((b) => counts[b] / all);
      return line(i, name, palette, x, y, "%{y:.1%} of all rows have a sparsity near %{x:.0%}");
    });
    const xaxis = axis(palette, "sparsity of a row", { tickformat: ".0%" });
    const yaxis = axis(palette, "share of all rows", { tickformat: ".0%", rangemode: "tozero" });
    return { data, layout: layout(palette, 340, xaxis, yaxis, { showlegend: true }) };
  }

  /** Perplexity of the dense model, the uniform control and the run, for each run. */
  function perplexity(runs, palette) {
    const shown = runs.map(([name, state]) => [name, state.measured.perplexity ?? {}])
      .filter(([, measured]) => Object.keys(VARIANTS).some((variant) => valueOf(measured, variant) !== null));
    if (!shown.length) return null;
    const names = shown.map(([name]) => plain(name).replaceAll(", ", ",<br>"));
    const data = Object.entries(VARIANTS).map(([variant, label]) =>
      bars(variant, label, names, shown.map(([, measured]) => measured), palette));
    const values = notNull(data.flatMap((trace) => trace.x));
    const wide = Math.max(...values) > 20 * Math.min(...values);
    const figuresAxis = axis(palette, "perplexity",
      { type: wide ? "log" : "linear", rangemode: "tozero", dtick: wide ? 1 : null });
    const namesAxis = axis(palette, "", { showgrid: false, type: "category", autorange: "reversed" });
    // Lying bars leave room for the names of runs, also on a phone; their figures stand behind them.
    const more = { barmode: "group", bargap: 0.25, margin: { l: 8, r: 56, t: 12, b: 8 }, showlegend: true };
    return { data, layout: layout(palette, 120 + 84 * shown.length, figuresAxis, namesAxis, more) };
  }

  function bars(variant, label, names, measured, palette) {
    const values = measured.map((each) => valueOf(each, variant));
    const errors = measured.map((each) => (valueOf(each, variant) === null ? null : each[variant].stderr));
    return {
      type: "bar", orientation: "h", name: label, x: values, y: names,
      marker: { color: palette[variant] }, cliponaxis: false,
      customdata: errors, text: values, texttemplate: "%{x:.4~s}", textposition: "outside",
      hovertemplate: `<b>%{y}</b><br>${label}: %{x:,.2f} ± %{customdata:.2f}<extra></extra>`,
    };
  }

  const valueOf = (measured, variant) => measured[variant]?.value ?? null;

  Object.assign(NeuroAL, { comparison, COMPARED: ["allocations", "rows", "perplexity"] });
})();
