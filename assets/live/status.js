/** What a state says to a person. The twin of neuroal/folding/status.py. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  const STEP_NAMES = { alignment: "Alignment at uniform sparsity", block: "Block step", row: "Row step" };
  const TOP_UP_NAMES = { neuroal: "NeuroAL", owl: "OWL", alphapruning: "AlphaPruning", dsnot: "DSnoT" };

  /** [share of the planned work that is done, seconds left at the pace so far or null]. */
  function progress(state) {
    if (state.status === "finished") return [1, null];
    const [total, done] = NeuroAL.work(state);
    if (total <= 0) return [0, null];
    const pace = state.pace;
    const paced = pace === null ? 0 : done - pace.work;
    // The first few events after a start say little about the pace: wait for 2 % of the work.
    if (state.status !== "running" || paced < 0.02 * total || paced <= 0) return [done / total, null];
    return [done / total, ((total - done) * (state.t - pace.t)) / paced];
  }

  /** One plain line: what happens now, or how the run ended. */
  function sentence(state) {
    switch (state.status) {
      case "queued": return queued(state.position);
      case "failed": return state.failure;
      case "cancelled": return "Cancelled. What was found until then is shown.";
      case "interrupted": return state.failure || "The server stopped while this run was going. It can be resumed.";
      case "finished": return finished(state);
      default: return running(state);
    }
  }

  /** The search step going on or, later, the last that scored anything. */
  const activeStep = (state) => ["row", "block", "alignment"].find((name) => name in state.steps) ?? null;

  /** The sparsity asked of the whole model; null where a person gave each block its own, whose mean it then is. */
  const target = (state) => (state.spec.block_sparsity ? null : state.spec.sparsity ?? null);

  function queued(position) {
    if (position === null) return "Waiting to start.";
    return position <= 1 ? "Waiting for a free worker: next in line." : `Waiting: number ${position} in line.`;
  }

  /** The stage's own sentence, and how far it is. */
  function running(state) {
    const [name, variant] = NeuroAL.splitStage(state.stage);
    const step = activeStep(state);
    if (["search", step].includes(state.stage) && step !== null && state.steps[step].chosen === null) {
      const detail = searching(state.steps[step], state.spec.mode === "auto");
      return detail ? `${STEP_NAMES[step] ?? step}: ${detail}` : ended(state.message);
    }
    if (name === "rate" && state.ratings) return blocksDone(state, state.ratings.values.length);
    if (name === "prune" && variant in state.pruned) return blocksDone(state, state.pruned[variant].achieved.length);
    if (name === "evaluate" && variant in state.evaluated) {
      const seen = state.evaluated[variant];
      return ended(`${bare(state.message)}: ${seen.done} of ${seen.total}`);
    }
    return ended(state.message || "Starting");
  }

  /** The stage's own sentence, with the blocks that are done. */
  function blocksDone(state, done) {
    return ended(`${bare(state.message)}: ${done} of ${state.model ? state.model.blocks : done} blocks`);
  }

  /** Which candidate is being scored, and how far; empty before the first. some: not every one will be. */
  function searching(step, some) {
    if (step.current === null) return "";
    const lam = lambdaText(step.lambdas[step.current]);
    const scored = step.totals.filter((total, i) => total !== null && i !== step.current).length;
    const place = some ? `candidate ${scored + 1}` : `${step.current + 1} of ${step.lambdas.length}`;
    const text = `trying lambda ${lam} (${place})`;
    return step.block === null ? `${text}.` : `${text}, ${step.block + 1} of ${step.blocks} blocks.`;
  }

  function finished(state) {
    const took = `Finished in ${durationText(state.seconds)}`;
    const perplexity = state.measured.perplexity ?? {};
    const shown = ["dense", "uniform", "chosen"].filter((v) => (perplexity[v]?.value ?? null) !== null);
    if (!shown.length) return `${took}.`;
    const figures = shown.map((v) => `${fixed(perplexity[v].value, 2)} ${variantName(state, v, false)}`);
    return `${took}. Perplexity: ${figures.join(", ")}.`;
  }

  /** A person's word for a variant: the chosen one goes by the name of its top-up. */
  function variantName(state, variant, capital = true) {
    let name = variant;
    if (variant === "chosen") name = state.allocation ? state.allocation.top_up : state.spec.top_up ?? variant;
    if (Object.hasOwn(TOP_UP_NAMES, name)) return TOP_UP_NAMES[name];
    return capital ? name.slice(0, 1).toUpperCase() + name.slice(1) : name;
  }

  const bare = (message) => (message.endsWith(".") ? message.slice(0, -1) : message);
  const ended = (message) => ([".", "!", "?", "…"].some((sign) => message.endsWith(sign)) ? message : `${message}.`);

  /** The value with that many decimals, halves rounded up: the same in Python. */
  function fixed(value, digits) {
    const scale = 10 ** digits;
    return (Math.floor(value * scale + 0.5) / scale).toFixed(digits);
  }

  /** Two decimals, more (up to four) only where they are needed. */
  function lambdaText(lam) {
    let text = fixed(lam, 4);
    while (text.endsWith("0") && text.length > 4) text = text.slice(0, -1);
    return text;
  }

  /** "41 s", "2 min 41 s", "1 h 05 min". */
  function durationText(seconds) {
    const whole = Math.floor(seconds + 0.5);
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
    const minutes = Math.floor(whole / 60);
    return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
  }

  Object.assign(NeuroAL, { progress, sentence, activeStep, target, variantName, fixed, lambdaText, durationText });
})();
