/** Figures of single linears: a scene becomes a plain Plotly figure, {data, layout}; `texts` says it in a sentence. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { axis, layout, range, scale, quantile } = NeuroAL.plotting;
  const { percent, short } = NeuroAL.words;

  /** Packed bytes (base64) as rows of numbers. */
  function unpacked({ cells, rows, columns }) {
    const bytes = Uint8Array.from(atob(cells), (char) => char.charCodeAt(0));
    return range(rows).map((r) => Array.from(bytes.subarray(r * columns, (r + 1) * columns)));
  }

  // A matrix below the bars of its inputs: both share the axis of the inputs, so that zooming one zooms the other.
  function aboveMatrix(palette, columns, more = {}) {
    const xaxis = axis(palette, "input (column)", { range: [-0.5, columns - 0.5], showgrid: false, anchor: "y" });
    const yaxis = axis(palette, "output (row)", { autorange: "reversed", domain: [0, 0.74], showgrid: false });
    return layout(palette, 460, xaxis, yaxis, {
      yaxis2: axis(palette, "norm", { domain: [0.79, 1], nticks: 3, rangemode: "tozero" }), bargap: 0.15, ...more,
    });
  }

  const normBars = (norms, palette, color = palette.target) => ({
    type: "bar", x: range(norms.length), y: norms, yaxis: "y2", marker: { color }, name: "norm", showlegend: false,
    hovertemplate: "input %{x}: norm %{y:.3g}<extra></extra>",
  });

  /** |W| as brightness, the norms of its inputs above. */
  function weights(data, palette) {
    const colors = data.norms.map((_, j) => (j === data.loudest ? palette.uniform : palette.target));
    const heat = {
      type: "heatmap", z: unpacked(data), colorscale: scale(palette.sequential), showscale: false, zmin: 0, zmax: 255,
      hovertemplate: "row %{y}, input %{x}<extra></extra>",
    };
    return { data: [heat, normBars(data.norms, palette, colors)], layout: aboveMatrix(palette, data.columns) };
  }

  // Kept by neither, by magnitude only, by Wanda only, by both.
  const KEPT = ["kept by neither", "magnitude only", "Wanda only", "kept by both"];
  const kept = (palette) => ["rgba(0,0,0,0)", palette.uniform, palette.chosen, palette.grid];

  /** Who keeps which weight; a legend of one entry per colour. */
  function choice(data, palette) {
    const colors = kept(palette);
    const steps = colors.flatMap((color, i) => [[i / 4, color], [(i + 1) / 4, color]]);
    const heat = {
      type: "heatmap", z: unpacked(data), colorscale: steps, showscale: false, zmin: -0.5, zmax: 3.5,
      text: null, hovertemplate: "row %{y}, input %{x}<extra></extra>",
    };
    const legend = [1, 2, 3].map((i) => ({
      type: "scatter", x: [null], y: [null], mode: "markers", name: KEPT[i],
      marker: { symbol: "square", size: 10, color: colors[i] },
    }));
    return { data: [heat, normBars(data.norms, palette), ...legend], layout: aboveMatrix(palette, data.columns) };
  }

  /** The weights of a row in order of their metric, and where it is cut. */
  function row(data, palette) {
    const parts = [[false, "pruned", palette.uniform], [true, "kept", palette.chosen]];
    const place = new Map(data.order.map((j, rank) => [j, rank]));
    const bars = parts.map(([which, name, color]) => {
      const members = data.order.filter((j) => data.kept[j] === which);
      return {
        type: "bar", name, marker: { color }, x: members.map((j) => place.get(j)), y: members.map((j) => data.metric[j]),
        customdata: members.map((j) => [j, data.weights[j], data.norms[j]]),
        hovertemplate: "input %{customdata[0]}: weight %{customdata[1]:.3g}, norm %{customdata[2]:.3g}, metric %{y:.3g}"
          + "<extra></extra>",
      };
    });
    const cut = data.count - 0.5;
    const figure = layout(palette, 360, axis(palette, "weights of the row, by metric", { showgrid: false }),
      axis(palette, "metric", { rangemode: "tozero" }), { bargap: 0.1 });
    figure.shapes = [{ type: "line", x0: cut, x1: cut, y0: 0, y1: 1, yref: "paper", line: { dash: "dash", color: palette.text } }];
    return { data: bars, layout: figure };
  }

  /** Activation as shares of its sum, dense against pruned, in the order of the inputs or sorted by the dense ones. */
  function received(data, palette, { sorted }) {
    const order = range(data.dense.length);
    if (sorted) order.sort((a, b) => data.dense[b] - data.dense[a]);
    const moved = data.moved.filter((j) => data.dense[j] !== data.pruned[j]).slice(0, 10);
    const at = (values) => order.map((j) => values[j]);
    const line = (name, values, color, more = {}) => ({
      type: "scatter", mode: "lines", name, x: range(order.length), y: at(values), line: { color, shape: "hvh", width: 1.5 },
      customdata: order, hovertemplate: "input %{customdata}: %{y:.3%}<extra></extra>", ...more,
    });
    const marks = {
      type: "scatter", mode: "markers", name: "moved most", marker: { size: 7, color: palette.row, symbol: "circle-open" },
      x: moved.map((j) => order.indexOf(j)), y: moved.map((j) => data.pruned[j]), customdata: moved,
      hovertemplate: "input %{customdata}: %{y:.3%} pruned<extra></extra>",
    };
    const change = {
      type: "bar", name: "pruned − dense", showlegend: false, x: range(order.length), yaxis: "y2",
      y: order.map((j) => data.pruned[j] - data.dense[j]), customdata: order,
      marker: { color: order.map((j) => (data.pruned[j] < data.dense[j] ? palette.uniform : palette.chosen)) },
      hovertemplate: "input %{customdata}: %{y:+.3%}<extra></extra>",
    };
    const xaxis = axis(palette, sorted ? "inputs, loudest first" : "inputs, in their order", { anchor: "y2", showgrid: false });
    const figure = layout(palette, 420, xaxis,
      axis(palette, "share", { domain: [0.36, 1], tickformat: ".1%", rangemode: "tozero" }), {
        yaxis2: axis(palette, "change", { domain: [0, 0.28], tickformat: "+.2%", nticks: 4 }), bargap: 0.1,
      });
    const traces = [line("dense", data.dense, palette.dense), line("pruned", data.pruned, palette.chosen), marks, change];
    return { data: traces, layout: figure };
  }

  /** One dot per row: what its reader lost, and how sparse it becomes. */
  function rows(data, palette) {
    const dots = {
      type: "scatter", mode: "markers", name: "rows", x: data.driver, y: data.ratios, customdata: range(data.ratios.length),
      marker: { size: 6, color: palette.row, opacity: 0.75 },
      hovertemplate: "row %{customdata}: reader lost %{x:.3g}, sparsity %{y:.1%}<extra></extra>",
    };
    const figure = layout(palette, 380, axis(palette, "activation that the row's reader lost"),
      axis(palette, "sparsity ratio of the row", { tickformat: ".0%", range: [0, 1] }));
    figure.shapes = [{
      type: "line", x0: 0, x1: 1, xref: "paper", y0: data.base, y1: data.base, line: { dash: "dash", color: palette.target },
    }];
    return { data: data.driven ? [dots] : [{ ...dots, x: data.ratios.map(() => 0) }], layout: figure };
  }

  const SAID = {
    weights: (d) => `The matrix ${d.linear}, ${d.rows} rows by ${d.columns} inputs, as brightness of the weights' sizes;`
      + ` the median is ${short(d.median)}, the largest ${short(d.largest)}. Above it the norms of the inputs, from`
      + ` ${short(Math.min(...d.norms))} to ${short(d.norms[d.loudest])}, the loudest is input ${d.loudest}.`,
    choice: (d) => `The matrix ${d.linear}: of ${(d.rows * d.columns).toLocaleString("en")} weights each rule prunes`
      + ` ${d.pruned.toLocaleString("en")}; in ${d.rescued.toLocaleString("en")} places Wanda keeps what magnitude prunes.`,
    row: (d) => `Row ${d.row} of ${d.linear}: ${d.count} of ${d.columns} weights are pruned, those whose metric is at most`
      + ` ${short(d.metric[d.order[Math.max(d.count - 1, 0)]])}; the largest has ${short(Math.max(...d.metric))}.`,
    received: (d) => d.again ? `What ${d.readers.join(" and ")} of block ${d.block} receive: the same in both passes.`
      : `What ${d.readers.join(" and ")} of block ${d.block} receive, dense and pruned: the term is ${short(d.term)}; inputs`
        + ` ${d.moved.slice(0, 3).join(", ")} changed most.`,
    rows: (d) => d.driven ? `The ${d.ratios.length} rows of ${d.linear}: sparsity from ${percent(Math.min(...d.ratios))} where`
      + ` the reader lost most to ${percent(Math.max(...d.ratios))} where it lost least, half of them below`
      + ` ${percent(quantile(d.ratios, 0.5))}.` : `The rows of ${d.linear} all have ${percent(d.base)}.`,
  };

  NeuroAL.learnFigures = { weights, choice, row, received, rows };
  NeuroAL.learnTexts = SAID;
  NeuroAL.unpacked = unpacked;
})();
