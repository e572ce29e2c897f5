/**
 * The figures of one matrix: how sparse its rows are, what its inputs bring, what drives its rows. Pure: what the route
 * of components/matrix_route.py tells of a matrix becomes a Plotly figure; what is pointed at elsewhere becomes shapes
 * over it, for these are drawn anew in a moment, and a figure of thousands of points is not.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { axis, layout, range } = NeuroAL.plotting;

  const HEIGHT = 300;

  // Rows that are marked one by one, at most.
  const MOST_RINGS = 60;

  // Below so many points each is a dot that can be hit; above, a thinner one.
  const FEW = 400;

  /** Rows of each bar: what a bar is marked by, and what pointing at it marks. */
  function rowsOfBar({ zeros, columns, histogram: { edges } }, bar) {
    const within = (count) => count / columns > edges[bar] && count / columns < edges[bar + 1];
    return range(zeros.length).filter((row) => within(zeros[row]));
  }

  /** The bar that a row is in. */
  function barOfRow({ zeros, columns, histogram: { edges } }, row) {
    const sparsity = zeros[row] / columns;
    return range(edges.length - 1).find((bar) => sparsity > edges[bar] && sparsity < edges[bar + 1]);
  }

  /** How many rows have which sparsity. */
  function rowHistogram(matrix, palette) {
    const { edges, counts } = matrix.histogram, width = edges[1] - edges[0];
    const trace = {
      type: "bar", x: counts.map((_, i) => (edges[i] + edges[i + 1]) / 2), y: counts,
      width: counts.map(() => width * 0.92),
      customdata: counts.map((_, i) => spanOf(matrix, i)),
      marker: { color: palette.chosen },
      hovertemplate: "<b>%{y} rows</b><br>%{customdata} of their weights pruned<extra></extra>",
    };
    // Rows that all agree would be one bar as wide as the figure.
    const first = edges[0], last = edges[edges.length - 1];
    const middle = (first + last) / 2, reach = 1.05 * Math.max((last - first) / 2, 0.02);
    const xaxis = axis(palette, "sparsity of a row", { tickformat: ".0%", range: [middle - reach, middle + reach] });
    return { data: [trace], layout: layout(palette, HEIGHT, xaxis, axis(palette, "rows", { rangemode: "tozero" })) };
  }

  /** "57.8 %", or from the smallest to the largest share that a bar stands for. */
  function spanOf({ columns, histogram: { edges } }, bar) {
    const first = Math.ceil(edges[bar] * columns), last = Math.floor(edges[bar + 1] * columns);
    const share = (count) => `${NeuroAL.fixed((100 * count) / columns, 1)}\u00a0%`;
    return first === last ? share(first) : `${share(first)} to ${share(last)}`;
  }

  /** The inputs from left to right: as they are, or by their dense norm, largest first. */
  function orderOf({ dense, columns }, sorted) {
    const order = range(columns);
    return sorted ? order.sort((a, b) => dense[b] - dense[a] || a - b) : order;
  }

  /**
   * What each input brings, dense and pruned; null where nothing is known of them.
   * @param {number[]} order as `orderOf` gives it
   */
  function norms(matrix, palette, order) {
    if (!matrix.dense) return null;
    const trace = (side, name, color, more) => ({
      type: "scatter", name, x: range(order.length), y: order.map((column) => shown(matrix[side][column])),
      customdata: order.map((column) => [column, matrix.dense[column], matrix.pruned[column]]), ...more(color),
      hovertemplate: "<b>input %{customdata[0]}</b><br>dense %{customdata[1]:.3~%}, pruned %{customdata[2]:.3~%}"
        + " of the sum<extra></extra>",
    });
    const size = order.length < FEW ? 5 : 3;
    const line = (color) => ({ mode: "lines", line: { color, width: 1.5 } });
    const dots = (color) => ({ mode: "markers", marker: { color, size, opacity: 0.75 } });
    const sorted = order.some((column, i) => column !== i);
    const data = [
      trace("pruned", "pruned", palette.chosen, dots),
      { ...trace("dense", "dense", palette.dense, sorted ? line : dots), legendrank: 1 },
    ];
    const span = [-0.03 * order.length, 1.03 * order.length];
    const xaxis = axis(palette, sorted ? "rank by dense norm" : "input", { range: span });
    const yaxis = axis(palette, "share of the summed norms", { type: "log", tickformat: ".2~%", dtick: "D2" });
    return { data, layout: layout(palette, HEIGHT, xaxis, yaxis) };
  }

  /** A logarithm has no zero. */
  const shown = (value) => (value > 0 ? value : null);

  /** What the reader of each row lost, against how sparse the row is; null where that is not known, or nothing. */
  function drivers(matrix, palette) {
    if (!matrix.driver?.some((lost) => lost)) return null;
    const sparsity = matrix.zeros.map((count) => count / matrix.columns);
    const trace = {
      type: "scatter", mode: "markers", x: matrix.driver, y: sparsity, customdata: range(matrix.rows),
      marker: { color: palette.chosen, size: matrix.rows < FEW ? 7 : 5, opacity: 0.6 },
      hovertemplate: "<b>row %{customdata}</b><br>driver %{x:.3~g}<br>sparsity %{y:.1%}<extra></extra>", name: "rows",
    };
    const xaxis = axis(palette, "activation that the reader of a row lost"), flat = new Set(sparsity).size === 1;
    const about = flat ? { range: [sparsity[0] - 0.02, sparsity[0] + 0.02] } : {};
    const yaxis = axis(palette, "sparsity of the row", { tickformat: ".0%", ...about });
    return { data: [trace], layout: { ...layout(palette, HEIGHT, xaxis, yaxis), showlegend: false } };
  }

  // --- marks --------------------------------------------------------------------------------------------------------

  /** A frame around the bars of these rows. */
  function barMarks(matrix, palette, rows) {
    const { edges, counts } = matrix.histogram, line = { color: palette.uniform, width: 2.5 };
    return [...new Set(rows.map((row) => barOfRow(matrix, row)))].map((bar) => ({
      type: "rect", xref: "x", yref: "y", x0: edges[bar], x1: edges[bar + 1], y0: 0, y1: counts[bar], line,
    }));
  }

  /** A line through these inputs. (A ring would be flattened by the axis: Plotly sizes it before the logarithm.) */
  function normMarks(matrix, palette, order, columns) {
    if (!matrix.dense) return [];
    const line = { color: palette.uniform, width: 2 };
    return columns.map((column) => order.indexOf(column)).map((x) => (
      { type: "line", xref: "x", yref: "paper", x0: x, x1: x, y0: 0, y1: 1, line }));
  }

  /** A ring around each of these rows; of many no single one is meant. */
  function driverMarks(matrix, palette, rows) {
    if (!matrix.driver || rows.length > MOST_RINGS) return [];
    return rows.map((row) => ring(palette, matrix.driver[row], matrix.zeros[row] / matrix.columns));
  }

  const ring = (palette, x, y) => ({
    type: "circle", xref: "x", yref: "y", xsizemode: "pixel", ysizemode: "pixel", xanchor: x, yanchor: y,
    x0: -6, x1: 6, y0: -6, y1: 6, line: { color: palette.uniform, width: 2.5 },
  });

  /** Pearson's correlation; null where one of them does not vary. */
  function correlation(one, other) {
    const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const [a, b] = [one, other].map((values) => { const m = mean(values); return values.map((value) => value - m); });
    const dot = (u, v) => u.reduce((sum, value, i) => sum + value * v[i], 0), size = Math.sqrt(dot(a, a) * dot(b, b));
    return size > 0 ? dot(a, b) / size : null;
  }

  NeuroAL.matrixFigures = {
    barMarks, barOfRow, correlation, driverMarks, drivers, normMarks, norms, orderOf, rowHistogram, rowsOfBar, spanOf,
  };
})();
