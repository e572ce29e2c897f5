/** Which part of a matrix is on a screen, and how large: moved, zoomed and fitted, in device pixels. No page needed. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { clamp, ladder, nearest, scaleOf, windowOf } = NeuroAL.cells;

  class Viewport {
    /** @param {Function} changed called after every change of what is seen */
    constructor(changed) {
      Object.assign(this, { changed, shape: null, fixed: null, screen: { width: 0, height: 0 }, levels: null, at: 0 });
      this.origin = { x: 0, y: 0 }; // from the matrix's corner to the screen's
    }

    /**
     * Another matrix; one of the same shape is seen where the last one was.
     * @param {{rows: number, columns: number}} shape
     * @param {?number} fixed where there are cells of one size only, that size
     */
    show({ rows, columns }, fixed = null) {
      const same = this.shape?.rows === rows && this.shape.columns === columns && this.fixed === fixed;
      this.shape = { rows, columns };
      this.fixed = fixed;
      this.relevel(same);
    }

    resize(width, height) {
      this.screen = { width, height };
      this.relevel(true);
    }

    /** The sizes for this screen; `keep`: what is seen stays about as large and where it is. */
    relevel(keep) {
      const { width, height } = this.screen;
      if (!width || !height || !this.shape) return;
      const before = keep && this.levels && this.at > 0 ? { scale: scaleOf(this.level), middle: this.middle } : null;
      this.levels = ladder(this.shape, this.screen, this.fixed);
      this.at = before ? nearest(this.levels, before.scale) : 0;
      this.reveal(before?.middle ?? { row: 0, column: 0 });
    }

    get level() { return this.levels[this.at]; }
    get isWhole() { return this.at === 0; }
    get window() { return windowOf(this.shape, this.level, this.origin, this.screen); }

    /** Which row and column, with fractions, is at a place of the screen. */
    weightAt(x, y) {
      const scale = scaleOf(this.level);
      return { row: (this.origin.y + y) / scale, column: (this.origin.x + x) / scale };
    }

    get middle() { return this.weightAt(this.screen.width / 2, this.screen.height / 2); }

    /** Where on the screen the middle of a weight is. */
    placeOf({ row, column }) {
      const scale = scaleOf(this.level);
      return [(column + 0.5) * scale - this.origin.x, (row + 0.5) * scale - this.origin.y];
    }

    move(x, y) {
      if (!this.levels) return;
      const { rows, columns } = this.shape, { cell, dot } = this.level, { width, height } = this.screen;
      this.origin = {
        x: clamp(x, Math.ceil(columns / cell) * dot, width), y: clamp(y, Math.ceil(rows / cell) * dot, height),
      };
      this.changed();
    }

    /** So many sizes in or out, around a place of the screen. */
    zoom(steps, x = this.screen.width / 2, y = this.screen.height / 2) {
      this.zoomTo(this.at + steps, x, y);
    }

    zoomTo(at, x, y) {
      if (!this.levels) return; // on no screen yet
      const { row, column } = this.weightAt(x, y);
      this.at = Math.min(Math.max(at, 0), this.levels.length - 1);
      const scale = scaleOf(this.level);
      this.move(column * scale - x, row * scale - y);
    }

    fit() {
      this.at = 0;
      this.move(0, 0);
    }

    /** Bring a row and a column to the middle of the screen. */
    reveal({ row, column }) {
      if (!this.levels) return;
      const { middle } = this;
      row ??= middle.row;
      column ??= middle.column;
      const scale = scaleOf(this.level);
      this.move(column * scale - this.screen.width / 2, row * scale - this.screen.height / 2);
    }

    /** Bring a weight onto the screen, by no more than it takes. */
    bring({ row, column }) {
      const scale = scaleOf(this.level), side = this.level.cell * scale, { x, y } = this.origin;
      const into = (at, origin, room) => (at < origin ? at : at + side > origin + room ? at + side - room : origin);
      this.move(into(column * scale, x, this.screen.width), into(row * scale, y, this.screen.height));
    }
  }

  Object.assign(NeuroAL, { Viewport });
})();
