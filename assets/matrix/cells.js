/**
 * The numbers of the mask's canvas: which sizes it is seen at, which part of it is seen, and how many weights each dot
 * stands for. No page is needed here; tests/components/test_matrix_js.py has a table for each function.
 *
 * A dot is a square on the screen whose sides are whole device pixels; a cell is the square of weights that it stands
 * for. Either the dot is one pixel or the cell one weight, so that nothing is ever interpolated.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  // Sizes to zoom through: about a quarter more each time.
  const CELLS = [
    4096, 3072, 2048, 1536, 1024, 768, 512, 384, 256, 192, 128, 96, 64, 48, 32, 24, 16, 12, 8, 6, 5, 4, 3, 2,
  ];
  const DOTS = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48];

  /** Device pixels along the side of a weight. */
  const scaleOf = ({ cell, dot }) => dot / cell;

  /**
   * The sizes a matrix can be seen at, from the whole of it to single weights.
   * @param {{rows: number, columns: number}} shape
   * @param {{width: number, height: number}} screen device pixels
   * @param {?number} fixed where there are cells of one size only, that size
   * @returns {{cell: number, dot: number}[]} the first is the largest at which all of it is seen
   */
  function ladder({ rows, columns }, { width, height }, fixed = null) {
    const base = fixed ?? 1, down = Math.ceil(rows / base), across = Math.ceil(columns / base);
    const room = Math.min(width / across, height / down), most = DOTS[DOTS.length - 1];
    if (room >= 1 || fixed !== null) {
      const fit = { cell: base, dot: Math.max(1, Math.min(most, Math.floor(room))) };
      return [fit, ...DOTS.filter((dot) => dot > fit.dot).map((dot) => ({ cell: base, dot }))];
    }
    const whole = Math.min(Math.ceil(1 / room), CELLS[0]);
    return [
      { cell: whole, dot: 1 }, ...CELLS.filter((cell) => cell < whole).map((cell) => ({ cell, dot: 1 })),
      ...DOTS.map((dot) => ({ cell: 1, dot })),
    ];
  }

  /** The place on a ladder whose scale is nearest, by ratio. */
  function nearest(levels, scale) {
    const away = (level) => Math.abs(Math.log(scaleOf(level) / scale));
    return levels.reduce((best, level, i) => (away(level) < away(levels[best]) ? i : best), 0);
  }

  /**
   * Keep a matrix on the screen: a smaller one in the middle, a larger one without a gap at its edges.
   * @param {number} origin device pixels from the matrix's edge to the screen's
   * @param {number} size of the matrix, in device pixels
   * @param {number} room of the screen
   */
  function clamp(origin, size, room) {
    if (size <= room) return -Math.floor((room - size) / 2);
    return Math.min(Math.max(Math.round(origin), 0), size - room);
  }

  /** Of so many weights, those in the dots that are at least partly seen: [first, how many]. */
  function seen(count, { cell, dot }, origin, room) {
    const first = Math.max(0, Math.floor(origin / dot)) * cell;
    const end = Math.min(count, Math.ceil((origin + room) / dot) * cell);
    return [first, Math.max(0, end - first)];
  }

  /**
   * The part of a matrix that is on the screen.
   * @param {{rows: number, columns: number}} shape
   * @param {{cell: number, dot: number}} level
   * @param {{x: number, y: number}} origin device pixels from the matrix's corner to the screen's
   * @param {{width: number, height: number}} screen
   * @returns {{top: number, left: number, rows: number, columns: number, cell: number}} in weights
   */
  function windowOf({ rows, columns }, level, { x, y }, { width, height }) {
    const [top, down] = seen(rows, level, y, height), [left, across] = seen(columns, level, x, width);
    return { top, left, rows: down, columns: across, cell: level.cell };
  }

  /** Dots down and across a window. */
  const dotsOf = ({ rows, columns, cell }) => ({ down: Math.ceil(rows / cell), across: Math.ceil(columns / cell) });

  /** How many weights the dot in this row and column of a window stands for: fewer where the edge cuts it. */
  function weightsOf({ rows, columns, cell }, i, j) {
    return Math.min(cell, rows - i * cell) * Math.min(cell, columns - j * cell);
  }

  /**
   * How many weights are kept in each cell of a window.
   * @param {Uint8Array} bits each row in whole bytes, the first column in the highest bit; 1 is kept
   * @param {number} stride bytes of a row
   * @param {{top: number, left: number, rows: number, columns: number, cell: number}} part within these bits
   * @returns {Uint32Array} row after row
   */
  function countsOf(bits, stride, part) {
    const { down, across } = dotsOf(part), counts = new Uint32Array(down * across);
    const { top, left, cell } = part;
    for (let r = 0; r < part.rows; r++) {
      const row = (top + r) * stride, line = Math.floor(r / cell) * across;
      for (let c = 0, dot = line, within = 0; c < part.columns; c++) {
        const column = left + c;
        counts[dot] += (bits[row + (column >> 3)] >> (7 - (column & 7))) & 1;
        if (++within === cell) { within = 0; dot++; }
      }
    }
    return counts;
  }

  /** What the server sends of a window (see neuroal/inspection/cells.py), as counts. */
  function received(buffer, part) {
    if (part.cell === 1) {
      const stride = Math.ceil(part.columns / 8);
      return countsOf(new Uint8Array(buffer), stride, { ...part, top: 0, left: 0 });
    }
    const most = part.cell ** 2, bytes = most < 256 ? 1 : most < 65536 ? 2 : 4;
    const view = new DataView(buffer), read = { 1: "getUint8", 2: "getUint16", 4: "getUint32" }[bytes];
    return Uint32Array.from({ length: buffer.byteLength / bytes }, (_, i) => view[read](i * bytes, true));
  }

  NeuroAL.cells = { clamp, countsOf, dotsOf, ladder, nearest, received, scaleOf, weightsOf, windowOf };
})();
