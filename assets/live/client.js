/** What the page asks of the JSON routes, and the ids that this browser keeps of runs it has started. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  const UNREACHABLE = "The server cannot be reached; trying again.";

  /**
   * Ask a JSON route of this app.
   * @param {string} path below its root, such as "gradio_api/history"
   * @param {{signal?: AbortSignal}} options
   * @returns {Promise<object>} its answer; rejects with an Error whose message is one sentence for a person, or with an
   *     AbortError
   */
  async function post(path, values, options = {}) {
    let answer, body;
    try {
      answer = await fetch(`${NeuroAL.rootOf()}/${path}`, {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(values), ...options,
      });
      body = await answer.json();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error(UNREACHABLE);
    }
    if (answer.ok) return body;
    if (answer.status === 401) throw new Error("You are not logged in any more. Reload the page to log in.");
    throw new Error(typeof body.error === "string" ? body.error : "The server refused; reload the page.");
  }

  /** Ask the route of components/listing_route.py. */
  const ask = (what, values = {}) => post("gradio_api/history", { do: what, ...values });

  /** What this browser keeps under a name; "" where it keeps nothing. Written by components/history.py. */
  function kept(name) {
    try {
      return localStorage.getItem(name) ?? "";
    } catch {
      return "";
    }
  }

  /** The ids of the runs and sweeps that this browser has started, or of those that it hides, newest first. */
  function ownRuns(storage) {
    try {
      const ids = JSON.parse(kept(storage) || "[]");
      return Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : [];
    } catch {
      return []; // unreadable
    }
  }

  /** Keep other ids instead. */
  function keepOwnRuns(storage, ids) {
    try {
      localStorage.setItem(storage, JSON.stringify(ids));
    } catch { /* a browser that keeps nothing */ }
  }

  /** Change one parameter of the address, without a reload; "" takes it away. */
  function setAddress(name, value) {
    const url = new URL(window.location);
    if (value) url.searchParams.set(name, value); else url.searchParams.delete(name);
    window.history.replaceState(null, "", url.href.replaceAll("%2C", ",").replaceAll("%3A", ":"));
  }

  Object.assign(NeuroAL, { ask, keepOwnRuns, kept, ownRuns, post, setAddress });
})();
