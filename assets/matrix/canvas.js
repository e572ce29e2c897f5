/**
 * One matrix of bits on a canvas, every dot as large as whole device pixels: to zoom (wheel, pinch, keys), to drag, and
 * to point at. It needs cells.js, paint.js, gestures.js and assets/live/cards.js, and looks as matrix.css says.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { make, setText } = NeuroAL;
  const { countsOf, dotsOf } = NeuroAL.cells;
  const { drawCells, drawMarks, paintCells } = NeuroAL.matrixPaint;

  const PALETTE = { kept: "#0072b2", pruned: "#ececee", mark: "#d55e00" };

  // Milliseconds without a change of the view before its part is asked for.
  const CALM_MS = 90;

  const HINT = "Wheel or pinch zooms (click first, or hold Ctrl), drag moves."
    + " Keys: arrows point, + and − zoom, 0 shows all.";

  class MatrixCanvas {
    /**
     * @param {HTMLElement} element where to build it
     * @param {{rows: number, columns: number, bits: ?Uint8Array, cells: ?{size: number, counts: ArrayLike<number>},
     *     load: ?Function, palette: ?object, label: ?string, onHover: ?Function, labels: ?object}} options
     *     exactly one of: `bits`, the whole mask, each row in whole bytes, the first column in the highest bit, 1 is
     *     kept; `cells`, only how many are kept in each square of `size` × `size`, row after row; `load(window)`, a
     *     promise of the counts of a window (see cells.js). `palette`: colours `kept`, `pruned`, `mark` as #rrggbb.
     *     `onHover(place)`: a person points at `{row, column, rows, columns, kept, weights}` (the first row and column
     *     of a dot, and how many it stands for), or at nothing: null. `labels`: what a `row` and a `column` are called.
     */
    constructor(element, options) {
      this.element = element;
      this.view = new NeuroAL.Viewport(() => this.moved());
      this.build();
      this.show(options);
      this.watch();
    }

    // --- building ---------------------------------------------------------------------------------------------------

    build() {
      this.canvas = make("canvas", "na-mask");
      this.canvas.tabIndex = 0;
      this.canvas.setAttribute("role", "application");
      this.canvas.setAttribute("aria-roledescription", "zoomable picture");
      const bar = make("div", "na-controls na-mask-bar");
      for (const [sign, label, act] of [
        ["−", "Zoom out", () => this.view.zoom(-1)], ["+", "Zoom in", () => this.view.zoom(1)],
        ["All", "Show all", () => this.view.fit()],
      ]) {
        const button = bar.appendChild(make("button", "na-button", sign));
        button.type = "button";
        button.setAttribute("aria-label", label);
        button.onclick = act;
      }
      bar.append(this.makeLegend());
      this.readout = make("p", "na-mask-readout");
      this.readout.setAttribute("aria-live", "polite");
      this.hint = make("p", "na-mask-hint", HINT);
      this.element.replaceChildren(bar, this.canvas, this.readout, this.hint);
      this.gestures = new NeuroAL.MatrixGestures(this.canvas, this.view, this);
    }

    makeLegend() {
      const legend = make("p", "na-mask-legend");
      this.swatches = {};
      for (const name of ["kept", "pruned"]) {
        this.swatches[name] = legend.appendChild(make("span", "na-mask-swatch"));
        legend.append(make("span", "", name));
      }
      this.size = legend.appendChild(make("span", "na-mask-size"));
      return legend;
    }

    watch() {
      this.observer = new ResizeObserver(([entry]) => {
        const exact = entry.devicePixelContentBoxSize?.[0], ratio = window.devicePixelRatio || 1;
        const [width, height] = [entry.contentRect.width * ratio, entry.contentRect.height * ratio].map(Math.round);
        // Exact to the pixel where the browser says so; one that only imitates another screen says something else.
        const said = exact && Math.abs(exact.inlineSize - width) <= ratio + 1;
        this.resize(said ? exact.inlineSize : width, said ? exact.blockSize : height);
      });
      try {
        this.observer.observe(this.canvas, { box: "device-pixel-content-box" });
      } catch {
        this.observer.observe(this.canvas);
      }
    }

    /** Nothing of it goes on afterwards. */
    destroy() {
      this.observer.disconnect();
      cancelAnimationFrame(this.frame);
      clearTimeout(this.timer);
      this.options = null;
      this.element.replaceChildren();
    }

    // --- what is shown ----------------------------------------------------------------------------------------------

    /** Another matrix; as the constructor. One of the same shape is seen where the last one was. */
    show(options) {
      this.options = { labels: { row: "row", column: "column" }, ...options };
      this.palette = { ...PALETTE, ...options.palette };
      Object.assign(this, { grid: null, asked: null, point: null, told: "", marks: { rows: [], columns: [] } });
      this.canvas.setAttribute("aria-label", options.label ?? "Mask");
      this.canvas.style.aspectRatio = `${options.columns} / ${options.rows}`;
      setText(this.readout, "");
      this.view.show(options, options.cells?.size);
    }

    /** Other colours, after a change of theme. */
    repaint(palette) {
      this.palette = { ...PALETTE, ...palette };
      if (this.grid) paintCells(this.grid, this.palette, this.grid.image);
      this.schedule();
    }

    /** Mark rows and columns; empty lists take the marks away. */
    mark({ rows = [], columns = [] } = {}) {
      this.marks = { rows, columns };
      this.schedule();
    }

    /** Bring a row or a column to the middle of the screen. */
    reveal(place) { this.view.reveal(place); }

    resize(width, height) {
      if (!width || !height || (width === this.canvas.width && height === this.canvas.height)) return;
      Object.assign(this.canvas, { width, height });
      this.view.resize(width, height);
    }

    moved() {
      // A finger scrolls the page where all is seen, and moves the matrix where it is not.
      this.canvas.style.touchAction = this.view.isWhole ? "pan-y" : "none";
      this.schedule();
    }

    // --- pointing ---------------------------------------------------------------------------------------------------

    /** Point at what is at a place of the screen. */
    pointAt(x, y) {
      const { row, column } = this.view.weightAt(x, y), { rows, columns } = this.options;
      const inside = row >= 0 && column >= 0 && row < rows && column < columns;
      this.aim(inside ? { row: Math.floor(row), column: Math.floor(column) } : null);
    }

    /** Where keys zoom: at what is pointed at, else in the middle. */
    spot() { return this.point ? this.view.placeOf(this.point) : []; }

    /** Point at the next dot in a direction, and bring it onto the screen; at first at the middle. */
    step(down, across, times) {
      if (!this.view.levels) return;
      const { rows, columns } = this.options, far = times * this.view.level.cell;
      const { row, column } = this.point ?? this.view.middle;
      const next = (from, way, count) =>
        Math.min(Math.max(Math.floor(from) + (this.point && way ? way * far : 0), 0), count - 1);
      const point = { row: next(row, down, rows), column: next(column, across, columns) };
      this.view.bring(point);
      this.aim(point);
    }

    /** Point at a weight, or at none: the dot that it is in is told. */
    aim(point) {
      this.point = point;
      const told = point && this.dotAt(point);
      const name = told ? `${told.row} ${told.column} ${told.rows} ${told.kept}` : "";
      if (name === this.told) return;
      this.told = name;
      setText(this.readout, told ? this.words(told) : "");
      this.options.onHover?.(told);
    }

    dotAt({ row, column }) {
      const { cell } = this.view.level, { rows, columns } = this.options;
      const top = row - (row % cell), left = column - (column % cell), part = this.grid?.part;
      const down = Math.min(cell, rows - top), across = Math.min(cell, columns - left), weights = down * across;
      const found = { row: top, column: left, rows: down, columns: across };
      if (part?.cell !== cell) return { ...found, weights, kept: null };
      const i = (top - part.top) / cell, j = (left - part.left) / cell, dots = dotsOf(part);
      const there = i >= 0 && j >= 0 && i < dots.down && j < dots.across;
      return { ...found, weights, kept: there ? this.grid.counts[i * dots.across + j] : null };
    }

    words({ row, column, rows, columns, kept, weights }) {
      const { labels } = this.options;
      const span = (name, first, count) =>
        (count === 1 ? `${name} ${first}` : `${name}s ${first} to ${first + count - 1}`);
      const where = `${span(labels.row, row, rows)}, ${span(labels.column, column, columns)}`;
      const state = kept === null ? ""
        : weights === 1 ? (kept ? ": kept" : ": pruned") : `: ${kept} of ${weights} kept`;
      return where.slice(0, 1).toUpperCase() + where.slice(1) + state;
    }

    // --- drawing ----------------------------------------------------------------------------------------------------

    schedule() {
      this.frame ??= requestAnimationFrame(() => { this.frame = null; this.draw(); });
    }

    draw() {
      const { view, palette } = this;
      if (!this.options || !view.levels) return;
      this.have(view.window);
      const context = this.canvas.getContext("2d");
      context.clearRect(0, 0, this.canvas.width, this.canvas.height);
      if (this.grid) drawCells(context, this.grid, view.level, view.origin, palette);
      drawMarks(context, this.marks, view.shape, view.level, view.origin, palette);
      this.drawLegend();
      if (this.point) this.aim(this.point); // its dot may be of another size by now, or have come just now
    }

    /** Have the counts of a part: at once where the bits are here, later where they have to be asked for. */
    have(part) {
      const { rows, columns, bits, cells } = this.options;
      if (covers(this.grid?.part, part)) return;
      if (bits) this.take(part, countsOf(bits, Math.ceil(columns / 8), part));
      else if (cells) this.take({ top: 0, left: 0, rows, columns, cell: cells.size }, cells.counts);
      else if (!covers(this.asked, part)) {
        this.asked = part;
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.ask(part), this.grid ? CALM_MS : 0);
      }
    }

    async ask(part) {
      const { options } = this, current = () => this.asked === part && this.options === options;
      try {
        const counts = await options.load(part);
        if (!current()) return;
        this.take(part, counts);
        this.schedule();
      } catch (error) {
        if (!current() || error.name === "AbortError") return;
        this.asked = null;
        setText(this.readout, `This part could not be had: ${error.message}`);
      }
    }

    take(part, counts) {
      this.grid = { part, counts, image: document.createElement("canvas") };
      paintCells(this.grid, this.palette, this.grid.image);
    }

    drawLegend() {
      const { cell } = this.view.level;
      setText(this.size, cell === 1 ? "Each square is one weight."
        : `Each dot is ${cell} × ${cell} weights, mixed by how many of them are kept.`);
      for (const name of ["kept", "pruned"]) this.swatches[name].style.backgroundColor = this.palette[name];
    }
  }

  /** Whether one window has all of another, in the same cells. */
  function covers(have, wanted) {
    if (!have || have.cell !== wanted.cell || have.top > wanted.top || have.left > wanted.left) return false;
    return have.top + have.rows >= wanted.top + wanted.rows && have.left + have.columns >= wanted.left + wanted.columns;
  }

  Object.assign(NeuroAL, { MatrixCanvas });
})();
