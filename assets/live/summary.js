/**
 * What a finished run comes to, for one printed page: a title, what was asked, what happened in a sentence or two, the
 * damage as a table with uniform as its control, and what all of it depends on. Plain text; summary_sheet.js lays it
 * out, and tests/components/test_summary_js.py reads it.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  const VARIANTS = ["dense", "uniform", "chosen"];
  const WHERE = { block: "over the blocks", row: "over the rows" };

  // The digest of a calibration is a long number; so much of it tells two apart.
  const DIGITS_OF_DIGEST = 12;

  // A number stays on the line of its sign.
  const percent = (share) => `${Number(NeuroAL.fixed(100 * share, 1))}\u00a0%`;
  const digits = (value) => (value < 100 ? 2 : 1);
  const told = (value, places = digits(value)) => (value < 1e6 ? NeuroAL.fixed(value, places) : value.toExponential(2));
  const known = (value) => value !== null && value !== undefined;

  /**
   * @param {object} state what `fold` gives, of a run that is over
   * @param {object[]} settings the fields of RunSpec, see facts.js
   * @param {string} link where the run is found
   * @returns {{title: string, question: string[], happened: string[], lambdas: string[], head: string[],
   *     rows: string[][], card: string[]}}
   */
  function summaryOf(state, settings, link) {
    const [model, ...facts] = NeuroAL.factsOf(state, settings);
    const method = facts.find((fact) => fact.includes(" + ")) ?? "";
    const seed = facts.some((fact) => fact.startsWith("Seed")) || !known(state.spec.seed) ? [] : [`Seed: ${state.spec.seed}`];
    return {
      title: [model, method].filter(Boolean).join(": "),
      question: [...facts.filter((fact) => fact !== method), ...seed],
      happened: [searched(state).join(" "), damaged(state).join(" ")].filter(Boolean), lambdas: lambdasOf(state), ...table(state), card: cardOf(state, link),
    };
  }

  const decided = (state) => ["block", "row"].filter((name) => state.steps[name]?.chosen);

  /** "0.09 over the blocks (score 0.1234)", one for each step of a search. */
  const lambdasOf = (state) => decided(state).map((name) => {
    const { lam, score } = state.steps[name].chosen;
    return `${NeuroAL.lambdaText(lam)} ${WHERE[name]} (score ${score.toPrecision(4)})`;
  });

  /** How the ratios were found, and what they are. */
  function searched(state) {
    const steps = decided(state).map((name) => [name, state.steps[name]]);
    const tried = steps.map(([name, { totals }]) => `${totals.filter(known).length} lambdas ${WHERE[name]}`).join(" and ");
    const near = steps.map(([name, { chosen }]) => `${chosen.near_ties.length || "no"} ${WHERE[name]}`).join(" and ");
    const ratios = state.allocation?.sparsity ?? [], all = ratios.filter(known);
    const found = steps.length ? [`The search scored ${tried}; others within 1 % of the lowest score: ${near}.`] : [];
    if (!all.length) return found;
    const [least, most] = [Math.min(...all), Math.max(...all)], at = (ratio) => `${percent(ratio)} (block ${ratios.indexOf(ratio)})`;
    return [...found, most - least < 5e-4 ? `Every block loses ${percent(most)}.` : `The blocks lose from ${at(least)} to ${at(most)}.`];
  }

  /** What it did to the perplexity, beside uniform; and what other calibrations say of that. */
  function damaged(state) {
    const value = (variant) => state.measured.perplexity?.[variant]?.value ?? null;
    const [dense, uniform, chosen] = VARIANTS.map(value), name = NeuroAL.variantName(state, "chosen");
    if (chosen === null) return [];
    const rise = dense === null ? `${name} has a perplexity of ${told(chosen)}`
      : `Perplexity goes from ${told(dense)} to ${told(chosen)} (${NeuroAL.fixed(chosen / dense, 2)} times)`;
    if (state.spec.top_up === "uniform") return [`${rise}.`];
    if (uniform === null) return [`${rise}; uniform sparsity, the control, was not measured.`];
    const gain = 1 - chosen / uniform;
    const beside = Math.abs(gain) < 5e-4 ? "as much" : `so ${name} is ${percent(Math.abs(gain))} ${gain > 0 ? "lower" : "higher"}`;
    const others = NeuroAL.spreadOf(state).sentence;
    return [`${rise}; uniform sparsity has ${told(uniform)}, ${beside}.`, ...(others ? [others] : [])];
  }

  const measured = (state, metric, variant) => state.measured[metric]?.[variant] ?? null;

  /** What is told of each model: label, and how the figure is found; a row that no model has is left out. */
  const ROWS = [
    ["sparsity achieved", (state, variant) => percentOf(state.pruned[variant]?.overall)],
    ["perplexity", (state, variant) => perplexity(measured(state, "perplexity", variant))],
    ["KL divergence from dense, nats", (state, variant) => within(measured(state, "divergence", variant), (v) => NeuroAL.fixed(v, 3))],
    ["the same likeliest token", (state, variant) => percentOf(measured(state, "divergence", variant)?.details.top1)],
    ["alignment score", (state, variant) => measured(state, "alignment", variant)?.value?.toPrecision(4)],
    ["zero-shot tasks, mean", (state, variant) => within(measured(state, "zeroshot", variant), percent)],
    ["how it writes", (state, variant) => measured(state, "probes", variant)?.details.verdict],
    ["bitmask and zstd, MB", (state, variant) => megabytes(state, variant)],
  ];

  const percentOf = (share) => (known(share) ? percent(share) : undefined);
  const perplexity = (found) => within(found, (value) => told(value, digits(found.value)));
  const within = (found, show) => (known(found?.value) ? show(found.value) + (found.stderr ? ` ± ${show(found.stderr)}` : "") : undefined);

  /** Bytes of the weights in their smallest form that is measured. */
  function megabytes(state, variant) {
    const { sizes } = measured(state, "cost", "chosen")?.details ?? {};
    const bytes = { dense: sizes?.dense_zstd, chosen: sizes?.bitmask_zstd }[variant];
    return known(bytes) ? NeuroAL.fixed(bytes / 1e6, 1) : undefined;
  }

  function table(state) {
    const rows = ROWS.map(([label, find]) => [label, ...VARIANTS.map((variant) => find(state, variant))])
      .filter((row) => row.slice(1).some(known));
    const shown = VARIANTS.filter((_, i) => rows.some((row) => known(row[i + 1])));
    return {
      head: ["", ...shown.map((variant) => NeuroAL.variantName(state, variant))],
      rows: rows.map(([label, ...cells]) => [label, ...shown.map((variant) => cells[VARIANTS.indexOf(variant)] ?? "–")]),
    };
  }

  /** The config card in a few lines: when, with what, on what, and where it is found. */
  function cardOf(state, link) {
    const { key, versions, hardware, started_at, seconds, calibration } = state;
    const named = (values) => Object.entries(values).filter(([, value]) => known(value) && value !== "").map(([name, value]) => `${name} ${value}`).join(", ");
    const took = known(seconds) ? `took ${NeuroAL.durationText(seconds)}` : "";
    const digest = calibration ? `calibration ${calibration.digest.slice(0, DIGITS_OF_DIGEST)}` : "";
    const asked = key ? `question ${key.slice(0, DIGITS_OF_DIGEST)}` : "";
    return [
      [started_at && `Started ${dateText(started_at)}`, took, asked, digest], [named(versions)], [named(hardware)], [link],
    ].map((parts) => parts.filter(Boolean).join(" · ")).filter(Boolean);
  }

  /** "2026-01-15T10:00:00Z" -> "2026-01-15 10:00 UTC". */
  const dateText = (moment) => moment.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d).*(Z|\+00:00)$/, "$1 $2 UTC");

  Object.assign(NeuroAL, { summaryOf });
})();
