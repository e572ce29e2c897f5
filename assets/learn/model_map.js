/**
 * The map of the model above the figures: its blocks, and the linears of the chosen one in the order in which they are
 * executed. What a page speaks of is lit up; blocks and linears are buttons that choose.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { make } = NeuroAL;

  class ModelMap {
    /** @param {{groups: string[][], blocks: number}} model; @param {Function} choose called with {block} or {linear} */
    constructor(model, choose) {
      Object.assign(this, { model, choose });
      this.node = make("div", "na-model");
      this.node.setAttribute("role", "group");
      this.node.setAttribute("aria-label", "Map of the model: choose a block and a linear");
      this.node.append(this.makeBlocks(), this.makeInside());
    }

    makeBlocks() {
      const row = make("div", "na-model-blocks");
      row.append(make("span", "na-model-end", "text →"));
      this.blocks = Array.from({ length: this.model.blocks }, (_, b) => {
        const button = row.appendChild(make("button", "na-model-block"));
        button.type = "button";
        button.append(make("span", "na-model-fill"), make("span", "na-model-name", String(b)));
        button.onclick = () => this.choose({ block: b });
        return button;
      });
      row.append(make("span", "na-model-end", "→ next token"));
      return row;
    }

    makeInside() {
      const inside = make("div", "na-model-inside");
      this.title = inside.appendChild(make("span", "na-model-title"));
      this.linears = new Map();
      this.model.groups.forEach((group, g) => {
        const arrow = inside.appendChild(make("span", "na-model-arrow", g ? "→" : "⇒"));
        arrow.setAttribute("aria-hidden", "true");
        const box = inside.appendChild(make("span", "na-model-group"));
        for (const name of group) {
          const button = box.appendChild(make("button", "na-model-linear", name.split(".").pop()));
          button.type = "button";
          button.title = name;
          button.onclick = () => this.choose({ linear: name });
          this.linears.set(name, { button, group: g, arrow });
        }
      });
      return inside;
    }

    /**
     * @param {{block: number, linear: string}} settings
     * @param {string[]} lights the parts a page speaks of
     * @param {number[] | null} ratios sparsity of each block, drawn as how full it still is
     */
    show({ block, linear }, lights, ratios) {
      const lit = (part) => lights.includes(part);
      this.title.textContent = `Inside block ${block}`;
      this.blocks.forEach((button, b) => {
        const share = ratios ? 1 - ratios[b] : 1;
        button.firstChild.style.height = `${100 * share}%`;
        button.setAttribute("aria-pressed", String(b === block));
        button.setAttribute("aria-label", `Block ${b}${ratios ? `, keeps ${Math.round(100 * share)} %` : ""}`);
        button.classList.toggle("na-lit", lit("blocks") || (b === block && lit("block")));
      });
      const chosen = this.linears.get(linear);
      for (const [name, one] of this.linears) {
        one.button.setAttribute("aria-pressed", String(name === linear));
        const reads = chosen && one.group === chosen.group + 1;
        one.button.classList.toggle("na-lit", (name === linear && lit("linear")) || (reads && lit("readers")));
        one.arrow.classList.toggle("na-lit", Boolean(chosen) && one.group === chosen.group && lit("inputs"));
      }
    }
  }

  Object.assign(NeuroAL, { ModelMap });
})();
