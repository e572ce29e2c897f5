/**
 * What was measured beside the perplexity, as tables: a state becomes {explain, head, rows, notes, texts}.
 * A cell is text; nothing here touches the page.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  const TITLES = {
    alignment: "How far the neurons drift", divergence: "How far from the dense model", zeroshot: "Zero-shot tasks", probes: "Does it still write",
    cost: "What it weighs, and how fast it is", sensitivity: "What calibration alone does",
  };

  const measured = (state, metric, variant) => state.measured[metric]?.[variant] ?? null;
  const named = (state, variants) => variants.map((variant) => NeuroAL.variantName(state, variant));
  const percent = (share) => NeuroAL.fixed(100 * share, 1);
  const megabytes = (bytes) => `${NeuroAL.fixed(bytes / 1e6, 1)} MB`;
  /** "25.0 ± 2.1 %"; a dash for what is not known. */
  const give = (value, stderr, show) => {
    if (value === null || value === undefined) return "–";
    return `${show(value)}${stderr ? ` ± ${show(stderr)}` : ""}${show === percent ? " %" : ""}`;
  };
  const number = (value) => (value >= 1000 || Number.isInteger(value) ? Math.round(value).toLocaleString("en") : NeuroAL.fixed(value, value < 10 ? 2 : 1));

  const WRITE = { alignment, divergence, zeroshot, probes, cost, sensitivity };

  /** The table of that name, or null while there is nothing to say. */
  const tableOf = (name, state) => WRITE[name](state);

  function alignment(state) {
    const seen = ["uniform", "chosen"].filter((variant) => measured(state, "alignment", variant));
    if (!seen.length) return null;
    const row = (label, tell) => [label, ...seen.map((variant) => tell(measured(state, "alignment", variant)))];
    const worst = ({ details: { blocks } }) => {
      const most = Math.max(...blocks);
      return `${blocks.indexOf(most)} (${most.toPrecision(3)})`;
    };
    return {
      explain: "What NeuroAL's search minimises, for whoever chose the ratios: over all linears, the distance between"
        + " the normalised activation norms of the dense and the pruned block on the same inputs. Lower is better; it is"
        + " comparable within one model and calibration only.",
      head: ["", ...named(state, seen)],
      rows: [row("alignment score", (m) => m.value.toPrecision(4)), row("the block that drifts most", worst)],
      notes: [],
    };
  }

  function divergence(state) {
    const seen = ["uniform", "chosen"].filter((variant) => measured(state, "divergence", variant));
    if (!seen.length) return null;
    const row = (label, tell) => [label, ...seen.map((variant) => tell(measured(state, "divergence", variant)))];
    const nats = (value) => NeuroAL.fixed(value, 3);
    const { tokens } = measured(state, "divergence", seen[0]);
    return {
      explain: `Both models read the same ${number(tokens)} tokens. KL divergence is how much the pruned model's`
        + " predictions miss of the dense model's; 0 means the same predictions.",
      head: ["", ...named(state, seen)],
      rows: [
        row("KL divergence, nats", (m) => give(m.value, m.stderr, nats)),
        row("half of the tokens are below", (m) => nats(m.details.median_kl)),
        row("one token in twenty is above", (m) => nats(m.details.p95_kl)),
        row("the same likeliest token", (m) => give(m.details.top1, m.details.top1_stderr, percent)),
        row("shared of the five likeliest", (m) => give(m.details.top5, m.details.top5_stderr, percent)),
        row("loss added, nats", (m) => give(m.details.loss_difference, m.details.loss_difference_stderr, nats)),
      ],
      notes: [],
    };
  }

  function zeroshot(state) {
    const seen = ["dense", "chosen"].filter((variant) => measured(state, "zeroshot", variant));
    if (!seen.length) return null;
    const metrics = Object.keys(state.measured).filter((name) => name.startsWith("zeroshot/"));
    const row = (metric, label) => {
      const found = seen.map((variant) => measured(state, metric, variant));
      const any = found.find((m) => m);
      return [label ?? any.details.label, ...found.map((m) => (m ? give(m.value, m.stderr, percent) : "–")),
        give(any.details.chance, 0, percent), number(any.tokens)];
    };
    const notes = metrics.flatMap((metric) => {
      const { label, notice } = Object.values(state.measured[metric])[0].details;
      return notice ? [`${label}: ${notice}`] : [];
    });
    return {
      explain: "Share of questions answered correctly, without any example, through lm-eval. Differences within the"
        + " standard errors (±) mean nothing; ask more questions to tell models apart.",
      head: ["", ...named(state, seen), "guessing", "questions"],
      rows: [...metrics.map((metric) => row(metric)), row("zeroshot", "Mean")],
      notes,
    };
  }

  function probes(state) {
    const seen = ["uniform", "chosen"].filter((variant) => measured(state, "probes", variant));
    if (!seen.length) return null;
    const last = measured(state, "probes", seen[seen.length - 1]).details;
    const row = (label, name, show) => {
      const cell = ({ value, stderr }) => give(value, stderr, show);
      return [label, cell(last.dense[name]),
        ...seen.map((variant) => cell(measured(state, "probes", variant).details.figures[name]))];
    };
    return {
      explain: `${last.texts.length} prompts, answered greedily. The verdict compares a model with what the dense model`
        + " writes to the same prompts.",
      head: ["", NeuroAL.variantName(state, "dense"), ...named(state, seen)],
      rows: [
        ["verdict", "–", ...seen.map((variant) => measured(state, "probes", variant).details.verdict)],
        row("4-grams said before", "repetition", percent),
        row("different tokens", "distinct_1", percent),
        row("different pairs", "distinct_2", percent),
        row("words not in the dictionary", "non_words", percent),
        row("perplexity under the dense model", "perplexity", number),
        row("the same without repetitions", "perplexity_new", number),
      ],
      notes: last.reasons,
      texts: last.texts.map(([prompt, text], i) => [prompt, last.dense_texts[i], text]),
    };
  }

  function cost(state) {
    const found = measured(state, "cost", "chosen");
    if (!found) return null;
    const { sizes, memory, speeds, sentence, read, write } = found.details;
    const speed = (name, what) => {
      const [least, middle, most] = speeds[name][what];
      return `${number(middle)} (${number(least)} to ${number(most)})`;
    };
    return {
      explain: "Bytes of all weights, tied ones once. Bitmask: one bit for each weight and the weights that are left.",
      head: ["", ...named(state, ["dense", "chosen"])],
      rows: [
        ["weights other than zero", number(sizes.weights), number(sizes.nonzeros)],
        ["as it is", megabytes(sizes.dense), megabytes(sizes.dense)],
        ["bitmask", "–", megabytes(sizes.bitmask)],
        ["bitmask and zstd", "–", megabytes(sizes.bitmask_zstd)],
        ["zstd alone", megabytes(sizes.dense_zstd), megabytes(sizes.zstd)],
        ["memory here", megabytes(memory.dense), megabytes(memory.pruned)],
        [`reading ${read} tokens, tokens/s`, speed("dense", "reading"), speed("pruned", "reading")],
        [`writing ${write} tokens, tokens/s`, speed("dense", "writing"), speed("pruned", "writing")],
      ],
      notes: [sentence],
    };
  }

  function sensitivity(state) {
    const prefix = "sensitivity/";
    const seen = Object.keys(state.measured).filter((name) => name.startsWith(prefix) && measured(state, name, "chosen"));
    if (!seen.length) return null;
    const found = seen.map((name) => [name.slice(prefix.length), measured(state, name, "chosen")]);
    const has = (name) => found.some(([, m]) => m.details[name] !== null);
    const lambdas = ["block_lambda", "row_lambda"].filter(has), compared = has("uniform");
    const given = (value, show) => (value === null ? "–" : show(value));
    const signed = (value) => `${value < 0 ? "−" : "+"}${number(Math.abs(value))}`;
    const total = measured(state, "sensitivity", "chosen")?.details;
    const sum = (label, name) => [label, ...lambdas.map(() => ""), number(total.method[name]),
      ...(compared ? [number(total.uniform[name]), (name === "mean" ? signed : number)(total.difference[name])] : [])];
    return {
      explain: "The same run on other calibrations; each row differs from this run in what it names. More or fewer samples"
        + " are partly the same text. Perplexities are of the same held-out text"
        + `${compared ? "; below 0, the difference is in favour of the method" : ""}.`,
      head: ["calibration", ...lambdas.map((name) => name.replace("_", " ")), NeuroAL.variantName(state, "chosen"),
        ...(compared ? [NeuroAL.variantName(state, "uniform"), "difference"] : [])],
      rows: [
        ...found.map(([what, { value, details }]) => [what,
          ...lambdas.map((name) => given(details[name], NeuroAL.lambdaText)), number(value),
          ...(compared ? [given(details.uniform, number), given(details.difference, signed)] : [])]),
        ...(total ? [sum("mean", "mean"), sum("standard deviation", "deviation")] : []),
      ],
      notes: total ? [total.sentence] : [],
    };
  }

  /** What all figures of a run depend on; the twin, for each figure, of neuroal/evaluation/card.py. */
  function configOf(state) {
    const { spec, key, versions, hardware, started_at, model, calibration, pruned } = state;
    const achieved = Object.fromEntries(Object.entries(pruned).map(([variant, found]) => [variant, found.overall]));
    return { spec, key, versions, hardware, started_at, model, calibration, achieved };
  }

  Object.assign(NeuroAL, { configOf, TABLES: Object.keys(TITLES), TABLE_TITLES: TITLES, tableOf });
})();
