/**
 * One bar per block, to drag, to paint across and to move by keys. It draws what it is told, and tells what a person
 * does; what follows from that is the editor's.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { make } = NeuroAL;
  const { percent, points } = NeuroAL.ratioText;

  // A finger on a narrow bar wanders: only this far aside, in pixels, does a drag begin to paint the neighbours.
  const WANDER = 12;

  const TICKS = [0, 0.25, 0.5, 0.75, 1];
  const MOST_LABELS = 9;
  const STEPS = { ArrowUp: 0.01, ArrowDown: -0.01, PageUp: 0.05, PageDown: -0.05 };

  class Bars {
    /**
     * @param {string} hint id of the node that says how it is used
     * @param {{paint: Function, painted: Function, nudge: Function, rest: Function, look: Function}} on
     *     `paint(changes)` while the pointer is down, `painted()` when it is lifted; `nudge(block, by)` by a key,
     *     `rest()` when the key is lifted; `look(block)`: a person looks at this block
     */
    constructor(hint, on) {
      Object.assign(this, { on, bars: [], current: 0, drag: null, disabled: false });
      this.node = make("div", "na-editor-chart");
      this.node.append(this.makeAxis(), this.makePlot(hint));
      this.labels = this.node.appendChild(make("div", "na-editor-labels"));
      this.labels.setAttribute("aria-hidden", "true");
    }

    makeAxis() {
      const axis = make("div", "na-editor-axis");
      axis.setAttribute("aria-hidden", "true");
      for (const tick of TICKS)
        axis.appendChild(make("span", "", percent(tick))).style.bottom = `${100 * tick}%`;
      return axis;
    }

    makePlot(hint) {
      this.plot = make("div", "na-editor-plot");
      this.plot.setAttribute("role", "group");
      this.plot.setAttribute("aria-label", "Sparsity of each block");
      this.plot.setAttribute("aria-describedby", hint);
      this.aim = make("div", "na-editor-aim");
      this.plot.addEventListener("pointerdown", (event) => this.press(event));
      this.plot.addEventListener("pointermove", (event) => this.move(event));
      for (const end of ["pointerup", "pointercancel"]) this.plot.addEventListener(end, () => this.lift());
      this.plot.addEventListener("keydown", (event) => this.key(event));
      this.plot.addEventListener("keyup", (event) => { if (event.key in STEPS) this.on.rest(); });
      this.plot.addEventListener("focusin", (event) => this.choose(this.bars.indexOf(event.target)));
      return this.plot;
    }

    // --- drawing ----------------------------------------------------------------------------------------------------

    /**
     * @param {{ratios: number[], blocks: number, origin: number[], target: number, disabled: boolean}} what ratios may
     *     be fewer than blocks; `origin`: what a person started from
     */
    draw({ ratios, blocks, origin, target, disabled }) {
      if (this.bars.length !== blocks) this.rebuild(blocks);
      this.disabled = disabled;
      this.node.classList.toggle("na-editor-off", disabled);
      this.aim.style.bottom = `${100 * target}%`;
      this.bars.forEach((bar, i) => {
        const ratio = ratios[i];
        bar.style.setProperty("--na-ratio", String(ratio ?? 0));
        bar.style.setProperty("--na-origin", String(origin[i] ?? 0));
        bar.classList.toggle("na-moved", NeuroAL.ratios.isMoved(ratio, origin[i]));
        bar.setAttribute("aria-disabled", String(disabled));
        bar.setAttribute("aria-valuenow", points(ratio ?? 0));
        bar.setAttribute("aria-valuetext", ratio === undefined ? "no ratio" : percent(ratio));
      });
    }

    rebuild(blocks) {
      this.current = Math.min(this.current, Math.max(blocks - 1, 0));
      this.bars = Array.from({ length: blocks }, (_, i) => {
        const bar = make("div", "na-editor-bar");
        bar.tabIndex = i === this.current ? 0 : -1; // one stop on the way through the page, not one for each block
        bar.setAttribute("role", "slider");
        bar.setAttribute("aria-orientation", "vertical");
        bar.setAttribute("aria-label", `Block ${i}`);
        bar.setAttribute("aria-valuemin", "0");
        bar.setAttribute("aria-valuemax", "99");
        return bar;
      });
      this.plot.replaceChildren(...this.bars, this.aim);
      const every = [1, 2, 5, 10, 20, 50, 100, 200].find((step) => blocks / step <= MOST_LABELS) ?? 500;
      const marks = [];
      for (let i = 0; i < blocks; i += every) {
        const mark = make("span", "", String(i));
        mark.style.left = `${(100 * (i + 0.5)) / blocks}%`;
        marks.push(mark);
      }
      this.labels.replaceChildren(...marks);
    }

    /** The block that keys act on. */
    choose(block) {
      if (block < 0 || block >= this.bars.length) return;
      this.bars[this.current]?.setAttribute("tabindex", "-1");
      this.current = block;
      this.bars[block].setAttribute("tabindex", "0");
      this.on.look(block);
    }

    // --- pointer ----------------------------------------------------------------------------------------------------

    place(event) {
      const box = this.plot.getBoundingClientRect();
      const across = (event.clientX - box.left) / box.width;
      const block = Math.min(Math.max(Math.floor(across * this.bars.length), 0), this.bars.length - 1);
      return { block, ratio: NeuroAL.ratios.clamp(1 - (event.clientY - box.top) / box.height) };
    }

    press(event) {
      if (this.disabled || event.button !== 0 || !this.bars.length) return;
      event.preventDefault(); // no selection of text; so the focus has to be given by hand
      const at = this.place(event);
      this.plot.setPointerCapture(event.pointerId);
      this.focus(at.block);
      this.drag = { last: at, x: event.clientX, wandered: false };
      this.on.paint(NeuroAL.ratios.stroke(at, at));
    }

    move(event) {
      const at = this.place(event);
      if (!this.drag) return this.on.look(at.block);
      this.drag.wandered ||= Math.abs(event.clientX - this.drag.x) > WANDER;
      if (!this.drag.wandered) at.block = this.drag.last.block;
      this.on.paint(NeuroAL.ratios.stroke(this.drag.last, at));
      this.drag.last = at;
      return this.focus(at.block);
    }

    /** Keys go on where the pointer was. */
    focus(block) {
      this.bars[block].focus({ preventScroll: true });
    }

    lift() {
      if (!this.drag) return;
      this.drag = null;
      this.on.painted();
    }

    // --- keys -------------------------------------------------------------------------------------------------------

    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const last = this.bars.length - 1;
      const places = { ArrowLeft: this.current - 1, ArrowRight: this.current + 1, Home: 0, End: last };
      if (event.key in places) this.bars[Math.min(Math.max(places[event.key], 0), last)]?.focus();
      else if (event.key in STEPS) {
        const arrow = event.key.startsWith("Arrow");
        if (!this.disabled) this.on.nudge(this.current, STEPS[event.key] * (event.shiftKey && arrow ? 5 : 1));
      } else return;
      event.preventDefault();
    }
  }

  Object.assign(NeuroAL, { Bars });
})();
