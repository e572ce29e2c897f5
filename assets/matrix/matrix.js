/**
 * Inside one matrix of a run: its mask, its rows, its inputs, and what was damaged most. What is pointed at in one view is
 * marked in the others: rows with rows, inputs with inputs. All text is written with textContent.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { drawFigure, make, paletteOf, setText, textTable } = NeuroAL;
  const { barMarks, driverMarks, drivers, normMarks, norms, orderOf, rowHistogram, rowsOfBar } = NeuroAL.matrixFigures;
  const words = NeuroAL.matrixWords;

  const PARAMETER = "matrix";

  const CARDS = {
    mask: ["Its mask", "One row for each output, one column for each input of this linear; coloured where the weight is kept."
      + " These are the run's own bits, at whole pixels; nothing is drawn between them."],
    rows: ["How sparse its rows are", "Each bar: how many rows have lost this share of their weights. Point at a bar to mark"
      + " its rows in the mask."],
    norms: ["What its inputs bring", "Activation norms of every input on the calibration text, as shares of their sum, in the"
      + " dense and in the pruned model; the two get the same hidden states. The distance between the curves, per input, is"
      + " this matrix's alignment term."],
    drivers: ["What drives its rows", "Each dot is a row: how much activation the linear that reads it has lost, and how"
      + " sparse it is. This is the finished run; a row step went by the same figure before it varied the rows."],
    damaged: ["The ten most damaged inputs", "Inputs whose part of the summed norms changed most, and each one's share of the"
      + " squared distance between the curves. Point at one to find its column."],
  };

  class MatrixView {
    /**
     * @param {HTMLElement} element a `details`, in which to build the view
     * @param {{palettes: object, plotly: Promise}} options
     */
    constructor(element, options) {
      Object.assign(this, { element, options, run: "", place: "", overview: null, shown: null, sorted: true });
      this.marks = { rows: [], columns: [], from: "" };
      this.dirty = new Set();
      this.build();
      options.plotly.then((plotly) => { this.plotly = plotly; this.touch(); }, () =>
        this.say("The charts could not be loaded. Reload the page to try again."));
      new MutationObserver(() => { this.canvas?.repaint(this.colours()); this.touch(); })
        .observe(document.body, { attributes: true, attributeFilter: ["class"] });
      new ResizeObserver(() => {
        for (const plot of this.element.querySelectorAll(".js-plotly-plot"))
          if (plot.offsetWidth) this.plotly.Plots.resize(plot);
        this.schedule();
      }).observe(this.grid);
      element.addEventListener("toggle", () => this.toggled());
      document.addEventListener("na-block", (event) => { if (this.element.open) this.choose(event.detail); });
    }

    // --- building ---------------------------------------------------------------------------------------------------

    build() {
      this.element.append(make("summary", "na-matrix-summary", "Inside one matrix"));
      const body = this.element.appendChild(make("div", "na-matrix-body"));
      body.append(this.makeMenus());
      this.problem = body.appendChild(make("p", "na-problem"));
      this.problem.setAttribute("role", "status");
      this.again = body.appendChild(make("button", "na-button", "Try again"));
      this.again.type = "button";
      this.again.onclick = () => this.load();
      this.summary = body.appendChild(make("p", "na-matrix-words"));
      this.summary.setAttribute("role", "status");
      this.grid = body.appendChild(make("div", "na-grid"));
      this.cards = Object.fromEntries(Object.keys(CARDS).map((name) => [name, this.makeCard(name)]));
      this.cards.mask.body.classList.add("na-mask-frame");
      this.cards.norms.head.append(this.makeSwitch());
      this.say("");
    }

    makeMenus() {
      this.menus = make("div", "na-controls");
      const menu = (label) => {
        const field = this.menus.appendChild(make("label", "na-speed", label));
        const select = field.appendChild(make("select", "na-select"));
        select.setAttribute("aria-label", label); // else its name would be all of its choices
        return select;
      };
      this.block = menu("Block");
      this.linear = menu("Linear");
      this.block.onchange = () => this.choose(Number(this.block.value));
      this.linear.onchange = () => this.go(this.linear.value);
      return this.menus;
    }

    makeCard(name) {
      const [title, explain] = CARDS[name], node = this.grid.appendChild(make("section", `na-card na-card-matrix-${name}`));
      const head = node.appendChild(make("div", "na-card-head"));
      head.append(make("h3", "na-card-title", title));
      node.append(make("p", "na-card-explain", explain));
      const body = node.appendChild(make("div", name === "mask" ? "" : name === "damaged" ? "na-table" : "na-plot"));
      if (body.className === "na-plot") body.setAttribute("role", "img");
      const said = node.appendChild(make("p", "na-matrix-said"));
      return { node, head, body, said, hidden: node.appendChild(make("div", "na-hidden")) };
    }

    makeSwitch() {
      const group = make("div", "na-switch");
      group.setAttribute("role", "group");
      group.setAttribute("aria-label", "Order of the inputs");
      for (const [label, sorted] of [["Sorted", true], ["As they are", false]]) {
        const button = group.appendChild(make("button", "na-button", label));
        button.type = "button";
        button.setAttribute("aria-pressed", String(sorted === this.sorted));
        button.onclick = () => {
          this.sorted = sorted;
          for (const other of group.children) other.setAttribute("aria-pressed", String(other === button));
          this.touch(["norms"]);
        };
      }
      return group;
    }

    // --- what is looked at ------------------------------------------------------------------------------------------

    /** Look into a run; nothing is asked for until a person opens the view, or comes by a link to a matrix. */
    attach({ run = "" } = {}) {
      const asked = new URL(window.location).searchParams, linked = !this.linked && asked.get("run") === run;
      this.element.hidden = !run;
      if (run !== this.run) this.forget();
      this.run = run;
      if (!run) return;
      if (linked && asked.get(PARAMETER)) {
        this.linked = true;
        this.wanted = asked.get(PARAMETER);
        this.arriving = true;
        this.element.open = true;
      }
      this.loadOnce();
    }

    forget() {
      this.asking?.abort();
      this.asking = null;
      this.canvas?.destroy();
      Object.assign(this, { canvas: null, overview: null, shown: null, place: "", wanted: "" });
      this.say("");
    }

    toggled() {
      this.loadOnce();
      if (!this.element.open) NeuroAL.setAddress(PARAMETER, "");
      else if (this.place) this.keepAddress();
      this.touch();
    }

    loadOnce() {
      if (this.element.open && this.run && !this.overview && !this.asking) this.load();
    }

    async load() {
      this.asking?.abort();
      this.asking = new AbortController();
      const source = (this.source = new NeuroAL.MatrixSource(this.run, this.asking.signal));
      this.say("", "Looking into this run.");
      try {
        const overview = await source.overview((sentence) => this.say("", sentence));
        if (source !== this.source) return;
        this.overview = overview;
        this.offer();
        const linear = overview.linears.find((one) => placeOf(one) === this.wanted) ?? largest(overview.linears);
        await this.go(placeOf(linear));
      } catch (error) {
        if (error.name === "AbortError" || source !== this.source) return;
        this.asking = null; // whoever comes back asks again
        this.say(error.message);
      }
    }

    offer() {
      const blocks = [...new Set(this.overview.linears.map(([block]) => block))];
      this.block.replaceChildren(...blocks.map((block) => new Option(String(block), String(block))));
    }

    /** The linear of this name, or else the first one, of another block. */
    choose(block) {
      const there = this.overview?.linears.filter((linear) => linear[0] === block) ?? [];
      const name = this.place.slice(this.place.indexOf(".") + 1);
      const next = there.find((linear) => linear[1] === name) ?? there[0];
      if (next) this.go(placeOf(next));
    }

    async go(place) {
      const linear = this.overview.linears.find((one) => placeOf(one) === place);
      const [block, , rows, columns] = linear, began = performance.now();
      this.place = place;
      this.block.value = String(block);
      const there = this.overview.linears.filter((one) => one[0] === block);
      this.linear.replaceChildren(...there.map((one) => new Option(one[1], placeOf(one))));
      this.linear.value = place;
      this.keepAddress();
      try {
        const found = await this.source.matrix(place, rows, columns);
        if (this.place !== place) return;
        this.shown = { ...found, began };
        this.draw();
      } catch (error) {
        if (error.name !== "AbortError" && this.place === place) this.say(error.message);
      }
    }

    keepAddress() {
      if (this.element.open && this.run) NeuroAL.setAddress(PARAMETER, this.place);
    }

    /** A problem, or what is going on; neither is a matrix. */
    say(problem, going = "") {
      setText(this.problem, problem || going);
      this.problem.hidden = !(problem || going);
      this.problem.classList.toggle("na-matrix-going", !problem);
      const nothing = Boolean(problem || going) || !this.shown;
      this.again.hidden = !problem || !/try again/.test(problem);
      this.menus.hidden = !this.overview;
      this.summary.hidden = this.grid.hidden = nothing;
    }

    // --- drawing ----------------------------------------------------------------------------------------------------

    /** A matrix has come: everything is drawn anew. */
    draw() {
      const { figures, mask, began } = this.shown;
      this.marks = { rows: [], columns: [], from: "" };
      this.say("");
      setText(this.summary, words.summaryOf(figures, this.overview.linears));
      const options = {
        ...mask, rows: figures.rows, columns: figures.columns, palette: this.colours(),
        labels: { row: "row", column: "input" }, onHover: (place) => this.pointed(place),
        label: `Mask of block ${figures.block}, ${figures.name}: ${words.summaryOf(figures, this.overview.linears)}`,
      };
      if (this.canvas) this.canvas.show(options);
      else this.canvas = new NeuroAL.MatrixCanvas(this.cards.mask.body, options);
      this.drawDamaged();
      this.describe();
      this.touch();
      this.element.dataset.place = figures.place;
      this.element.dataset.ms = String(Math.round(performance.now() - began));
      if (!this.arriving) return;
      this.arriving = false;
      this.element.scrollIntoView({ block: "start" });
    }

    colours() {
      const palette = paletteOf(this.element, this.options.palettes);
      return { kept: palette.chosen, pruned: palette.grid.startsWith("#") ? palette.grid : "#e4e4e7", mark: palette.uniform };
    }

    drawDamaged() {
      const { damaged: card } = this.cards, { head, rows } = words.damageTable(this.shown.figures);
      card.node.hidden = !this.shown.figures.dense;
      const table = textTable("", head, rows);
      table.caption.remove();
      for (const cell of table.rows[0].cells) cell.scope = "col";
      [...table.rows].slice(1).forEach((row, i) => this.makeDamage(row, this.shown.figures.damaged[i].index));
      card.body.replaceChildren(rows.length ? table : make("p", "", "No input changed."));
    }

    /** A row of the table marks its input where it is pointed at, and leads to its column where it is pressed. */
    makeDamage(row, index) {
      const button = make("button", "na-matrix-input", String(index));
      Object.assign(button, {
        type: "button", onclick: () => this.canvas.reveal({ column: index }),
        onfocus: () => this.mark({ columns: [index] }), onblur: () => this.mark({}),
      });
      button.setAttribute("aria-label", `Input ${index}: show its column`);
      row.cells[0].replaceChildren(button);
      Object.assign(row, { onmouseenter: () => this.mark({ columns: [index] }), onmouseleave: () => this.mark({}) });
      row.dataset.input = String(index);
    }

    /** In words, for everyone and for who cannot see the figures. */
    describe() {
      const { figures } = this.shown, { cards } = this;
      const said = { rows: words.histogramWords(figures), norms: words.normWords(figures), drivers: words.driverWords(figures) };
      for (const [name, text] of Object.entries(said)) {
        setText(cards[name].said, text);
        cards[name].body.setAttribute("aria-label", `${CARDS[name][0]}. ${text}`);
      }
      const { head, rows } = words.histogramTable(figures);
      cards.rows.hidden.replaceChildren(textTable(CARDS.rows[0], head, rows));
    }

    touch(names = ["rows", "norms", "drivers"]) {
      names.forEach((name) => this.dirty.add(name));
      this.schedule();
    }

    schedule() {
      this.frame ??= requestAnimationFrame(() => { this.frame = null; this.drawFigures(); });
    }

    drawFigures() {
      if (!this.plotly || !this.shown || !this.grid.offsetWidth) return;
      const { figures } = this.shown, palette = paletteOf(this.element, this.options.palettes);
      this.order = this.dirty.has("norms") ? orderOf(figures, this.sorted) : this.order;
      const draw = {
        rows: () => rowHistogram(figures, palette),
        norms: () => norms(figures, palette, this.order),
        drivers: () => drivers(figures, palette),
      };
      for (const name of this.dirty) {
        const { node, body } = this.cards[name], figure = draw[name]();
        body.hidden = figure === null;
        node.hidden = figure === null && name === "norms";
        if (figure === null) continue;
        figure.layout.uirevision = `${this.run} ${figures.place} ${this.sorted}`;
        drawFigure(this.plotly, body, figure);
        this.listen(name, body);
      }
      const drawn = [...this.dirty];
      this.dirty.clear();
      this.drawMarks(palette, drawn);
    }

    /** Over figures that were just drawn, and where other things are pointed at than before. */
    drawMarks(palette, drawn) {
      const { figures } = this.shown, { rows, columns, from } = this.marks;
      const made = {
        rows: () => barMarks(figures, palette, rows),
        norms: () => normMarks(figures, palette, this.order, columns),
        drivers: () => driverMarks(figures, palette, rows),
      };
      for (const [name, shapes] of Object.entries(made)) {
        const { body } = this.cards[name], own = from === name ? [] : shapes(), key = JSON.stringify(own);
        if (body.hidden || !body.dataset.heard || (body.dataset.marks === key && !(drawn.includes(name) && own.length))) continue;
        body.dataset.marks = key;
        this.plotly.relayout(body, { shapes: own });
      }
    }

    /** What a person points at in a figure. */
    listen(name, plot) {
      if (plot.dataset.heard) return;
      plot.dataset.heard = "yes";
      const told = {
        rows: (point) => ({ rows: rowsOfBar(this.shown.figures, point.pointNumber) }),
        norms: (point) => ({ columns: [point.customdata[0]] }),
        drivers: (point) => ({ rows: [point.customdata] }),
      };
      plot.on("plotly_hover", ({ points }) => this.mark(told[name](points[0]), name));
      plot.on("plotly_unhover", () => this.mark({}, name));
    }

    // --- links between the views ------------------------------------------------------------------------------------

    /** A person points at a dot of the mask, or away from it. */
    pointed(place) {
      if (!place) return this.mark({}, "mask");
      const span = (first, count) => Array.from({ length: count }, (_, i) => first + i);
      return this.mark({ rows: span(place.row, place.rows), columns: span(place.column, place.columns) }, "mask");
    }

    /** Mark these everywhere; `from`: the view that is pointed at, whose own marks are its own affair. */
    mark({ rows = [], columns = [] }, from = "") {
      if (!this.shown) return;
      this.marks = { rows, columns, from };
      this.canvas.mark(this.marks);
      for (const row of this.cards.damaged.body.querySelectorAll("tr[data-input]"))
        row.classList.toggle("na-marked", columns.includes(Number(row.dataset.input)));
      this.schedule();
    }
  }

  const placeOf = ([block, name]) => `${block}.${name}`;

  /** The linear whose input drifted most: that is the one to begin with. */
  const largest = (linears) => linears.reduce((best, one) => ((one[4] ?? -1) > (best[4] ?? -1) ? one : best));

  Object.assign(NeuroAL, { MatrixView });
})();
