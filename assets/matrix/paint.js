/** How a mask gets onto a canvas: one pixel for each dot, enlarged by whole numbers, and the marks over it. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { dotsOf, scaleOf, weightsOf } = NeuroAL.cells;

  // From this size on single weights have a thin line around them, in device pixels.
  const LINED = 12;

  // Marks above so many are see-through; from this size of a dot on few are frames around it.
  const FEW = 8, FRAMED = 5;

  // Shades between the two colours: more than anyone can tell apart.
  const SHADES = 4096;

  const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

  /** Red, green and blue as a pixel of ImageData on a little-endian machine, which all are that run a browser. */
  const pixel = ([red, green, blue]) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;

  /**
   * A picture with one pixel for each dot, mixed of the two colours by the share of its weights that is kept.
   * @param {{part: object, counts: ArrayLike<number>}} grid a window and its counts, see cells.js
   * @param {{kept: string, pruned: string}} palette as #rrggbb
   * @param {HTMLCanvasElement} image drawn over
   */
  function paintCells({ part, counts }, palette, image) {
    const { down, across } = dotsOf(part), full = part.cell ** 2, steps = Math.min(full, SHADES);
    const kept = rgb(palette.kept), pruned = rgb(palette.pruned);
    const mix = (share) => pixel(kept.map((value, i) => Math.round(pruned[i] + (value - pruned[i]) * share)));
    const shades = Uint32Array.from({ length: steps + 1 }, (_, i) => mix(i / steps));
    Object.assign(image, { width: Math.max(across, 1), height: Math.max(down, 1) });
    const context = image.getContext("2d"), data = context.createImageData(image.width, image.height);
    const pixels = new Uint32Array(data.data.buffer);
    for (let i = 0, n = 0; i < down; i++)
      for (let j = 0; j < across; j++, n++) {
        const cut = i === down - 1 || j === across - 1;
        pixels[n] = shades[Math.round((steps * counts[n]) / (cut ? weightsOf(part, i, j) : full))];
      }
    context.putImageData(data, 0, 0);
  }

  /** Put a picture of cells where it belongs; one of other cells than the level's stands in until those have come. */
  function drawCells(context, { part, image }, level, origin, palette) {
    const scale = scaleOf(level), side = part.cell * scale, { dot } = level, { down, across } = dotsOf(part);
    const left = Math.round(part.left * scale - origin.x), top = Math.round(part.top * scale - origin.y);
    context.imageSmoothingEnabled = false;
    context.drawImage(image, left, top, Math.round(across * side), Math.round(down * side));
    if (dot < LINED || part.cell !== level.cell) return;
    context.globalAlpha = 0.35;
    context.fillStyle = palette.pruned;
    for (let i = 1; i < down; i++) context.fillRect(left, top + i * dot, across * dot, 1);
    for (let j = 1; j < across; j++) context.fillRect(left + j * dot, top, 1, down * dot);
    context.globalAlpha = 1;
  }

  /** A band over each marked row and column, as far as the matrix reaches. */
  function drawMarks(context, marks, shape, { cell, dot }, origin, palette) {
    const { width, height } = context.canvas;
    const right = Math.min(width, Math.ceil(shape.columns / cell) * dot - origin.x);
    const bottom = Math.min(height, Math.ceil(shape.rows / cell) * dot - origin.y);
    const left = Math.max(0, -origin.x), top = Math.max(0, -origin.y), thick = Math.max(dot, 2);
    const dots = (marked) => [...new Set(marked.map((index) => Math.floor(index / cell)))];
    const style = { many: marks.rows.length + marks.columns.length > FEW * cell, framed: dot > FRAMED };
    context.fillStyle = palette.mark;
    for (const row of dots(marks.rows)) band(context, left, row * dot - origin.y, right - left, thick, style);
    for (const column of dots(marks.columns)) band(context, column * dot - origin.x, top, thick, bottom - top, style);
  }

  /** Around what is marked where there is room, through it where there is none. */
  function band(context, x, y, width, height, { many, framed }) {
    context.globalAlpha = many ? 0.3 : framed ? 1 : 0.65;
    if (many || !framed) context.fillRect(x, y, width, height);
    else if (width > height) for (const at of [y - 1, y + height - 1]) context.fillRect(x, at, width, 2);
    else for (const at of [x - 1, x + width - 1]) context.fillRect(at, y, 2, height);
    context.globalAlpha = 1;
  }

  NeuroAL.matrixPaint = { drawCells, drawMarks, paintCells };
})();
