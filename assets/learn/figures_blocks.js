/** Figures of the whole model: terms of the blocks, the slope, the race, and what came of it. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { axis, layout, range, scale, BAR_MARGIN, colorbar } = NeuroAL.plotting;
  const { percent, short, times } = NeuroAL.words;

  const blocksAxis = (palette, count, more = {}) =>
    axis(palette, "decoder block", { showgrid: false, dtick: 1, range: [-0.5, count - 0.5], ...more });

  /** The term of every linear, one row per linear. */
  function terms(data, palette) {
    const z = data.linears.map((_, l) => data.terms.map((block) => block[l]));
    const heat = {
      type: "heatmap", z, y: data.linears.map((name) => name.split(".").pop()), x: range(data.blocks.length),
      colorscale: scale(palette.sequential), zmin: 0, colorbar: colorbar(palette, "alignment term", { exponentformat: "power" }),
      hovertemplate: "block %{x}, %{y}: %{z:.3g}<extra></extra>",
    };
    const yaxis = axis(palette, "", { autorange: "reversed", showgrid: false });
    return { data: [heat], layout: layout(palette, 330, blocksAxis(palette, data.blocks.length), yaxis, { margin: BAR_MARGIN }) };
  }

  /** The sums of the blocks. */
  function blocks(data, palette) {
    const worst = data.blocks.indexOf(Math.max(...data.blocks));
    const bars = {
      type: "bar", x: range(data.blocks.length), y: data.blocks,
      marker: { color: data.blocks.map((_, b) => (b === worst ? palette.uniform : palette.chosen)) },
      hovertemplate: "block %{x}: %{y:.3g}<extra></extra>",
    };
    const yaxis = axis(palette, "sum of its terms", { rangemode: "tozero", exponentformat: "power" });
    return { data: [bars], layout: layout(palette, 260, blocksAxis(palette, data.blocks.length), yaxis, { bargap: 0.25 }) };
  }

  /** The ratios that a lambda stands for, and below them what they do to each block, beside uniform. */
  function slope(data, palette) {
    const x = range(data.ratios.length);
    const bars = {
      type: "bar", x, y: data.ratios, name: "sparsity ratio", marker: { color: palette.block }, showlegend: false,
      hovertemplate: "block %{x}: %{y:.1%}<extra></extra>",
    };
    const line = (name, y, color, dash) => ({
      type: "scatter", mode: "lines+markers", name, x, y, yaxis: "y2", line: { color, dash }, marker: { size: 6 },
      hovertemplate: `block %{x}: %{y:.3g}<extra>${name}</extra>`,
    });
    const figure = layout(palette, 440, blocksAxis(palette, x.length, { anchor: "y2" }),
      axis(palette, "sparsity ratio", { domain: [0.56, 1], tickformat: ".0%", range: [0, 1] }), {
        yaxis2: axis(palette, "alignment term", { domain: [0, 0.44], rangemode: "tozero", exponentformat: "power" }), bargap: 0.25,
      });
    figure.shapes = [{
      type: "line", x0: 0, x1: 1, xref: "paper", y0: data.mean, y1: data.mean, line: { dash: "dash", color: palette.target },
    }];
    const traces = [bars, line("uniform", data.uniform.blocks, palette.uniform, "dot"), line("this lambda", data.blocks, palette.chosen)];
    return { data: traces, layout: figure };
  }

  const upTo = (terms, count) => terms.slice(0, count).reduce((a, b) => a + b, 0);

  /** The candidates after `step` blocks, one bar each; the shortest is ahead. */
  function race(data, palette, { step }) {
    const length = data.terms[0].length, reached = Math.min(step ?? length, length);
    const sums = data.terms.map((one) => upTo(one, reached));
    const ahead = reached ? sums.indexOf(Math.min(...sums)) : -1;
    const names = data.lambdas.map((lam) => lam.toFixed(2));
    const bars = {
      type: "bar", orientation: "h", y: names, x: sums,
      marker: { color: sums.map((_, i) => (i === ahead ? palette.star : palette.trying)) },
      hovertemplate: `lambda %{y}: %{x:.4g} after ${reached} blocks<extra></extra>`,
    };
    const xaxis = axis(palette, `score after ${reached} of ${length} blocks`, {
      range: [0, 1.06 * Math.max(...data.scores)], exponentformat: "power",
    });
    const yaxis = axis(palette, "lambda", { type: "category", autorange: "reversed", showgrid: false });
    return { data: [bars], layout: layout(palette, 400, xaxis, yaxis, { bargap: 0.25 }) };
  }

  /** The finished race as a curve over lambda. */
  function landscape(data, palette, { step }) {
    const length = data.terms[0].length, over = (step ?? length) >= length;
    const best = data.scores[data.lambdas.indexOf(data.chosen)];
    const curve = {
      type: "scatter", mode: "lines+markers", x: data.lambdas, y: over ? data.scores : data.scores.map(() => null), name: "score",
      line: { color: palette.block }, hovertemplate: "lambda %{x:.2f}: %{y:.4g}<extra></extra>", showlegend: false,
    };
    const star = {
      type: "scatter", mode: "markers", x: over ? [data.chosen] : [], y: over ? [best] : [], name: "lowest",
      marker: { symbol: "star", size: 15, color: palette.star }, hovertemplate: "lambda %{x:.2f} wins<extra></extra>",
    };
    const yaxis = axis(palette, "alignment score", { exponentformat: "power", range: [0.96 * best, 1.04 * Math.max(data.uniform, ...data.scores)] });
    const figure = layout(palette, 260, axis(palette, "lambda", { tickformat: ".2f", range: [-0.01, 0.26] }), yaxis);
    figure.shapes = [{
      type: "line", x0: 0, x1: 1, xref: "paper", y0: data.uniform, y1: data.uniform, line: { dash: "dot", color: palette.uniform },
    }];
    figure.annotations = [{
      x: 1, xref: "paper", xanchor: "right", y: data.uniform, yanchor: "bottom", text: "uniform", showarrow: false,
      font: { size: 11, color: palette.uniform },
    }];
    return { data: [curve, star], layout: figure };
  }

  const NAMES = { dense: "dense", uniform: "uniform", chosen: "this lambda" };

  /** Perplexities side by side. */
  function perplexity(data, palette) {
    const names = Object.keys(NAMES), values = names.map((name) => data.perplexity[name]);
    const bars = {
      type: "bar", x: names.map((name) => NAMES[name]), y: values, text: values.map((value) => value.toFixed(1)),
      textposition: "outside", cliponaxis: false, marker: { color: names.map((name) => palette[name]) },
      hovertemplate: "%{x}: %{y:.1f}<extra></extra>",
    };
    const wide = Math.max(...values) > 10 * Math.min(...values);
    const yaxis = axis(palette, "perplexity", { type: wide ? "log" : "linear", ...(wide ? {} : { rangemode: "tozero" }) });
    return { data: [bars], layout: layout(palette, 300, axis(palette, "", { showgrid: false }), yaxis, { bargap: 0.4, margin: { l: 8, r: 12, t: 28, b: 8 } }) };
  }

  const FORMS = { dense: "dense", zeros: "with zeros", zstd: "with zeros, zstd", bitmask: "bitmask and values" };

  /** Megabytes of the weights in each form. */
  function bytes(data, palette) {
    const names = Object.keys(FORMS), values = names.map((name) => data.bytes[name] / 1e6);
    const bars = {
      type: "bar", orientation: "h", y: names.map((name) => FORMS[name]), x: values, text: values.map((v) => `${v.toFixed(1)} MB`),
      textposition: "auto", marker: { color: names.map((name) => (name === "dense" ? palette.dense : palette.chosen)) },
      hovertemplate: "%{y}: %{x:.2f} MB<extra></extra>",
    };
    const yaxis = axis(palette, "", { autorange: "reversed", showgrid: false });
    return { data: [bars], layout: layout(palette, 240, axis(palette, "MB of weights", { rangemode: "tozero" }), yaxis, { bargap: 0.3 }) };
  }

  /** Tokens per second, a dot per trial. */
  function speed(data, palette) {
    const dots = Object.entries(data.rates).map(([name, trials]) => ({
      type: "scatter", mode: "markers", x: trials, y: trials.map(() => name), name,
      marker: { size: 11, opacity: 0.8, color: name === "dense" ? palette.dense : palette.chosen },
      hovertemplate: `${name}: %{x:,.0f} tokens per second<extra></extra>`, showlegend: false,
    }));
    const yaxis = axis(palette, "", { type: "category", showgrid: false, autorange: "reversed", range: [-0.5, 1.5] });
    return { data: dots, layout: layout(palette, 190, axis(palette, "tokens read per second", { rangemode: "tozero" }), yaxis) };
  }

  const each = (values) => values.map((value, b) => `block ${b} ${short(value)}`).join(", ");

  Object.assign(NeuroAL.learnFigures, { terms, blocks, slope, race, landscape, perplexity, bytes, speed });
  Object.assign(NeuroAL.learnTexts, {
    terms: (d) => `The term of every linear of every block; the largest is ${short(Math.max(...d.terms.flat()))}, and those`
      + " that read a block's input have 0.",
    blocks: (d) => `Sums of the blocks: ${each(d.blocks)}; together ${short(d.score)}.`,
    slope: (d) => `Sparsity from ${percent(d.ratios[0])} in the first to ${percent(d.ratios.at(-1))} in the last block; score`
      + ` ${short(d.score)}, uniform ${short(d.uniform.score)}. Terms: ${each(d.blocks)}.`,
    race: (d) => `${d.lambdas.length} lambdas; ${d.chosen.toFixed(2)} has the lowest score, ${short(Math.min(...d.scores))}.`,
    landscape: (d) => `Scores over lambda: ${d.lambdas.map((lam, i) => `${lam.toFixed(2)} ${short(d.scores[i])}`).join(", ")};`
      + ` uniform ${short(d.uniform)}.`,
    perplexity: (d) => Object.keys(NAMES).map((name) => `${NAMES[name]} ${d.perplexity[name].toFixed(1)}`).join(", ")
      + ` on ${d.windows[0]} windows of ${d.windows[1]} tokens.`,
    bytes: (d) => Object.keys(FORMS).map((name) => `${FORMS[name]} ${(d.bytes[name] / 1e6).toFixed(1)} MB`).join(", ") + ".",
    speed: (d) => {
      const middle = (trials) => [...trials].sort((a, b) => a - b)[Math.floor(trials.length / 2)];
      return `Medians: dense ${Math.round(middle(d.rates.dense)).toLocaleString("en")}, pruned`
        + ` ${Math.round(middle(d.rates.pruned)).toLocaleString("en")} tokens per second, ${times(middle(d.rates.pruned)
          / middle(d.rates.dense))} the dense speed.`;
    },
  });
})();
