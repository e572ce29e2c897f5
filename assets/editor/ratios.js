/**
 * The numbers of the editor: one sparsity ratio per block, changed by hand while their mean stays where it is.
 * No page is needed here; tests/components/test_editor_js.py has a table for each function.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  // What dragging reaches. A ratio of 1 is refused by the engine: nothing of the block would be left.
  const LOWEST = 0, HIGHEST = 0.99;

  // From here on neuroal/topups/custom.py says that the mean is another one.
  const TOLERANCE = 0.0005;

  // Ratios are written with four digits.
  const UNITS = 10_000;

  // A bar snaps to whole percents where it is dragged.
  const SNAP = 100;

  const EXACT = 1e-12;

  // What a rising line puts in place of ratios <= 0 and >= 1; see neuroal/schedules.py.
  const LINE_LOWEST = 0.01, LINE_HIGHEST = 0.99;

  const total = (values) => values.reduce((sum, value) => sum + value, 0);
  const mean = (ratios) => (ratios.length ? total(ratios) / ratios.length : 0);
  const clamp = (ratio) => Math.min(Math.max(ratio, LOWEST), HIGHEST);
  const snap = (ratio) => clamp(Math.round(ratio * SNAP) / SNAP);
  const uniform = (ratio, blocks) => Array(blocks).fill(ratio);
  const isUniform = (ratios) => ratios.length > 1 && ratios.every((ratio) => ratio === ratios[0]);
  const isMoved = (ratio, from) => Math.abs(ratio - from) >= 1 / UNITS;
  const isKept = (ratios, target) => Math.abs(mean(ratios) - target) <= TOLERANCE;

  /**
   * Shift ratios by one and the same amount until their mean is the target; who reaches a limit stays there.
   *
   * First those move that are neither held nor at a limit; where that is not enough, those at a limit too; at last the
   * held ones, so that the mean is kept whenever it can be.
   * @param {number[]} ratios
   * @param {number} target
   * @param {number[]} held indices of the blocks that a person has just set
   */
  function keepMean(ratios, target, held = []) {
    const result = [...ratios];
    const everyone = result.map((_, i) => i);
    const others = everyone.filter((i) => !held.includes(i));
    const inside = others.filter((i) => ratios[i] > LOWEST && ratios[i] < HIGHEST);
    for (const movable of [inside, others, everyone])
      shift(result, movable, target * result.length - total(result));
    return result;
  }

  /** Spread `missing` evenly over some of the ratios, in place. Each round that does not end it takes one out. */
  function shift(ratios, movable, missing) {
    let open = movable, left = missing;
    while (open.length && Math.abs(left) > EXACT) {
      const step = left / open.length;
      for (const i of open) {
        const moved = clamp(ratios[i] + step);
        left -= moved - ratios[i];
        ratios[i] = moved;
      }
      open = open.filter((i) => (step > 0 ? ratios[i] < HIGHEST : ratios[i] > LOWEST));
    }
  }

  /**
   * The ratios after a person has set some of them.
   * @param {number[]} base before
   * @param {Map<number, number>} changes ratio by block
   * @param {?number} target the mean to keep; null to leave the others alone
   */
  function changed(base, changes, target) {
    const result = base.map((ratio, i) => changes.get(i) ?? ratio);
    return target === null ? result : keepMean(result, target, [...changes.keys()]);
  }

  /**
   * What a stroke between two places of the pointer sets: every block on the way, for a fast pointer leaves some out.
   * @param {{block: number, ratio: number}} from
   * @param {{block: number, ratio: number}} to
   * @returns {Map<number, number>} ratio by block, without the one it came from unless it stayed there
   */
  function stroke(from, to) {
    const steps = Math.abs(to.block - from.block), way = Math.sign(to.block - from.block);
    if (!steps) return new Map([[to.block, snap(to.ratio)]]);
    const found = new Map();
    for (let i = 1; i <= steps; i++)
      found.set(from.block + way * i, snap(from.ratio + ((to.ratio - from.ratio) * i) / steps));
    return found;
  }

  /** Four digits each: the mean moves by a tenth of the tolerance at most, and equal ratios stay equal. */
  const rounded = (ratios) => ratios.map((ratio) => Math.round(ratio * UNITS) / UNITS);

  /** NeuroAL's block schedule: `neuroal.schedules.block_schedule`, to the last bit. */
  function risingLine(target, slope, blocks) {
    const factor = (1 / (blocks - 1)) * slope * 2;
    const density = Array.from({ length: blocks }, (_, i) => (blocks > 1 ? i * factor : 0));
    const middle = pairwise(density, 0, blocks) / blocks;
    const ratios = density.map((d) => 1 - (d - middle + (1 - target))).sort((a, b) => a - b);
    return ratios.map((ratio) => (ratio <= 0 ? LINE_LOWEST : ratio >= 1 ? LINE_HIGHEST : ratio));
  }

  /** The sum in the order in which numpy adds. */
  function pairwise(values, start, count) {
    if (count > 128) {
      const half = Math.floor(count / 2), first = half - (half % 8);
      return pairwise(values, start, first) + pairwise(values, start + first, count - first);
    }
    const at = (i) => values[start + i];
    if (count < 8) return total(values.slice(start, start + count));
    const lanes = Array.from({ length: 8 }, (_, i) => at(i));
    const whole = count - (count % 8);
    for (let i = 8; i < whole; i++) lanes[i % 8] += at(i);
    const [a, b, c, d, e, f, g, h] = lanes;
    let sum = a + b + (c + d) + (e + f + (g + h));
    for (let i = whole; i < count; i++) sum += at(i);
    return sum;
  }

  NeuroAL.ratios = {
    LOWEST, HIGHEST, TOLERANCE, changed, clamp, isKept, isMoved, isUniform, keepMean, mean, risingLine, rounded,
    stroke, uniform,
  };
})();
