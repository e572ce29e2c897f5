/** What is said of an export: sizes, and sentences about what there is. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  const sizeOf = (bytes) => bytes >= 1e9 ? `${NeuroAL.fixed(bytes / 1e9, 2)}\u00a0GB` : `${NeuroAL.fixed(bytes / 1e6, 1)}\u00a0MB`;

  /** How a file compares with the plain checkpoint. */
  function comparison({ bytes, dense_bytes: dense }) {
    if (!dense) return "";
    const share = Math.round(100 * (1 - bytes / dense));
    if (share <= 0) return `as large as the plain safetensors (${sizeOf(dense)})`;
    return `${share}\u00a0% smaller than the plain safetensors (${sizeOf(dense)})`;
  }

  /** A zip is only packed for the way: what comes out of it is what counts. */
  function summaryOf(made) {
    const said = made.form === "zip" ? `the checkpoint in it is as large as before (${sizeOf(made.dense_bytes)})` : comparison(made);
    return [made.name, sizeOf(made.bytes), said].filter(Boolean).join(" · ");
  }

  /** How far something is, in a sentence. */
  function going({ message, done, total }) {
    if (!total) return message;
    const share = Math.floor(100 * Math.min(1, done / total));
    return `${message.replace(/\.$/, "")}: ${share}\u00a0%.`;
  }

  NeuroAL.exportWords = { going, sizeOf, summaryOf };
})();
