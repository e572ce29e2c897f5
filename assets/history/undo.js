/** The bar that can bring deleted runs back for some seconds; longer while the pointer or the focus is on it. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { make, setText } = NeuroAL;

  const SECONDS = 10;

  class Undo {
    /** @param {Function} restore is given the rows to bring back */
    constructor(restore) {
      this.rows = [];
      this.node = make("div", "na-undo");
      this.text = this.node.appendChild(make("span", "na-undo-text"));
      this.text.setAttribute("role", "status");
      this.button = this.node.appendChild(make("button", "na-button", "Undo"));
      Object.assign(this.button, { type: "button", onclick: () => { const { rows } = this; this.clear(); restore(rows); } });
      this.node.onpointerenter = () => clearTimeout(this.timer);
      this.node.onpointerleave = () => this.wait();
      this.node.addEventListener("focusin", () => clearTimeout(this.timer));
      this.node.addEventListener("focusout", () => this.wait());
      this.clear();
    }

    /** A run was deleted; those of the last seconds come back together. */
    offer(row) {
      this.rows.push(row);
      const many = this.rows.length > 1;
      this.node.hidden = false;
      setText(this.text, many ? `${this.rows.length} runs deleted.` : `“${NeuroAL.nameOf(row)}” deleted.`);
      this.wait();
    }

    wait() {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.clear(), SECONDS * 1000);
    }

    clear() {
      clearTimeout(this.timer);
      this.rows = [];
      this.node.hidden = true;
      setText(this.text, "");
    }
  }

  Object.assign(NeuroAL, { Undo });
})();
