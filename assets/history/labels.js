/** Texts of the list: what a run is called, and its figures in few characters. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  const STATUS = {
    queued: "Waiting", running: "Running", finished: "Finished", failed: "Failed", cancelled: "Cancelled",
    interrupted: "Interrupted",
  };

  // A longer name of a run would take a legend's whole width.
  const LONGEST = 48;

  /** A person's own name, or the question in short. */
  const nameOf = (row) => row.name || row.title;

  /**
   * Names that tell these runs apart in a legend: what all their questions share is left out, long ones are cut, and
   * equal ones are numbered.
   */
  function labelsOf(rows) {
    const parts = rows.filter((row) => !row.name).map((row) => row.title.split(", "));
    const shared = (part) => parts.length > 1 && parts.every((each) => each.includes(part));
    const labels = rows.map((row) => {
      const told = row.title.split(", ").filter((part) => !shared(part));
      return cut(row.name || (told.length ? told : row.title.split(", ")).join(", "));
    });
    return labels.map((label, i) => {
      const before = labels.slice(0, i).filter((other) => other === label).length;
      return labels.indexOf(label) === labels.lastIndexOf(label) ? label : `${label} (${before + 1})`;
    });
  }

  const cut = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST - 1).trimEnd()}…` : text);

  /** "80.08", "12,346", "1.2e7"; a dash for what is not known. */
  function figure(value) {
    if (value === null || value === undefined) return "–";
    if (value >= 1e6) return value.toExponential(1).replace("e+", "e");
    return value >= 1000 ? Math.round(value).toLocaleString("en") : NeuroAL.fixed(value, 2);
  }

  /** "60.0 %". */
  const share = (value) => (value === null || value === undefined ? "–" : `${NeuroAL.fixed(100 * value, 1)} %`);

  /** "3.2 s", "2 min 41 s". */
  function took(seconds) {
    if (seconds === null || seconds === undefined) return "–";
    return seconds < 10 ? `${NeuroAL.fixed(seconds, 1)} s` : NeuroAL.durationText(seconds);
  }

  /** "today, 09:41", "3 Mar, 09:41", "3 Mar 2025, 09:41". */
  function when(created, now = new Date()) {
    const date = new Date(created);
    if (Number.isNaN(date.getTime())) return "–";
    const time = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
    if (date.toDateString() === now.toDateString()) return `today, ${time}`;
    const year = date.getFullYear() === now.getFullYear() ? {} : { year: "numeric" };
    return `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short", ...year })}, ${time}`;
  }

  Object.assign(NeuroAL, { RUN_STATUS: STATUS, figureText: figure, labelsOf, nameOf, shareText: share, took, when });
})();
