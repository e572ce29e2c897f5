/**
 * A figure as a PNG with its heading above and its config card below, so that it can be read without the page; and the
 * button that saves it. Texts are drawn into the picture as they are.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  // Dots for each pixel, and pixels: around everything, between parts, the least and the largest width.
  const SCALE = 2, EDGE = 20, GAP = 10, NARROWEST = 640, WIDEST = 1200;
  const TITLE = { size: 17, line: 24, weight: 600 }, CARD = { size: 11, line: 16, weight: 400 };

  // The width of pictures in a bundle.
  const BUNDLED = 900;

  // Letters of a file's name.
  const LONGEST_NAME = 120;

  /**
   * A text in lines that are no wider than allowed; a word that alone is wider is cut.
   * @param {function(string): number} measure the width of a text
   */
  function wrapped(text, width, measure) {
    const lines = [];
    let line = "";
    for (const word of text.split(/\s+/).filter(Boolean).flatMap((each) => pieces(each, width, measure))) {
      const longer = line ? `${line} ${word}` : word;
      if (line && measure(longer) > width) {
        lines.push(line);
        line = word;
      } else line = longer;
    }
    return line ? [...lines, line] : lines;
  }

  function pieces(word, width, measure) {
    const found = [];
    let piece = "";
    for (const letter of word) {
      if (piece && measure(piece + letter) > width) {
        found.push(piece);
        piece = "";
      }
      piece += letter;
    }
    return [...found, piece];
  }

  /** "neuroal-smollm2-135m-wanda-owl-60-damage.png", of any texts. */
  function fileName(parts) {
    const words = parts.filter((part) => part !== null && part !== undefined && part !== "").map((part) =>
      String(part).normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/[^a-z0-9.]+/g, "-").replace(/^[-.]+|[-.]+$/g, ""));
    return `${["neuroal", ...words].filter(Boolean).join("-").slice(0, LONGEST_NAME)}.png`;
  }

  /**
   * Draws a figure with what belongs to it.
   * @param {{figure: object, title: string, card: string[], width: number, look: object}} what `figure`: data and layout,
   *     with its height; `card`: a paragraph each; `look`: background, text, quiet (colours) and font
   * @returns {Promise<Blob>} a PNG, SCALE dots a pixel
   */
  async function picture(Plotly, { figure, title, card, width, look }) {
    const whole = Math.min(Math.max(Math.round(width), NARROWEST), WIDEST), inner = whole - 2 * EDGE;
    const { height } = figure.layout;
    const layout = { ...figure.layout, width: inner, height, autosize: false };
    const drawn = await loaded(await Plotly.toImage({ data: figure.data, layout }, { format: "png", width: inner, height, scale: SCALE }));
    const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
    const font = ({ weight, size }) => `${weight} ${size}px ${look.font}`;
    const laid = (text, style) => {
      pen.font = font(style);
      return wrapped(text, inner, (part) => pen.measureText(part).width);
    };
    const above = laid(title, TITLE), below = card.flatMap((paragraph) => laid(paragraph, CARD));
    const top = EDGE + above.length * TITLE.line + GAP, bottom = top + height + GAP;
    canvas.width = SCALE * whole;
    canvas.height = SCALE * (bottom + below.length * CARD.line + EDGE);
    pen.scale(SCALE, SCALE);
    pen.fillStyle = look.background;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(drawn, EDGE, top, inner, height);
    const write = (lines, style, from, color) => {
      Object.assign(pen, { font: font(style), fillStyle: color, textBaseline: "top" });
      lines.forEach((line, i) => pen.fillText(line, EDGE, from + i * style.line));
    };
    write(above, TITLE, EDGE, look.text);
    write(below, CARD, bottom, look.quiet);
    return new Promise((resolve, reject) => {
      canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The picture is too large."))), "image/png");
    });
  }

  function loaded(url) {
    return new Promise((resolve, reject) => {
      const image = new Image();
      image.onload = () => resolve(image);
      image.onerror = () => reject(new Error("The figure could not be drawn."));
      image.src = url;
    });
  }

  /** The colours of a card of the page, which is not transparent in a picture. */
  function lookOf(node, palette) {
    let behind = node;
    while (behind.parentElement && /^(rgba\(.*, 0\)|transparent)$/.test(getComputedStyle(behind).backgroundColor))
      behind = behind.parentElement;
    const { backgroundColor } = getComputedStyle(behind);
    const background = /, 0\)$/.test(backgroundColor) ? "white" : backgroundColor;
    return { background, text: palette.text, quiet: palette.muted, font: palette.font };
  }

  /** Leaves a file with the browser, as a download. */
  function save(blob, name) {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  /**
   * A bundle with its charts as pictures: they are drawn here, light on white, and the server packs them with the rest.
   * @param {string} run id of a run or a sweep
   * @param {{name: string, figure: object, title: string, card: string[]}[]} charts
   * @returns {Promise<Blob>} rejects with a sentence where the server refuses
   */
  async function bundleOf(Plotly, run, charts, palette) {
    const look = { background: "white", text: palette.text, quiet: palette.muted, font: palette.font };
    const pictures = {};
    for (const { name, ...what } of charts)
      pictures[name] = await urlOf(await picture(Plotly, { ...what, width: BUNDLED, look }));
    const answer = await fetch(bundlePath(run), {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ pictures }),
    });
    if (answer.ok) return answer.blob();
    throw new Error((await answer.json().catch(() => ({}))).error ?? "The server refused; reload the page.");
  }

  const bundlePath = (run) => `${NeuroAL.rootOf()}/gradio_api/runs/${encodeURIComponent(run)}/bundle`;

  function urlOf(blob) {
    return new Promise((resolve, reject) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.onerror = () => reject(reader.error);
      reader.readAsDataURL(blob);
    });
  }

  /**
   * The link that downloads a bundle. Where the pictures cannot be drawn it leads to the bundle without them.
   * @param {function(): {Plotly: object, run: string, charts: object[], palette: object, name: string[]}} about
   */
  function bundleLink(text, title, about) {
    const link = NeuroAL.make("a", "na-bundle", text);
    Object.assign(link, { title, download: "" });
    link.onclick = async (event) => {
      event.preventDefault();
      if (link.ariaBusy) return;
      link.ariaBusy = "true";
      NeuroAL.setText(link, "Drawing the charts…");
      const { Plotly, run, charts, palette, name } = about();
      try {
        save(await bundleOf(Plotly, run, charts, palette), fileName(name).replace(/png$/, "zip"));
      } catch (error) {
        console.error(error);
        window.location.assign(link.href);
      }
      NeuroAL.setText(link, text);
      link.ariaBusy = null;
    };
    return link;
  }

  /**
   * The button that saves a figure as it is seen, zoom and all.
   * @param {HTMLElement} plot the node that Plotly draws in
   * @param {function(): {Plotly: object, title: string, card: string[], name: string[], palette: object}} about
   */
  function pngButton(plot, about) {
    const button = NeuroAL.make("button", "na-button na-png", "PNG");
    button.type = "button";
    button.title = "Save this chart with its config card";
    button.onclick = async () => {
      const { Plotly, title, card, name, palette } = about();
      button.disabled = true;
      try {
        const layout = { ...plot.layout, height: plot.offsetHeight }; // Plotly forgets it on a change of width
        const look = lookOf(plot, palette);
        const figure = { data: plot.data, layout };
        save(await picture(Plotly, { figure, title, card, width: plot.offsetWidth + 2 * EDGE, look }), fileName(name));
        button.title = "Save this chart with its config card";
        NeuroAL.setText(button, "PNG");
      } catch (error) {
        console.error(error);
        NeuroAL.setText(button, "No PNG");
        button.title = "This browser could not draw the picture; reload the page to try again.";
      }
      button.disabled = false;
    };
    return button;
  }

  Object.assign(NeuroAL, { bundleLink, bundlePath, fileName, lookOf, picture, pngButton, save, wrapped });
})();
