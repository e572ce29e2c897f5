/** What the routes of components/matrix_route.py are asked: the matrices of a run, one of them, and its bits. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  const UNREACHABLE = "The server cannot be reached; try again.";
  const POLL_MS = 400;

  // A mask of at most so many bytes comes whole; of a larger one only what is seen does.
  const WHOLE_BYTES = 1 << 20;

  // Matrices that are kept here, so that going back to one is instant.
  const KEPT = 12;

  class MatrixSource {
    /** @param {string} run id of the run; @param {AbortSignal} signal ends whatever is being asked */
    constructor(run, signal) {
      Object.assign(this, { run, signal, kept: new Map() });
    }

    async get(path) {
      let answer;
      try {
        answer = await fetch(`${NeuroAL.rootOf()}/gradio_api/runs/${encodeURIComponent(this.run)}/matrix${path}`,
          { signal: this.signal });
      } catch (error) {
        throw error.name === "AbortError" ? error : new Error(UNREACHABLE);
      }
      if (answer.ok) return answer;
      if (answer.status === 401) throw new Error("You are not logged in any more. Reload the page to log in.");
      const body = await answer.json().catch(() => ({}));
      throw new Error(typeof body.error === "string" ? body.error : "The server refused; reload the page.");
    }

    /** The matrices, once they are known; until then `say(sentence)` tells how far it is. */
    async overview(say) {
      for (;;) {
        const answer = await this.get(""), body = await answer.json();
        if (answer.status !== 202) return body;
        say(body.sentence);
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    }

    /** A matrix: its figures, and what the canvas needs of its mask. */
    async matrix(place, rows, columns) {
      const known = this.kept.get(place);
      if (known) return known;
      const path = `/${encodeURIComponent(place)}`, stride = Math.ceil(columns / 8);
      const whole = rows * stride <= WHOLE_BYTES;
      const part = { top: 0, left: 0, rows, columns, cell: 1 };
      const [figures, mask] = await Promise.all([
        this.get(path).then((answer) => answer.json()),
        whole ? this.window(path, part).then((buffer) => ({ bits: new Uint8Array(buffer) }))
          : { load: (seen) => this.window(path, seen).then((buffer) => NeuroAL.cells.received(buffer, seen)) },
      ]);
      this.kept.set(place, { figures, mask });
      if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
      return { figures, mask };
    }

    window(path, part) {
      const asked = new URLSearchParams(Object.entries(part).map(([name, value]) => [name, String(value)]));
      return this.get(`${path}/cells?${asked}`).then((answer) => answer.arrayBuffer());
    }
  }

  Object.assign(NeuroAL, { MatrixSource });
})();
