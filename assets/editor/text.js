/** The ratios as text: read as components/controls.py reads them, written short, and what is to be said about them. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

  /**
   * @param {string} text numbers apart from each other by commas, semicolons, blanks or line ends
   * @returns {{ratios: number[], problem: string}} what could be read from the beginning on; why not all of it
   */
  function parse(text) {
    const ratios = [];
    for (const part of text.split(/[,;\s]+/).filter(Boolean)) {
      const shown = part.length > 20 ? `${part.slice(0, 17)}...` : part;
      if (!NUMBER.test(part)) return { ratios, problem: `“${shown}” is not a number; write 0.5, 0.55, 0.6.` };
      const ratio = Number(part);
      if (!(ratio >= 0 && ratio < 1)) return { ratios, problem: `${shown} is no ratio; each is from 0 to below 1.` };
      ratios.push(ratio);
    }
    return { ratios, problem: "" };
  }

  const write = (ratios) => ratios.join(", ");

  /** A share in points of a hundred, with two digits at most. */
  const points = (share) => String(Number(NeuroAL.fixed(100 * share, 2)));

  /** The sign stays on the line of its number. */
  const percent = (share) => `${points(share)}\u00a0%`;

  /** Why these are no ratios for a model of so many blocks; "" where they are. */
  function countWords(count, blocks) {
    const has = `this model has ${blocks} blocks`;
    if (count === blocks) return "";
    if (!count) return `No ratios yet, and ${has}: start from one of these, or type them.`;
    const ratios = `${count} ratio${count === 1 ? "" : "s"}`;
    return count < blocks ? `${ratios}, but ${has}: ${blocks - count} to go.`
      : `${ratios}, but ${has}: ${count - blocks} too many.`;
  }

  /** Where the mean is, against where it is meant to be. */
  function meanWords(ratios, target) {
    const is = NeuroAL.ratios.mean(ratios), away = is - target;
    if (NeuroAL.ratios.isKept(ratios, target)) return `Mean ${percent(target)}, as aimed at.`;
    const by = points(Math.abs(away)), side = away > 0 ? "above" : "below";
    return `Mean ${percent(is)}: ${by} point${by === "1" ? "" : "s"} ${side} the ${percent(target)} aimed at.`;
  }

  NeuroAL.ratioText = { countWords, meanWords, parse, percent, points, write };
})();
