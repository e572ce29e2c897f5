/**
 * Figures: a state becomes plain Plotly figures, {data, layout}. The twin of components/charts.py;
 * tests/components/test_fold_js.py holds them together. Numbers stay raw: Plotly's formats make them text.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { activeStep, lambdaText, target, variantName } = NeuroAL;
  const { axis, layout, range, notNull } = NeuroAL.plotting;

  const VARIANTS = ["dense", "uniform", "chosen"];

  /** One figure by name, or null while it has nothing to say; `step` is the step the heatmap shows. */
  const DRAW = {
    heatmap: (state, palette, step) => NeuroAL.heatmap(state, palette, step),
    scores: (state, palette) => scores(state, palette),
    ratings: (state, palette) => ratings(state, palette),
    sparsity: (state, palette) => sparsity(state, palette),
    rows: (state, palette) => NeuroAL.rows(state, palette),
    damage: (state, palette) => damage(state, palette),
    spread: (state, palette) => NeuroAL.spread(state, palette),
  };

  const figure = (name, state, palette, step = null) => DRAW[name](state, palette, step);

  /** All figures that have something to say, by name. */
  function figures(state, palette, step = null) {
    const drawn = Object.keys(DRAW).map((name) => [name, figure(name, state, palette, step)]);
    return Object.fromEntries(drawn.filter(([, fig]) => fig !== null));
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

  // --- ratings: what a top-up without search goes by ----------------------------------------------------------------

  /** One bar per block, as the blocks are rated; the axis has room for all of them from the start. */
  function ratings(state, palette) {
    if (state.ratings === null) return null;
    const { measure, label, values } = state.ratings;
    const blocks = Math.max(values.length, state.model ? state.model.blocks : 0);
    const trace = {
      type: "bar", name: label, x: range(values.length), y: values, marker: { color: palette.block },
      hovertemplate: `block %{x}<br>${label}: %{y:.4~g}<extra></extra>`,
    };
    const xaxis = axis(palette, "block", { dtick: 5, range: [-0.5, blocks - 0.5], showgrid: false });
    const yaxis = axis(palette, measure, { rangemode: "tozero" });
    return { data: [trace], layout: layout(palette, 320, xaxis, yaxis, { bargap: 0.25 }) };
  }

  // --- sparsity: what each block was asked, and what it got ---------------------------------------------------------

  /** Per block: target, plan (or the candidate being tried), and what was achieved, counted on the weights. */
  function sparsity(state, palette) {
    const [plan, label, color] = planned(state, palette);
    const achieved = ["chosen", "uniform"].filter((v) => v in state.pruned).map((v) => [v, state.pruned[v].achieved]);
    const blocks = Math.max(plan.length, ...achieved.map(([, ratios]) => ratios.length));
    if (!blocks) return null;
    const aim = target(state);
    const values = notNull([...plan, ...achieved.flatMap(([, ratios]) => ratios), aim]);
    const data = [];
    if (aim !== null) {
      const line = { color: palette.target, width: 1.5, dash: "dash" };
      data.push(blockTrace("target", [-0.5, blocks - 0.5], [aim, aim], { mode: "lines", line }));
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
