/** Text alternatives of the figures that compare runs: the numbers that they show, as tables. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { range, total } = NeuroAL.plotting;

  // Of a distribution: which part of the rows is below the sparsity that is read out.
  const PARTS = [["a tenth", 0.1], ["half", 0.5], ["nine tenths", 0.9]];

  const WRITE = {
    allocations: (runs) => {
      const ratios = runs.map(([, state]) => state.allocation?.sparsity ?? []);
      const blocks = Math.max(...ratios.map((each) => each.length));
      return {
        head: ["block", ...names(runs)],
        rows: range(blocks).map((b) => [String(b), ...ratios.map((each) => NeuroAL.shareText(each[b]))]),
      };
    },
    rows: (runs) => {
      const shown = runs.filter(([, state]) => state.rows !== null);
      return {
        head: ["of the rows have at most this sparsity", ...names(shown)],
        rows: PARTS.map(([label, part]) => [label, ...shown.map(([, { rows }]) => NeuroAL.shareText(below(rows, part)))]),
      };
    },
    perplexity: (runs) => {
      const value = (state, variant) => NeuroAL.figureText(state.measured.perplexity?.[variant]?.value);
      const variants = [["dense", "dense"], ["uniform control", "uniform"], ["this run", "chosen"]];
      return {
        head: ["perplexity", ...names(runs)],
        rows: variants.map(([label, variant]) => [label, ...runs.map(([, state]) => value(state, variant))]),
      };
    },
  };

  const names = (runs) => runs.map(([name]) => name);

  /** The upper edge of the bin in which this part of all rows is reached. */
  function below({ edges, counts }, part) {
    const bins = range(edges.length - 1).map((b) => total(counts.map((row) => row[b])));
    const wanted = part * total(bins);
    let seen = 0;
    for (const b of range(bins.length)) {
      seen += bins[b];
      if (seen >= wanted) return edges[b + 1];
    }
    return null;
  }

  /** {head, rows} of a figure of components/comparison.py that is shown. */
  const describeCompared = (name, runs) => WRITE[name](runs);

  Object.assign(NeuroAL, { describeCompared });
})();
