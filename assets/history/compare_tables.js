/** Two to four runs beside each other in words: settings that differ, figures, and why figures may not be compared. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  // What must be the same for two perplexities to be on one scale: [what a person calls it, how it is read].
  const SAME = [
    ["the model", (state) => state.spec.model],
    ["the model's revision", (state) => state.spec.revision],
    ["the held-out text", (state) => state.measured.perplexity.chosen.source],
    ["one's own held-out text", (state) => state.spec.eval_text ?? ""],
    ["the window length", (state) => state.measured.perplexity.chosen.length],
    ["the number of tokens", (state) => state.measured.perplexity.chosen.tokens],
  ];

  const OWN_TEXTS = ["text", "eval_text"];

  /**
   * Settings of which the runs do not all have the same value, as rows of texts.
   * @param {{name: string, label: string, default: *, choices: ?object}[]} settings the fields of RunSpec
   * @param {Object<string, string[]>} claimed settings that only some top-ups look at, and which
   */
  function differingSettings(states, settings, claimed) {
    const asked = states.filter((state) => Object.keys(state.spec).length);
    return settings.flatMap((setting) => {
      const valueOf = ({ spec }) => (spec[setting.name] === undefined ? setting.default : spec[setting.name]);
      if (new Set(asked.map((state) => JSON.stringify(valueOf(state)))).size < 2) return [];
      const looked = ({ spec }) => spec.top_up !== undefined && (claimed[setting.name] ?? [spec.top_up]).includes(spec.top_up);
      return [[setting.label, ...states.map((state) => (looked(state) ? words(setting, valueOf(state)) : "–"))]];
    });
  }

  function words({ name, choices }, value) {
    if (value === true) return "yes";
    if (value === false) return "no";
    if (value === null || value === "" || value?.length === 0) return "none";
    if (OWN_TEXTS.includes(name)) return `a text of one's own (${String(value).slice(0, 8)})`;
    if (Array.isArray(value)) return value.join(", ");
    if (name === "sparsity") return `${Number(NeuroAL.fixed(100 * value, 1))} %`;
    return choices?.[value] ? choices[value].split(": ")[0] : String(value);
  }

  const measured = (state, metric, variant) => state.measured[metric]?.[variant] ?? null;
  const give = (found, show) => {
    if (!found) return "–";
    if (found.value === null) return "infinite";
    return `${show(found.value)}${found.stderr ? ` ± ${show(found.stderr)}` : ""}`;
  };
  const told = (value, show) => (value === null || value === undefined ? "–" : show(value));
  const lambda = (step) => (state) => told(state.steps[step]?.chosen?.lam, NeuroAL.lambdaText);
  const nats = (value) => NeuroAL.fixed(value, 3);

  const FIGURES = [
    ["Sparsity achieved", (s) => told(s.pruned.chosen?.overall, NeuroAL.shareText)],
    ["Perplexity", (s) => give(measured(s, "perplexity", "chosen"), NeuroAL.figureText)],
    ["Perplexity, uniform control", (s) => give(measured(s, "perplexity", "uniform"), NeuroAL.figureText)],
    ["Perplexity, dense", (s) => give(measured(s, "perplexity", "dense"), NeuroAL.figureText)],
    ["KL divergence from dense, nats", (s) => give(measured(s, "divergence", "chosen"), nats)],
    ["The same likeliest token", (s) => told(measured(s, "divergence", "chosen")?.details.top1, NeuroAL.shareText)],
    ["Zero-shot accuracy", (s) => give(measured(s, "zeroshot", "chosen"), NeuroAL.shareText)],
    ["Zero-shot accuracy, dense", (s) => give(measured(s, "zeroshot", "dense"), NeuroAL.shareText)],
    ["What it writes is", (s) => told(measured(s, "probes", "chosen")?.details.verdict, String)],
    ["Size as bitmask and zstd, of dense", (s) => told(measured(s, "cost", "chosen")?.value, NeuroAL.shareText)],
    ["Block lambda", lambda("block")],
    ["Row lambda", lambda("row")],
    ["The whole run", (s) => NeuroAL.took(s.seconds)],
  ];

  /** Figures that at least one of the runs has, as rows of texts. */
  const measuredFigures = (states) => FIGURES.map(([label, read]) => [label, ...states.map(read)])
    .filter(([, ...cells]) => cells.some((cell) => cell !== "–"));

  /** Why the perplexities of these runs are not on one scale, as sentences. */
  function incomparable(states) {
    const known = states.filter((state) => measured(state, "perplexity", "chosen"));
    const differing = SAME.filter(([, read]) => new Set(known.map((state) => JSON.stringify(read(state) ?? null))).size > 1);
    if (!differing.length) return [];
    const names = differing.map(([name]) => name);
    const listed = names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}` : names[0];
    return [`These perplexities are not on one scale: ${listed} ${names.length > 1 ? "differ" : "differs"}.`];
  }

  Object.assign(NeuroAL, { differingSettings, incomparable, measuredFigures });
})();
