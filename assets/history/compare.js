/** Two to four runs compared: what was asked differently, and what came of it. Their logs are followed while they go. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { ask, make, setText } = NeuroAL;

  const DRAW_EVERY_MS = 300;

  const FIGURES = {
    allocations: {
      title: "How much each block loses",
      explain: () => "The sparsity that each run asks of each block, from the first to the last.",
    },
    rows: {
      title: "How much single rows lose",
      explain: (runs) => {
        const without = runs.filter(([, state]) => state.allocation !== null && state.rows === null).map(([name]) => name);
        return "Over all rows of the model: the share of them that has about this sparsity."
          + (without.length ? ` Not shown, because all rows of a block have the block's ratio: ${without.join("; ")}.` : "");
      },
    },
    perplexity: {
      title: "What it costs",
      explain: (runs) => ["Perplexity on held-out text, lower is better; the control is pruned to the same sparsity"
        + " everywhere.", ...NeuroAL.incomparable(runs.map(([, state]) => state))].join(" "),
    },
  };

  class Comparison {
    /**
     * @param {object} options palettes, settings and plotly, as of the live view
     * @param {Function} back leads back to the list
     * @param {Function} open shows a run in the Prune tab
     */
    constructor(options, back, open) {
      Object.assign(this, { options, open, streams: [], rows: [], states: [] });
      this.node = make("section", "na-comparison");
      this.node.setAttribute("aria-label", "Comparison");
      const head = this.node.appendChild(make("div", "na-tools"));
      this.backButton = head.appendChild(make("button", "na-button", "All runs"));
      Object.assign(this.backButton, { type: "button", onclick: back });
      this.title = head.appendChild(make("h2", "na-compare-title"));
      this.title.tabIndex = -1;
      this.problem = this.node.appendChild(make("p", "na-problem"));
      this.problem.hidden = true;
      this.legend = this.node.appendChild(make("ol", "na-legend"));
      this.grid = this.node.appendChild(make("div", "na-grid"));
      this.settings = new Words("Settings that differ");
      this.cards = Object.entries(FIGURES).map(([name, texts]) => new FigureCard(name, texts, this));
      this.figures = new Words("Side by side");
      this.grid.replaceChildren(this.settings.node, ...this.cards.map((card) => card.node), this.figures.node);
      this.watchPage();
    }

    /** Redraw on a change of theme and of width. */
    watchPage() {
      new MutationObserver(() => this.schedule()).observe(document.body, { attributes: true, attributeFilter: ["class"] });
      new ResizeObserver(() => {
        for (const { plot } of this.cards)
          if (plot.offsetWidth && plot.classList.contains("js-plotly-plot")) this.plotly.Plots.resize(plot);
        this.schedule();
      }).observe(this.grid);
    }

    async show(ids) {
      this.hide();
      this.node.hidden = false;
      this.ids = ids;
      setText(this.title, "Comparing…");
      this.title.focus();
      try {
        this.plotly = await this.options.plotly;
        const { rows } = await ask("named", { ids });
        if (this.ids === ids) this.follow(rows, ids.length - rows.length);
      } catch (error) {
        this.say(error.message);
      }
    }

    follow(rows, unknown) {
      setText(this.title, `${rows.length} runs compared`);
      if (rows.length < 2) return this.say("Of these runs fewer than two are known here; some may have been removed.");
      this.say(unknown ? `${unknown === 1 ? "One run" : `${unknown} runs`} of this link may have been removed.` : "");
      this.rows = rows;
      this.labels = NeuroAL.labelsOf(rows);
      this.states = rows.map(() => NeuroAL.emptyState());
      this.drawLegend();
      this.streams = rows.map((row, i) => NeuroAL.follow(row.id, 0, {
        records: (records) => { records.forEach((record) => NeuroAL.fold(this.states[i], record)); this.schedule(); },
        lost: () => this.say("The connection is lost, trying again."), back: () => this.say(""),
        end: () => this.schedule(), refused: (reason) => this.say(reason),
      }));
      return this.schedule();
    }

    hide() {
      this.streams.forEach((stream) => stream.close());
      Object.assign(this, { streams: [], rows: [], states: [], ids: null });
      this.legend.replaceChildren();
      for (const part of [this.settings, this.figures, ...this.cards]) part.node.hidden = true;
      this.say("");
      this.node.hidden = true;
    }

    say(sentence) {
      setText(this.problem, sentence);
      this.problem.hidden = !sentence;
    }

    /** Every run by its colour and whole name, which leads to it. */
    drawLegend() {
      this.legend.replaceChildren(...this.rows.map((row, i) => {
        const item = make("li", "");
        const key = item.appendChild(make("span", "na-key"));
        key.dataset.run = i;
        key.setAttribute("aria-hidden", "true");
        const open = item.appendChild(make("button", "na-open", row.name || row.title));
        Object.assign(open, { type: "button", title: "Open this run", onclick: () => this.open(row.id) });
        if (row.name) item.append(make("span", "na-quiet", row.title));
        return item;
      }));
    }

    /** What a picture of a figure says: the config card of each run, under the name that the legend shows. */
    about(name, title) {
      const card = this.states.flatMap((state, i) => {
        const [first, ...others] = NeuroAL.cardLines(state, this.options.settings, this.rows[i].id);
        return [`${this.labels[i]}: ${first}`, ...others];
      });
      const models = [...new Set(this.rows.map((row) => row.model))];
      return {
        Plotly: this.plotly, palette: NeuroAL.paletteOf(this.node, this.options.palettes), title, card,
        name: [...models.map((model) => (model ?? "").split(/[\\/]/).pop()), "compared", name],
      };
    }

    schedule() {
      this.timer ??= setTimeout(() => { this.timer = null; this.draw(); }, DRAW_EVERY_MS);
    }

    draw() {
      if (!this.states.length || !this.grid.offsetWidth) return;
      const { states } = this;
      const palette = NeuroAL.paletteOf(this.node, this.options.palettes);
      const runs = states.map((state, i) => [this.labels[i], state]);
      const figures = NeuroAL.comparison(runs, palette);
      for (const card of this.cards) card.draw(this.plotly, figures[card.name] ?? null, runs, this.ids.join(","));
      const differing = NeuroAL.differingSettings(states, this.options.settings, this.options.claimed);
      this.settings.draw(["Setting", ...this.labels], differing,
        "These runs were asked the same question.");
      this.figures.draw(["", ...this.labels], NeuroAL.measuredFigures(states), "Nothing has been measured yet.");
      this.legend.querySelectorAll(".na-key").forEach((key, i) => { key.style.background = palette.series[i]; });
    }
  }

  /** A card with a table, or with a sentence where there is nothing to put into one. */
  class Words {
    constructor(title) {
      this.node = make("section", "na-card na-card-words");
      this.title = this.node.appendChild(make("h3", "na-card-title", title));
      this.place = this.node.appendChild(make("div", "na-table"));
      Object.assign(this.place, { tabIndex: 0 }); // scrolls sideways by keyboard too
      this.place.setAttribute("role", "region");
      this.place.setAttribute("aria-label", title);
    }

    draw(head, rows, otherwise) {
      this.node.hidden = false;
      const content = JSON.stringify([head, rows]);
      if (content === this.content) return; // a person may be selecting in it
      this.content = content;
      this.place.replaceChildren(rows.length ? NeuroAL.textTable(this.title.textContent, head, rows) : make("p", "na-quiet", otherwise));
    }
  }

  /** A figure with its heading, a line that explains it, and the same as text. */
  class FigureCard {
    constructor(name, texts, comparison) {
      Object.assign(this, { name, texts });
      this.node = make("section", `na-card na-compared-${name}`);
      const head = this.node.appendChild(make("div", "na-card-head"));
      head.append(make("h3", "na-card-title", texts.title));
      this.explain = this.node.appendChild(make("p", "na-card-explain"));
      this.plot = this.node.appendChild(make("div", "na-plot"));
      this.plot.setAttribute("role", "group");
      this.plot.setAttribute("aria-label", texts.title);
      head.append(NeuroAL.pngButton(this.plot, () => comparison.about(name, texts.title)));
      this.alternative = this.node.appendChild(make("div", "na-hidden"));
    }

    draw(Plotly, figure, runs, revision) {
      this.node.hidden = figure === null;
      if (figure === null) return;
      setText(this.explain, this.texts.explain(runs));
      figure.layout.uirevision = revision;
      NeuroAL.drawFigure(Plotly, this.plot, figure);
      const { head, rows } = NeuroAL.describeCompared(this.name, runs);
      this.alternative.replaceChildren(NeuroAL.textTable(this.texts.title, head, rows));
    }
  }

  Object.assign(NeuroAL, { Comparison });
})();
