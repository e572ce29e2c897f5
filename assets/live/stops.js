/** Where a log can be stopped at, block by block or candidate by candidate, and the stretches of its time line. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  // What a candidate, or anything else of that size, ends with.
  const LARGE = new Set([
    "ModelReady", "CalibrationReady", "CandidateFinished", "LambdaChosen", "AllocationReady", "PruningFinished", "Measured",
    "RunFinished", "RunFailed", "RunCancelled", "RunInterrupted",
  ]);

  const STRETCHES = {
    model: "Load", calibration: "Read", alignment: "Uniform", block: "Search blocks", row: "Search rows", rate: "Rate",
    prune: "Prune", evaluate: "Measure",
  };

  /** Whether a step may end at a record: it has something to say. */
  const isStop = (record) => Object.hasOwn(NeuroAL.STEP_SENTENCES, record.kind);
  const ends = (record, unit) => (unit === "candidate" ? LARGE.has(record.kind) : isStop(record));

  /** How many records lead to the last stop among the first `at`; 0 where there is none. */
  function stopAt(records, at) {
    while (at > 0 && !isStop(records[at - 1])) at -= 1;
    return at;
  }

  /** How many records are passed after one step; without a further stop, all of them or none. */
  function nextStop(records, at, direction, unit) {
    for (let to = at + direction; to > 0 && to <= records.length; to += direction)
      if (ends(records[to - 1], unit)) return to;
    return direction > 0 ? records.length : 0;
  }

  /** The name of what begins with a record, "" where it only goes on. */
  function beginning(record) {
    if (record.kind === "SearchStarted" || record.kind === "CandidateStarted") return STRETCHES[record.step] ?? record.step;
    if (record.kind !== "StageStarted" || record.stage === "search") return "";
    const [name] = NeuroAL.splitStage(record.stage);
    return STRETCHES[name] ?? name;
  }

  /** The stretches of a time line, [{name, from}] in records, and where candidates begin, as numbers of records. */
  function marks(records) {
    const stretches = [], candidates = [];
    records.forEach((record, i) => {
      const name = beginning(record);
      if (name && name !== stretches.at(-1)?.name) stretches.push({ name, from: i });
      if (record.kind === "CandidateStarted") candidates.push(i);
    });
    return { stretches, candidates };
  }

  Object.assign(NeuroAL, { isStop, nextStop, stopAt, timeMarks: marks });
})();
