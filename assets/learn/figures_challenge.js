/** Figures of a challenge: what the attempts reached, and the ratios behind the best. `view.challenge` has the attempts. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { axis, layout, range } = NeuroAL.plotting;
  const { percent } = NeuroAL.words;
  const { bestOf, isMet, told } = NeuroAL.challenges;

  /** A dot per attempt between uniform and dense; the dashed line is the goal. */
  function attempts(data, palette, { challenge }) {
    const { attempts: made, goal, revealed } = challenge, limit = data.goals[goal], count = Math.max(made.length, 4);
    const group = (name, which, marker) => {
      const members = range(made.length).filter((i) => isMet(made[i], limit) === which);
      return {
        type: "scatter", mode: "markers", name, x: members.map((i) => i + 1), y: members.map((i) => made[i].perplexity),
        marker: { size: 11, ...marker }, hovertemplate: `attempt %{x}: %{y:.1f}, ${name}<extra></extra>`,
      };
    };
    const level = (name, y, color, dash) => ({
      type: "scatter", mode: "lines", name, x: [0.5, count + 0.5], y: [y, y], line: { color, dash, width: 1.5 },
      hovertemplate: `${name}: %{y:.1f}<extra></extra>`,
    });
    const traces = [
      level("uniform", data.uniform.perplexity, palette.uniform, "dot"), level("goal", limit, palette.text, "dash"),
      level("dense", data.dense, palette.dense, "solid"),
      ...(revealed ? [level("the search's choice", data.search.perplexity, palette.star, "dashdot")] : []),
      group("met", true, { color: palette.chosen }), group("not met", false, { color: palette.uniform, symbol: "x" }),
      group("does not count", null, { color: palette.muted, symbol: "circle-open" }),
    ];
    const values = [data.dense, data.uniform.perplexity, ...made.map(({ perplexity }) => perplexity)];
    const wide = Math.max(...values) > 8 * Math.min(...values);
    const yaxis = axis(palette, "perplexity", { type: wide ? "log" : "linear" });
    return {
      data: traces.filter(({ mode, x }) => mode === "lines" || x.length),
      layout: layout(palette, 320, axis(palette, "attempt", { dtick: count > 12 ? 5 : 1, range: [0.5, count + 0.5], showgrid: false }), yaxis),
    };
  }

  /** The ratios as they are set now, those of the best attempt, and once it is shown the search's line. */
  function allocations(data, palette, { challenge }) {
    const { attempts: made, ratios, revealed } = challenge, best = made[bestOf(made)], x = range(data.uniform.ratios.length);
    const line = (name, y, color, dash) => ({
      type: "scatter", mode: "lines+markers", name, x, y, line: { color, dash, shape: "hvh", width: 2 }, marker: { size: 5 },
      hovertemplate: `block %{x}: %{y:.1%}<extra>${name}</extra>`,
    });
    const now = {
      type: "bar", name: "set now", x, y: ratios, marker: { color: palette.trying, opacity: 0.5 },
      hovertemplate: "block %{x}: %{y:.1%}<extra>set now</extra>",
    };
    const traces = [now, line("uniform", data.uniform.ratios, palette.uniform, "dot"),
      ...(best ? [line("your best", best.ratios, palette.chosen, "solid")] : []),
      ...(revealed ? [line("the search's choice", data.search.ratios, palette.star, "dashdot")] : [])];
    const xaxis = axis(palette, "decoder block", { showgrid: false, dtick: 1, range: [-0.5, x.length - 0.5] });
    const yaxis = axis(palette, "sparsity ratio", { tickformat: ".0%", range: [0, 1] });
    return { data: traces, layout: layout(palette, 320, xaxis, yaxis, { bargap: 0.25 }) };
  }

  const list = (ratios) => ratios.map((ratio) => percent(ratio)).join(", ");

  Object.assign(NeuroAL.learnFigures, { attempts, allocations });
  Object.assign(NeuroAL.learnTexts, {
    attempts: (data, { challenge }) => {
      const { attempts: made, goal, revealed } = challenge;
      const tried = made.map(({ perplexity }, i) => `attempt ${i + 1} ${told(perplexity)}`).join(", ");
      return `Perplexities: dense ${told(data.dense)}, uniform ${told(data.uniform.perplexity)}, goal ${told(data.goals[goal])}`
        + `${revealed ? `, the search's choice ${told(data.search.perplexity)}` : ""}; ${tried || "no attempt yet"}.`;
    },
    allocations: (data, { challenge }) => {
      const { attempts: made, ratios, revealed } = challenge, best = made[bestOf(made)];
      return `Sparsity of the blocks as set now: ${list(ratios)}.${best ? ` Your best attempt: ${list(best.ratios)}.` : ""}`
        + `${revealed ? ` The search's choice: ${list(data.search.ratios)}.` : ""}`;
    },
  });
})();
