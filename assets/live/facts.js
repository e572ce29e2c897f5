/** The config card in short: what is run on what, and every setting that is not as it comes. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  // Settings that have a fact of their own, or that the model's and the text's facts tell.
  const TOLD = ["model", "pruner", "top_up", "sparsity", "source", "text", "eval_text", "samples", "length", "dtype", "evaluations"];

  // A longer list is cut: a chart shows it.
  const MOST_LISTED = 6;

  /**
   * Short facts in plain words.
   * @param {object} state what `fold` gives
   * @param {{name: string, label: string, default: *, choices: ?object}[]} settings the fields of RunSpec
   */
  function factsOf(state, settings) {
    const { spec, model, calibration } = state;
    const facts = [];
    if (model) {
      const millions = NeuroAL.fixed(model.parameters / 1e6, model.parameters < 1e8 ? 1 : 0);
      facts.push(model.name, `${model.blocks} blocks, ${millions} M parameters`, `${model.dtype} on ${model.device}`);
    } else if (spec.model) facts.push(spec.model);
    if (spec.pruner) facts.push(method(state, settings));
    if (calibration) facts.push(`${calibration.samples} × ${calibration.length} tokens of ${calibration.source}`);
    return [...facts, ...settings.filter((setting) => differs(setting, spec)).map((setting) => told(setting, spec))];
  }

  /** "Wanda + OWL, 60 % sparsity". */
  function method(state, settings) {
    const names = ["pruner", "top_up"].map((name) => {
      const value = state.spec[name];
      return shortly(settings.find((setting) => setting.name === name)?.choices?.[value] ?? value);
    });
    const aim = NeuroAL.target(state);
    return names.join(" + ") + (aim === null ? "" : `, ${Number(NeuroAL.fixed(100 * aim, 1))} % sparsity`);
  }

  /** Whether a setting was changed; one that an older version did not know was not. */
  function differs({ name, default: usual }, spec) {
    return !TOLD.includes(name) && spec[name] !== undefined && JSON.stringify(spec[name]) !== JSON.stringify(usual);
  }

  function told({ name, label, choices }, spec) {
    const value = spec[name];
    if (value === true) return label;
    if (value === false) return `${label}: no`;
    return `${label}: ${choices?.[value] ? shortly(choices[value]) : words(value)}`;
  }

  function words(value) {
    if (!Array.isArray(value)) return String(value);
    const shown = value.slice(0, MOST_LISTED).join(", ");
    return value.length > MOST_LISTED ? `${shown}, … (${value.length} in all)` : shown;
  }

  /**
   * The config card as the paragraphs of a picture: what was asked, and what it was computed with and when.
   * @param {string} run its id
   */
  function cardLines(state, settings, run) {
    const { spec, pruned, versions, started_at: began } = state;
    const asked = factsOf(state, settings);
    const usual = settings.find((setting) => setting.name === "seed");
    if (spec.seed !== undefined && usual && spec.seed === usual.default) asked.push(`${usual.label}: ${spec.seed}`);
    const zeros = pruned.chosen?.overall ?? null;
    if (zeros !== null) asked.push(`achieved ${NeuroAL.fixed(100 * zeros, 2)} % zeros`);
    const figure = state.measured.perplexity?.chosen;
    if (figure) asked.push(`measured on ${figure.tokens} tokens of ${figure.source}, windows of ${figure.length}`);
    const made = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
    return [asked.join(" · "), [...made, when(began), `run ${run}`].filter(Boolean).join(" · ")];
  }

  /** "2026-01-15 10:00 UTC". */
  const when = (iso) => (/^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(iso) ? `${iso.slice(0, 16).replace("T", " ")} UTC` : iso);

  /** What the name of a file of a run says: model, method, sparsity, and which figure it is. */
  function nameParts({ spec }, figure) {
    const model = (spec.model ?? "").split(/[\\/]/).filter(Boolean).pop();
    const ratio = spec.block_sparsity || !spec.sparsity ? "" : Number(NeuroAL.fixed(100 * spec.sparsity, 1));
    const amount = spec.pattern ?? ratio;
    return [model, spec.pruner, spec.top_up, amount, figure];
  }

  /** "OWL: denser where outliers are" -> "OWL". */
  const shortly = (label) => label.split(": ")[0];

  Object.assign(NeuroAL, { cardLines, factsOf, nameParts, startedText: when });
})();
