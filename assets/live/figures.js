/**
 * Figures: a state becomes plain Plotly figures, {data, layout}. The twin of components/charts.py, heatmaps.py and
 * plotting.py; tests/components/test_fold_js.py holds them together. Numbers stay raw: Plotly's formats make them text.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { activeStep, lambdaText, variantName } = NeuroAL;

  const VARIANTS = ["dense", "uniform", "chosen"];
  const BAR_MARGIN = { l: 8, r: 28, t: 12, b: 104 };

  /** One figure by name, or null while it has nothing to say; `step` is the step the heatmap shows. */
  const DRAW = {
    heatmap: (state, palette, step) => heatmap(state, palette, step),
    scores: (state, palette) => scores(state, palette),
    sparsity: (state, palette) => sparsity(state, palette),
    rows: (state, palette) => rows(state, palette),
    damage: (state, palette) => damage(state, palette),
  };

  const figure = (name, state, palette, step = null) => DRAW[name](state, palette, step);

  /** All figures that have something to say, by name. */
  function figures(state, palette, step = null) {
    const drawn = Object.keys(DRAW).map((name) => [name, figure(name, state, palette, step)]);
    return Object.fromEntries(drawn.filter(([, fig]) => fig !== null));
  }

  // --- shared pieces ------------------------------------------------------------------------------------------------

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

  // --- scores: the curve whose lowest point wins --------------------------------------------------------------------

  /** Total score against lambda: one curve per step, a star on each winner, rings on what came within 1 % of it. */
  function scores(state, palette) {
    const steps = ["block", "row"].filter((name) => name in state.steps).map((name) => [name, state.steps[name]]);
    const curves = steps.map(([name, step]) => [name, finishedPoints(step)]).filter(([, points]) => points.length);
    if (!curves.length) return null;
    const values = curves.flatMap(([, points]) => points.map((point) => point[1]));
    // The whole grid from the start, so that the curve grows into place instead of being rescaled.
    const end = Math.max(...steps.flatMap(([, step]) => step.lambdas)) || 1;
    const data = curves.map(([name, points]) => curve(name, points, palette));
    const uniform = uniformScore(state);
    if (uniform !== null) {
      data.unshift(uniformLine(uniform, end, palette));
      values.push(uniform);
    }
    const chosen = steps.map(([, step]) => step.chosen).filter((winner) => winner !== null);
    const ties = steps.flatMap(([, step]) =>
      step.chosen ? finishedPoints(step).filter((point) => step.chosen.near_ties.includes(point[0])) : []);
    if (ties.length)
      data.push(pointsTrace("within 1 %", ties,
        { symbol: "circle-open", size: 14, color: palette.muted, line: { width: 1 } }));
    if (chosen.length)
      data.push(pointsTrace("chosen", chosen.map((winner) => [winner.lam, winner.score]),
        { symbol: "star", size: 16, color: palette.star }));
    const wide = Math.min(...values) > 0 && Math.max(...values) > 4 * Math.min(...values);
    const xaxis = axis(palette, "lambda", { tickformat: ".2f", range: [-0.03 * end, 1.04 * end] });
    const yaxis = axis(palette, "alignment score", { type: wide ? "log" : "linear", exponentformat: "power" });
    return { data, layout: layout(palette, 320, xaxis, yaxis) };
  }

  /** [lambda, total score] of the finished candidates, by lambda. */
  function finishedPoints(step) {
    const points = step.lambdas.map((lam, i) => [lam, step.totals[i]]).filter((point) => point[1] !== null);
    return points.sort((a, b) => a[0] - b[0]);
  }

  function curve(name, points, palette) {
    const marker = { symbol: name === "block" ? "circle" : "square", size: 7 };
    return {
      ...pointsTrace(`${name} step`, points, marker), mode: "lines+markers",
      line: { color: palette[name], width: 2 }, hoverinfo: "all",
      hovertemplate: `${name} step<br>lambda %{x:.4~f}<br>score %{y:.5~g}<extra></extra>`,
    };
  }

  function pointsTrace(label, points, marker) {
    return {
      type: "scatter", mode: "markers", name: label, x: points.map((p) => p[0]), y: points.map((p) => p[1]),
      marker, hoverinfo: "skip",
    };
  }

  /** The score of uniform sparsity, which only the row step alone computes. */
  const uniformScore = (state) => (state.steps.alignment ?? { totals: [] }).totals[0] ?? null;

  function uniformLine(score, end, palette) {
    return {
      type: "scatter", mode: "lines", name: "uniform", x: [0, end], y: [score, score],
      line: { color: palette.uniform, width: 1.5, dash: "dash" },
      hovertemplate: "uniform sparsity<br>score %{y:.5~g}<extra></extra>",
    };
  }

  // --- sparsity: what each block was asked, and what it got ---------------------------------------------------------

  /** Per block: target, plan (or the candidate being tried), and what was achieved, counted on the weights. */
  function sparsity(state, palette) {
    const [plan, label, color] = planned(state, palette);
    const achieved = ["chosen", "uniform"].filter((v) => v in state.pruned).map((v) => [v, state.pruned[v].achieved]);
    const blocks = Math.max(plan.length, ...achieved.map(([, ratios]) => ratios.length));
    if (!blocks) return null;
    const target = state.spec.sparsity ?? null;
    const values = notNull([...plan, ...achieved.flatMap(([, ratios]) => ratios), target]);
    const data = [];
    if (target !== null) {
      const line = { color: palette.target, width: 1.5, dash: "dash" };
      data.push(blockTrace("target", [-0.5, blocks - 0.5], [target, target], { mode: "lines", line }));
    }
    if (plan.length) {
      const line = { color, width: 2.5, shape: "hvh" };
      data.push(blockTrace(label, range(plan.length), plan, { mode: "lines", line }));
    }
    for (const [variant, ratios] of achieved) {
      const marker = { color: palette[variant], size: 7, symbol: variant === "chosen" ? "circle" : "x-thin-open" };
      const name = variant === "chosen" ? "achieved" : "uniform";
      data.push(blockTrace(name, range(ratios.length), ratios, { mode: "markers", marker }));
    }
    // Room around a flat line. No fixed range: one that changes would undo a person's zoom.
    const room = { include: [Math.min(...values) - 0.02, Math.max(...values) + 0.02], clipmin: 0, clipmax: 1 };
    const xaxis = axis(palette, "block", { dtick: 5, range: [-0.5, blocks - 0.5] });
    const yaxis = axis(palette, "sparsity", { tickformat: ".0%", autorangeoptions: room });
    return { data, layout: layout(palette, 320, xaxis, yaxis) };
  }

  function blockTrace(name, x, y, more) {
    const hovertemplate = `block %{x}<br>${name} %{y:.2%}<extra></extra>`;
    return { type: "scatter", name, x, y, hovertemplate, ...more };
  }

  /** Sparsity per block, its name and colour: the allocation, the block step's winner, or the current candidate. */
  function planned(state, palette) {
    if (state.allocation !== null) return [state.allocation.sparsity, "chosen", palette.chosen];
    const block = state.steps.block;
    if (block && block.chosen !== null)
      return [block.sparsity[block.chosen.index] ?? [], "chosen by the block step", palette.chosen];
    const step = state.steps[activeStep(state) ?? ""];
    if (!step || step.current === null) return [[], "", ""];
    const label = `trying lambda ${lambdaText(step.lambdas[step.current])}`;
    return [step.sparsity[step.current] ?? [], label, palette.trying];
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

  // --- damage: what the pruning cost --------------------------------------------------------------------------------

  /** Perplexity of the dense, the uniform and the chosen model; a log axis where they are orders apart. */
  function damage(state, palette) {
    const measured = state.measured.perplexity ?? {};
    const shown = VARIANTS.filter((v) => (measured[v]?.value ?? null) !== null);
    if (!shown.length) return null;
    const values = shown.map((v) => measured[v].value);
    const trace = {
      type: "bar", x: shown.map((v) => variantName(state, v)), y: values, width: 0.7,
      marker: { color: shown.map((v) => palette[v]) }, cliponaxis: false,
      error_y: { type: "data", array: shown.map((v) => measured[v].stderr), color: palette.text },
      text: values, texttemplate: "<b>%{y:,.2f}</b>", textposition: "inside", insidetextanchor: "middle",
      textangle: 0, constraintext: "none",
      hovertemplate: "<b>%{x}</b><br>perplexity %{y:,.2f} ± %{error_y.array:.2f}<extra></extra>",
    };
    const wide = Math.max(...values) > 20 * Math.min(...values);
    const xaxis = axis(palette, "", { showgrid: false, type: "category" });
    const yaxis = axis(palette, "perplexity",
      { type: wide ? "log" : "linear", rangemode: "tozero", dtick: wide ? 1 : null });
    return { data: [trace], layout: layout(palette, 380, xaxis, yaxis) };
  }

  Object.assign(NeuroAL, { figure, figures, FIGURES: Object.keys(DRAW) });
})();
