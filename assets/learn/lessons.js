/**
 * The pages of the guided path, in order: what each says, what it lights up, what may be played with, and the question
 * that its figure answers. Answers are sentences made of the scene that is on the screen.
 *
 * lights    parts of the model's map: "blocks", "block", "linear", "inputs", "readers"
 * controls  names in controls.js
 * scenes    what is asked of the server, in this order
 * answers   those that the answer to the question is made of; the first one where it is not named
 * fixed     settings that the page has, whatever other pages have set
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { percent, short, times } = NeuroAL.words;

  const LESSONS = [
    {
      id: "linear", title: "One linear, and what reaches it", lights: ["linear", "inputs"],
      text: [
        "A language model is a stack of decoder blocks, and most of a block is linears: matrices of weights. This is one"
        + " of a real, tiny model. Each row makes one output, each column reads one input; the brighter a dot, the larger"
        + " its weight, whatever its sign.",
        "The bars above say how loud each input is while the model reads a text: its activation norm. Some inputs are"
        + " much louder than others, and nothing in the matrix itself says so.",
      ],
      controls: ["block", "linear"], scenes: ["matrix"], figures: ["weights"],
      question: "How much louder is the loudest input than a usual one?",
      answer: ({ matrix }) => `Input ${matrix.loudest} is ${times(matrix.louder)} as loud as the median input. A weight`
        + " in its column changes the outputs by that much more than an equal weight in a usual column.",
      formula: "norm", paper: "The activation norm ‖Xⱼ‖ of Wanda (arXiv 2306.11695); NeuroAL compares the same norms.",
    },
    {
      id: "metric", title: "Which weights may go", lights: ["linear", "inputs"],
      text: [
        "Pruning sets weights to zero. The oldest rule, magnitude, lets the smallest weights go. Wanda multiplies each"
        + " weight by the norm of its input first: a small weight that reads a loud input may matter more than a large"
        + " one that reads a quiet input.",
        "Both rules keep equally many. Look where they disagree, and at the bars above.",
      ],
      controls: ["sparsity", "block", "linear"], scenes: ["choice"], figures: ["choice"],
      question: "Whose outputs stay closer to the dense ones?",
      answer: ({ choice }) => {
        const { magnitude, wanda } = choice.errors;
        const better = wanda < magnitude ? "Wanda is closer" : "Magnitude is closer here";
        return `${better}: the outputs are off by ${percent(wanda)} with Wanda and by ${percent(magnitude)} with`
          + ` magnitude. Wanda keeps ${choice.rescued.toLocaleString("en")} weights that magnitude would have pruned.`;
      },
      formula: "metric", paper: "The pruning metric |Wᵢⱼ|·‖Xⱼ‖ of Wanda (arXiv 2306.11695).",
    },
    {
      id: "rows", title: "Row by row", lights: ["linear"],
      text: [
        "Every output is cut on its own: within its row, the weights with the lowest metric go, in each row equally"
        + " many. So no output loses everything, and none is spared. This is one row, its weights in order of the"
        + " metric; the dashed line is where it is cut.",
        "Move the sparsity, and see the line move. Go to another row: the weights differ, the count does not.",
      ],
      controls: ["sparsity", "pruner", "row", "block", "linear"], scenes: ["row"], figures: ["row"],
      question: "How much of the row's metric is lost with the weights that go?",
      answer: ({ row }) => {
        const sum = (values) => values.reduce((a, b) => a + b, 0);
        const lost = sum(row.metric.filter((_, j) => !row.kept[j])) / sum(row.metric);
        return `${row.count} of ${row.columns} weights go, and with them ${percent(lost)} of the sum of the metric: the`
          + " cheap ones. How many go is rounded down, so a row never loses more than was asked.";
      },
      formula: "count", paper: "Per-output comparison, section 3 of Wanda (arXiv 2306.11695).",
    },
    {
      id: "alignment", title: "What the next linear now receives", lights: ["linear", "readers"], fixed: { lam: 0 },
      text: [
        "Nobody sees a single weight; the next linear sees what comes out. Give the same text to the dense block and to"
        + " its pruned copy, and take the norms of what the next linears receive in each. Divided by their sum they are"
        + " two profiles. How far these are apart is the alignment term of that linear; with 0 nothing has changed.",
        "Sort the inputs to see the shape, unsort them to see which neurons moved.",
      ],
      controls: ["sparsity", "pruner", "sorted", "block", "linear"], scenes: ["received"], figures: ["received"],
      question: "Which input changed most?",
      answer: ({ received }) => {
        if (received.again) return "None: the next block receives the same inputs in both passes, so its first linears"
          + " have a term of exactly 0. The comparison starts anew in each block.";
        const j = received.moved[0], [dense, pruned] = [received.dense[j], received.pruned[j]];
        return `Input ${j} of ${received.readers.join(" and ")}: its share of the activation goes from ${percent(dense)}`
          + ` to ${percent(pruned)}. Together the inputs lost ${percent(received.lost)} of their activation.`;
      },
      formula: "term", paper: "Neuron alignment, section 3 of NeuroAL (arXiv 2411.07066).",
    },
    {
      id: "score", title: "Add it up: the score", lights: ["blocks"], fixed: { lam: 0 },
      text: [
        "Each linear has a term. Added up over a block they say how much that block is disturbed; added up over the"
        + " model they are the alignment score of this way of pruning. Lower is better. It takes one walk through the"
        + " model, no training, no gradient and no labels.",
        "All blocks have the same sparsity here. They do not suffer alike.",
      ],
      controls: ["sparsity", "pruner"], scenes: ["score"], figures: ["terms", "blocks"],
      question: "Which block suffers most at the same sparsity?",
      answer: ({ score }) => {
        const worst = score.blocks.indexOf(Math.max(...score.blocks));
        return `Block ${worst}: ${percent(score.blocks[worst] / score.score)} of the whole score`
          + ` (${short(score.blocks[worst])} of ${short(score.score)}), where an equal share would be`
          + ` ${percent(1 / score.blocks.length)}. So perhaps not every block should lose equally many weights.`;
      },
      formula: "score", paper: "The objective that NeuroAL minimises, section 3 (arXiv 2411.07066).",
    },
    {
      id: "slope", title: "Lambda: the slope over the blocks", lights: ["blocks"],
      text: [
        "NeuroAL does not look for eight numbers but for one. The sparsity rises linearly with depth: early blocks,"
        + " whose faults all later ones inherit, keep more. Lambda is the slope, and 0 is uniform. The mean does not"
        + " change, so the model is as sparse as before.",
        "Move lambda, and watch both: the ratios, and what they do to each block.",
      ],
      controls: ["lam", "sparsity", "pruner"], scenes: ["score"], figures: ["slope"],
      question: "Is this lambda better than uniform?",
      answer: ({ score }) => {
        const gain = 1 - score.score / score.uniform.score;
        if (Math.abs(gain) < 1e-6) return "This is uniform: lambda is 0. Move it.";
        return gain > 0
          ? `Yes: the score is ${short(score.score)} instead of ${short(score.uniform.score)}, ${percent(gain)} lower.`
          : `No: the score is ${short(score.score)} instead of ${short(score.uniform.score)}, ${percent(-gain)} higher.`
            + " The last blocks lose too much now.";
      },
      formula: "slope", paper: "The linear block schedule of NeuroAL, section 3 (arXiv 2411.07066).",
    },
    {
      id: "race", title: "The search: a race of lambdas", lights: ["blocks"],
      text: [
        "Which lambda? Try them. Every candidate prunes a copy of each block, walks through the model, and collects the"
        + " terms of its blocks. Here they go side by side, block by block: the shortest bar at the end wins.",
        "Press Start. The race has been computed just now; the app does the same on large models, and stops early"
        + " where the curve has shown its lowest point.",
      ],
      controls: ["race", "sparsity", "pruner"], scenes: ["race"], figures: ["race", "landscape"],
      question: "Does the winner win by much?",
      answer: ({ race }) => {
        const best = Math.min(...race.scores), worst = Math.max(...race.scores);
        const ties = race.ties.length ? ` ${race.ties.map((l) => l.toFixed(2)).join(", ")} come within 1 %.` : "";
        return `Lambda ${race.chosen.toFixed(2)} wins with ${short(best)}; the worst has ${short(worst)},`
          + ` ${times(worst / best)} as much, and uniform ${short(race.uniform)}.${ties} Such landscapes are flat around`
          + " their lowest point, so about the right slope is enough.";
      },
      formula: "search", paper: "The grid of lambda and its choice, section 3 of NeuroAL (arXiv 2411.07066).",
    },
    {
      id: "neurons", title: "Rows: whose reader suffers most keeps most", lights: ["linear", "readers"],
      text: [
        "The same idea within one linear. Each row feeds one input of the next linears, and we know how much activation"
        + " that input has lost. Rows whose reader lost most keep the most weights; a second lambda is the slope, and"
        + " the linear as a whole stays as sparse as its block.",
        "Each dot is a row. Move the second lambda, and choose other linears.",
      ],
      controls: ["row_lam", "lam", "sparsity", "block", "linear"], scenes: ["rows"], figures: ["rows"],
      question: "Do the rows lower the score as well?",
      answer: ({ rows }) => {
        if (!rows.driven) return `The rows of ${rows.linear} all keep the block's ratio: what reads them received the`
          + " same in both passes, or nothing reads them within the stack. Choose another linear.";
        const gain = 1 - rows.score / rows.before;
        if (Math.abs(gain) < 1e-3) return "Hardly: move the second lambda away from 0 to see a difference.";
        return gain > 0
          ? `Yes: with the rows of all linears varied like this it is ${short(rows.score)} instead of`
            + ` ${short(rows.before)}, ${percent(gain)} lower.`
          : `No: with the rows of all linears varied like this it is ${short(rows.score)} instead of`
            + ` ${short(rows.before)}, ${percent(-gain)} higher. That is why this lambda, too, is searched for.`;
      },
      formula: "rows", paper: "The row step of NeuroAL, section 3 (arXiv 2411.07066).",
    },
    {
      id: "result", title: "Against uniform, in perplexity and in words", lights: ["blocks"],
      text: [
        "A score is a means. What counts is how well the pruned model still predicts a text that nobody tuned it on:"
        + " perplexity, lower is better. Uniform is the control, with as many zeros spread evenly.",
        "Below the bars each model goes on from the same words. The model is tiny, so do not expect wisdom from any.",
      ],
      controls: ["lam", "winner", "sparsity", "pruner"], scenes: ["result", "words"], figures: ["perplexity"],
      texts: true,
      question: "Did a lower score mean a lower perplexity?",
      answer: ({ result }) => {
        const { dense, uniform, chosen } = result.perplexity;
        if (result.score.chosen === result.score.uniform) return "Lambda is 0, so both are uniform: take the search's"
          + " lambda, or move it yourself.";
        const lower = result.score.chosen < result.score.uniform, better = chosen < uniform;
        return `${lower === better ? "Yes" : "No"}: the score is ${lower ? "lower" : "higher"}, and the perplexity is`
          + ` ${chosen.toFixed(1)} instead of ${uniform.toFixed(1)} (dense ${dense.toFixed(1)}). The score sees how`
          + " activations drift, not what the model says, so the two need not agree.";
      },
      formula: "perplexity", paper: "Language modelling as in the experiments of NeuroAL (arXiv 2411.07066).",
    },
    {
      id: "limits", title: "What it does not do", lights: [],
      text: [
        "A pruned weight is a zero in an ordinary matrix. The file is as large as before and the matrix product as slow:"
        + " kernels for dense matrices multiply zeros like any number. A file gets smaller when it is stored as a"
        + " bitmask with the values that are left, or compressed.",
        "The speed below was measured just now, on this server. Differences between the dots are the noise of a shared"
        + " processor.",
      ],
      controls: ["sparsity", "pruner", "measure"], scenes: ["cost", "speed"], figures: ["bytes", "speed"],
      question: "From which sparsity on does the bitmask pay?",
      answer: ({ cost }) => {
        const { dense, bitmask } = cost.bytes;
        return `Very early: one bit per weight says where the zeros are, so 4-byte numbers gain from 3 % zeros on. Here`
          + ` ${percent(cost.zeros)} of the prunable weights are zero, and the file has ${percent(bitmask / dense)} of`
          + ` its bytes; embeddings and norms, ${percent(1 - cost.share)} of this model, are never pruned.`;
      },
      formula: "bytes", paper: "Unstructured sparsity; 2:4 patterns are what some GPUs can use.",
    },
  ];

  // What a scene looks at: it is asked again only when one of these has changed.
  const LOOKS_AT = {
    model: [], matrix: ["block", "linear"], choice: ["sparsity", "block", "linear"],
    row: ["sparsity", "pruner", "block", "linear", "row"], received: ["sparsity", "pruner", "block", "linear"],
    score: ["sparsity", "pruner", "lam"], race: ["sparsity", "pruner"],
    rows: ["sparsity", "pruner", "lam", "row_lam", "block", "linear"], result: ["sparsity", "pruner", "lam"],
    words: ["sparsity", "pruner", "lam"], cost: ["sparsity", "pruner"], speed: ["sparsity", "pruner"],
    ends: ["sparsity", "pruner"], challenge: ["sparsity", "pruner"], attempt: ["sparsity", "pruner"],
  };

  /** The settings that a scene is asked with on a page. */
  function settingsFor(scene, lesson, settings) {
    const values = { ...settings, ...lesson.fixed };
    return Object.fromEntries(LOOKS_AT[scene].map((name) => [name, values[name]]));
  }

  Object.assign(NeuroAL, { LESSONS, settingsFor });
})();
