/** The figures on the page: one card each, with a heading, a line that explains it, the plot and a text alternative. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  const UNUSED = ["select2d", "lasso2d", "autoScale2d"];
  const CONFIG = { responsive: true, displaylogo: false, modeBarButtonsToRemove: UNUSED };
  // A card with a button of its own (picture.js) does without Plotly's camera, which leaves the config card out.
  const WITH_BUTTON = { ...CONFIG, modeBarButtonsToRemove: ["toImage", ...UNUSED] };

  // Figures with a column for each block.
  const BY_BLOCK = ["heatmap", "sparsity", "rows"];

  const TEXTS = {
    heatmap: {
      title: "Which blocks each lambda hurts",
      explain: (state, step) => compared(state, step)
        ? "One row per lambda tried, one column per block. The colour compares a block with itself: blue where this"
          + " lambda disturbs it less than the median lambda does, orange where more. Hover or tap for the raw scores."
          + (spared(state, step) ? " Empty rows were not scored: after the others they promised no gain." : "")
        : "How far each block's activations drift from the dense model's."
          + " From the second lambda on, colours compare them.",
    },
    scores: {
      title: "Which lambda wins",
      explain: () => "The score of a lambda is the sum over its row of blocks. The lowest is chosen (star);"
        + " ringed ones come within 1 % of it and are as good as equal.",
    },
    ratings: {
      title: (state) => capital(state.ratings.label),
      explain: () => "Seen on the dense model, block by block; the sparsity is spread by this figure."
        + " Compare the bars with the ratios that the blocks get.",
    },
    sparsity: {
      title: "How much each block loses",
      explain: (state) => (NeuroAL.target(state) === null ? "" : `Dashed: the target for ${NeuroAL.targeted(state)}. `)
        + "Line: what is asked of each block. Dots: the zeros counted after pruning.",
    },
    rows: {
      title: "How much single rows lose",
      explain: () => "The row step spares the rows that the next layer feels most."
        + " Brighter: more of the block's rows have this sparsity.",
    },
    damage: {
      title: "What it costs",
      explain: () => "Perplexity on held-out text: how surprised the model is by each next word. Lower is better;"
        + " Uniform is the control, pruned to the same sparsity everywhere.",
    },
    spread: {
      title: "Which differences mean something",
      explain: (state) => {
        const [method, control] = ["chosen", "uniform"].map((variant) => NeuroAL.variantName(state, variant));
        const above = "Pale lines: standard error over the held-out text, which all rows share."
          + " Bands: mean ± standard deviation of the dots.";
        if (NeuroAL.calibrations(state).every((one) => one.difference === null)) return above;
        return `${verdict(NeuroAL.spreadOf(state), method, control)}${above} Below: the difference on`
          + ` the same tokens, and its mean with the 95 % interval; left of 0 ${method} is better. Grey: how far apart`
          + ` calibration alone puts two runs of ${method}.`;
      },
    },
  };

  // What the summary of several calibrations says of the method and its control.
  const VERDICTS = {
    better: (method, control) => `On the same calibration ${method} is better than ${control}, beyond chance. `,
    worse: (method, control) => `On the same calibration ${method} is worse than ${control}, beyond chance. `,
    open: (method, control) => `On the same calibration ${method} and ${control} differ by no more than chance. `,
    few: () => "Too few calibrations to tell the difference from chance. ",
    same: (method, control) => `${method} and ${control} have the same perplexity each time. `,
  };

  /** What the difference means, and whether it also shows between runs on different calibrations. */
  function verdict({ verdict: found, difference, apart }, method, control) {
    if (!found) return "";
    const hidden = ["better", "worse"].includes(found) && Math.abs(difference.mean) < apart;
    return VERDICTS[found](method, control)
      + (hidden ? "Another calibration changes more than that, so compare runs on the same one. " : "");
  }

  const capital = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);

  /** The heading of a figure. */
  function titleOf(name, state) {
    const { title } = TEXTS[name];
    return typeof title === "string" ? title : title(state);
  }

  /** Whether the heatmap compares candidates yet. */
  function compared(state, name) {
    const step = state.steps[name || NeuroAL.activeStep(state)];
    return step && step.totals.filter((total) => total !== null).length >= 2;
  }

  /** Whether the step is decided without every candidate having been scored. */
  function spared(state, name) {
    const step = state.steps[name || NeuroAL.activeStep(state)];
    return step && step.chosen !== null && step.totals.includes(null);
  }

  /** Draw a figure into a node as the page wants it. */
  function drawFigure(Plotly, node, figure) {
    // When the width changes Plotly takes over the height of this node, which would be none without its plot.
    node.style.height = `${figure.layout.height}px`;
    // On a touch screen a finger on a plot should scroll the page, not select a region. A phone has no room for tools.
    if (matchMedia("(pointer: coarse)").matches) figure.layout.dragmode = false;
    const small = matchMedia("(pointer: coarse), (max-width: 600px)").matches;
    const config = node.closest(".na-card")?.querySelector(".na-png") ? WITH_BUTTON : CONFIG;
    Plotly.react(node, figure.data, figure.layout, small ? { ...config, displayModeBar: false } : config);
  }

  /** The palette of the theme, with the page's own text, lines and font. */
  function paletteOf(element, palettes) {
    const style = getComputedStyle(element);
    const base = palettes[document.body.classList.contains("dark") ? "dark" : "light"];
    const own = (name, fallback) => style.getPropertyValue(name).trim() || fallback;
    return {
      ...base, font: style.fontFamily || base.font, text: own("--body-text-color", base.text),
      grid: own("--border-color-primary", base.grid),
    };
  }

  /** A new element with a class and, given as plain text, its content. */
  function make(tag, className, text = "") {
    const node = document.createElement(tag);
    node.className = className;
    node.textContent = text;
    return node;
  }

  class Card {
    /**
     * @param {string} name of the figure
     * @param {Function} redraw asks for a redraw of this card
     * @param {object[]} settings see facts.js
     */
    constructor(name, redraw, settings = []) {
      Object.assign(this, { name, redraw, settings, step: null, near: false, waiting: null });
      this.node = make("section", `na-card na-card-${name}`);
      this.node.hidden = true;
      const head = make("div", "na-card-head");
      this.title = head.appendChild(make("h3", "na-card-title"));
      this.switch = name === "heatmap" ? head.appendChild(this.makeSwitch()) : null;
      this.explain = make("p", "na-card-explain");
      this.plot = make("div", "na-plot");
      this.plot.setAttribute("role", "group");
      this.alternative = make("div", "na-hidden");
      head.append(NeuroAL.pngButton(this.plot, () => this.about()));
      this.node.append(head, this.explain, this.plot, this.alternative);
    }

    /** Buttons to look at the block step again while, or after, the row step runs. */
    makeSwitch() {
      const group = make("div", "na-switch");
      group.setAttribute("role", "group");
      group.setAttribute("aria-label", "Search step shown");
      for (const [step, label] of [["block", "Blocks"], ["row", "Rows"]]) {
        const button = group.appendChild(make("button", "na-button", label));
        button.type = "button";
        button.dataset.step = step;
        button.onclick = () => { this.step = step; this.redraw(); };
      }
      return group;
    }

    /** Draw, or hide while there is nothing to say; `marked`: the record whose block is framed, or null. */
    draw(Plotly, state, palette, revision, marked = null) {
      const figure = NeuroAL.figure(this.name, state, palette, this.step);
      this.node.hidden = figure === null;
      if (figure === null) return;
      setText(this.title, titleOf(this.name, state));
      this.plot.setAttribute("aria-label", this.title.textContent);
      setText(this.explain, TEXTS[this.name].explain(state, this.step));
      if (this.switch) this.showSwitch(state);
      NeuroAL.markBlock(this.name, figure, marked, this.shown(state), palette);
      figure.layout.uirevision = this.switch ? `${revision} ${this.shown(state)}` : revision;
      this.drawn = { Plotly, palette, state, revision };
      this.waiting = figure;
      this.plot.style.height = `${figure.layout.height}px`; // nothing below it moves once it is drawn
      this.plot.setAttribute("aria-busy", "true");
      if (this.near) this.show();
    }

    /** Draw what waits for this card to come near the window (nearness.js). */
    show() {
      const { waiting, drawn } = this;
      if (!waiting) return;
      this.waiting = null;
      this.plot.removeAttribute("aria-busy");
      drawFigure(drawn.Plotly, this.plot, waiting);
      if (BY_BLOCK.includes(this.name)) this.tellBlocks();
    }

    /** Who shows more of a block learns which one a person presses. */
    tellBlocks() {
      if (this.telling) return;
      this.telling = true;
      this.plot.on("plotly_click", ({ points }) =>
        document.dispatchEvent(new CustomEvent("na-block", { detail: points[0].x })));
    }

    /** What a picture of this card says. */
    about() {
      const { Plotly, palette, state, revision } = this.drawn;
      const card = NeuroAL.cardLines(state, this.settings, revision);
      return { Plotly, palette, card, title: this.title.textContent, name: NeuroAL.nameParts(state, this.name) };
    }

    shown(state) { return this.step || NeuroAL.activeStep(state); }

    showSwitch(state) {
      this.switch.hidden = !("block" in state.steps && "row" in state.steps);
      for (const button of this.switch.children)
        button.setAttribute("aria-pressed", String(button.dataset.step === this.shown(state)));
    }

    /** Forget what a person chose to look at, and what was drawn. */
    reset() {
      this.step = null;
      this.waiting = null;
      this.node.hidden = true;
    }

    /** Write the text alternative. */
    describe(state) {
      if (this.node.hidden) return;
      const { sentence, head, rows } = NeuroAL.describe(this.name, state, this.step);
      this.alternative.replaceChildren(make("p", "", sentence));
      if (rows.length) this.alternative.append(table(this.title.textContent, head, rows));
    }
  }

  function table(caption, head, rows) {
    const node = make("table", "");
    node.append(make("caption", "", caption));
    const line = (tag, cells) => {
      const row = make("tr", "");
      row.append(...cells.map((cell) => make(tag, "", cell)));
      return row;
    };
    node.append(line("th", head), ...rows.map((cells) => line("td", cells)));
    return node;
  }

  /** Set text only on change: an untouched node costs no layout. */
  function setText(node, text) {
    if (node.textContent !== text) node.textContent = text;
  }

  Object.assign(NeuroAL, { Card, drawFigure, make, paletteOf, setText, textTable: table, titleOf });
})();
