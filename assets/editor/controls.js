/** What stands below the bars: the mean to keep, places to start from, and the way back. It tells what is pressed. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { make, setText } = NeuroAL;
  const { percent, points } = NeuroAL.ratioText;

  // The steepest line of NeuroAL's own grid, and where a person starts.
  const STEEPEST = 0.25, SLOPE = 0.1;

  class Controls {
    /**
     * @param {{keep: Function, aim: Function, bring: Function, uniform: Function, line: Function, lined: Function,
     *     borrow: Function, undo: Function, redo: Function, reset: Function}} on `keep(whether)`, `aim(share)`,
     *     `line(slope, sliding)`; `lined()` when the slider is let go; the others are plain presses
     * @param {boolean} fixed whether the mean to aim at cannot be changed
     */
    constructor(on, fixed = false) {
      Object.assign(this, { on, fixed });
      this.nodes = [this.makeMean(), this.makeStarts(), this.makeLine(), this.makeHistory()];
    }

    makeMean() {
      const row = make("div", "na-controls");
      const lock = row.appendChild(make("label", "na-speed"));
      this.lock = lock.appendChild(Object.assign(make("input", ""), { type: "checkbox" }));
      lock.append("Keep the mean at");
      this.lock.onchange = () => this.on.keep(this.lock.checked);
      const field = row.appendChild(make("label", "na-speed"));
      this.aim = field.appendChild(make("input", "na-select na-editor-aim-box"));
      Object.assign(this.aim, { type: "number", min: "1", max: "99", step: "1", readOnly: this.fixed });
      this.aim.setAttribute("aria-label", "Mean to keep, in per cent");
      field.append("%");
      this.aim.onchange = () => {
        this.on.aim(this.aim.valueAsNumber / 100);
        this.aim.value = points(this.target); // what came of it
      };
      this.bring = this.button(row, "", () => this.on.bring());
      return row;
    }

    makeStarts() {
      const row = make("div", "na-controls");
      row.setAttribute("role", "group");
      row.setAttribute("aria-label", "Start from");
      row.append(make("span", "na-speed na-editor-from", "Start from"));
      this.button(row, "Uniform", () => this.on.uniform());
      this.button(row, "Rising line", () => this.on.line(Number(this.slope.value), false));
      if (this.on.borrow) this.button(row, "Shown run", () => this.on.borrow());
      return row;
    }

    makeLine() {
      const row = make("div", "na-controls");
      const field = row.appendChild(make("label", "na-speed na-editor-line", "Slope lambda"));
      this.slope = field.appendChild(make("input", ""));
      Object.assign(this.slope, { type: "range", min: "0", max: String(STEEPEST), step: "0.01", value: String(SLOPE) });
      const told = field.appendChild(make("output", "", SLOPE.toFixed(2)));
      this.slope.oninput = () => {
        setText(told, Number(this.slope.value).toFixed(2));
        this.on.line(Number(this.slope.value), true);
      };
      this.slope.onchange = () => this.on.lined();
      return row;
    }

    makeHistory() {
      const row = make("div", "na-controls");
      this.undo = this.button(row, "Undo", () => this.on.undo());
      this.redo = this.button(row, "Redo", () => this.on.redo());
      this.reset = this.button(row, "Reset", () => this.on.reset());
      this.reset.title = "Back to what you started from";
      return row;
    }

    button(row, label, act) {
      const node = row.appendChild(make("button", "na-button", label));
      node.type = "button";
      node.onclick = act;
      return node;
    }

    /**
     * @param {{keep: boolean, target: number, away: boolean, undo: boolean, redo: boolean, reset: boolean}} what `away`:
     *     the mean is not where it is meant to be; the last three: whether they would do anything
     */
    draw({ keep, target, away, undo, redo, reset }) {
      this.target = target;
      this.lock.checked = keep;
      if (!this.isTyped(document.activeElement)) this.aim.value = points(target);
      this.bring.hidden = !away;
      setText(this.bring, `Shift all to ${percent(target)}`);
      // Not `disabled`: the last press of Undo would take the focus away, and Ctrl+Shift+Z with it.
      for (const [node, may] of [[this.undo, undo], [this.redo, redo], [this.reset, reset]])
        node.setAttribute("aria-disabled", String(!may));
    }

    /** Whether this node holds what a person is typing. */
    isTyped(node) {
      return node === this.aim;
    }
  }

  Object.assign(NeuroAL, { Controls });
})();
