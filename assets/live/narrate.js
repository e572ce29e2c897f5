/**
 * A sentence per step: what just happened, and why it matters. Each is a function of a record and of the state right
 * after it; a kind that is not in the table has nothing to say, and no step ends at it.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { fixed, lambdaText, variantName } = NeuroAL;

  const percent = (share, digits = 1) => `${fixed(100 * share, digits)} %`;
  const known = (value) => value !== null && value !== undefined;
  const count = (number, one) => `${number} ${one}${number === 1 ? "" : "s"}`;
  const total = (values) => values.reduce((sum, value) => sum + value, 0);
  const whole = (number) => Math.round(number).toLocaleString("en-US");
  const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";

  /** Three digits: 0.0123, 1.27×10⁻⁵. */
  function scoreText(score) {
    if (score === 0 || Math.abs(score) >= 0.001) return String(Number(score.toPrecision(3)));
    const [digits, exponent] = score.toExponential(2).split("e-");
    return `${digits}×10⁻${[...exponent].map((digit) => SUPERSCRIPT[digit]).join("")}`;
  }

  /** "2.1 % less than", "as much as": a figure beside another one. */
  function beside(value, other, [less, more, same]) {
    const share = other ? value / other - 1 : 0;
    if (Math.abs(share) < 0.0005) return same;
    return `${percent(Math.abs(share))} ${share < 0 ? less : more}`;
  }

  const DRIFT = ["less than", "more than", "as much as"];
  const HEIGHT = ["below", "above", "level with"];

  /** Index of the finished candidate with the lowest score, but for one; -1 where there is none. */
  function bestBut(step, but) {
    let best = -1;
    step.totals.forEach((score, i) => {
      if (i !== but && known(score) && (best < 0 || score < step.totals[best])) best = i;
    });
    return best;
  }

  // --- the search -------------------------------------------------------------------------------------------------

  function searchStarted(state, { step, lambdas }) {
    const some = state.spec.mode === "auto" && !state.spec.lambdas;
    const grid = lambdas.length === 1 ? "One lambda is tried."
      : some ? `Of ${lambdas.length} lambdas as few are tried as show where the lowest score is.`
        : `All ${lambdas.length} lambdas of the grid are tried.`;
    return step === "row"
      ? "Now the rows of each block: those that the next layers feel most are to be spared, and lambda says how much."
        + ` ${grid}`
      : "Lambda is a slope: a small one takes nearly the same from every block, a large one spares early blocks at the"
        + ` cost of late ones. ${grid}`;
  }

  function candidateStarted(state, { step, index, lam, sparsity }) {
    if (step === "alignment")
      return "First the control: every block is pruned to the same sparsity, to see what the rows should make up for.";
    const { lambdas, totals } = state.steps[step];
    const scored = totals.filter((score, i) => known(score) && i !== index).length;
    const place = state.spec.mode === "auto" ? `candidate ${scored + 1}` : `candidate ${index + 1} of ${lambdas.length}`;
    const head = `Lambda ${lambdaText(lam)}, ${place}`;
    if (step === "row") return lam === 0
      ? `${head}: all rows of a linear lose the same, as after the block step.`
      : `${head}: rows now differ around the ratio of their block.`;
    if (sparsity.length < 2) return `${head}: the block loses ${percent(sparsity[0] ?? 0)}.`;
    return `${head}: the first block loses ${percent(sparsity[0])} of its weights, the last ${percent(sparsity.at(-1))}.`;
  }

  function blockScored(state, { step: name, index, lam, block, score }) {
    const step = state.steps[name], row = step.scores[index];
    const before = row.filter((value, b) => b !== block && known(value));
    const under = name === "alignment" ? "at uniform sparsity" : `under lambda ${lambdaText(lam)}`;
    const parts = [];
    if (before.length && score > Math.max(...before)) parts.push("the largest so far");
    else if (before.length && score < Math.min(...before)) parts.push("the smallest so far");
    const best = bestBut(step, index), there = best < 0 ? [] : step.scores[best].slice(0, block + 1);
    if (known(there[block]))
      parts.push(`${beside(score, there[block], DRIFT)} under lambda ${lambdaText(step.lambdas[best])}, the best so far`);
    const drift = `Block ${block} ${under}: its activations drift by ${scoreText(score)}`;
    const seen = parts.length ? `${drift}, ${parts.join(" and ")}` : drift;
    const stands = `${seen}. This candidate stands at ${scoreText(total(row.filter(known)))}`;
    const done = `after ${block + 1} of ${step.blocks} blocks`;
    if (!there.length || !there.every(known)) return `${stands} ${done}.`;
    return `${stands} ${done}; the best one stood at ${scoreText(total(there))} there.`;
  }

  function candidateFinished(state, { step: name, index, lam, score }) {
    const step = state.steps[name], best = bestBut(step, index);
    if (name === "alignment")
      return `Uniform sparsity scores ${scoreText(score)}. The row step starts from what each row lost here.`;
    const head = `Lambda ${lambdaText(lam)} is scored: ${scoreText(score)} over all blocks`;
    if (best < 0) return `${head}. This is what the others have to beat.`;
    const other = `lambda ${lambdaText(step.lambdas[best])}`, beaten = step.totals[best];
    if (score < beaten) return `${head}, the lowest so far: ${beside(score, beaten, HEIGHT)} ${other}.`;
    const close = score <= 1.01 * beaten ? " That is as good as equal." : "";
    return `${head}, ${beside(score, beaten, HEIGHT)} ${other}, the best so far.${close}`;
  }

  function lambdaChosen(state, { step: name, lam, score, near_ties: ties }) {
    const step = state.steps[name], left = step.totals.filter((found) => !known(found)).length;
    const spared = left ? ` ${count(left, "candidate")} need not be scored: they promised no gain.` : "";
    const near = ties.length
      ? `${ties.map(lambdaText).join(", ")} ${ties.length === 1 ? "comes" : "come"} within 1 % of it, as good as equal.`
      : "No other comes within 1 % of it.";
    const words = { block: "The slope over the blocks is chosen", row: "The spread over the rows is chosen" };
    const best = `lambda ${lambdaText(lam)}, whose score of ${scoreText(score)} is the lowest`;
    return `${words[name] ?? "Chosen"}: ${best}. ${near}${spared}`;
  }

  // --- without a search, and what comes after ---------------------------------------------------------------------

  function blockRated(state, { block, value, label }) {
    const before = state.ratings.values.slice(0, block).filter(known);
    if (!known(value)) return `Block ${block} has no figure.`;
    const rank = before.length && value > Math.max(...before) ? ", the highest so far"
      : before.length && value < Math.min(...before) ? ", the lowest so far" : "";
    const figure = Number(value.toPrecision(3));
    return `Block ${block} of the dense model is rated ${figure}${rank} (${label}). Ratios follow this figure.`;
  }

  function allocationReady(_, { sparsity }) {
    const least = sparsity.indexOf(Math.min(...sparsity)), most = sparsity.indexOf(Math.max(...sparsity));
    const [low, high] = [sparsity[least], sparsity[most]].map((ratio) => percent(ratio));
    if (low === high) return `It is decided: every block loses ${low} of its weights.`;
    return `It is decided: block ${least} loses least (${low}), block ${most} most (${high}).`;
  }

  function rowsAllocated(_, { linears }) {
    const widest = Object.entries(linears).sort((a, b) => b[1][2] - b[1][0] - (a[1][2] - a[1][0]))[0];
    if (!widest || widest[1][2] - widest[1][0] < 0.0005) return "All rows of a block lose the same.";
    const [name, [least, , most]] = widest;
    return `Rows get ratios of their own: those of ${name} differ most, from ${percent(least)} to ${percent(most)}.`;
  }

  const whose = (state, variant) =>
    variant === "chosen" ? `as ${variantName(state, variant)} chose` : "uniformly, for the control";

  const MEASURED = {
    alignment: (name, { value }) =>
      `Alignment score of ${name}: ${scoreText(value)}. The lower, the closer to the dense model's activations.`,
    divergence: (name, { value }) =>
      `The predictions of ${name} diverge from the dense model's by ${fixed(value, 3)} nats a token (KL).`,
    zeroshot: (name, { value }) => `${name} answers ${percent(value)} of the questions correctly.`,
    probes: (name, { details }) =>
      `What ${name} writes was read${details?.verdict ? `; the verdict: ${details.verdict}` : ""}.`,
  };

  function perplexity(state, { variant, value }) {
    const name = variantName(state, variant), other = variant === "chosen" ? "uniform" : "chosen";
    if (!known(value)) return `The perplexity of ${name} is beyond all numbers: the model is broken.`;
    const figures = state.measured.perplexity, text = (v) => fixed(figures[v].value, 2);
    if (variant === "dense")
      return `The dense model has a perplexity of ${text("dense")} on held-out text: what pruning is measured against.`;
    const times = known(figures.dense?.value) ? `, ${fixed(value / figures.dense.value, 2)} times the dense model's` : "";
    const pair = known(figures[other]?.value)
      ? ` ${variantName(state, other)} has ${text(other)}: ${name} is ${beside(value, figures[other].value, HEIGHT)} it.`
      : "";
    return `${name}${variant === "uniform" ? ", the control," : ""} has a perplexity of ${text(variant)}${times}.${pair}`;
  }

  function measured(state, record) {
    const { metric, variant, value } = record, name = variantName(state, variant);
    if (metric === "perplexity") return perplexity(state, record);
    if (Object.hasOwn(MEASURED, metric) && known(value)) return MEASURED[metric](name, record);
    const figure = known(value) ? Number(value.toPrecision(4)) : "no number";
    return `Measured of ${name}: ${metric.split("/").pop()}, ${figure}.`;
  }

  function question({ spec }) {
    if (spec.block_sparsity)
      return `The question: what is left of ${spec.model} if each block loses the ratio that was given for it?`;
    const decides = spec.top_up === "uniform" ? "Every block is to lose the same."
      : `${variantName({ spec, allocation: null }, "chosen")} decides where more goes and where less.`;
    const share = percent(spec.sparsity ?? 0, 1).replace(".0 ", " ");
    return `The question: which ${share} of the weights in the blocks of ${spec.model} can go? ${decides}`;
  }

  const SENTENCES = {
    RunStarted: question,
    ModelReady: (_, r) =>
      `${r.name} is loaded: ${r.blocks} blocks with ${whole(r.prunable)} weights that may go. It stays whole; only copies`
      + " are pruned.",
    CalibrationReady: (_, r) =>
      `${count(r.samples, "sequence")} of ${r.length} tokens drawn. Whatever is compared is compared on this text.`,
    StageStarted: (_, r) => r.message,
    Notice: (_, r) => r.message,
    SearchStarted: searchStarted,
    CandidateStarted: candidateStarted,
    BlockScored: blockScored,
    CandidateFinished: candidateFinished,
    LambdaChosen: lambdaChosen,
    BlockRated: blockRated,
    AllocationReady: allocationReady,
    RowsAllocated: rowsAllocated,
    BlockPruned: (s, r) =>
      `Block ${r.block} is pruned ${whose(s, r.variant)}: ${percent(r.achieved)} of its weights are zero now,`
      + ` ${percent(r.requested)} were asked.`,
    PruningFinished: (s, r) => `All blocks are pruned ${whose(s, r.variant)}: ${percent(r.overall, 2)} zeros in all.`,
    Evaluated: (s, r) =>
      `Measuring ${variantName(s, r.variant)}, ${r.metric ?? "perplexity"}: ${r.done} of ${r.total} done.`,
    Measured: measured,
    TokensCompared: (_, r) =>
      `Both models have read ${r.start + r.text.length} of ${r.total} tokens of a text; its colours say how far they`
      + " disagree.",
    RunFinished: (s) => NeuroAL.sentence(s),
    RunFailed: (s) => NeuroAL.sentence(s),
    RunCancelled: (s) => NeuroAL.sentence(s),
    RunInterrupted: (s) => NeuroAL.sentence(s),
    RunResumed: () => "The run goes on from what was finished.",
  };

  const BEFORE = "Nothing has happened yet. Step forwards, or press Play.";

  /** What a step says; `record`: the one that it ended at, or null before the first. */
  const narrate = (state, record) => (record ? SENTENCES[record.kind](state, record) : BEFORE);

  Object.assign(NeuroAL, { narrate, scoreText, STEP_SENTENCES: SENTENCES });
})();
