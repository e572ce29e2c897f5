/**
 * The live view of a run: a player folds its records, as they come or as a person steps through them, and what its
 * cursor has passed is drawn in animation frames.
 * All text that comes from events is written with textContent.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { Card, TableCard, TextCard, make, setText } = NeuroAL;

  // The cards that have no plot, and the plots.
  const EVERYTHING = [...NeuroAL.FIGURES, "text", ...NeuroAL.TABLES, "config", "repeat"];

  // From a drawing to the next one, and the rest after it as a multiple of what it took: whoever watches has other things
  // to compute, a search on the same machine above all.
  const DRAW_EVERY_MS = 90, REST = 3, LONGEST_REST_MS = 250;
  const SPEAK_EVERY_MS = 2000;

  // Which figures an event may change; kinds that are not listed change none.
  const CHANGES = {
    RunStarted: EVERYTHING, SearchStarted: ["heatmap", "sparsity", "scores"],
    CandidateStarted: ["heatmap", "sparsity"], BlockScored: ["heatmap"], CandidateFinished: ["heatmap", "scores"],
    LambdaChosen: ["heatmap", "scores", "sparsity"], PruningFinished: ["config"], RunFinished: ["config"], BlockRated: ["ratings"],
    AllocationReady: ["sparsity", "damage", "spread"],
    RowsAllocated: ["rows"], BlockPruned: ["sparsity"], Measured: ["damage", "spread", ...NeuroAL.TABLES, "config"],
    TokensCompared: ["text"],
  };

  class LiveView {
    /**
     * @param {HTMLElement} element where to build the view
     * @param {{palettes: object, settings: object[], plotly: Promise, finished: Function, mapped: Function}} options `settings`:
     *     see facts.js; `finished(run, status)` is called when a run that is not a replay has no more to say;
     *     `mapped(run, sweep)`: a person wants to see it on the map of a sweep
     */
    constructor(element, options) {
      Object.assign(this, { element, options, value: { run: "" }, connection: null, plotly: null });
      Object.assign(this, { dirty: new Set(), drawing: false, rested: 0 });
      this.build();
      this.reset();
      this.watchPage();
      options.plotly.then((plotly) => { this.plotly = plotly; this.schedule(); })
        .catch(() => this.say("The charts could not be loaded. Reload the page to try again."));
    }

    // --- building ---------------------------------------------------------------------------------------------------

    build() {
      this.head = make("div", "na-head");
      this.heading = make("h2", "na-example-title");
      this.caption = make("p", "na-caption");
      this.sentence = make("p", "na-sentence");
      this.bar = make("div", "na-bar");
      this.bar.setAttribute("role", "progressbar");
      this.bar.setAttribute("aria-label", "Progress of the run");
      this.bar.setAttribute("aria-valuemin", "0");
      this.bar.setAttribute("aria-valuemax", "100");
      this.fill = this.bar.appendChild(make("div", "na-bar-fill"));
      this.times = make("p", "na-times");
      this.mapButton = make("button", "na-button na-to-map", "See it on the map among the others");
      Object.assign(this.mapButton, { type: "button", hidden: true, onclick: () => this.toMap() });
      this.problem = make("p", "na-problem");
      this.facts = make("ul", "na-facts");
      this.notices = make("ul", "na-notices");
      this.spoken = make("div", "na-hidden");
      this.spoken.setAttribute("role", "status");
      this.spoken.setAttribute("aria-live", "polite");
      this.line = new NeuroAL.TimeLine(() => this.touch(EVERYTHING));
      this.print = NeuroAL.summaryButton(this);
      this.away = make("button", "na-button na-to-map", "Take the model away");
      Object.assign(this.away, { type: "button", onclick: () => document.dispatchEvent(new CustomEvent("na-away")) });
      this.actions = make("div", "na-actions");
      this.actions.append(this.mapButton, this.print, this.away);
      this.head.append(this.heading, this.caption, this.sentence, this.bar, this.times, this.line.node, this.actions,
        this.problem, this.facts, this.notices, this.spoken);
      this.cards = NeuroAL.FIGURES.map((name) => new Card(name, () => this.touch([name]), this.options.settings));
      this.cards.push(new TextCard(), ...NeuroAL.TABLES.map((name) => new TableCard(name)), new NeuroAL.ConfigCard(this.options),
        new NeuroAL.RepeatCard());
      this.grid = make("div", "na-grid");
      this.grid.append(...this.cards.map((card) => card.node));
      this.element.replaceChildren(this.head, this.grid);
    }

    /** Redraw on a change of theme and of width; a hidden tab of the page has no width until it is opened. */
    watchPage() {
      const everything = () => this.touch(EVERYTHING);
      new MutationObserver(everything).observe(document.body, { attributes: true, attributeFilter: ["class"] });
      new ResizeObserver(() => {
        const drawn = [...this.element.querySelectorAll(".js-plotly-plot")].filter((plot) => plot.offsetWidth);
        drawn.forEach((plot) => this.plotly.Plots.resize(plot));
        this.schedule();
      }).observe(this.grid);
      NeuroAL.drawWhenNear(this.cards.filter((card) => card.plot));
    }

    // --- what is looked at ------------------------------------------------------------------------------------------

    /** What is folded up to the cursor. */
    get state() { return this.player.state; }

    /** Look at `{run, replay, title, caption}`. The same run again goes on from where its stream ended. */
    attach(value) {
      const next = { run: "", replay: false, title: "", caption: "", ...value };
      const same = next.run === this.value.run && Boolean(next.replay) === Boolean(this.value.replay);
      this.value = next;
      setText(this.heading, next.title || "This run"); // the figures' own headings stand below it
      this.heading.classList.toggle("na-hidden", !next.title);
      setText(this.caption, next.caption || "");
      this.element.hidden = !next.run;
      if (same && (this.connection || next.replay)) return;
      this.detach();
      if (!same) this.reset();
      if (next.run) this.connect();
      NeuroAL.shownRun = next.run; // for who comes later
      document.dispatchEvent(new CustomEvent("na-shown", { detail: { run: next.run } }));
    }

    detach() {
      this.connection?.close();
      this.player.pause();
      this.connection = null;
    }

    /** Forget the run that was shown. */
    reset() {
      this.player = new NeuroAL.Player({ moved: (passed) => this.moved(passed), changed: () => this.schedule() });
      this.player.following = !this.value.replay;
      this.line.control(this.player, Boolean(this.value.replay));
      this.marked = null;
      this.connected = false;
      this.say("");
      this.cards.forEach((card) => card.reset());
      this.rested = 0;
      setText(this.spoken, "");
      this.drawHead(); // at once: nothing of another run may stand there, not for a moment
      this.touch(EVERYTHING);
    }

    connect() {
      const { player, value } = this;
      player.ended = false;
      player.following ||= !value.replay && !player.stepping; // it was let go of on the way here
      this.connection = NeuroAL.follow(value.run, player.last, {
        records: (records) => (this.element.isConnected ? player.append(records) : this.detach()),
        lost: () => this.say("The connection is lost, trying again."),
        back: () => this.say(""),
        refused: (reason) => { this.connection = null; this.say(reason); },
        end: () => { this.connection = null; player.close(); if (value.replay) this.startReplay(); else this.ended(); },
      });
    }

    /** Unless a person has touched it already, while the rest was on its way. */
    startReplay() {
      if (this.player.at || this.player.stepping) return;
      if (matchMedia("(prefers-reduced-motion: reduce)").matches) this.player.follow();
      else this.player.play();
    }

    ended() {
      this.describe();
      this.options.finished(this.value.run, this.player.final.status);
    }

    // --- folding and drawing ----------------------------------------------------------------------------------------

    /** The player has folded these records, or the state before them; drawing comes in the next frame. */
    moved(passed) {
      const { player } = this;
      this.connected = true;
      for (const record of passed) for (const name of CHANGES[record.kind] ?? []) this.dirty.add(name);
      if (player.stepping) this.mark(player.current);
      if (!player.playing && !player.following) this.finale = true; // who steps can read each step
      this.schedule();
    }

    /** Mark the block of a record instead of the one before. */
    mark(record) {
      for (const name of [this.marked, record].map(NeuroAL.markedFigure)) if (name) this.dirty.add(name);
      this.marked = record;
    }

    touch(names) {
      for (const name of names) this.dirty.add(name);
      this.schedule();
    }

    schedule() {
      if (this.drawing) return;
      this.drawing = true;
      const draw = () => { this.drawing = false; this.draw(); };
      setTimeout(() => requestAnimationFrame(draw), this.rested - performance.now());
    }

    draw() {
      const began = performance.now();
      this.drawAll();
      const ended = performance.now();
      this.rested = Math.max(began + DRAW_EVERY_MS, ended + Math.min(REST * (ended - began), LONGEST_REST_MS));
    }

    drawAll() {
      this.drawHead();
      if (!this.plotly || !this.grid.offsetWidth) return; // drawn when they are there
      const palette = NeuroAL.paletteOf(this.element, this.options.palettes);
      const names = [...this.dirty], marked = this.player.stepping ? this.player.current : null;
      this.dirty.clear();
      for (const card of this.cards)
        if (names.includes(card.name)) card.draw(this.plotly, this.state, palette, this.value.run, marked);
      if (this.finale) this.describe();
    }

    drawHead() {
      const { state, player } = this;
      this.line.draw();
      const idle = this.value.replay ? "Loading the example." : "Connecting.";
      setText(this.sentence, this.connected ? NeuroAL.sentence(state) : this.problem.textContent ? "" : idle);
      this.element.dataset.status = this.connected ? state.status : "";
      const [share, left] = NeuroAL.progress(state);
      const whole = String(Math.floor(100 * share));
      this.bar.hidden = !this.connected;
      this.bar.setAttribute("aria-valuenow", whole);
      this.fill.style.width = `${100 * share}%`;
      const parts = [`${whole} %`, `${NeuroAL.durationText(state.t)} elapsed`];
      if (left !== null && player.following) parts.push(`about ${NeuroAL.durationText(left)} left`);
      setText(this.times, this.connected && share < 1 ? parts.join(" · ") : "");
      this.mapButton.hidden = Boolean(this.value.replay) || state.status !== "finished"
        || (state.measured.perplexity?.chosen?.value ?? null) === null;
      list(this.facts, NeuroAL.factsOf(state, this.options.settings));
      list(this.notices, state.notices);
      this.print.hidden = state.status !== "finished";
      this.away.hidden = this.print.hidden || Boolean(this.value.replay);
      this.speak();
    }

    /** Leads to the map of the sweep that this run can be compared with. */
    async toMap() {
      const { run } = this.value;
      const sweep = new URL(window.location).searchParams.get("sweep") ?? "";
      try {
        const found = await NeuroAL.ask("place", { run, sweep, own: NeuroAL.ownRuns(this.options.storage) });
        this.options.mapped(run, found.sweep);
      } catch (error) {
        this.say(error.message);
      }
    }

    /** The live region: coarse sentences, and not one after the other. */
    speak() {
      if (this.player.stepping) return; // then the sentence of the step speaks
      const text = this.state.status === "running" ? this.state.message : this.sentence.textContent;
      if (this.speaking || text === this.spoken.textContent) return;
      setText(this.spoken, text);
      this.speaking = setTimeout(() => { this.speaking = null; this.schedule(); }, SPEAK_EVERY_MS);
    }

    say(problem) {
      setText(this.problem, problem);
      this.problem.hidden = !problem;
      this.schedule();
    }

    /** Write the text alternatives, after what is still to be drawn. */
    describe() {
      this.finale = this.dirty.size > 0;
      if (this.finale) this.schedule();
      else this.cards.forEach((card) => card.describe(this.state));
    }
  }

  /** Make a list hold these texts; touched only when they changed. */
  function list(node, texts) {
    node.hidden = !texts.length;
    if ([...node.children].map((item) => item.textContent).join("\n") === texts.join("\n")) return;
    node.replaceChildren(...texts.map((text) => make("li", "", text)));
  }

  Object.assign(NeuroAL, { LiveView });
})();
