/** The figures of the map on a phone, where names would take the room of what they name. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  // Widths of a figure in pixels below which this is needed.
  const NARROW = 480;

  // Of an entry of a legend that has one column, and of the plot beside it.
  const ENTRY = 29, PLOT = 320;

  const isNarrow = (node) => node.clientWidth > 0 && node.clientWidth < NARROW;

  /** A legend of one column gets its own height, for it would scroll over half of the plot. */
  function narrowTradeoff(node, figure) {
    if (!isNarrow(node)) return figure;
    const { layout } = figure, entries = figure.data.filter((trace) => trace.showlegend !== false).length;
    const legend = { ...layout.legend, font: { size: 10 }, y: -0.2, yanchor: "top", maxheight: 4 * PLOT };
    return { ...figure, layout: { ...layout, legend, height: PLOT + ENTRY * entries } };
  }

  /** Names over two lines, shares without decimals, and no scale: each cell has its number. */
  function narrowGain(node, figure) {
    if (!isNarrow(node)) return figure;
    const { layout } = figure, font = { size: 10 };
    const data = figure.data.map((trace) => ({
      ...trace, y: trace.y.map((name) => name.replace(", ", ",<br>")), texttemplate: "%{z:+.0%}", textfont: font,
      showscale: false,
    }));
    const yaxis = { ...layout.yaxis, tickfont: { ...layout.yaxis.tickfont, ...font } };
    const xaxis = { ...layout.xaxis, tickfont: { ...layout.xaxis.tickfont, ...font } };
    return { data, layout: { ...layout, xaxis, yaxis, margin: { ...layout.margin, r: 4, b: 8 } } };
  }

  Object.assign(NeuroAL, { narrowTradeoff, narrowGain });
})();
