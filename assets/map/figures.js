/**
 * The map of a sweep: every run a point, one line per method, the control and the dense model always drawn; and the gain
 * over the control as a heat map. The twin of components/tradeoffs.py.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { BAR_MARGIN, axis, layout, plain, scale, colorbar, quantile } = NeuroAL.plotting;

  // What an axis can show: its title, whether less is better, how it is written, and the figure of the dense model.
  const AXES = {
    sparsity: { title: "sparsity", less: false, percent: true, log: false, dense: null },
    perplexity: { title: "perplexity", less: true, percent: false, log: true, dense: "perplexity_dense" },
    alignment: { title: "alignment score", less: true, percent: false, log: false, dense: null },
    kl: { title: "KL divergence from dense, nats", less: true, percent: false, log: false, dense: null },
    zeroshot: { title: "zero-shot mean", less: false, percent: true, log: false, dense: "zeroshot_dense" },
    encoded: { title: "encoded size / dense size", less: true, percent: true, log: false, dense: null },
    search_seconds: { title: "seconds of search", less: true, percent: false, log: false, dense: null },
  };

  // Runs beside those of the sweep, by what they are, each with a mark of its own: see components/tradeoffs.py.
  const OTHERS = {
    "other runs": (point) => !point.focus && !point.custom,
    "own ratios": (point) => !point.focus && point.custom,
    "this run": (point) => point.focus,
  };
  const MARKS = { "other runs": ["square-open", 9], "own ratios": ["star-diamond", 13], "this run": ["star", 17] };

  // Of the controls of several pruners, which share a colour.
  const CONTROLS = ["diamond", "diamond-open", "diamond-wide", "diamond-wide-open", "diamond-cross", "diamond-x"];

  // With more of them than this their names would cover the map; they are still told where one points.
  const MOST_NAMED = 8;

  // The scale of the gains reaches at least so far.
  const LEAST_GAIN = 0.05;

  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const unique = (values) => [...new Set(values)];
  const ascending = (a, b) => a - b;

  /**
   * Every finished run that has both figures; rings mark those that no other one beats in both.
   * @param {object[]} others runs beside those of the sweep, as the server's "around" answers
   */
  function tradeoff(state, palette, x = "sparsity", y = "perplexity", others = []) {
    const points = pointsOf(finished(state), x, y), beside = pointsOf(others, x, y);
    if (!points.length && !beside.length) return null;
    const data = [];
    const symbols = symbolsOf(state);
    for (const [label, color] of Object.entries(colorsOf(state, palette))) {
      const own = points.filter((point) => point.label === label);
      if (own.length) data.push(...line(label, own, { color, symbol: symbols[label] }, x, y));
    }
    for (const [name, belongs] of Object.entries(OTHERS)) {
      const own = beside.filter(belongs);
      if (own.length) data.push(besideTrace(name, own, beside.length <= MOST_NAMED, x, y, palette));
    }
    points.push(...beside);
    data.push(front(points, x, y, palette));
    const [shapes, annotations] = baseline(points, y, palette);
    const log = AXES[y].log && Math.min(...points.map((point) => point.y)) > 0;
    const xaxis = axis(palette, AXES[x].title, format(x, points.map((p) => p.x)));
    const yaxis = axis(palette, AXES[y].title, { ...format(y, points.map((p) => p.y)), ...(log ? { type: "log" } : {}) });
    return { data, layout: layout(palette, 460, xaxis, yaxis, { shapes, annotations }) };
  }

  /** By how much each method's perplexity is below the control's, by sparsity: the mean over runs that repeat it. */
  function gain(state, palette) {
    const rows = [...gainsOf(state)].filter(([, cells]) => cells.size);
    if (!rows.length) return null;
    const columns = unique(rows.flatMap(([, cells]) => [...cells.keys()])).sort(ascending);
    const z = rows.map(([, cells]) => columns.map((sparsity) => cells.get(sparsity) ?? null));
    const sizes = z.flat().filter((value) => value !== null).map(Math.abs);
    // Differences of less than this look like what they are: none.
    const limit = Math.max(quantile(sizes, 0.9), LEAST_GAIN);
    const trace = {
      type: "heatmap", z, x: columns.map(percent), y: rows.map(([label]) => plain(label)),
      xgap: 2, ygap: 2, hoverongaps: false, zmin: -limit, zmid: 0, zmax: limit,
      colorscale: scale([...palette.diverging].reverse()), texttemplate: "%{z:+.1%}",
      hovertemplate: "<b>%{y}, %{x}</b><br>perplexity %{z:+.1%} below uniform's<extra></extra>",
      colorbar: colorbar(palette, "perplexity below uniform's", { tickformat: "+.0%" }),
    };
    const xaxis = axis(palette, "sparsity", { type: "category", showgrid: false, tickangle: 0 });
    const yaxis = axis(palette, "", { type: "category", dtick: 1, autorange: "reversed", showgrid: false });
    const height = Math.max(240, 150 + 34 * rows.length);
    return { data: [trace], layout: layout(palette, height, xaxis, yaxis, { margin: BAR_MARGIN }) };
  }

  /** Did a method help, by how much, at what cost: for each that is not the control, the best first. */
  function verdicts(state) {
    const found = [];
    for (const label of labelsOf(state)) {
      const runs = finished(state).filter((m) => m.label === label && gainOf(m) !== null);
      if (!runs.length) continue;
      const gains = runs.map(gainOf);
      const seconds = runs.map((m) => m.summary.search_seconds ?? null).filter((value) => value !== null);
      found.push({
        label, runs: runs.length, better: gains.filter((g) => g > 0).length, gain: mean(gains),
        seconds: seconds.length ? mean(seconds) : null,
      });
    }
    return found.sort((a, b) => b.gain - a.gain);
  }

  // --- runs ---------------------------------------------------------------------------------------------------------

  const finished = (state) => state.members.filter((member) => member.status === "finished");
  const labelsOf = (state) => unique(state.members.map((member) => member.label));

  /** By label; controls are drawn in the colour of the control wherever it appears. */
  function colorsOf(state, palette) {
    const control = new Set(state.members.filter((m) => m.control).map((m) => m.label));
    const colors = {};
    let used = 0;
    for (const label of labelsOf(state)) {
      if (control.has(label)) colors[label] = palette.uniform;
      else colors[label] = palette.series[used++ % palette.series.length];
    }
    return colors;
  }

  /** By label. */
  function symbolsOf(state) {
    const controls = unique(state.members.filter((m) => m.control).map((m) => m.label));
    return Object.fromEntries(labelsOf(state).map((label) => {
      const place = controls.indexOf(label);
      return [label, place < 0 ? "circle" : CONTROLS[place % CONTROLS.length]];
    }));
  }

  /** Those that have both figures, with their places. */
  const pointsOf = (runs, x, y) => runs.map((run) => ({ ...run, x: valueOf(run, x), y: valueOf(run, y) }))
    .filter((point) => point.x !== null && point.y !== null);

  function valueOf(member, name) {
    const value = member.summary[name === "sparsity" ? "achieved" : name] ?? null;
    return value === null && name === "sparsity" ? member.sparsity : value;
  }

  /** The share by which a run's perplexity is below that of its control. */
  function gainOf(member) {
    const own = member.summary.perplexity ?? null, control = member.summary.perplexity_uniform ?? null;
    return member.control || own === null || !control ? null : 1 - own / control;
  }

  /** By label and sparsity asked for. */
  function gainsOf(state) {
    const found = new Map();
    for (const label of labelsOf(state)) {
      const cells = new Map();
      for (const member of finished(state)) {
        const value = gainOf(member);
        if (member.label === label && value !== null)
          cells.set(member.sparsity, [...(cells.get(member.sparsity) ?? []), value]);
      }
      found.set(label, new Map([...cells].map(([sparsity, values]) => [sparsity, mean(values)])));
    }
    return found;
  }

  // --- traces -------------------------------------------------------------------------------------------------------

  /** The points of a method, joined along the sparsity asked for; where runs repeat it, through their mean. */
  function line(label, points, { color, symbol }, x, y) {
    const { control } = points[0];
    const asked = unique(points.map((point) => point.sparsity)).sort(ascending);
    const groups = asked.map((sparsity) => points.filter((point) => point.sparsity === sparsity));
    const ordered = [...points].sort((a, b) => a.sparsity - b.sparsity);
    const path = {
      type: "scatter", mode: "lines", name: plain(label), legendgroup: label, showlegend: false,
      x: groups.map((group) => mean(group.map((p) => p.x))), y: groups.map((group) => mean(group.map((p) => p.y))),
      line: { color, width: 2, dash: control ? "dash" : "solid" }, hoverinfo: "skip",
    };
    const marks = {
      type: "scatter", mode: "markers", name: plain(label), legendgroup: label,
      x: ordered.map((p) => p.x), y: ordered.map((p) => p.y), customdata: ordered.map((p) => p.run),
      marker: { color, size: 9, symbol },
      hovertemplate: `<b>%{fullData.name}</b><br>${told(x, y)}<extra></extra>`,
    };
    return [path, marks];
  }

  /** Both figures of a point, for a hover text. */
  const told = (x, y) => `${AXES[x].title} %{x:${shape(x)}}<br>${AXES[y].title} %{y:${shape(y)}}`;

  /** Runs beside those of the sweep; the one that is looked for always has its name on the map. */
  function besideTrace(name, points, named, x, y, palette) {
    const [symbol, size] = MARKS[name];
    return {
      type: "scatter", mode: named || name === "this run" ? "markers+text" : "markers", name,
      x: points.map((p) => p.x), y: points.map((p) => p.y), customdata: points.map((p) => p.run),
      text: points.map((p) => plain(p.label)), textposition: "top center", cliponaxis: false,
      textfont: { color: palette.text, size: 11 }, marker: { color: palette.text, size, symbol },
      hovertemplate: `<b>%{text}</b><br>${told(x, y)}<extra></extra>`,
    };
  }

  /** Rings around the runs that no other one beats in both figures (Pareto). */
  function front(points, x, y, palette) {
    const best = points.filter((p) => !points.some((q) => beats(q, p, x, y))).sort((a, b) => a.x - b.x);
    const marker = { symbol: "circle-open", size: 16, color: palette.text, line: { width: 1.5 } };
    return {
      type: "scatter", mode: "markers", name: "not beaten in both", x: best.map((p) => p.x), y: best.map((p) => p.y),
      marker, hoverinfo: "skip",
    };
  }

  /** Whether a run is no worse in either figure and better in one. */
  function beats(one, other, x, y) {
    const pairs = [[one.x, other.x, AXES[x].less], [one.y, other.y, AXES[y].less]];
    return pairs.every(([a, b, less]) => (less ? a <= b : a >= b)) && pairs.some(([a, b]) => a !== b);
  }

  /** A line for every dense model. */
  function baseline(points, y, palette) {
    const name = AXES[y].dense;
    const values = name ? points.map((p) => p.summary[name] ?? null).filter((value) => value !== null) : [];
    const found = unique(values).sort(ascending);
    const line = { color: palette.dense, width: 1.5, dash: "dot" };
    const shapes = found.map((v) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: v, y1: v, line }));
    return [shapes, found.length === 1 ? [note(found[0], AXES[y].log, palette)] : []];
  }

  /** What the line is. Plotly wants the logarithm on such an axis. */
  function note(value, log, palette) {
    return {
      text: "dense", xref: "paper", x: 0, xanchor: "left", yref: "y", yanchor: "bottom",
      y: log && value > 0 ? Number(Math.log10(value).toPrecision(12)) : value, showarrow: false,
      font: { color: palette.dense, size: 11 },
    };
  }

  /** Of an axis in percent; it has room around its points, so that not all its ticks are the same whole number. */
  function format(name, values) {
    if (!AXES[name].percent) return {};
    const [least, most] = [Math.min(...values), Math.max(...values)], room = [least - 0.02, most + 0.02];
    // Around one value alone Plotly would leave a room of 100 %.
    return { tickformat: ".0%", ...(least === most ? { range: room } : { autorangeoptions: { include: room } }) };
  }
  const shape = (name) => (AXES[name].percent ? ".1%" : ",.4~g");

  /** Whole where it is whole. */
  const percent = (share) => `${NeuroAL.fixed(100 * share, 1).replace(/\.0$/, "")} %`;

  Object.assign(NeuroAL, { AXES, tradeoff, gain, verdicts, gainOf });
})();
