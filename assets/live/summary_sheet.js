/**
 * The summary of a run as one sheet of paper: made beside the page when it is asked for, in light colours whatever the
 * theme, printed, and taken away again. The page and its figures are left alone.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { make } = NeuroAL;

  // In pixels of 1/96 inch: A4 less its margins is higher, but so much fits US letter too.
  const TALLEST = 955;

  // Heights of the plots, and sizes of the letters, that are tried until all of it fits.
  const SIZES = [[300, 14], [270, 13], [250, 13], [220, 13], [190, 12], [170, 11], [150, 10], [130, 9]];

  // The figures that are printed; of two, the first that the run has.
  const FIGURES = [["scores", "ratings"], ["sparsity"], ["damage"]];
  const TITLES = {
    scores: "Alignment score over lambda", ratings: "What the ratios go by", sparsity: "Sparsity of each block",
    damage: "Perplexity on held-out text, lower is better",
  };

  const PAGE = "@page { size: A4 portrait; margin: 12mm; }";
  const PRINTING = "na-printing";

  // Takes the sheet away that is there.
  let over = () => {};

  /**
   * The button that prints the run of a live view.
   * @param {{state: object, value: {run: string}, options: object, say: Function}} view
   */
  function summaryButton(view) {
    const button = make("button", "na-button na-print", "Print a summary");
    button.type = "button";
    button.title = "One page: what was asked, what was chosen, and what it cost";
    button.onclick = async () => {
      button.disabled = true;
      try {
        await print(view);
      } catch (error) {
        view.say("The summary could not be made. Reload the page to try again.");
        console.error(error);
      } finally {
        button.disabled = false;
      }
    };
    return button;
  }

  async function print({ state, value, options }) {
    const plotly = await options.plotly, palette = options.palettes.light;
    const summary = NeuroAL.summaryOf(state, options.settings, linkOf(value.run));
    const figures = FIGURES.map((names) => names.map((name) => [name, NeuroAL.figure(name, state, palette)]).find(([, one]) => one))
      .filter(Boolean);
    over(); // a browser may not have told that it has printed the last one
    const { sheet, plots } = laidOut(summary, figures.map(([name]) => TITLES[name]));
    const title = document.title;
    over = () => {
      sheet.remove();
      document.body.classList.remove(PRINTING);
      document.title = title;
    };
    document.body.append(sheet);
    try {
      const [height, letters] = fitted(sheet);
      await Promise.all(plots.map((plot, i) => draw(plotly, plot, figures[i][1], height, letters)));
    } catch (error) {
      over();
      throw error;
    }
    document.body.classList.add(PRINTING);
    document.title = summary.title; // the name of the file, where it is printed into one
    window.addEventListener("afterprint", () => over(), { once: true });
    window.print();
  }

  // What the id of a recorded run begins with: neuroal/runs/examples.py.
  const RECORDED = "example-";

  /** Where this run is found again. */
  function linkOf(run) {
    const [kind, name] = run.startsWith(RECORDED) ? ["example", run.slice(RECORDED.length)] : ["run", run];
    return `${NeuroAL.rootOf()}/?${kind}=${encodeURIComponent(name)}`;
  }

  /** The sheet, with the places of its plots empty. */
  function laidOut({ title, question, happened, lambdas, head, rows, card }, titles) {
    const sheet = make("div", "na-summary");
    sheet.setAttribute("aria-hidden", "true"); // the page says all of it
    sheet.append(make("style", "", PAGE), make("p", "na-summary-kind", "NeuroAL Explorer: summary of a run"),
      make("h1", "", title), make("p", "na-summary-question", question.join(" · ")));
    if (lambdas.length) sheet.append(make("p", "na-summary-lambdas", `Chosen lambda: ${lambdas.join("; ")}`));
    sheet.append(...happened.map((sentence) => make("p", "na-summary-happened", sentence)));
    const cells = sheet.appendChild(make("div", "na-summary-cells"));
    const plots = titles.map((text) => {
      const cell = cells.appendChild(make("div", "na-summary-cell"));
      cell.append(make("h2", "", text));
      return cell.appendChild(make("div", "na-summary-plot"));
    });
    if (rows.length) {
      const cell = cells.appendChild(make("div", "na-summary-cell"));
      cell.append(make("h2", "", "What it cost (±: standard error over the text)"), NeuroAL.grid(head, rows));
    }
    sheet.append(...card.map((line) => make("p", "na-summary-card", line)));
    return { sheet, plots };
  }

  /** Let the plots be as high, and the letters as large, as one page allows. */
  function fitted(sheet) {
    for (const size of SIZES) {
      sheet.style.setProperty("--na-height", `${size[0]}px`);
      sheet.style.setProperty("--na-letters", `${size[1]}px`);
      if (sheet.offsetHeight <= TALLEST) return size;
    }
    return SIZES.at(-1);
  }

  function draw(plotly, node, { data, layout }, height, letters) {
    Object.assign(layout, { height, width: node.clientWidth });
    layout.font.size = letters - 2;
    layout.legend.font.size = letters - 3;
    return plotly.newPlot(node, data, layout, { staticPlot: true });
  }

  Object.assign(NeuroAL, { summaryButton });
})();
