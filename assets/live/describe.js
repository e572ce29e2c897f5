/** Text alternatives: what each figure shows, as a sentence and, where numbers can be read out, a table. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const percent = (share) => (share === null || share === undefined ? "unknown" : `${NeuroAL.fixed(100 * share, 1)} %`);
  const score = (value) => (value === null ? "unknown" : value.toPrecision(4));

  /** {sentence, head, rows} of a figure; head and rows are empty where a sentence says it all. */
  function describe(name, state, step) {
    const [sentence, head = [], rows = []] = WRITE[name](state, step);
    return { sentence, head, rows };
  }

  const WRITE = {
    heatmap: (state, name) => {
      const step = state.steps[name || NeuroAL.activeStep(state)];
      const done = step.totals.filter((total) => total !== null).length;
      const size = `${done} of ${step.lambdas.length} candidates scored on ${step.blocks} blocks.`;
      const rows = step.lambdas.map((lam, i) => [NeuroAL.lambdaText(lam), ...extremes(step.scores[i])]);
      return [size, ["lambda", "lowest block score", "highest block score"], rows.filter((row) => row[1])];
    },
    scores: (state) => {
      const steps = ["block", "row"].filter((name) => name in state.steps);
      const rows = steps.flatMap((name) => scoreRows(name, state.steps[name]));
      return [steps.map((name) => winner(name, state.steps[name])).join(" "), ["step", "lambda", "score"], rows];
    },
    ratings: (state) => {
      const { measure, label, values } = state.ratings;
      const rows = values.map((value, b) => [String(b), score(value)]);
      return [`${label}, block by block.`, ["block", measure], rows];
    },
    sparsity: (state) => {
      const asked = state.allocation ? state.allocation.sparsity : [];
      const got = (variant, b) => percent(state.pruned[variant]?.achieved[b]);
      const rows = asked.map((ratio, b) => [String(b), percent(ratio), got("chosen", b), got("uniform", b)]);
      const aim = NeuroAL.target(state);
      const sentence = `Target for ${targeted(state)}: ${percent(aim)}.`;
      return [aim === null ? "Each block has a ratio of its own." : sentence, ["block", "asked", "achieved", "uniform control"], rows];
    },
    rows: (state) => {
      const rows = Object.entries(state.rows.linears).map(([name, ratios]) => [name, ...ratios.map(percent)]);
      return ["Sparsity of single rows, over all blocks.", ["linear", "smallest", "mean", "largest"], rows];
    },
    damage: (state) => {
      const measured = state.measured.perplexity ?? {};
      const shown = ["dense", "uniform", "chosen"].filter((variant) => variant in measured);
      const rows = shown.map((variant) => {
        const { value, stderr } = measured[variant];
        return [NeuroAL.variantName(state, variant), score(value), score(stderr)];
      });
      return ["Perplexity on held-out text, lower is better.", ["model", "perplexity", "standard error"], rows];
    },
    spread: (state) => spread(state),
  };

  /** A row for each calibration, and the summary in a sentence. */
  function spread(state) {
    const found = NeuroAL.calibrations(state), compared = found.some((one) => one.difference !== null);
    const variants = compared ? ["chosen", "uniform"] : ["chosen"];
    const head = variants.flatMap((variant) => [NeuroAL.variantName(state, variant), "standard error"]);
    const rows = found.map((one) => [
      one.what, ...variants.flatMap((variant) => [score(one[variant]), score(one[`${variant}_stderr`])]),
      ...(compared ? [score(one.difference)] : []),
    ]);
    const sentence = NeuroAL.spreadOf(state).sentence ?? "Perplexity by calibration, lower is better.";
    return [sentence, ["calibration", ...head, ...(compared ? ["difference"] : [])], rows];
  }

  /** What the target is the mean of. */
  const targeted = (state) => (state.spec.exclude?.length ? "what is not kept dense" : "the whole model");

  function extremes(scores) {
    const known = scores.filter((value) => value !== null);
    return known.length ? [score(Math.min(...known)), score(Math.max(...known))] : ["", ""];
  }

  function scoreRows(name, step) {
    const rows = step.lambdas.map((lam, i) => [name, NeuroAL.lambdaText(lam), step.totals[i]]);
    return rows.filter((row) => row[2] !== null).map(([a, b, total]) => [a, b, score(total)]);
  }

  function winner(name, step) {
    if (step.chosen === null) return `The ${name} step is not decided yet.`;
    const ties = step.chosen.near_ties.map(NeuroAL.lambdaText).join(", ");
    const near = ties ? ` Within 1 %: ${ties}.` : "";
    return `The ${name} step chose lambda ${NeuroAL.lambdaText(step.chosen.lam)}.${near}`;
  }

  Object.assign(NeuroAL, { describe, targeted });
})();
