/** The connection: a run's records by server-sent events, from a cursor on, through lost connections and restarts. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const RETRY_MS = 2000;

  /** Where the app is served from: behind a proxy it may live under a path of its own. */
  function rootOf() {
    const root = new URL(window.gradio_config?.root || ".", document.baseURI);
    const origin = root.hostname === location.hostname ? location.origin : root.origin;
    return origin + root.pathname.replace(/\/$/, "");
  }

  /**
   * Follow a run.
   * @param {string} run id of the run
   * @param {number} after number of the last record that is known
   * @param {{records: Function, lost: Function, back: Function, end: Function, refused: Function}} on callbacks
   * @returns {{close: Function}}
   */
  function follow(run, after, on) {
    let cursor = after, source = null, timer = null, closed = false;
    const url = () => `${rootOf()}/gradio_api/runs/${encodeURIComponent(run)}/events?after=${cursor}`;

    function open() {
      source = new EventSource(url());
      source.onopen = on.back;
      source.onmessage = (message) => receive(JSON.parse(message.data));
      source.addEventListener("end", () => { close(); on.end(); });
      source.onerror = failed;
    }

    function receive(records) {
      const fresh = records.filter((record) => record.n > cursor);
      if (!fresh.length) return;
      cursor = fresh[fresh.length - 1].n;
      on.records(fresh);
    }

    /** The browser reconnects by itself after a break, but gives up on an answer other than 200. */
    async function failed() {
      if (closed) return;
      on.lost();
      if (source.readyState !== EventSource.CLOSED) return;
      const refusal = await refusalOf(url());
      if (closed) return;
      if (refusal) { close(); on.refused(refusal); } else timer = setTimeout(open, RETRY_MS);
    }

    function close() {
      closed = true;
      clearTimeout(timer);
      source.close();
    }

    open();
    return { close };
  }

  /** Why the server will not serve this run, as a sentence; "" where trying again may help. */
  async function refusalOf(url) {
    const abort = new AbortController();
    try {
      const answer = await fetch(url, { signal: abort.signal });
      if (answer.status === 401) return "You are not logged in any more. Reload the page to log in.";
      if (answer.status !== 404) return "";
      const body = await answer.json().catch(() => ({}));
      return typeof body.error === "string" ? body.error : "This run is not known here.";
    } catch {
      return "";
    } finally {
      abort.abort();
    }
  }

  Object.assign(NeuroAL, { follow, rootOf });
})();
