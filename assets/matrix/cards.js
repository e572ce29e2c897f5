/**
 * The cards of one matrix: its mask, rows, inputs, drivers and most damaged inputs. What is pointed at in one is marked
 * in the others: rows with rows, inputs with inputs. All text is written with textContent.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { drawFigure, make, paletteOf, setText, textTable } = NeuroAL;
  const { barMarks, driverMarks, drivers, normMarks, norms, orderOf, rowHistogram, rowsOfBar } = NeuroAL.matrixFigures;
  const words = NeuroAL.matrixWords;

  const TEXTS = {
    mask: ["Its mask", "One row for each output, one column for each input of this linear; coloured where the weight is"
      + " kept. These are the run's own bits, at whole pixels; nothing is drawn between them."],
    rows: ["How sparse its rows are", "Each bar: how many rows have lost this share of their weights. Point at a bar to"
      + " mark its rows in the mask."],
    norms: ["What its inputs bring", "Activation norms of every input on the calibration text, as shares of their sum,"
      + " in the dense and in the pruned model; the two get the same hidden states. The distance between the curves,"
      + " per input, is this matrix's alignment term."],
    drivers: ["What drives its rows", "Each dot is a row: how much activation the linear that reads it has lost, and"
      + " how sparse it is. This is the finished run; a row step went by the same figure before it varied the rows."],
    damaged: ["The ten most damaged inputs", "Inputs whose part of the summed norms changed most, and each one's share"
      + " of the squared distance between the curves. Point at one to find its column."],
  };

  // Those that are plots, by what pointing at a point of theirs means.
  const POINTED = {
    rows: (matrix, point) => ({ rows: rowsOfBar(matrix, point.pointNumber) }),
    norms: (matrix, point) => ({ columns: [point.customdata[0]] }),
    drivers: (matrix, point) => ({ rows: [point.customdata] }),
  };
  const PLOTS = Object.keys(POINTED);

  const NOTHING = { rows: [], columns: [], from: "" };

  class MatrixCards {
    /** @param {HTMLElement} grid where to build them; @param {object} palettes light and dark */
    constructor(grid, palettes) {
      Object.assign(this, { grid, palettes, plotly: null, matrix: null, canvas: null, sorted: true, marks: NOTHING });
      this.dirty = new Set();
      this.cards = Object.fromEntries(Object.keys(TEXTS).map((name) => [name, this.makeCard(name)]));
      this.cards.norms.head.append(this.makeSwitch());
      new MutationObserver(() => { this.canvas?.repaint(this.colours()); this.touch(); })
        .observe(document.body, { attributes: true, attributeFilter: ["class"] });
      new ResizeObserver(() => {
        for (const plot of grid.querySelectorAll(".js-plotly-plot"))
          if (plot.offsetWidth) this.plotly.Plots.resize(plot);
        this.schedule();
      }).observe(grid);
    }

    // --- building ---------------------------------------------------------------------------------------------------

    makeCard(name) {
      const [title, explain] = TEXTS[name];
      const node = this.grid.appendChild(make("section", `na-card na-card-matrix-${name}`));
      const head = node.appendChild(make("div", "na-card-head"));
      head.append(make("h3", "na-card-title", title));
      node.append(make("p", "na-card-explain", explain));
      const body = node.appendChild(make("div", name === "mask" ? "" : name === "damaged" ? "na-table" : "na-plot"));
      if (PLOTS.includes(name)) body.setAttribute("role", "group"); // not an image: it has buttons
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

    /** A row of the table marks its input where it is pointed at, and leads to its column where it is pressed. */
    makeDamage(row, index) {
      const button = make("button", "na-matrix-input", String(index));
      const here = () => this.mark({ columns: [index] }), away = () => this.mark({});
      const find = () => this.canvas.reveal({ column: index });
      Object.assign(button, { type: "button", onclick: find, onfocus: here, onblur: away });
      button.setAttribute("aria-label", `Input ${index}: show its column`);
      row.cells[0].replaceChildren(button);
      Object.assign(row, { onmouseenter: here, onmouseleave: away });
      row.dataset.input = String(index);
    }

    // --- what is shown ----------------------------------------------------------------------------------------------

    /**
     * @param {object} matrix what the route tells of it
     * @param {{bits: ?Uint8Array, load: ?Function}} mask where its bits are, as MatrixCanvas wants it
     * @param {string} label of the mask, for who cannot see it
     */
    show(matrix, mask, label) {
      Object.assign(this, { matrix, marks: NOTHING });
      const options = {
        ...mask, rows: matrix.rows, columns: matrix.columns, palette: this.colours(), label,
        labels: { row: "row", column: "input" }, onHover: (place) => this.pointed(place),
      };
      if (this.canvas) this.canvas.show(options);
      else this.canvas = new NeuroAL.MatrixCanvas(this.cards.mask.body, options);
      this.showDamaged();
      this.describe();
      this.touch();
    }

    /** Forget the matrix; whoever looked at it has gone to another run. */
    clear() {
      this.canvas?.destroy();
      Object.assign(this, { matrix: null, canvas: null, marks: NOTHING });
    }

    colours() {
      const { chosen, grid, uniform } = this.palettes[document.body.classList.contains("dark") ? "dark" : "light"];
      return { kept: chosen, pruned: grid, mark: uniform };
    }

    showDamaged() {
      const { damaged } = this.cards, { head, rows } = words.damageTable(this.matrix);
      const table = textTable("", head, rows);
      damaged.node.hidden = !this.matrix.dense;
      table.caption.remove(); // the heading above says it
      for (const cell of table.rows[0].cells) cell.scope = "col";
      this.matrix.damaged.forEach(({ index }, i) => this.makeDamage(table.rows[i + 1], index));
      damaged.body.replaceChildren(rows.length ? table : make("p", "", "No input changed."));
    }

    /** In words, for everyone and for who cannot see the figures. */
    describe() {
      const { matrix, cards } = this;
      const said = { rows: words.histogramWords, norms: words.normWords, drivers: words.driverWords };
      for (const name of PLOTS) {
        const text = said[name](matrix);
        setText(cards[name].said, text);
        cards[name].body.setAttribute("aria-label", `${TEXTS[name][0]}. ${text}`);
      }
      const { head, rows } = words.histogramTable(matrix);
      cards.rows.hidden.replaceChildren(textTable(TEXTS.rows[0], head, rows));
    }

    // --- drawing ----------------------------------------------------------------------------------------------------

    /** Have these plots drawn anew. */
    touch(names = PLOTS) {
      names.forEach((name) => this.dirty.add(name));
      this.schedule();
    }

    schedule() {
      this.frame ??= requestAnimationFrame(() => { this.frame = null; this.draw(); });
    }

    draw() {
      const { matrix, plotly } = this;
      if (!plotly || !matrix || !this.grid.offsetWidth) return; // drawn when they are there
      const palette = paletteOf(this.grid, this.palettes), drawn = [...this.dirty];
      this.dirty.clear();
      if (drawn.includes("norms")) this.order = matrix.dense ? orderOf(matrix, this.sorted) : [];
      const figures = {
        rows: () => rowHistogram(matrix, palette), norms: () => norms(matrix, palette, this.order),
        drivers: () => drivers(matrix, palette),
      };
      for (const name of drawn) {
        const { node, body } = this.cards[name], figure = figures[name]();
        body.hidden = figure === null;
        node.hidden = figure === null && name === "norms";
        if (figure === null) continue;
        figure.layout.uirevision = `${matrix.place} ${this.sorted}`;
        drawFigure(plotly, body, figure);
        this.listen(name, body);
      }
      this.drawMarks(palette, drawn);
    }

    listen(name, plot) {
      if (plot.dataset.heard) return;
      plot.dataset.heard = "yes";
      plot.on("plotly_hover", ({ points }) => this.mark(POINTED[name](this.matrix, points[0]), name));
      plot.on("plotly_unhover", () => this.mark({}, name));
    }

    /** Over plots that were just drawn, and where other things are pointed at than before. */
    drawMarks(palette, drawn) {
      const { matrix, order, marks: { rows, columns, from } } = this;
      const made = {
        rows: () => barMarks(matrix, palette, rows), norms: () => normMarks(matrix, palette, order, columns),
        drivers: () => driverMarks(matrix, palette, rows),
      };
      for (const name of PLOTS) {
        const { body } = this.cards[name], shapes = from === name ? [] : made[name](), key = JSON.stringify(shapes);
        const there = drawn.includes(name) ? "[]" : body.dataset.marks ?? "[]";
        body.dataset.marks = key;
        if (!body.hidden && key !== there) this.plotly.relayout(body, { shapes });
      }
    }

    // --- links between them -----------------------------------------------------------------------------------------

    /** A person points at a dot of the mask, or away from it. */
    pointed(place) {
      const span = (first, count) => Array.from({ length: count }, (_, i) => first + i);
      this.mark(place ? { rows: span(place.row, place.rows), columns: span(place.column, place.columns) } : {}, "mask");
    }

    /** Mark these everywhere; `from`: the card that is pointed at, whose own marks are its own affair. */
    mark({ rows = [], columns = [] }, from = "") {
      if (!this.matrix) return;
      this.marks = { rows, columns, from };
      this.canvas.mark(this.marks);
      for (const row of this.cards.damaged.body.querySelectorAll("tr[data-input]"))
        row.classList.toggle("na-marked", columns.includes(Number(row.dataset.input)));
      this.schedule();
    }
  }

  Object.assign(NeuroAL, { MatrixCards });
})();
