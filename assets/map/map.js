/**
 * The map of a sweep on the page: how far it is, the trade-off with axes to choose, the gain over the control, and every
 * run with a way to open it. All text that comes from events is written with textContent.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { AXES, make, setText } = NeuroAL;
  const {
    isOver, leftOut, modelsOf, nameOf, number, percent, seconds, sentenceOf, signed, sweepCard, verdictOf,
  } = NeuroAL.mapText;

  const DRAW_EVERY_MS = 150;
  const RECORDED = "example-";
  // Which runs beside those of the sweep are drawn.
  const BESIDE = {
    own: ["mine, and own ratios", (point) => point.own || point.custom || point.focus],
    all: ["all", () => true],
    none: ["none", () => false],
  };

  class MapView {
    /**
     * @param {HTMLElement} element where to build the view
     * @param {{palettes: object, plotly: Promise, storage: string, open: Function, changed: Function}} options
     *     `open(run)`: a person wants to look at a run; `changed(sweep, status)`: the sweep is in another state than
     *     before
     */
    constructor(element, options) {
      Object.assign(this, { element, options, sweep: "", connection: null, plotly: null, said: "" });
      this.x = "sparsity";
      this.y = "perplexity";
      this.which = "own";
      this.build();
      this.reset();
      new MutationObserver(() => this.schedule()).observe(document.body, { attributes: true, attributeFilter: ["class"] });
      new ResizeObserver(() => {
        for (const plot of this.element.querySelectorAll(".js-plotly-plot"))
          if (plot.offsetWidth) this.plotly.Plots.resize(plot);
        this.schedule();
      }).observe(this.element);
      new IntersectionObserver(([seen]) => { if (seen.isIntersecting) this.lookBeside(); }).observe(this.element);
      options.plotly.then((plotly) => { this.plotly = plotly; this.schedule(); })
        .catch(() => setText(this.problem, "The charts could not be loaded. Reload the page to try again."));
    }

    // --- building ---------------------------------------------------------------------------------------------------

    build() {
      const head = make("div", "na-head");
      this.caption = head.appendChild(make("p", "na-caption"));
      this.sentence = head.appendChild(make("p", "na-sentence"));
      this.sentence.setAttribute("role", "status");
      this.bar = head.appendChild(make("div", "na-bar"));
      this.bar.setAttribute("role", "progressbar");
      this.bar.setAttribute("aria-label", "Progress of the sweep");
      this.bar.setAttribute("aria-valuemin", "0");
      this.bar.setAttribute("aria-valuemax", "100");
      this.fill = this.bar.appendChild(make("div", "na-bar-fill"));
      this.problem = head.appendChild(make("p", "na-problem"));
      this.notices = head.appendChild(make("ul", "na-notices"));
      this.grid = make("div", "na-grid");
      this.buildTradeoff();
      this.buildGain();
      this.buildRuns();
      this.element.replaceChildren(head, this.grid);
    }

    card(name, title) {
      const node = this.grid.appendChild(make("section", `na-card na-card-${name}`));
      const head = node.appendChild(make("div", "na-card-head"));
      head.append(make("h3", "na-card-title", title));
      const explain = node.appendChild(make("p", "na-card-explain"));
      return { node, head, explain };
    }

    /** The button that saves a figure of the map. */
    png(plot, card, name) {
      return NeuroAL.pngButton(plot, () => ({
        Plotly: this.plotly, palette: NeuroAL.paletteOf(this.element, this.options.palettes),
        title: card.head.querySelector("h3").textContent,
        card: this.sweep ? sweepCard(this.state, this.options.settings, this.sweep) : [this.sentence.textContent],
        name: [...modelsOf(this.state), "sweep", name],
      }));
    }

    buildTradeoff() {
      this.tradeoff = this.card("tradeoff", "What sparsity costs");
      const axes = this.tradeoff.head.appendChild(make("div", "na-axes"));
      for (const [which, label] of [["y", "Up"], ["x", "Across"]]) {
        const field = axes.appendChild(make("label", "na-speed", `${label} `));
        const select = field.appendChild(make("select", "na-select"));
        for (const [name, { title }] of Object.entries(AXES)) select.append(new Option(title, name));
        select.value = this[which];
        select.onchange = () => { this[which] = select.value; this.schedule(); };
      }
      const field = axes.appendChild(make("label", "na-speed", "Other runs "));
      this.besideMenu = field.appendChild(make("select", "na-select"));
      for (const [name, [title]] of Object.entries(BESIDE)) this.besideMenu.append(new Option(title, name));
      this.besideMenu.value = this.which;
      this.besideMenu.onchange = () => { this.which = this.besideMenu.value; this.schedule(); };
      this.plot = this.tradeoff.node.appendChild(make("div", "na-plot"));
      this.plot.setAttribute("role", "group");
      axes.before(this.png(this.plot, this.tradeoff, "map"));
      this.none = this.tradeoff.node.appendChild(make("p", "na-none"));
      this.leftOut = this.tradeoff.node.appendChild(make("p", "na-card-explain na-left-out"));
    }

    buildGain() {
      this.gain = this.card("gain", "Did it help?");
      this.verdicts = this.gain.node.appendChild(make("ul", "na-verdicts"));
      this.heat = this.gain.node.appendChild(make("div", "na-plot"));
      this.heat.setAttribute("role", "group");
      this.gain.head.append(this.png(this.heat, this.gain, "gain"));
    }

    buildRuns() {
      this.runs = this.card("runs", "Its runs");
      this.table = this.runs.node.appendChild(make("div", "na-table"));
      this.bundle = this.runs.node.appendChild(NeuroAL.bundleLink("Download this sweep as a bundle",
        "A .zip with the logs of all its runs, the map, tables and a script; it opens in any instance of this app.",
        () => this.bundled()));
    }

    /** What goes into the bundle as pictures: the map of the sweep's own runs, and the gains. */
    bundled() {
      const { state, sweep } = this, palette = this.options.palettes.light;
      const card = sweepCard(state, this.options.settings, sweep);
      const charts = [["map", NeuroAL.tradeoff(state, palette), this.tradeoff], ["gain", NeuroAL.gain(state, palette), this.gain]]
        .filter(([, figure]) => figure !== null)
        .map(([name, figure, { head }]) => ({ name, figure, card, title: head.querySelector("h3").textContent }));
      return { Plotly: this.plotly, run: sweep, charts, palette, name: [...modelsOf(state), "sweep"] };
    }

    // --- what is looked at ------------------------------------------------------------------------------------------

    /** Look at a sweep; the same one again goes on from where its stream ended. */
    attach({ sweep = "", run = "", caption = "" } = {}) {
      const same = sweep === this.sweep;
      Object.assign(this, { sweep, run });
      if (!same) this.reset();
      if (run && this.which === "none") this.which = this.besideMenu.value = "own";
      if (run && !sweep) this.which = this.besideMenu.value = "all";
      this.recorded = sweep.startsWith(RECORDED); // its runs are not here to be opened
      setText(this.caption, caption);
      this.element.hidden = !sweep && !run;
      this.lookBeside();
      if (same && this.connection) return;
      this.connection?.close();
      this.connection = null;
      if (!sweep) return;
      this.connection = NeuroAL.follow(sweep, this.state.last, {
        records: (records) => {
          records.forEach((record) => NeuroAL.foldSweep(this.state, record));
          if (records.some((record) => record.kind === "MemberFinished")) this.lookBeside();
          this.schedule();
        },
        lost: () => this.say("The connection is lost, trying again."),
        back: () => this.say(""),
        refused: (reason) => { this.connection = null; this.say(reason); },
        end: () => { this.connection = null; this.lookBeside(); this.schedule(); },
      });
    }

    /** Ask which other runs may stand on this map; an answer that another question has overtaken is dropped. */
    async lookBeside() {
      if (!this.sweep && !this.run) return;
      const number = this.asked = (this.asked ?? 0) + 1;
      try {
        const own = NeuroAL.ownRuns(this.options.storage);
        const found = await NeuroAL.ask("around", { sweep: this.sweep, run: this.run, own });
        if (number !== this.asked) return;
        this.beside = found;
        this.schedule();
      } catch (error) {
        if (number === this.asked) this.say(error.message);
      }
    }

    /** The runs beside those of the sweep that are drawn. */
    shownBeside() { return this.beside.points.filter(BESIDE[this.which][1]); }

    reset() {
      this.state = NeuroAL.emptySweep();
      this.beside = { points: [], left: 0, why: [] };
      this.said = "";
      this.say("");
    }

    say(problem) {
      setText(this.problem, problem);
      this.problem.hidden = !problem;
      this.schedule();
    }

    // --- drawing ----------------------------------------------------------------------------------------------------

    schedule() {
      this.timer ??= setTimeout(() => { this.timer = null; requestAnimationFrame(() => this.draw()); }, DRAW_EVERY_MS);
    }

    draw() {
      if (!this.element.isConnected) { this.connection?.close(); return; }
      this.drawHead();
      const palette = NeuroAL.paletteOf(this.element, this.options.palettes);
      this.drawTradeoff(palette);
      this.drawGain(palette);
      this.drawRuns();
      const said = `${this.sweep} ${this.state.status}`;
      if (this.state.last && said !== this.said) this.options.changed(this.sweep, this.state.status);
      this.said = said;
    }

    drawHead() {
      const { runs, finished, failed } = NeuroAL.sweepCounts(this.state);
      const share = runs ? (finished + failed) / runs : 0;
      setText(this.sentence, this.sweep ? sentenceOf(this.state) : "Single runs of this model.");
      this.element.dataset.status = this.state.status;
      this.bar.hidden = !runs;
      this.bar.setAttribute("aria-valuenow", String(Math.floor(100 * share)));
      this.fill.style.width = `${100 * share}%`;
      const failures = this.state.members.filter((m) => m.message).map((m) => `${nameOf(m)}: ${m.message}`);
      const refused = this.state.refusals.map((reason) => `Left out: ${reason}`);
      const texts = [...new Set([...refused, ...failures])];
      this.notices.hidden = !texts.length;
      this.notices.replaceChildren(...texts.map((text) => make("li", "", text)));
    }

    drawTradeoff(palette) {
      const figure = NeuroAL.tradeoff(this.state, palette, this.x, this.y, this.shownBeside());
      setText(this.tradeoff.explain, `Each point is a run${this.recorded ? "" : "; press it to open it"}. `
        + "Dashed: the uniform control. Dotted: the dense model. A ring marks a run that no other one beats in both figures.");
      setText(this.leftOut, leftOut(this.beside));
      this.leftOut.hidden = !this.beside.left || this.which === "none";
      this.plot.hidden = figure === null;
      this.none.hidden = figure !== null;
      const done = NeuroAL.sweepCounts(this.state).finished;
      setText(this.none, done ? "No run has both of these figures; choose other axes, or measure more."
        : "The first point is drawn when the first run is finished.");
      if (figure === null || !this.plotly || !this.grid.offsetWidth) return;
      figure.layout.uirevision = `${this.sweep} ${this.x} ${this.y}`;
      NeuroAL.drawFigure(this.plotly, this.plot, NeuroAL.narrowTradeoff(this.plot, figure));
      this.plot.setAttribute("aria-label", `${AXES[this.y].title} against ${AXES[this.x].title};`
        + " the table below has the figures.");
      if (this.listening) return;
      this.listening = true;
      this.plot.on("plotly_click", ({ points }) => { this.open(points[0].customdata); });
    }

    open(run) {
      if (run && !this.recorded) this.options.open(run);
    }

    drawGain(palette) {
      const figure = NeuroAL.gain(this.state, palette);
      this.gain.node.hidden = figure === null;
      if (figure === null) return;
      setText(this.gain.explain, "By how much the perplexity of each method is below that of the uniform control of the"
        + " same pruner, sparsity and calibration: blue where it helped, orange where it did harm.");
      this.verdicts.replaceChildren(...NeuroAL.verdicts(this.state).map((one) => make("li", "", verdictOf(one))));
      if (!this.plotly || !this.grid.offsetWidth) return;
      figure.layout.uirevision = this.sweep;
      NeuroAL.drawFigure(this.plotly, this.heat, NeuroAL.narrowGain(this.heat, figure));
      this.heat.setAttribute("aria-label", "Gain over the control; the sentences above say the same.");
    }

    drawRuns() {
      const beside = this.shownBeside();
      this.runs.node.hidden = !this.state.members.length && !beside.length;
      const table = make("table", "");
      const head = table.createTHead().insertRow();
      for (const text of ["run", "sparsity", "state", "perplexity", "uniform", "gain", "search"])
        head.append(Object.assign(make("th", "", text), { scope: "col" }));
      const body = table.createTBody();
      for (const member of this.state.members) this.row(body.insertRow(), member);
      const fields = { control: false, status: "other run", reused: false, message: "" };
      for (const point of beside) this.row(body.insertRow(), { ...point, ...fields });
      this.table.replaceChildren(table);
      this.bundle.href = NeuroAL.bundlePath(this.sweep);
      this.bundle.hidden = !this.sweep || this.recorded || !isOver(this.state);
    }

    row(row, member) {
      const { summary } = member, gain = NeuroAL.gainOf(member);
      const name = Object.assign(make("th", ""), { scope: "row" });
      if (member.run && !this.recorded) {
        const button = name.appendChild(make("button", "na-open-run", member.label));
        button.type = "button";
        button.setAttribute("aria-label", `Open ${nameOf(member)}`);
        button.onclick = () => this.open(member.run);
      } else setText(name, member.label);
      row.append(name, ...[
        percent(summary.achieved ?? member.sparsity), member.reused ? "answered before" : member.status,
        number(summary.perplexity), number(summary.perplexity_uniform),
        gain === null ? "" : signed(gain), member.control ? "" : seconds(summary.search_seconds),
      ].map((text) => make("td", "", text)));
    }
  }

  Object.assign(NeuroAL, { MapView });
})();
