/**
 * Folding the log of a sweep. The twin of neuroal/folding/sweep_fold.py; tests/components/test_map_js.py holds them together.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  /** The state before the first event. */
  function emptySweep() {
    return {
      last: 0, t: 0, status: "queued", spec: {}, refusals: [], members: [], started_at: "", seconds: null, failure: "",
    };
  }

  /** Fold one record into the state, in place; numbers folded already and unknown kinds change nothing. */
  function foldSweep(state, record) {
    if (record.n <= state.last) return state;
    state.last = record.n;
    state.t = record.t;
    if (Object.hasOwn(HANDLERS, record.kind)) HANDLERS[record.kind](state, record);
    return state;
  }

  /** How many runs there are, and how many of them are finished, failed (or cancelled) and reused. */
  function sweepCounts(state) {
    const count = (test) => state.members.filter(test).length;
    return {
      runs: state.members.length,
      finished: count((m) => m.status === "finished"),
      failed: count((m) => ["failed", "cancelled", "interrupted"].includes(m.status)),
      reused: count((m) => m.reused),
    };
  }

  const HANDLERS = {
    Queued: (s) => { s.status = "queued"; },
    SweepStarted: (s, r) => {
      const fresh = { run: "", status: "waiting", reused: false, summary: {}, message: "" };
      Object.assign(s, { status: "running", spec: r.spec, refusals: [...r.refusals], started_at: r.started_at });
      s.members = r.members.map((member) => ({ ...member, ...fresh }));
    },
    MemberStarted: (s, r) => {
      if (s.members[r.index]) Object.assign(s.members[r.index], { run: r.run, status: "running", message: "" });
    },
    MemberFinished: (s, r) => {
      const { run, status, reused, summary, message } = r;
      if (s.members[r.index]) Object.assign(s.members[r.index], { run, status, reused, summary, message });
    },
    RunResumed: (s) => { s.status = "running"; },
    RunFinished: (s, r) => Object.assign(s, { status: "finished", seconds: r.seconds }),
    RunFailed: (s, r) => Object.assign(s, { status: "failed", failure: r.message }),
    RunCancelled: (s) => { s.status = "cancelled"; },
    RunInterrupted: (s) => { s.status = "interrupted"; },
  };

  Object.assign(NeuroAL, { emptySweep, foldSweep, sweepCounts });
})();
