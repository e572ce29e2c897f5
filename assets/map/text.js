/** What the map of a sweep says in words: where it stands, whether a method helped, what was left out. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  const ENDED = ["finished", "failed", "cancelled", "interrupted"];

  const isOver = (state) => ENDED.includes(state.status);

  const percent = (share) => `${NeuroAL.fixed(100 * share, 1).replace(/\.0$/, "")} %`;
  const signed = (share) => `${share > 0 ? "+" : share < 0 ? "−" : ""}${NeuroAL.fixed(Math.abs(100 * share), 1)} %`;
  const number = (value) => (value === null || value === undefined ? ""
    : value.toLocaleString("en", { maximumFractionDigits: value < 100 ? 2 : 0 }));
  const seconds = (value) => (value === null || value === undefined ? "" : NeuroAL.durationText(value));
  const nameOf = (member) => `${member.label} at ${percent(member.sparsity)}`;

  /** Where the sweep stands. */
  function sentenceOf(state) {
    const { runs, finished, failed, reused } = NeuroAL.sweepCounts(state);
    if (!state.last) return "Connecting.";
    if (!runs) return state.status === "queued" ? "Waiting for its turn." : "Getting ready.";
    const parts = [`${finished} of ${runs} runs done${reused ? ` (${reused} answered before)` : ""}`];
    if (failed && state.status !== "running") parts.push(`${failed} not finished`);
    const done = parts.join(", ");
    if (isOver(state)) return `${done}. ${ENDINGS[state.status](state)}`;
    const now = state.members.filter((m) => m.status === "running").map(nameOf).join("; ");
    const fresh = finished - reused, left = runs - finished - failed;
    const about = fresh && left ? ` About ${NeuroAL.durationText((state.t / fresh) * left)} left.` : "";
    return `${done}.${now ? ` Now: ${now}.` : ""}${about}`;
  }

  const ENDINGS = {
    finished: (state) => `Finished in ${NeuroAL.durationText(state.seconds ?? state.t)}.`,
    cancelled: () => "Stopped; Resume goes on with what is left.",
    interrupted: () => "The server stopped in the middle; Resume goes on with what is left.",
    failed: (state) => `${state.failure} Resume goes on with what is left.`,
  };

  /** How many runs are not on the map, and why. */
  function leftOut({ left, why }) {
    const runs = left === 1 ? "1 other run of this model is" : `${left} other runs of this model are`;
    return `${runs} left out, because perplexities can only be compared on one scale. ${why.join(" ")}`;
  }

  /** Did it help, by how much, at what cost. */
  function verdictOf({ label, runs, better, gain: share, seconds: cost }) {
    const often = runs === 1 ? (better ? "had a lower perplexity than uniform" : "had no lower perplexity than uniform")
      : `had a lower perplexity than uniform in ${better} of ${runs} runs`;
    const size = `${NeuroAL.fixed(Math.abs(100 * share), 1)} % ${share >= 0 ? "lower" : "higher"}`;
    const price = cost === null ? "" : `, for ${NeuroAL.durationText(cost)} of search`;
    return `${label} ${often}: ${size}${runs > 1 ? " on average" : ""}${price}.`;
  }

  NeuroAL.mapText = { isOver, leftOut, nameOf, number, percent, seconds, sentenceOf, signed, verdictOf };
})();
