/** The right side of the guided path: the map of the model, and the figures of the page with a text alternative each. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { drawFigure, make, ModelMap, setText } = NeuroAL;

  const TITLES = {
    weights: "The weights, and how loud their inputs are", choice: "What magnitude and Wanda keep",
    row: "One row, cut", received: "What the next linears receive", terms: "The term of every linear",
    blocks: "Added up over each block", slope: "What lambda asks, and what it does", race: "The race",
    landscape: "The scores over lambda", rows: "Rows and their readers", perplexity: "Perplexity on held-out prose",
    bytes: "What the weights need", speed: "How fast a text is read", attempts: "Your attempts",
    allocations: "The ratios of the blocks",
  };

  // Which scene a figure is drawn from.
  const SCENE_OF = {
    weights: "matrix", choice: "choice", row: "row", received: "received", terms: "score", blocks: "score", slope: "score",
    race: "race", landscape: "race", rows: "rows", perplexity: "result", bytes: "cost", speed: "speed",
    attempts: "challenge", allocations: "challenge",
  };

  const TEXTS = [["dense", "Dense"], ["uniform", "Uniform"], ["chosen", "This lambda"]];

  class Stage {
    /** @param {object} options `palettes`: of the live view; `choose`: of the map */
    constructor(options) {
      this.options = options;
      this.node = make("section", "na-stage");
      this.node.setAttribute("aria-label", "Figures");
      this.map = null;
      this.cards = new Map();
    }

    /** The figures of a page, in order; those of the page before go. */
    open(lesson) {
      this.lesson = lesson;
      this.cards = new Map(lesson.figures.map((name) => [name, this.makeCard(name)]));
      this.words = lesson.texts ? this.makeWords() : null;
      this.node.replaceChildren(...[this.map?.node, ...[...this.cards.values()].map(({ node }) => node),
        this.words?.node].filter(Boolean));
    }

    makeCard(name) {
      const node = make("figure", `na-card na-learn-figure na-learn-${name}`);
      const title = node.appendChild(make("h3", "na-card-title", TITLES[name]));
      const plot = node.appendChild(make("div", "na-plot"));
      plot.setAttribute("role", "group");
      const said = node.appendChild(make("p", "na-hidden"));
      said.id = `na-learn-said-${name}`;
      plot.setAttribute("aria-label", title.textContent);
      plot.setAttribute("aria-describedby", said.id);
      return { node, plot, said };
    }

    makeWords() {
      const node = make("div", "na-card na-learn-words");
      const prompt = node.appendChild(make("p", "na-card-title"));
      const sides = TEXTS.map(([name, label]) => {
        const box = node.appendChild(make("div", `na-words-side na-words-${name}`));
        box.append(make("h3", "", label));
        return [name, box.appendChild(make("p", "na-words-text"))];
      });
      return { node, prompt, sides };
    }

    showMap(model) {
      this.map ??= new ModelMap(model, this.options.choose);
      if (this.lesson) this.open(this.lesson);
    }

    /** Draw what there is; a scene that has not arrived leaves its figure as it was. */
    draw(plotly, palette, scenes, view) {
      for (const [name, { plot, said, node }] of this.cards) {
        const data = scenes[SCENE_OF[name]];
        node.classList.toggle("na-waiting", !data);
        if (!data) continue;
        const figure = NeuroAL.learnFigures[name](data, palette, view);
        if (view.present) enlarge(figure.layout);
        figure.layout.uirevision = `${name} ${view.block} ${view.linear}`;
        drawFigure(plotly, plot, figure);
        setText(said, NeuroAL.learnTexts[name](data, view));
      }
      if (this.words && scenes.words) {
        setText(this.words.prompt, `“${scenes.words.prompt} ...”`);
        for (const [name, text] of this.words.sides) setText(text, scenes.words.text[name].trim());
      }
    }
  }

  /** For a projector: letters, and room for them. */
  function enlarge(layout) {
    layout.height = Math.round(1.15 * layout.height);
    layout.font.size = 18;
    layout.legend.font.size = 16;
  }

  NeuroAL.LearnStage = Stage;
})();
