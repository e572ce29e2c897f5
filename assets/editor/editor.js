/**
 * The editor of the blocks' sparsity ratios: bars to drag, a mean to keep, places to start from, and a way back. The
 * text box beside it holds the same ratios; each follows the other. All text is written with textContent.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { History, make, setText } = NeuroAL;
  const { changed, isKept, isMoved, isUniform, keepMean, mean, risingLine, rounded, uniform } = NeuroAL.ratios;
  const { countWords, meanWords, parse, percent, write } = NeuroAL.ratioText;

  const HINT = "Drag a bar, or across bars to paint. Keys: ← → choose a block, ↑ ↓ move it by 1 % (with Shift by 5 %),"
    + " Home and End the first and the last block, Ctrl+Z undoes.";

  // So long after it was written here, a text may come back from the text box, when it is no longer the last one.
  const ECHO_MS = 15_000;

  let made = 0;

  class RatioEditor {
    /**
     * @param {HTMLElement} element where to build the editor
     * @param {{edited: Function, borrow: ?Function, fixed: ?boolean}} options `edited(text, target)`: a person changed
     *     the ratios; `borrow()`: the allocation of the run that is looked at is asked for, left out where there is no
     *     such run; `fixed`: the mean to aim at is given and not to be changed
     */
    constructor(element, options) {
      Object.assign(this, { element, options, blocks: 0, problem: "", note: "", text: null, echoes: [], slider: null });
      this.written = null;
      Object.assign(this, { ratios: [], origin: [], target: 0.6, keep: true, base: null, changes: new Map(), look: 0 });
      this.history = new History();
      this.build();
    }

    // --- building ---------------------------------------------------------------------------------------------------

    build() {
      const hint = make("p", "na-editor-hint", HINT);
      hint.id = `na-editor-hint-${++made}`;
      this.refusal = make("p", "na-problem");
      this.sentence = make("p", "na-editor-sentence");
      this.sentence.setAttribute("role", "status");
      this.bars = new NeuroAL.Bars(hint.id, {
        paint: (changes) => this.paint(changes),
        painted: () => this.painted(),
        nudge: (block, by) => this.nudge(block, by),
        rest: () => this.history.close(),
        look: (block) => { this.look = block; this.drawLook(); },
      });
      this.controls = this.makeControls();
      this.body = make("div", "na-editor-body");
      this.body.append(this.makeHead(), this.bars.node, this.sentence, ...this.controls.nodes, hint);
      this.element.replaceChildren(this.refusal, this.body);
      this.element.addEventListener("keydown", (event) => this.key(event));
    }

    /** Nothing above the bars changes its height: they would move away under the pointer. */
    makeHead() {
      const head = make("div", "na-editor-head");
      head.append(make("h3", "na-card-title", "Sparsity of each block"));
      this.looked = head.appendChild(make("p", "na-editor-looked"));
      this.looked.setAttribute("aria-hidden", "true"); // the bar says it itself
      return head;
    }

    makeControls() {
      return new NeuroAL.Controls({
        keep: (whether) => { this.keep = whether; this.aimAt(this.target); },
        aim: (target) => this.aimAt(target),
        bring: () => this.bring(),
        uniform: () => this.start(uniform(this.target, this.blocks)),
        line: (slope, sliding) => this.start(risingLine(this.target, slope, this.blocks), sliding ? "line" : ""),
        lined: () => this.history.close(),
        borrow: this.options.borrow && (() => this.options.borrow()),
        undo: () => this.show(this.history.undo()),
        redo: () => this.show(this.history.redo()),
        reset: () => this.commit(this.origin),
      }, this.options.fixed);
    }

    // --- what comes from outside ------------------------------------------------------------------------------------

    /**
     * @param {{shown: boolean, blocks: number, problem: string, note: string, text: string, target: number,
     *     slider: number}} value whether it is seen; the blocks of the model, or why there are none; what the text box
     *     holds; the mean to aim at; what the slider of the form says, which counts when it has moved
     */
    attach({
      shown = false, blocks = this.blocks, problem = "", text = null, target = null, slider = null,
      note = blocks === this.blocks ? this.note : "", // a count of the blocks that comes late takes no sentence away
    }) {
      this.fresh ||= blocks !== this.blocks || (shown && this.element.hidden);
      this.element.hidden = !shown;
      Object.assign(this, { blocks, problem, note });
      if (slider !== null && slider !== this.slider) this.slider = this.target = slider;
      else if (target !== null) this.target = target;
      if (text !== null) this.read(text);
      if (this.fresh && shown && blocks && text !== null && slider !== null) this.adopt();
      this.draw();
    }

    /** The text box has changed: by what was written here, which is known already, or by someone else. */
    read(text) {
      const since = performance.now() - ECHO_MS;
      this.echoes = this.echoes.filter((echo) => echo.at > since);
      if (text === this.text || this.echoes.some((echo) => echo.text === text)) return;
      this.text = text;
      this.ratios = parse(text).ratios;
      if (!this.isWhole) return;
      this.origin = this.ratios;
      this.history.push(this.state, "typed");
    }

    /** It is opened, or the model is another one: uniform ratios of its own making are made to fit. */
    adopt() {
      this.fresh = false;
      this.history = new History();
      const own = this.text === this.written, fits = this.isWhole && isKept(this.ratios, this.target);
      if (!this.text || (own && isUniform(this.ratios) && !fits)) return this.start(uniform(this.target, this.blocks));
      if (!this.isWhole) return undefined;
      if (!own && !fits) this.target = mean(this.ratios); // someone's ratios have a mean of their own
      this.origin = this.ratios;
      return this.history.push(this.state);
    }

    // --- what a person does -----------------------------------------------------------------------------------------

    paint(changes) {
      this.base ??= this.ratios;
      changes.forEach((ratio, block) => this.changes.set(block, ratio));
      this.ratios = changed(this.base, this.changes, this.kept);
      this.draw();
    }

    painted() {
      this.base = null;
      this.changes = new Map();
      this.commit(this.ratios);
    }

    nudge(block, by) {
      const ratio = NeuroAL.ratios.clamp(this.ratios[block] + by);
      this.commit(changed(this.ratios, new Map([[block, ratio]]), this.kept), `key ${block}`);
    }

    /** Ratios to start from; Reset leads back to them. */
    start(ratios, gesture = "") {
      this.origin = rounded(this.keep ? keepMean(ratios, this.target) : ratios);
      this.commit(this.origin, gesture);
    }

    aimAt(target) {
      if (target > 0 && target <= NeuroAL.ratios.HIGHEST) this.target = target;
      if (this.keep && this.isWhole && !isKept(this.ratios, this.target)) return this.bring();
      this.options.edited(this.text ?? "", this.target);
      return this.draw();
    }

    /** Shift all blocks, so that the mean is where it is meant to be. */
    bring() {
      if (this.isWhole) this.commit(keepMean(this.ratios, this.target));
    }

    key(event) {
      const name = event.key.toLowerCase();
      if (!(event.ctrlKey || event.metaKey) || event.altKey || this.controls.isTyped(event.target)) return;
      if (name !== "z" && name !== "y") return;
      event.preventDefault();
      this.show(name === "y" || event.shiftKey ? this.history.redo() : this.history.undo());
    }

    // --- state ------------------------------------------------------------------------------------------------------

    get isWhole() { return this.blocks > 0 && this.ratios.length === this.blocks && !parse(this.text ?? "").problem; }
    get kept() { return this.keep ? this.target : null; }
    get state() { return { ratios: this.ratios, origin: this.origin, target: this.target }; }

    commit(ratios, gesture = "") {
      this.ratios = rounded(ratios);
      this.tell();
      this.history.push(this.state, gesture);
      this.draw();
    }

    /** Back or forth in the history. */
    show(state) {
      if (!state) return;
      Object.assign(this, state);
      this.tell();
      this.draw();
    }

    tell() {
      const text = write(this.ratios);
      this.note = "";
      this.echoes.push({ text, at: performance.now() });
      this.text = this.written = text;
      this.options.edited(text, this.target);
    }

    // --- drawing ----------------------------------------------------------------------------------------------------

    draw() {
      const { ratios, blocks, target } = this;
      const origin = this.origin.length === blocks ? this.origin : [];
      setText(this.refusal, this.problem || (blocks ? "" : "Counting the blocks of the model."));
      this.refusal.hidden = !this.refusal.textContent;
      this.body.hidden = !blocks;
      this.body.inert = Boolean(this.fresh); // what is done before it is adopted would be overwritten
      if (!blocks) return;
      const wrong = parse(this.text ?? "").problem || countWords(ratios.length, blocks);
      setText(this.sentence, this.note || wrong || meanWords(ratios, target));
      const away = !wrong && !isKept(ratios, target);
      this.sentence.classList.toggle("na-editor-away", Boolean(this.note || wrong || away));
      this.bars.draw({ ratios, blocks, origin, target, disabled: Boolean(wrong) });
      this.controls.draw({
        keep: this.keep, target, away, undo: this.history.canUndo, redo: this.history.canRedo,
        reset: origin.some((ratio, i) => isMoved(ratio, ratios[i])),
      });
      this.drawLook();
    }

    drawLook() {
      const ratio = this.look < this.blocks ? this.ratios[this.look] : undefined;
      setText(this.looked, ratio === undefined ? "" : `Block ${this.look}: ${percent(ratio)}`);
    }
  }

  Object.assign(NeuroAL, { RatioEditor });
})();
