/** What is said of one matrix: sentences, the table of its most damaged inputs, and what its figures show in words. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  const percent = (share, digits = 1) => `${NeuroAL.fixed(100 * share, digits)}\u00a0%`;

  /** A share of a sum over thousands, in per cent: three digits, never a power of ten. */
  function points(share) {
    const value = 100 * share;
    if (value === 0) return "0";
    const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
    return NeuroAL.fixed(value, Math.min(digits, 8));
  }

  const signed = (share) => `${share > 0 ? "+" : share < 0 ? "−" : ""}${points(Math.abs(share))}`;

  /** What a person looks at, and where its term stands among all of them. */
  function summaryOf(matrix, linears) {
    const { rows, columns, kept, term } = matrix;
    const shape = `${rows} rows (outputs) × ${columns} columns (inputs)`;
    const size = `${shape}, ${percent(kept / (rows * columns))} of the weights kept.`;
    if (term === null) return `${size} No pass on the calibration text called it.`;
    const known = linears.filter((linear) => linear[4] !== null);
    const rank = known.filter((linear) => linear[4] > term).length + 1;
    const place = rank === 1 ? "the largest" : `number ${rank} from the top`;
    return `${size} Its alignment term is ${term.toExponential(2)}, ${place} of ${known.length}.`;
  }

  function histogramWords(matrix) {
    const ratios = matrix.zeros.map((count) => count / matrix.columns);
    const least = Math.min(...ratios), most = Math.max(...ratios);
    if (least === most) return `All ${matrix.rows} rows have lost ${percent(least)} of their weights.`;
    return `The ${matrix.rows} rows have lost ${percent(least)} to ${percent(most)} of their weights.`;
  }

  function normWords(matrix) {
    if (!matrix.dense) return "";
    const { sums, damaged } = matrix, change = sums.pruned / (sums.dense || 1) - 1;
    const whole = `All norms together ${change < 0 ? "shrink" : "grow"} by ${percent(Math.abs(change))}.`;
    if (!damaged.length)
      return `${whole} No input's share changed: what this linear reads is the same, dense and pruned.`;
    const share = damaged.reduce((sum, one) => sum + one.share, 0), count = damaged.length;
    const named = count === 1 ? "One input makes" : `The ${count} most damaged of ${matrix.columns} inputs make`;
    return `${whole} ${named} ${percent(share, 0)} of the squared distance between the two curves.`;
  }

  function driverWords(matrix) {
    if (!matrix.driver) return matrix.undriven;
    if (!matrix.driver.some((lost) => lost))
      return `${matrix.reader} reads these rows, and it reads the input of its block, which the comparison makes the`
        + " same, dense and pruned. So nothing drives them, and a row step leaves their ratios alone.";
    const ratios = matrix.zeros.map((count) => count / matrix.columns);
    const found = NeuroAL.matrixFigures.correlation(matrix.driver, ratios);
    const reader = `${matrix.reader} reads these rows.`;
    if (found === null) {
      const flat = new Set(ratios).size === 1;
      return `${reader} ${flat ? "All rows are equally sparse: nothing follows the drivers."
        : "It lost the same everywhere."}`;
    }
    const sign = found < 0 ? "−" : "";
    return `${reader} Correlation of driver and sparsity: ${sign}${NeuroAL.fixed(Math.abs(found), 2)}.`;
  }

  /** Head and rows of the table; each row begins with the input's number. */
  function damageTable({ damaged }) {
    return {
      head: ["input", "dense, %", "pruned, %", "difference, %", "share, %"],
      rows: damaged.map(({ index, dense, pruned, difference, share }) => [
        String(index), points(dense), points(pruned), signed(difference), NeuroAL.fixed(100 * share, 1),
      ]),
    };
  }

  /** Head and rows for who cannot see the histogram. */
  function histogramTable(matrix) {
    const rows = matrix.histogram.counts.map((count, i) => [NeuroAL.matrixFigures.spanOf(matrix, i), String(count)]);
    return { head: ["pruned", "rows"], rows: rows.filter((row) => row[1] !== "0") };
  }

  NeuroAL.matrixWords = {
    damageTable, driverWords, histogramTable, histogramWords, normWords, points, signed, summaryOf,
  };
})();
