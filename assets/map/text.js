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

  const unique = (values) => [...new Set(values)];

  /** The models of a sweep, without the folders or accounts that they are in. */
  const modelsOf = ({ members }) => unique(members.map((member) => member.summary.model).filter(Boolean)
    .map((model) => model.split(/[\\/]/).filter(Boolean).pop()));

  /**
   * The config card of a sweep as the paragraphs of a picture: what it varies, what all its runs share, what their
   * perplexities were measured on, and when.
   * @param {object[]} settings see assets/live/facts.js
   */
  function sweepCard(state, settings, sweep) {
    const { base = {}, axes = [] } = state.spec;
    const label = (name) => settings.find((setting) => setting.name === name)?.label ?? name;
    const words = (value) => (Array.isArray(value) ? value.join(", ") : String(value));
    const names = (axis) => unique(axis.flatMap(Object.keys));
    const varied = axes.map((axis) => `${names(axis).map(label).join(", ")}: `
      + axis.map((alternative) => Object.values(alternative).map(words).join(" ")).join(", "));
    const shared = Object.entries(base).map(([name, value]) => `${label(name)}: ${words(value)}`);
    const scales = unique(state.members.map(({ summary }) => summary).filter((summary) => summary.eval_tokens)
      .map((s) => `measured on ${s.eval_tokens} tokens of ${s.eval_source}, windows of ${s.eval_length}`));
    return [varied.join(" · "), shared.join(" · "),
      [...scales, NeuroAL.startedText(state.started_at), sweep].filter(Boolean).join(" · ")].filter(Boolean);
  }

  NeuroAL.mapText = {
    isOver, leftOut, modelsOf, nameOf, number, percent, seconds, sentenceOf, signed, sweepCard, verdictOf,
  };
})();
