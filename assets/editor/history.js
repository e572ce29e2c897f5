/** What can be undone: states one after another, and where among them a person is. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  // Enough for an afternoon; each is a list of some dozen numbers.
  const MOST = 200;

  class History {
    constructor() {
      this.states = [];
      this.at = -1;
    }

    /**
     * A new state; what was undone is forgotten. One that is like the last changes nothing.
     * @param {object} state plain values
     * @param {string} gesture steps of the same gesture (a key held down, a number being typed) are one; "" for none
     */
    push(state, gesture = "") {
      if (this.at >= 0 && JSON.stringify(this.states[this.at].state) === JSON.stringify(state)) return;
      const merges = gesture !== "" && this.at >= 0 && this.states[this.at].gesture === gesture;
      this.states.length = merges ? this.at : this.at + 1;
      this.states.push({ state, gesture });
      if (this.states.length > MOST) this.states.shift();
      this.at = this.states.length - 1;
    }

    /** The end of a gesture: the next step is one of its own. */
    close() {
      if (this.at >= 0) this.states[this.at].gesture = "";
    }

    get canUndo() { return this.at > 0; }
    get canRedo() { return this.at < this.states.length - 1; }

    /** The state before, or null. */
    undo() { return this.canUndo ? this.states[--this.at].state : null; }

    /** The state after, or null. */
    redo() { return this.canRedo ? this.states[++this.at].state : null; }
  }

  Object.assign(NeuroAL, { History });
})();
