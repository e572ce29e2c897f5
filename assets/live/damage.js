/** Cards without a plot: the tables of what was measured, and a text token by token. All text is set as plain text. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { make, setText, tableOf } = NeuroAL;

  // KL divergence, in nats, from which on a token has the full colour.
  const FULL = 4;

  // How long a button says that it has copied.
  const COPIED_MS = 4000;

  /** What both kinds of cards share with the cards of the plots. */
  class PlainCard {
    constructor(name, title) {
      this.name = name;
      this.node = make("section", `na-card na-card-${name}`);
      this.node.hidden = true;
      this.node.append(make("h3", "na-card-title", title));
      this.explain = this.node.appendChild(make("p", "na-card-explain"));
    }

    /** Everything is text already. */
    describe() {}

    reset() {}
  }

  class TableCard extends PlainCard {
    constructor(name) {
      super(name, NeuroAL.TABLE_TITLES[name]);
      this.body = this.node.appendChild(make("div", "na-table"));
      this.notes = this.node.appendChild(make("ul", "na-notes"));
      this.texts = this.node.appendChild(make("details", "na-texts"));
    }

    draw(_, state) {
      const table = tableOf(this.name, state);
      this.node.hidden = table === null;
      if (table === null) return;
      setText(this.explain, table.explain);
      this.body.replaceChildren(grid(table.head, table.rows));
      this.notes.replaceChildren(...table.notes.map((note) => make("li", "", note)));
      this.texts.hidden = !table.texts;
      if (!table.texts) return;
      const parts = table.texts.map(([prompt, dense, pruned]) => {
        const part = make("div", "na-answer");
        part.append(make("p", "na-prompt", prompt), line("dense", dense), line("pruned", pruned));
        return part;
      });
      this.texts.replaceChildren(make("summary", "", "Read what they wrote"), ...parts);
    }
  }

  /** A table; the first cell of each row is its heading. */
  function grid(head, rows) {
    const table = make("table", "");
    const first = table.createTHead().insertRow();
    first.append(...head.map((text) => Object.assign(make("th", "", text), { scope: "col" })));
    const body = table.createTBody();
    for (const [label, ...cells] of rows) {
      const row = body.insertRow();
      row.append(Object.assign(make("th", "", label), { scope: "row" }), ...cells.map((text) => make("td", "", text)));
    }
    return table;
  }

  /** A line's end can be seen where a token is told about. */
  const shown = (text) => text.replaceAll("\n", "⏎");

  function line(who, text) {
    const node = make("p", "");
    node.append(make("b", "", `${who}: `), make("span", "", text.trim() || "(nothing)"));
    return node;
  }

  /** A text whose tokens are coloured by how far the two models' predictions are apart; one of them is told in full. */
  class TextCard extends PlainCard {
    constructor() {
      super("text", "Where they disagree");
      this.text = this.node.appendChild(make("div", "na-tokens"));
      Object.assign(this.text, { tabIndex: 0 });
      this.text.setAttribute("role", "group");
      this.text.setAttribute("aria-label", "Text, token by token; arrow keys move from token to token");
      this.told = this.node.appendChild(make("div", "na-told"));
      this.told.setAttribute("aria-live", "polite");
      const at = (event) => event.target.closest("[data-token]")?.dataset.token;
      this.text.onpointerover = (event) => this.tell(at(event));
      this.text.onclick = (event) => this.tell(at(event));
      this.text.onkeydown = (event) => {
        const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (!step) return;
        event.preventDefault();
        this.tell(Math.min(Math.max((this.chosen ?? 0) + step, 0), this.text.children.length - 1));
      };
    }

    reset() {
      this.chosen = null;
      this.text.replaceChildren();
    }

    draw(_, state) {
      this.seen = state.compared.chosen ?? null;
      this.node.hidden = this.seen === null;
      if (this.seen === null) return this.reset();
      setText(this.explain, "The first held-out text. The stronger the colour, the further the pruned model's prediction of"
        + ` a token is from the dense model's (KL divergence, full at ${FULL} nats). Point at a token, or tap it.`);
      for (let i = this.text.children.length; i < this.seen.text.length; i += 1) this.text.append(this.token(i));
      this.tell(this.chosen ?? this.worst());
      return undefined;
    }

    token(i) {
      const node = make("span", "na-token", this.seen.text[i]);
      node.dataset.token = i;
      node.style.setProperty("--na-kl", Math.min((this.seen.kl[i] ?? 0) / FULL, 1).toFixed(3));
      return node;
    }

    worst() {
      const kl = this.seen.kl.map((value) => value ?? -1);
      return kl.indexOf(Math.max(...kl));
    }

    /** Both models' likeliest tokens at one place. */
    tell(index) {
      if (index === undefined || !this.seen) return;
      const i = Number(index), { kl, dense, pruned } = this.seen;
      this.text.children[this.chosen]?.classList.remove("na-token-chosen");
      this.chosen = i;
      this.text.children[i]?.classList.add("na-token-chosen");
      if (kl[i] === null || kl[i] === undefined) {
        this.told.replaceChildren(make("p", "", "Nothing comes before the first token, so it has no prediction."));
        return;
      }
      const what = `“${shown(this.seen.text[i])}” came; KL divergence ${NeuroAL.fixed(kl[i], 2)} nats.`;
      this.told.replaceChildren(make("p", "", what), this.likely("dense", dense[i], this.seen.dense_top[i]),
        this.likely("pruned", pruned[i], this.seen.pruned_top[i]));
    }

    likely(who, own, top) {
      const node = make("p", "na-likely");
      const percent = (p) => `${NeuroAL.fixed(100 * p, p < 0.1 ? 1 : 0)} %`;
      node.append(make("b", "", `${who}, ${percent(own)}:`),
        ...top.map(([text, p]) => make("span", "na-chip", `${shown(text)} ${percent(p)}`)));
      return node;
    }
  }

  /** All that the figures depend on, as JSON: to be copied, and to be told apart from another run's. */
  class ConfigCard extends PlainCard {
    /** @param {{palettes: object, settings: object[]}} options as of the live view */
    constructor({ palettes, settings }) {
      super("config", "Config card");
      Object.assign(this, { palettes, settings });
      this.bundle = NeuroAL.bundleLink("Download this run as a bundle",
        "A .zip with its log, charts, tables and a script; it opens in any instance of this app.", () => this.about());
      setText(this.explain, "What every figure here depends on: question, model, versions, machine, calibration.");
      const fold = this.node.appendChild(make("details", "na-texts"));
      this.json = make("pre", "na-json");
      fold.append(make("summary", "", "Show it"), copyButton(this.json, "config card"), this.json);
      this.node.append(this.bundle);
    }

    /** What goes into the bundle as pictures: every chart that has something to say. */
    about() {
      const { Plotly, state, run } = this.drawn, palette = this.palettes.light;
      const card = NeuroAL.cardLines(state, this.settings, run);
      const charts = Object.entries(NeuroAL.figures(state, palette))
        .map(([name, figure]) => ({ name, figure, card, title: NeuroAL.titleOf(name, state) }));
      return { Plotly, run, charts, palette, name: NeuroAL.nameParts(state, "run") };
    }

    draw(Plotly, state, __, run) {
      this.drawn = { Plotly, state, run };
      this.bundle.href = NeuroAL.bundlePath(run);
      this.bundle.hidden = state.status !== "finished" || [state.spec.source, state.spec.eval_source].includes("own");
      this.node.hidden = !Object.keys(state.measured).length;
      if (!this.node.hidden) setText(this.json, JSON.stringify(NeuroAL.configOf(state), null, 1));
    }
  }

  /**
   * A button that copies what a node says; where the browser does not let it (a page without TLS), the text is selected.
   * @param {string} what it is, for who cannot see beside what the button stands
   */
  function copyButton(node, what) {
    const copy = make("button", "na-button na-copy", "Copy");
    copy.type = "button";
    copy.setAttribute("aria-label", `Copy: ${what}`);
    const say = (said) => {
      setText(copy, said);
      copy.setAttribute("aria-label", `${said}: ${what}`);
      setTimeout(() => { setText(copy, "Copy"); copy.setAttribute("aria-label", `Copy: ${what}`); }, COPIED_MS);
    };
    copy.onclick = async () => {
      try {
        await navigator.clipboard.writeText(node.textContent);
        say("Copied");
      } catch {
        window.getSelection().selectAllChildren(node);
        say("Selected: copy it by key");
      }
    };
    return copy;
  }

  Object.assign(NeuroAL, { ConfigCard, PlainCard, TableCard, TextCard, copyButton, grid });
})();
