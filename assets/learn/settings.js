/** The settings of the guided path: their defaults, and how a link carries them. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  const DEFAULTS = {
    sparsity: 0.7, pruner: "wanda", lam: 0.05, row_lam: 0.05, block: 3, linear: "", row: 0, sorted: true,
  };

  /** "sparsity:0.7,block:4": the settings that differ from the defaults, for a link. */
  function linked(settings, defaults = DEFAULTS) {
    return Object.keys(DEFAULTS).filter((name) => settings[name] !== defaults[name])
      .map((name) => `${name}:${settings[name]}`).join(",");
  }

  /** The settings of a link; what it has wrongly, or from another version, is left at its default. */
  function unlinked(text, defaults = DEFAULTS) {
    const found = { ...defaults };
    for (const part of (text || "").split(",")) {
      const [name, value] = [part.slice(0, part.indexOf(":")), part.slice(part.indexOf(":") + 1)];
      if (!(name in DEFAULTS)) continue;
      const kind = typeof DEFAULTS[name];
      if (kind === "number" && value.trim() !== "" && Number.isFinite(Number(value))) found[name] = inRange(name, Number(value));
      else if (kind === "boolean") found[name] = value === "true";
      else if (kind === "string") found[name] = value;
    }
    return found;
  }

  function inRange(name, value) {
    const { min = 0, max = Infinity } = NeuroAL.sliders?.[name] ?? {};
    const within = Math.min(Math.max(value, min), name === "row" ? Infinity : max);
    return Number.isInteger(DEFAULTS[name]) ? Math.round(within) : within;
  }

  /** Settings that this model has: a link may name a block or a linear that is not there. */
  function possible(settings, model) {
    const names = model.groups.flat();
    const linear = names.includes(settings.linear) ? settings.linear : model.groups[1]?.[0] ?? names[0];
    const pruner = ["wanda", "magnitude", "multiflow", "random"].includes(settings.pruner) ? settings.pruner : "wanda";
    const block = Math.min(settings.block, model.blocks - 1), row = Math.min(settings.row, model.shapes[linear][0] - 1);
    return { ...settings, linear, pruner, block, row };
  }

  NeuroAL.learnSettings = { DEFAULTS, linked, unlinked, possible };
})();
