/**
 * One matrix of bits on a canvas, every dot as large as whole device pixels: to zoom (wheel, pinch, keys), to drag, and
 * to point at. Used inside a run's matrices and on the path that explains them; it needs cells.js and cards.js only.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { make, setText } = NeuroAL;
  const { clamp, countsOf, dotsOf, ladder, nearest, scaleOf, weightsOf, windowOf } = NeuroAL.cells;

  const PALETTE = { kept: "#0072b2", pruned: "#ececee", mark: "#d55e00" };

  // From this size on single weights have a thin line around them, in device pixels.
  const LINED = 12;

  // A pointer that moves less, in device pixels, does not drag.
  const STILL = 4;

  // Milliseconds without a change of the view before its part is asked for.
  const CALM_MS = 90;

  const HINT = "Wheel or pinch zooms (click first, or hold Ctrl), drag moves. Keys: arrows point, + and − zoom, 0 shows all.";

  class MatrixCanvas {
    /**
     * @param {HTMLElement} element where to build it
     * @param {{rows: number, columns: number, bits: ?Uint8Array, cells: ?{size: number, counts: ArrayLike<number>},
     *     load: ?Function, palette: ?object, label: ?string, onHover: ?Function, labels: ?object}} options
     *     exactly one of: `bits`, the whole mask, each row in whole bytes, the first column in the highest bit, 1 is kept;
     *     `cells`, only how many weights are kept in each square of so many; `load(window)`, a promise of the counts of a
     *     window (see cells.js). `palette`: colours `kept`, `pruned`, `mark`. `onHover(place)`: a person points at
     *     `{row, column, rows, columns, kept, weights}` (the first row and column of a dot, and how many it stands for),
     *     or null at nothing. `labels`: what rows and columns are called, in the singular.
     */
    constructor(element, options) {
      this.element = element;
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
        ["−", "Zoom out", () => this.zoom(-1)], ["+", "Zoom in", () => this.zoom(1)], ["All", "Show all", () => this.fit()],
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
      for (const name of ["pointerdown", "pointermove", "pointerup", "pointercancel", "pointerleave", "keydown", "blur"])
        this.canvas.addEventListener(name, (event) => this[name](event));
      this.canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
      this.pointers = new Map();
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

    /** Another matrix; as the constructor. The same shape keeps the view. */
    show(options) {
      const same = this.options?.rows === options.rows && this.options?.columns === options.columns;
      this.options = { labels: { row: "row", column: "column" }, ...options };
      this.palette = { ...PALETTE, ...options.palette };
      this.stride = Math.ceil(options.columns / 8);
      Object.assign(this, { grid: null, asked: null, point: null, marks: { rows: [], columns: [] } });
      this.canvas.setAttribute("aria-label", options.label ?? "Mask");
      this.canvas.style.aspectRatio = `${options.columns} / ${options.rows}`;
      setText(this.readout, "");
      this.relevel(same);
    }

    /** Other colours, after a change of theme. */
    repaint(palette) {
      this.palette = { ...PALETTE, ...palette };
      if (this.grid) this.paint(this.grid);
      this.schedule();
    }

    /** Mark rows and columns; empty lists take the marks away. */
    mark({ rows = [], columns = [] } = {}) {
      this.marks = { rows, columns };
      this.schedule();
    }

    /** Bring a row or a column to the middle of the screen. */
    reveal({ row = this.middle().row, column = this.middle().column }) {
      const scale = scaleOf(this.level);
      this.move((column + 0.5) * scale - this.canvas.width / 2, (row + 0.5) * scale - this.canvas.height / 2);
    }

    resize(width, height) {
      if (!width || !height || (width === this.canvas.width && height === this.canvas.height)) return;
      Object.assign(this.canvas, { width, height });
      this.relevel(true);
    }

    /** The sizes for this screen; `keep`: what is seen stays about as large and where it is. */
    relevel(keep) {
      const { canvas, options } = this;
      if (!canvas.width || !options) return;
      const before = keep && this.levels && this.at > 0 ? { scale: scaleOf(this.level), middle: this.middle() } : null;
      this.levels = ladder(options, canvas, options.cells?.size ?? null);
      this.at = before ? nearest(this.levels, before.scale) : 0;
      const scale = scaleOf(this.level), { row, column } = before?.middle ?? { row: 0, column: 0 };
      this.move(column * scale - canvas.width / 2, row * scale - canvas.height / 2);
    }

    get level() { return this.levels[this.at]; }

    /** Which weight, as fractions of row and column, is at a place of the screen. */
    weightAt(x, y) {
      const scale = scaleOf(this.level);
      return { row: (this.origin.y + y) / scale, column: (this.origin.x + x) / scale };
    }

    middle() { return this.weightAt(this.canvas.width / 2, this.canvas.height / 2); }

    move(x, y) {
      const { rows, columns } = this.options, { cell, dot } = this.level, { width, height } = this.canvas;
      this.origin = {
        x: clamp(x, Math.ceil(columns / cell) * dot, width), y: clamp(y, Math.ceil(rows / cell) * dot, height),
      };
      // A finger scrolls the page where all is seen, and moves the matrix where it is not.
      this.canvas.style.touchAction = this.at ? "none" : "pan-y";
      this.schedule();
    }

    /** So many steps in or out, around a place of the screen. */
    zoom(steps, x = this.canvas.width / 2, y = this.canvas.height / 2) {
      this.zoomTo(this.at + steps, x, y);
    }

    zoomTo(at, x, y) {
      const { row, column } = this.weightAt(x, y);
      this.at = Math.min(Math.max(at, 0), this.levels.length - 1);
      const scale = scaleOf(this.level);
      this.move(column * scale - x, row * scale - y);
    }

    fit() {
      this.at = 0;
      this.move(0, 0);
    }

    // --- pointers ---------------------------------------------------------------------------------------------------

    place(event) {
      const { width, height, clientWidth, clientHeight } = this.canvas;
      return { x: (event.offsetX * width) / clientWidth, y: (event.offsetY * height) / clientHeight };
    }

    wheel(event) {
      if (!event.ctrlKey && !event.metaKey && document.activeElement !== this.canvas) return;
      event.preventDefault();
      this.turned = (this.turned ?? 0) - event.deltaY * (event.deltaMode === 1 ? 16 : 1);
      const steps = Math.trunc(this.turned / (event.ctrlKey ? 8 : 40)), { x, y } = this.place(event);
      if (!steps) return;
      this.turned = 0;
      this.zoom(Math.sign(steps), x, y);
    }

    pointerdown(event) {
      if (event.button !== 0) return;
      this.canvas.setPointerCapture(event.pointerId);
      this.canvas.focus({ preventScroll: true });
      this.pointers.set(event.pointerId, this.place(event));
      this.drag = { from: this.place(event), origin: { ...this.origin }, moved: false };
      if (this.pointers.size === 2) this.pinch = { apart: this.apart(), scale: scaleOf(this.level) };
    }

    pointermove(event) {
      const at = this.place(event);
      if (!this.pointers.has(event.pointerId)) return this.hover(at);
      this.pointers.set(event.pointerId, at);
      if (this.pointers.size === 2) {
        const [a, b] = this.pointers.values();
        const wanted = nearest(this.levels, (this.pinch.scale * this.apart()) / this.pinch.apart);
        return this.zoomTo(wanted, (a.x + b.x) / 2, (a.y + b.y) / 2);
      }
      const { from, origin } = this.drag;
      this.drag.moved ||= Math.hypot(at.x - from.x, at.y - from.y) > STILL;
      return this.drag.moved ? this.move(origin.x - at.x + from.x, origin.y - at.y + from.y) : undefined;
    }

    pointerup(event) {
      if (this.drag && !this.drag.moved && this.pointers.size === 1) this.hover(this.place(event));
      this.pointercancel(event);
    }

    pointercancel(event) {
      this.pointers.delete(event.pointerId);
      const [left] = this.pointers.values();
      this.drag = left ? { from: left, origin: { ...this.origin }, moved: true } : null;
    }

    pointerleave(event) {
      if (event.pointerType === "mouse" && !this.pointers.size) this.aim(null);
    }

    blur() { this.aim(null); }

    apart() {
      const [a, b] = this.pointers.values();
      return Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
    }

    hover({ x, y }) {
      const { row, column } = this.weightAt(x, y), { rows, columns } = this.options;
      const inside = row >= 0 && column >= 0 && row < rows && column < columns;
      this.aim(inside ? { row: Math.floor(row), column: Math.floor(column) } : null);
    }

    // --- keys -------------------------------------------------------------------------------------------------------

    keydown(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const steps = { "+": 1, "=": 1, "-": -1, "−": -1 }[event.key];
      const ways = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
      if (steps) this.zoom(steps, ...this.spot());
      else if (event.key === "0") this.fit();
      else if (event.key in ways) this.step(...ways[event.key], event.shiftKey ? 10 : 1);
      else if (event.key === "Home" || event.key === "End") this.step(0, event.key === "Home" ? -Infinity : Infinity, 1);
      else if (event.key === "Escape" && this.point) this.aim(null);
      else return;
      event.preventDefault();
    }

    /** Where keys zoom: at what is pointed at, else in the middle. */
    spot() {
      if (!this.point) return [];
      const scale = scaleOf(this.level);
      return [(this.point.column + 0.5) * scale - this.origin.x, (this.point.row + 0.5) * scale - this.origin.y];
    }

    /** Point at the next dot in a direction, and bring it onto the screen. */
    step(down, across, times) {
      const { rows, columns } = this.options, { cell } = this.level, from = this.point ?? this.middle();
      const next = (value, way, count) => Math.min(Math.max(Math.floor(value) + way * times * cell, 0), count - 1);
      const point = this.point ? { row: next(from.row, down, rows), column: next(from.column, across, columns) }
        : { row: Math.floor(from.row), column: Math.floor(from.column) };
      const scale = scaleOf(this.level), { width, height } = this.canvas;
      const into = (at, origin, room) => (at * scale < origin ? at * scale
        : (at + cell) * scale > origin + room ? (at + cell) * scale - room : origin);
      this.move(into(point.column, this.origin.x, width), into(point.row, this.origin.y, height));
      this.aim(point);
    }

    // --- pointing ---------------------------------------------------------------------------------------------------

    /** Point at a weight: the dot that it is in is told. */
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
      const { cell } = this.level, { rows, columns } = this.options;
      const top = row - (row % cell), left = column - (column % cell), part = this.grid?.part;
      const found = { row: top, column: left, rows: Math.min(cell, rows - top), columns: Math.min(cell, columns - left) };
      const weights = found.rows * found.columns;
      if (part?.cell !== cell) return { ...found, weights, kept: null };
      const i = (top - part.top) / cell, j = (left - part.left) / cell, { down, across } = dotsOf(part);
      const there = i >= 0 && j >= 0 && i < down && j < across;
      return { ...found, weights, kept: there ? this.grid.counts[i * across + j] : null };
    }

    words({ row, column, rows, columns, kept, weights }) {
      const { labels } = this.options;
      const span = (name, first, count) => (count === 1 ? `${name} ${first}` : `${name}s ${first} to ${first + count - 1}`);
      const where = `${span(labels.row, row, rows)}, ${span(labels.column, column, columns)}`;
      const state = kept === null ? "" : weights === 1 ? (kept ? ": kept" : ": pruned") : `: ${kept} of ${weights} kept`;
      return where.slice(0, 1).toUpperCase() + where.slice(1) + state;
    }

    // --- drawing ----------------------------------------------------------------------------------------------------

    schedule() {
      this.frame ??= requestAnimationFrame(() => { this.frame = null; this.draw(); });
    }

    draw() {
      if (!this.options || !this.levels) return;
      const part = windowOf(this.options, this.level, this.origin, this.canvas);
      this.have(part);
      const context = this.canvas.getContext("2d");
      context.clearRect(0, 0, this.canvas.width, this.canvas.height);
      if (this.grid) this.drawGrid(context);
      this.drawMarks(context);
      this.drawLegend();
      if (this.point) this.aim(this.point); // its dot may be of another size by now, or have come just now
    }

    /** Have the counts of a part: at once where the bits are here, later where they have to be asked for. */
    have(part) {
      const { bits, cells, load } = this.options;
      if (covers(this.grid?.part, part)) return;
      if (bits) this.take(part, countsOf(bits, this.stride, part));
      else if (cells) this.take({ top: 0, left: 0, rows: this.options.rows, columns: this.options.columns, cell: cells.size },
        cells.counts);
      else if (!covers(this.asked, part)) {
        this.asked = part;
        clearTimeout(this.timer);
        this.timer = setTimeout(() => load(part).then((counts) => {
          if (this.asked === part && this.options?.load === load) { this.take(part, counts); this.schedule(); }
        }, () => { this.asked = null; }), this.grid ? CALM_MS : 0);
      }
    }

    take(part, counts) {
      this.grid = { part, counts, image: document.createElement("canvas") };
      this.paint(this.grid);
    }

    /** One pixel for each dot, mixed of the two colours by the share that is kept. */
    paint({ part, counts, image }) {
      const { down, across } = dotsOf(part), kept = rgb(this.palette.kept), pruned = rgb(this.palette.pruned);
      Object.assign(image, { width: Math.max(across, 1), height: Math.max(down, 1) });
      const context = image.getContext("2d"), data = context.createImageData(image.width, image.height);
      const pixels = new Uint32Array(data.data.buffer), full = part.cell ** 2;
      const mix = (share) => colour(kept.map((value, i) => Math.round(pruned[i] + (value - pruned[i]) * share)));
      const whole = Array.from({ length: Math.min(full, 4096) + 1 }, (_, i) => mix(i / Math.min(full, 4096)));
      for (let i = 0, n = 0; i < down; i++)
        for (let j = 0; j < across; j++, n++) {
          const cut = i === down - 1 || j === across - 1;
          const share = counts[n] / (cut ? weightsOf(part, i, j) : full);
          pixels[n] = whole[Math.round(share * (whole.length - 1))];
        }
      context.putImageData(data, 0, 0);
    }

    drawGrid(context) {
      const { part, image } = this.grid, scale = scaleOf(this.level), { dot, cell } = this.level, { down, across } = dotsOf(part);
      context.imageSmoothingEnabled = false;
      const left = part.left * scale - this.origin.x, top = part.top * scale - this.origin.y, side = part.cell * scale;
      context.drawImage(image, Math.round(left), Math.round(top), Math.round(across * side), Math.round(down * side));
      if (dot < LINED || part.cell !== cell) return;
      context.globalAlpha = 0.35;
      context.fillStyle = this.palette.pruned;
      for (let i = 1; i < down; i++) context.fillRect(left, top + i * dot, across * dot, 1);
      for (let j = 1; j < across; j++) context.fillRect(left + j * dot, top, 1, down * dot);
      context.globalAlpha = 1;
    }

    /** A band over each marked row and column; beside the matrix, where there is room, and over it thin and see-through. */
    drawMarks(context) {
      const { cell, dot } = this.level, { width, height } = this.canvas, { rows, columns } = this.options;
      const right = Math.min(width, Math.ceil(columns / cell) * dot - this.origin.x);
      const bottom = Math.min(height, Math.ceil(rows / cell) * dot - this.origin.y);
      const left = Math.max(0, -this.origin.x), top = Math.max(0, -this.origin.y), thick = Math.max(dot, 2);
      context.fillStyle = this.palette.mark;
      const dots = (marked) => [...new Set(marked.map((index) => Math.floor(index / cell)))];
      const many = this.marks.rows.length + this.marks.columns.length > 8;
      for (const row of dots(this.marks.rows))
        band(context, left, row * dot - this.origin.y, right - left, thick, dot > 5, many);
      for (const column of dots(this.marks.columns))
        band(context, column * dot - this.origin.x, top, thick, bottom - top, dot > 5, many);
    }

    drawLegend() {
      const { cell } = this.level;
      setText(this.size, cell === 1 ? "Each square is one weight." : `Each dot is ${cell} × ${cell} weights, mixed by how`
        + " many of them are kept.");
      for (const name of ["kept", "pruned"]) this.swatches[name].style.backgroundColor = this.palette[name];
    }
  }

  /** Whether one window has all of another, in the same cells. */
  function covers(have, wanted) {
    return Boolean(have) && have.cell === wanted.cell && have.top <= wanted.top && have.left <= wanted.left
      && have.top + have.rows >= wanted.top + wanted.rows && have.left + have.columns >= wanted.left + wanted.columns;
  }

  /** Around what is marked where there is room, through it where there is none. */
  function band(context, x, y, width, height, around, many) {
    context.globalAlpha = many ? 0.3 : around ? 1 : 0.65;
    if (!around || many) context.fillRect(x, y, width, height);
    else if (width > height) { context.fillRect(x, y - 1, width, 2); context.fillRect(x, y + height - 1, width, 2); }
    else { context.fillRect(x - 1, y, 2, height); context.fillRect(x + width - 1, y, 2, height); }
    context.globalAlpha = 1;
  }

  const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

  /** Red, green and blue as a pixel of ImageData on a little-endian machine, which all are that run a browser. */
  const colour = ([red, green, blue]) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;

  Object.assign(NeuroAL, { MatrixCanvas });
})();
