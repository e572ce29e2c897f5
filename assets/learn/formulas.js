/** The formulas, as MathML: read aloud by screen readers, drawn by the browser. Constant text, nothing is filled in. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  const i = (name) => `<mi>${name}</mi>`;
  const o = (sign) => `<mo>${sign}</mo>`;
  const sub = (base, index) => `<msub>${i(base)}${i(index)}</msub>`;
  const sum = (below) => `<munder><mo>∑</mo><mi>${below}</mi></munder>`;
  const row = (...parts) => `<mrow>${parts.join("")}</mrow>`;
  const over = (top, bottom) => `<mfrac>${row(top)}${row(bottom)}</mfrac>`;
  const size = (...parts) => row(o("‖"), ...parts, o("‖"));

  const X = `<msubsup>${i("x")}${i("ntj")}<mn>2</mn></msubsup>`;
  const SHARE = (which) => over(`<msup>${i("a")}${i(which)}</msup>`, row(sum("j"), `<msubsup>${i("a")}${i("j")}${i(which)}</msubsup>`));

  const FORMULAS = {
    norm: {
      math: row(sub("a", "j"), o("="), `<msqrt>${row(over("<mn>1</mn>", i("N")), sum("n"), sum("t"), X)}</msqrt>`),
      say: "x is input j at token t of calibration sample n; N samples.",
    },
    metric: {
      math: row(sub("S", "ij"), o("="), o("|"), sub("W", "ij"), o("|"), o("·"), sub("a", "j")),
      say: "W is the weight in row i and column j, a the norm of input j. Magnitude is the same without a.",
    },
    count: {
      math: row(i("k"), o("="), o("⌊"), i("d"), o("·"), i("s"), o("⌋")),
      say: "d inputs, sparsity s: k weights of every row become zero.",
    },
    term: {
      math: row(sub("σ", "l"), o("="), over("<mn>1</mn>", i("d")), size(SHARE("dense"), o("−"), SHARE("pruned"))),
      say: "a are the norms of the d inputs of linear l, in the dense block and in the pruned one, on the same inputs of"
        + " the block.",
    },
    score: {
      math: row(i("score"), o("="), sum("b"), sum("l"), sub("σ", "bl")),
      say: "The sum over all linears l of all decoder blocks b.",
    },
    slope: {
      math: row(sub("s", "b"), o("="), i("s"), o("+"), i("λ"), o("·"), o("("), over(row("<mn>2</mn>", i("b")), row(i("L"), o("−"), "<mn>1</mn>")), o("−"), "<mn>1</mn>", o(")")),
      say: "Block b of L, counted from 0: from s − λ in the first to s + λ in the last.",
    },
    search: {
      math: row(`<msup>${i("λ")}<mo>*</mo></msup>`, o("="), `<munder>${i("argmin")}${i("λ")}</munder>`, i("score"), o("("), i("λ"), o(")")),
      say: "Of the lambdas of the grid, the one with the lowest score; the first one if two are equal.",
    },
    rows: {
      math: row(sub("s", "r"), o("="), sub("s", "b"), o("−"), "<mn>2</mn>", i("λ"), o("·"), o("("), sub("h", "r"), o("−"), `<mover>${i("h")}<mo>‾</mo></mover>`, o(")")),
      say: "h runs from 0 to 1 with what the reader's input r lost (dense minus pruned norm); its mean is taken away, so"
        + " that the linear stays at the ratio of its block.",
    },
    perplexity: {
      math: row(i("exp"), o("("), o("−"), over("<mn>1</mn>", i("T")), sum("t"), i("log"), i("p"), o("("), sub("x", "t"), o("|"), sub("x", "&lt;t"), o(")"), o(")")),
      say: "The exponential of the mean loss over all T predicted tokens.",
    },
    bytes: {
      math: row(over("<mn>1</mn>", "<mn>8</mn>"), o("+"), o("("), "<mn>1</mn>", o("−"), i("s"), o(")"), o("·"), "<mn>4</mn>"),
      say: "Bytes for each weight as a bitmask and float32 values; dense it is 4.",
    },
  };

  /** The formula as an element. */
  function formula(name) {
    const node = document.createElement("div");
    node.className = "na-formula";
    const markup = `<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">${FORMULAS[name].math}</math>`;
    node.append(document.importNode(new DOMParser().parseFromString(markup, "text/html").body.firstChild, true));
    const words = document.createElement("p");
    words.textContent = FORMULAS[name].say;
    node.append(words);
    return node;
  }

  Object.assign(NeuroAL, { FORMULAS, formula });
})();
