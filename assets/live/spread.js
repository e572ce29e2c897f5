/**
 * What calibration alone does to the perplexities, beside the difference between the method and its control.
 * The twin of components/spread.py.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { variantName } = NeuroAL;
  const { axis, layout, notNull } = NeuroAL.plotting;

  const PREFIX = "sensitivity/";

  // Heights in pixels: a row, the axis between the two plots, what is around them.
  const ROW = 28, BETWEEN = 66, AROUND = 96;

  // The rows of the lower plot; all have their place from the start.
  const EACH = "each", MEAN = "mean", ALONE = "calibration";

  // Errors over the text, which is the same in every row and so hides no difference, are drawn this faintly.
  const FAINT = "55";

  // Digits that a perplexity is shown with, however large it is.
  const SHOWN = ",.4~r";

  /** Both plots; of a run that is its own control the upper one only. */
  function spread(state, palette) {
    const found = calibrations(state);
    if (!found.length) return null;
    const total = spreadOf(state);
    const paired = found.filter((one) => one.difference !== null);
    const names = { chosen: variantName(state, "chosen"), uniform: variantName(state, "uniform") };
    const data = paired.length ? [joined(paired, palette), dots(paired, "uniform", names.uniform, palette)] : [];
    data.push(dots(found, "chosen", names.chosen, palette));
    const values = notNull(found.flatMap((one) => [one.chosen, one.uniform]));
    const wide = Math.max(...values) > 20 * Math.min(...values);
    const shapes = [["uniform", "uniform"], ["chosen", "method"]].filter(([, of]) => total[of])
      .flatMap(([variant, of]) => band(total[of], palette[variant], wide ? Math.min(...values) : null));
    const xaxis = axis(palette, "perplexity", { type: wide ? "log" : "linear", tickangle: 0 });
    const yaxis = namesAxis(palette, found.map((one) => one.what));
    const upper = ROW * found.length, lower = ROW * 3;
    if (!paired.length) return { data, layout: layout(palette, upper + AROUND, xaxis, yaxis, { shapes }) };
    const height = upper + BETWEEN + lower;
    const title = `${names.chosen} − ${names.uniform}`;
    const zero = { zeroline: true, zerolinecolor: palette.text, zerolinewidth: 2, rangemode: "tozero" };
    const more = {
      xaxis2: axis(palette, title, { anchor: "y2", tickangle: 0, ...zero }),
      yaxis2: { ...namesAxis(palette, [EACH, MEAN, ALONE]), anchor: "x2", domain: [0, lower / height] },
      shapes: [...shapes, ...alone(total, palette)],
    };
    yaxis.domain = [(lower + BETWEEN) / height, 1];
    data.push(...differences(paired, total, names.chosen, palette));
    return { data, layout: layout(palette, height + AROUND, xaxis, yaxis, more) };
  }

  /** An axis of names from the top; their letters are small, for they take a large part of a phone's width. */
  function namesAxis(palette, names) {
    return axis(palette, "", {
      type: "category", categoryorder: "array", categoryarray: names, showgrid: false, fixedrange: true,
      range: [names.length - 0.5, -0.5], tickfont: { color: palette.muted, size: 12 },
    });
  }

  /** What is known of each, in the order in which it was measured; without those that have no figure. */
  function calibrations(state) {
    return Object.entries(state.measured).filter(([metric]) => metric.startsWith(PREFIX))
      .filter(([, { chosen }]) => (chosen?.value ?? null) !== null)
      .map(([metric, { chosen: { value, stderr, details } }]) => ({
        what: metric.slice(PREFIX.length), chosen: value, chosen_stderr: stderr,
        uniform: details.uniform ?? null, uniform_stderr: details.uniform_stderr ?? null,
        difference: details.difference ?? null,
      }));
  }

  /** The summary of all of them, without anything while there is none. */
  const spreadOf = (state) => state.measured.sensitivity?.chosen?.details ?? {};

  // --- above: the perplexities --------------------------------------------------------------------------------------

  /** A thin line from the control to the method, one for each calibration. */
  function joined(paired, palette) {
    return {
      type: "scatter", mode: "lines", hoverinfo: "skip", showlegend: false, connectgaps: false,
      x: paired.flatMap((one) => [one.uniform, one.chosen, null]),
      y: paired.flatMap((one) => [one.what, one.what, null]),
      line: { color: palette.muted, width: 1.5 },
    };
  }

  function dots(found, variant, name, palette) {
    const array = found.map((one) => one[`${variant}_stderr`]);
    return {
      type: "scatter", mode: "markers", name,
      x: found.map((one) => one[variant]), y: found.map((one) => one.what),
      error_x: { type: "data", array, color: palette[variant] + FAINT, thickness: 2, width: 0 },
      marker: { color: palette[variant], size: 9, symbol: variant === "chosen" ? "circle" : "diamond" },
      hovertemplate: `<b>%{y}</b><br>${name}: %{x:${SHOWN}} ± %{error_x.array:${SHOWN}}<extra></extra>`,
    };
  }

  /** Mean and standard deviation over the calibrations. least: where the band begins at the latest, without a zero. */
  function band({ mean, deviation }, color, least) {
    const low = least === null ? mean - deviation : Math.max(mean - deviation, least);
    const across = { yref: "y domain", y0: 0, y1: 1, layer: "below" };
    return [
      { type: "rect", x0: low, x1: mean + deviation, fillcolor: color, opacity: 0.16, line: { width: 0 }, ...across },
      { type: "line", x0: mean, x1: mean, line: { color, width: 1.5, dash: "dot" }, ...across },
    ];
  }

  // --- below: the differences ---------------------------------------------------------------------------------------

  /** Of each calibration; their mean, in the colour of whom it speaks for; and how far calibration alone goes. */
  function differences(paired, total, name, palette) {
    const lower = { type: "scatter", xaxis: "x2", yaxis: "y2", showlegend: false };
    const data = [{
      ...lower, mode: "markers", x: paired.map((one) => one.difference), y: paired.map(() => EACH),
      customdata: paired.map((one) => one.what),
      marker: { color: palette.text, size: 9, opacity: 0.55 },
      hovertemplate: `<b>%{customdata}</b><br>difference %{x:+${SHOWN}}<extra></extra>`,
    }];
    const mean = total.difference;
    if (mean) {
      const color = palette[{ better: "chosen", worse: "uniform" }[total.verdict] ?? "muted"];
      data.push({
        ...lower, mode: "markers", x: [mean.mean], y: [MEAN],
        error_x: { type: "data", array: [mean.high - mean.mean], color, thickness: 3 },
        marker: { color, size: 7 },
        hovertemplate: `mean difference %{x:+${SHOWN}} ± %{error_x.array:${SHOWN}}<extra></extra>`,
      });
    }
    if (total.apart)
      data.push({
        ...lower, mode: "lines+markers", x: [-total.apart, total.apart], y: [ALONE, ALONE],
        line: { color: palette.muted, width: 3 },
        marker: { color: palette.muted, size: 10, symbol: "line-ns-open", line: { width: 3 } },
        customdata: [total.apart, total.apart],
        hovertemplate: `two runs of ${name} on calibrations of their own<br>are less than `
          + `%{customdata:${SHOWN}} apart in 95 % of cases<extra></extra>`,
      });
    return data;
  }

  /** A band as wide as calibration alone makes it. */
  function alone({ apart }, palette) {
    if (!apart) return [];
    return [{
      type: "rect", xref: "x2", x0: -apart, x1: apart, yref: "y2 domain", y0: 0, y1: 1,
      layer: "below", fillcolor: palette.muted, opacity: 0.12, line: { width: 0 },
    }];
  }

  Object.assign(NeuroAL, { calibrations, spread, spreadOf });
})();
