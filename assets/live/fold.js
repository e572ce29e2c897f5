/**
 * Folding: an event log becomes one plain state object. The twin of neuroal/folding/fold.py and components/work.py;
 * tests/components/test_fold_js.py holds them together, so a change here needs its twin there.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  const COUNTED = ["BlockRated", "BlockScored", "BlockPruned", "Evaluated"];

  /** The state before the first event. */
  function emptyState() {
    return {
      last: 0, t: 0, status: "queued", position: null, stage: "", message: "",
      spec: {}, key: "", versions: {}, hardware: {}, started_at: "",
      model: null, calibration: null, units: {}, pace: null,
      steps: {}, ratings: null, allocation: null, rows: null, pruned: {}, evaluated: {}, measured: {},
      compared: {},
      notices: [], failure: "", seconds: null, peak_memory: null,
    };
  }

  /** Fold one record into the state, in place; numbers folded already and unknown kinds change nothing. */
  function fold(state, record) {
    if (record.n <= state.last) return state;
    state.last = record.n;
    state.t = record.t;
    keepPace(state, record);
    if (Object.hasOwn(HANDLERS, record.kind)) HANDLERS[record.kind](state, record);
    return state;
  }

  /** The state after all records, oldest first. */
  function foldAll(records) {
    return records.reduce(fold, emptyState());
  }

  /** Planned and finished work, in the units of the plan. */
  function work(state) {
    let total = 0, done = 0;
    for (const [stage, unit] of Object.entries(state.units)) {
      total += unit.units * unit.weight;
      done += Math.min(counted(state, stage, unit.units), unit.units) * unit.weight;
    }
    return [total, done];
  }

  /** Countable events of a stage so far, counted in what is known: a repeated event counts once. */
  function counted(state, stage, planned) {
    const [name, variant] = split(stage);
    if (name === "prune") return known((state.pruned[variant] || { achieved: [] }).achieved);
    if (name === "evaluate") {
      // A figure may be remembered from another run and come without any batch.
      const [of, metric] = split(variant);
      if (of in (state.measured[metric || "perplexity"] ?? {})) return planned;
      const seen = state.evaluated[variant];
      return seen ? (planned * seen.done) / seen.total : 0;
    }
    if (name === "rate") return state.ratings ? state.ratings.values.length : 0; // in order; one may have no figure
    const step = state.steps[name];
    if (step && step.chosen !== null) return planned; // not every candidate need be scored
    return step ? step.scores.reduce((sum, row) => sum + known(row), 0) : 0;
  }

  /** "prune:uniform" -> ["prune", "uniform"]. */
  function split(stage) {
    const at = stage.indexOf(":");
    return at < 0 ? [stage, ""] : [stage.slice(0, at), stage.slice(at + 1)];
  }

  const known = (values) => values.filter((value) => value !== null).length;

  /** Start the clock of the pace at the first work of a run or of its resumption. */
  function keepPace(state, record) {
    const works = COUNTED.includes(record.kind) || (record.stage !== undefined && record.stage in state.units);
    if (state.pace === null && works) state.pace = { t: record.t, work: work(state)[1] };
  }

  /** values[index] = value, growing the list with null where it is too short. */
  function put(values, index, value) {
    while (values.length <= index) values.push(null);
    values[index] = value;
  }

  const fields = (record, names) => Object.fromEntries(names.split(" ").map((name) => [name, record[name]]));
  const nulls = (length) => Array(length).fill(null);

  /** scores[lambda][block], totals[lambda], sparsity[lambda][block]: null until known. */
  function newStep(lambdas, blocks, target) {
    return {
      lambdas, blocks, target,
      scores: lambdas.map(() => nulls(blocks)), totals: nulls(lambdas.length), sparsity: nulls(lambdas.length),
      current: null, block: null, chosen: null,
    };
  }

  /** The step of a record, with room for its candidate, which becomes the current one. */
  function candidate(state, record) {
    const step = (state.steps[record.step] ||= newStep([], 0, null));
    while (step.scores.length <= record.index) {
      step.scores.push(nulls(step.blocks));
      put(step.totals, step.scores.length - 1, null);
      put(step.sparsity, step.scores.length - 1, null);
    }
    put(step.lambdas, record.index, record.lam);
    step.current = record.index;
    return step;
  }

  const same = (a, b) => a.length === b.length && a.every((value, i) => value === b[i]);

  const variantOf = (state, record) =>
    (state.pruned[record.variant] ||= { requested: [], achieved: [], overall: null });

  const HANDLERS = {
    Queued: (s, r) => Object.assign(s, { status: "queued", position: r.position }),
    RunStarted: (s, r) =>
      Object.assign(s, fields(r, "spec key versions hardware started_at"), { status: "running", position: null }),
    RunPlanned: (s, r) => { s.units = r.units; },
    StageStarted: (s, r) => Object.assign(s, fields(r, "stage message")),
    Notice: (s, r) => { if (!s.notices.includes(r.message)) s.notices.push(r.message); },
    RunFinished: (s, r) => Object.assign(s, fields(r, "seconds peak_memory"), { status: "finished" }),
    RunFailed: (s, r) => Object.assign(s, { status: "failed", failure: r.message }),
    RunCancelled: (s) => { s.status = "cancelled"; },
    RunInterrupted: (s, r) => Object.assign(s, { status: "interrupted", failure: r.message ?? "" }),
    RunResumed: (s) => Object.assign(s, { status: "running", position: null, pace: null }),
    ModelReady: (s, r) => {
      s.model = fields(r, "name source blocks parameters prunable linears dtype device seconds");
    },
    CalibrationReady: (s, r) => { s.calibration = fields(r, "source samples length digest seconds"); },
    SearchStarted: (s, r) => {
      const before = s.steps[r.step];
      // A resumed run may announce its grid again: what was scored stays.
      if (!before || !same(before.lambdas, r.lambdas) || before.blocks !== r.blocks)
        s.steps[r.step] = newStep([...r.lambdas], r.blocks, r.target);
    },
    CandidateStarted: (s, r) => {
      const step = candidate(s, r);
      step.sparsity[r.index] = [...r.sparsity];
      step.block = null;
    },
    BlockScored: (s, r) => {
      const step = candidate(s, r);
      put(step.scores[r.index], r.block, r.score);
      step.blocks = Math.max(step.blocks, r.block + 1);
      step.block = r.block;
    },
    CandidateFinished: (s, r) => { candidate(s, r).totals[r.index] = r.score; },
    LambdaChosen: (s, r) => { candidate(s, r).chosen = fields(r, "index lam score near_ties"); },
    BlockRated: (s, r) => {
      if (s.ratings === null || s.ratings.measure !== r.measure)
        s.ratings = { ...fields(r, "measure label"), values: [] };
      put(s.ratings.values, r.block, r.value);
    },
    AllocationReady: (s, r) => { s.allocation = fields(r, "top_up sparsity"); },
    RowsAllocated: (s, r) => { s.rows = fields(r, "edges counts linears"); },
    BlockPruned: (s, r) => {
      const variant = variantOf(s, r);
      put(variant.requested, r.block, r.requested);
      put(variant.achieved, r.block, r.achieved);
    },
    PruningFinished: (s, r) => { variantOf(s, r).overall = r.overall; },
    Evaluated: (s, r) => {
      const metric = r.metric ?? "perplexity"; // the only one that there was at first
      s.evaluated[metric === "perplexity" ? r.variant : `${r.variant}:${metric}`] = fields(r, "done total");
    },
    Measured: (s, r) => {
      const figures = fields(r, "source value stderr tokens length seconds");
      (s.measured[r.metric] ||= {})[r.variant] = { ...figures, details: r.details ?? {} };
    },
    TokensCompared: (s, r) => {
      const columns = ["text", "kl", "dense", "pruned", "dense_top", "pruned_top"];
      const kept = (s.compared[r.variant] ||=
        { total: r.total, ...Object.fromEntries(columns.map((column) => [column, []])) });
      for (const column of columns) r[column].forEach((value, i) => put(kept[column], r.start + i, value));
    },
  };

  Object.assign(NeuroAL, { emptyState, fold, foldAll, work, splitStage: split });
})();
