/**
 * The live view of a run: folds its records as they come, draws in animation frames, or replays a finished log.
 * All text that comes from events is written with textContent.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { Card, TableCard, TextCard, make, setText } = NeuroAL;

  // The cards that have no plot, and the plots.
  const EVERYTHING = [...NeuroAL.FIGURES, "text", ...NeuroAL.TABLES, "config"];

  const DRAW_EVERY_MS = 90;
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
      Object.assign(this, { element, options, value: { run: "" }, connection: null, replay: null, plotly: null });
      this.dirty = new Set();
      this.build();
      this.reset();
      this.watchPage();
      options.plotly.then((plotly) => { this.plotly = plotly; this.schedule(); })
        .catch(() => this.say("The charts could not be loaded. Reload the page to try again."));
    }

    // --- building ---------------------------------------------------------------------------------------------------

    build() {
      this.head = make("div", "na-head");
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
      this.controls = this.makeControls();
      this.head.append(this.caption, this.sentence, this.bar, this.times, this.mapButton, this.controls, this.problem,
        this.facts, this.notices, this.spoken);
      this.cards = NeuroAL.FIGURES.map((name) => new Card(name, () => this.touch([name]), this.options.settings));
      this.cards.push(new TextCard(), ...NeuroAL.TABLES.map((name) => new TableCard(name)), new NeuroAL.ConfigCard(this.options));
      this.print = this.head.insertBefore(NeuroAL.summaryButton(this), this.facts);
      this.grid = make("div", "na-grid");
      this.grid.append(...this.cards.map((card) => card.node));
      this.element.replaceChildren(this.head, this.grid);
    }

    makeControls() {
      const bar = make("div", "na-controls");
      const button = (label, act) => {
        const node = bar.appendChild(make("button", "na-button", label));
        node.type = "button";
        node.onclick = () => this.replay && act(this.replay);
        return node;
      };
      this.playButton = button("Pause", (replay) => (replay.playing ? replay.pause() : replay.play()));
      button("Restart", (replay) => replay.restart());
      button("Show the end", (replay) => replay.end());
      const label = bar.appendChild(make("label", "na-speed", "Speed "));
      this.speed = label.appendChild(make("select", "na-select"));
      for (const speed of [0.5, 1, 2, 4]) this.speed.append(new Option(`${speed}×`, String(speed)));
      this.speed.value = "1";
      this.speed.onchange = () => { if (this.replay) this.replay.speed = Number(this.speed.value); };
      return bar;
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
    }

    // --- what is looked at ------------------------------------------------------------------------------------------

    /** Look at `{run, replay, caption}`. The same run again goes on from where its stream ended. */
    attach(value) {
      const next = { run: "", replay: false, caption: "", ...value };
      const same = next.run === this.value.run && Boolean(next.replay) === Boolean(this.value.replay);
      this.value = next;
      setText(this.caption, next.caption || "");
      this.element.hidden = !next.run;
      if (same && (this.connection || next.replay)) return;
      this.detach();
      if (!same) this.reset();
      if (next.run) this.connect();
    }

    detach() {
      this.connection?.close();
      this.replay?.pause();
      this.connection = this.replay = null;
    }

    /** Forget the run that was shown. */
    reset() {
      this.state = NeuroAL.emptyState();
      this.connected = false;
      this.say("");
      this.controls.hidden = true;
      this.cards.forEach((card) => card.reset());
      this.touch(EVERYTHING);
    }

    connect() {
      const collected = this.value.replay ? [] : null;
      this.connection = NeuroAL.follow(this.value.run, this.state.last, {
        records: (records) => (collected ? collected.push(...records) : this.take(records)),
        lost: () => this.say("The connection is lost, trying again."),
        back: () => this.say(""),
        refused: (reason) => { this.connection = null; this.say(reason); },
        end: () => { this.connection = null; if (collected) this.startReplay(collected); else this.ended(); },
      });
    }

    startReplay(records) {
      this.replay = new NeuroAL.Replay(records, {
        reset: () => { this.state = NeuroAL.emptyState(); this.touch(EVERYTHING); },
        records: (some) => this.take(some),
        changed: () => { this.showControls(); if (this.replay?.atEnd) this.describe(); },
      });
      this.replay.speed = Number(this.speed.value);
      this.controls.hidden = false;
      if (matchMedia("(prefers-reduced-motion: reduce)").matches) this.replay.end();
      else this.replay.play();
    }

    showControls() {
      if (this.replay) setText(this.playButton, this.replay.playing ? "Pause" : "Play");
    }

    ended() {
      this.describe();
      this.options.finished(this.value.run, this.state.status);
    }

    // --- folding and drawing ----------------------------------------------------------------------------------------

    /** Fold at once (a hidden tab gets no frames), draw in the next frame. */
    take(records) {
      if (!this.element.isConnected) return this.detach();
      this.connected = true;
      for (const record of records) {
        NeuroAL.fold(this.state, record);
        for (const name of CHANGES[record.kind] ?? []) this.dirty.add(name);
      }
      this.schedule();
      return undefined;
    }

    touch(names) {
      for (const name of names) this.dirty.add(name);
      this.schedule();
    }

    schedule() {
      this.frame ??= requestAnimationFrame((now) => { this.frame = null; this.draw(now); });
    }

    draw(now) {
      if (now - (this.drawn ?? -Infinity) < DRAW_EVERY_MS) return this.schedule();
      this.drawn = now;
      this.drawHead();
      if (!this.plotly || !this.grid.offsetWidth) return undefined; // drawn when they are there
      const palette = NeuroAL.paletteOf(this.element, this.options.palettes);
      const names = [...this.dirty];
      this.dirty.clear();
      for (const card of this.cards)
        if (names.includes(card.name)) card.draw(this.plotly, this.state, palette, this.value.run);
      if (this.finale) this.describe();
      return undefined;
    }

    drawHead() {
      const { state } = this;
      const idle = this.value.replay ? "Loading the example." : "Connecting.";
      setText(this.sentence, this.connected ? NeuroAL.sentence(state) : this.problem.textContent ? "" : idle);
      this.element.dataset.status = this.connected ? state.status : "";
      const [share, left] = NeuroAL.progress(state);
      const whole = String(Math.floor(100 * share));
      this.bar.hidden = !this.connected;
      this.bar.setAttribute("aria-valuenow", whole);
      this.fill.style.width = `${100 * share}%`;
      const parts = [`${whole} %`, `${NeuroAL.durationText(state.t)} elapsed`];
      if (left !== null && !this.replay) parts.push(`about ${NeuroAL.durationText(left)} left`);
      setText(this.times, this.connected && share < 1 ? parts.join(" · ") : "");
      this.mapButton.hidden = Boolean(this.value.replay) || state.status !== "finished"
        || (state.measured.perplexity?.chosen?.value ?? null) === null;
      list(this.facts, NeuroAL.factsOf(state, this.options.settings));
      list(this.notices, state.notices);
      this.print.hidden = state.status !== "finished";
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
