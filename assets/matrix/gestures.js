/** What a person does to a canvas of a matrix, by mouse, finger and key, as moves, zooms and points of its view. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { nearest, scaleOf } = NeuroAL.cells;

  // A pointer that moves less, in device pixels, does not drag.
  const STILL = 4;

  // Pixels of a wheel for one step; a pinch on a touch pad comes as small turns of a wheel with Ctrl.
  const TURN = 40, PINCHED = 8, LINE = 16;

  const ZOOMS = { "+": 1, "=": 1, "-": -1, "−": -1 };
  const WAYS = {
    ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
    Home: [0, -Infinity], End: [0, Infinity],
  };

  const HEARD = ["pointerdown", "pointermove", "pointerup", "pointercancel", "pointerleave", "keydown", "blur"];

  class MatrixGestures {
    /**
     * @param {HTMLCanvasElement} canvas
     * @param {NeuroAL.Viewport} view
     * @param {{aim: Function, pointAt: Function, step: Function, spot: Function}} on `aim(null)`: at nothing any more;
     *     `pointAt(x, y)`; `step(down, across, times)`: point at the next dot; `spot()`: where keys zoom
     */
    constructor(canvas, view, on) {
      Object.assign(this, { canvas, view, on, pointers: new Map(), drag: null, pinch: null, turned: 0 });
      for (const name of HEARD) canvas.addEventListener(name, (event) => this[name](event));
      canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    }

    place(event) {
      const { width, height, clientWidth, clientHeight } = this.canvas;
      return { x: (event.offsetX * width) / clientWidth, y: (event.offsetY * height) / clientHeight };
    }

    /** A wheel scrolls the page until a person has pressed here: nobody is caught by a picture in passing. */
    wheel(event) {
      const pinched = event.ctrlKey || event.metaKey;
      if (!pinched && document.activeElement !== this.canvas) return;
      event.preventDefault();
      this.turned -= event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE : 1);
      if (Math.abs(this.turned) < (pinched ? PINCHED : TURN)) return;
      const { x, y } = this.place(event);
      this.view.zoom(Math.sign(this.turned), x, y);
      this.turned = 0;
    }

    pointerdown(event) {
      if (event.button !== 0) return;
      this.canvas.setPointerCapture(event.pointerId);
      this.canvas.focus({ preventScroll: true });
      this.pointers.set(event.pointerId, this.place(event));
      this.drag = { from: this.place(event), origin: { ...this.view.origin }, moved: false };
      if (this.pointers.size === 2) this.pinch = { apart: this.apart(), scale: scaleOf(this.view.level) };
    }

    pointermove(event) {
      const { view } = this, at = this.place(event);
      if (!this.pointers.has(event.pointerId)) return this.on.pointAt(at.x, at.y);
      this.pointers.set(event.pointerId, at);
      if (this.pointers.size === 2) {
        const [a, b] = this.pointers.values();
        const wanted = nearest(view.levels, (this.pinch.scale * this.apart()) / this.pinch.apart);
        return view.zoomTo(wanted, (a.x + b.x) / 2, (a.y + b.y) / 2);
      }
      const { from, origin } = this.drag;
      this.drag.moved ||= Math.hypot(at.x - from.x, at.y - from.y) > STILL;
      return this.drag.moved ? view.move(origin.x - at.x + from.x, origin.y - at.y + from.y) : undefined;
    }

    pointerup(event) {
      const { x, y } = this.place(event);
      if (this.drag && !this.drag.moved && this.pointers.size === 1) this.on.pointAt(x, y);
      this.pointercancel(event);
    }

    pointercancel(event) {
      this.pointers.delete(event.pointerId);
      const [left] = this.pointers.values();
      this.drag = left ? { from: left, origin: { ...this.view.origin }, moved: true } : null;
    }

    pointerleave(event) {
      if (event.pointerType === "mouse" && !this.pointers.size) this.on.aim(null);
    }

    blur() { this.on.aim(null); }

    /** Device pixels between two fingers. */
    apart() {
      const [a, b] = this.pointers.values();
      return Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
    }

    keydown(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const { view } = this, { key } = event;
      if (key in ZOOMS) view.zoom(ZOOMS[key], ...this.on.spot());
      else if (key === "0") view.fit();
      else if (key in WAYS) this.on.step(...WAYS[key], event.shiftKey ? 10 : 1);
      else if (key === "Escape") this.on.aim(null);
      else return;
      event.preventDefault();
    }
  }

  Object.assign(NeuroAL, { MatrixGestures });
})();
