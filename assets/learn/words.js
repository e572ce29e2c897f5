/** Numbers as a person reads them, in the sentences of the guided path. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  /** 0.1234 -> "12.3 %", 0.00123 -> "0.12 %". */
  const percent = (share) => `${(100 * share).toFixed(Math.abs(share) < 0.01 ? 2 : Math.abs(share) < 0.1 ? 1 : 0)} %`;

  /** Three significant digits, small numbers as a power of ten that is read without counting zeros. */
  function short(value) {
    if (value === 0) return "0";
    const power = Math.floor(Math.log10(Math.abs(value)));
    if (power >= -3 && power < 6) return String(Number(value.toPrecision(3)));
    return `${(value / 10 ** power).toFixed(2)}e${power}`.replace("-", "−"); // a line does not end there
  }

  /** 4.23 -> "4.2 times". */
  const times = (ratio) => `${ratio < 10 ? ratio.toFixed(1) : ratio.toFixed(0)} times`;

  NeuroAL.words = { percent, short, times };
})();
