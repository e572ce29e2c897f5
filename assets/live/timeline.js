/**
 * The player's controls: a time line to scrub, play, speed, and, in step mode, steps forwards and back with the sentence
 * of each. Keys work while the focus is inside: arrows step by block, with Shift by candidate, Space plays.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { make, setText } = NeuroAL;
  const SPEEDS = [0.5, 1, 2, 4, 8];
  const STEPS = [
    ["⇤ Candidate", "One candidate back", -1, "candidate"], ["← Block", "One block back", -1, "block"],
    ["Block →", "One block forwards", 1, "block"], ["Candidate ⇥", "One candidate forwards", 1, "candidate"],
  ];
  const KEYS = "Keys, while the time line has the focus: ← → a block, with Shift a candidate; Space plays; Home, End.";
  const LETTER_PX = 7;

  // What step mode marks in which figure.
  const MARKED = { BlockScored: "heatmap", BlockPruned: "sparsity", BlockRated: "ratings" };

  class TimeLine {
    /** @param {Function} modeChanged is called when step mode was entered or left by a person */
    constructor(modeChanged) {
      Object.assign(this, { modeChanged, player: null, replay: false, shown: null });
      this.node = make("section", "na-player");
      this.node.setAttribute("aria-label", "Player");
      this.node.onkeydown = (event) => this.key(event);
      this.node.append(this.makeButtons(), this.makeLine(), this.makeSteps());
    }

    makeButtons() {
      const bar = make("div", "na-controls");
      this.playButton = button(bar, "Play", () => this.toggle());
      this.restartButton = button(bar, "Restart", () => this.player.restart());
      this.endButton = button(bar, "Show the end", () => this.player.follow());
      this.speedLabel = bar.appendChild(make("label", "na-speed", "Speed "));
      this.speed = this.speedLabel.appendChild(make("select", "na-select"));
      for (const speed of SPEEDS) this.speed.append(new Option(`${speed}×`, String(speed)));
      this.speed.value = "1";
      this.speed.onchange = () => { this.player.speed = Number(this.speed.value); };
      this.modeButton = button(bar, "Step through", () => this.setMode(!this.player.stepping));
      return bar;
    }

    makeLine() {
      this.line = make("div", "na-timeline");
      this.range = make("input", "na-range");
      const scrub = () => this.player.go(Number(this.range.value));
      Object.assign(this.range, { type: "range", min: 0, step: 1, oninput: scrub });
      this.range.setAttribute("aria-label", "Time line of the run");
      this.marks = make("div", "na-marks");
      this.marks.setAttribute("aria-hidden", "true");
      this.line.append(this.range, this.marks);
      return this.line;
    }

    makeSteps() {
      this.steps = make("div", "na-steps");
      const bar = this.steps.appendChild(make("div", "na-controls"));
      for (const [text, name, direction, unit] of STEPS) {
        const node = button(bar, text, () => this.player.step(direction, unit));
        node.setAttribute("aria-label", name);
      }
      this.place = bar.appendChild(make("span", "na-place"));
      this.sentence = this.steps.appendChild(make("p", "na-step"));
      this.steps.append(make("p", "na-keys", KEYS));
      return this.steps;
    }

    /** Control another player; `replay`: of a recorded run, whose controls are always there. */
    control(player, replay) {
      Object.assign(this, { player, replay, shown: null });
      player.speed = Number(this.speed.value);
    }

    toggle() {
      const { player } = this;
      if (player.playing || (player.following && !player.ended)) player.pause(); else player.play();
    }

    /** Enter step mode, from the end of a run that is over at its beginning; or leave it, of a followed run to its end. */
    setMode(stepping) {
      const { player } = this;
      player.pace(stepping);
      if (stepping && player.atEnd && player.ended) player.go(NeuroAL.nextStop(player.records, 0, 1, "block"));
      else if (stepping || this.replay) player.go(player.at);
      else player.follow();
      this.modeChanged();
      this.draw(); // what is hidden takes no focus
      if (stepping) this.range.focus({ preventScroll: true });
    }

    key(event) {
      if (event.altKey || event.ctrlKey || event.metaKey || event.target.tagName === "SELECT") return;
      const direction = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
      if (direction) this.player.step(direction, event.shiftKey ? "candidate" : "block");
      else if (event.key === " " && event.target.tagName !== "BUTTON") this.toggle();
      else return;
      event.preventDefault();
    }

    /** Show where the player is. */
    draw() {
      const { player } = this;
      this.node.hidden = !player.records.length;
      const open = this.replay || player.stepping, live = !player.ended;
      const running = player.playing || (player.following && live);
      for (const node of [this.playButton, this.endButton, this.speedLabel, this.line]) node.hidden = !open;
      this.restartButton.hidden = !open || player.stepping;
      this.steps.hidden = !player.stepping;
      setText(this.playButton, running ? "Pause" : "Play");
      setText(this.endButton, live ? "To the live end" : player.stepping ? "To the end" : "Show the end");
      setText(this.modeButton, player.stepping ? "Leave step mode" : "Step through");
      if (open) this.drawLine();
      if (player.stepping) this.drawStep(running);
    }

    drawLine() {
      const { records, at } = this.player, length = records.length;
      this.range.max = String(length);
      this.range.value = String(at);
      const { shown } = this, width = this.marks.clientWidth;
      const stretches = shown?.length === length && shown.width === width ? shown.stretches : this.drawMarks(records, width);
      const here = stretches.findLastIndex(({ from }) => from < at);
      this.range.setAttribute("aria-valuetext", `${stretches[here]?.name ?? "The start"}, record ${at} of ${length}`);
      stretches.forEach((_, i) => this.marks.children[i].classList.toggle("na-here", i === here));
    }

    /** Name the stretches, and draw a line where each candidate begins; again when log or page have another size. */
    drawMarks(records, width) {
      const { stretches, candidates } = NeuroAL.timeMarks(records);
      const share = (index) => (100 * index) / records.length;
      const named = stretches.map(({ name, from }, i) => {
        const part = share((stretches[i + 1]?.from ?? records.length) - from);
        const room = width * part > 100 * (8 + LETTER_PX * name.length);
        const node = make("span", "na-stretch", room ? name : "");
        node.title = name;
        Object.assign(node.style, { left: `${share(from)}%`, width: `${part}%` });
        return node;
      });
      const ticks = candidates.map((from) => {
        const node = make("i", "na-tick");
        node.style.left = `${share(from)}%`;
        return node;
      });
      this.marks.replaceChildren(...named, ...ticks);
      this.shown = { length: records.length, width, stretches };
      return stretches;
    }

    drawStep(running) {
      const { player } = this;
      // While it plays, a screen reader would fall behind: it speaks where a person stops.
      this.sentence.setAttribute("aria-live", running ? "off" : "polite");
      setText(this.sentence, NeuroAL.narrate(player.state, player.current));
      setText(this.place, `${player.at} of ${player.records.length}${player.ended ? "" : ", and the run goes on"}`);
    }
  }

  function button(bar, label, act) {
    const node = bar.appendChild(make("button", "na-button", label));
    Object.assign(node, { type: "button", onclick: act });
    return node;
  }

  /** The figure in which the block of a record is marked, or null. */
  const markedFigure = (record) => (record && Object.hasOwn(MARKED, record.kind) ? MARKED[record.kind] : null);

  /** Frame the block of a record in its figure; `step`: the one that a heat map shows. */
  function markBlock(name, figure, record, step, palette) {
    if (markedFigure(record) !== name || (name === "heatmap" && record.step !== step)) return;
    const box = { type: "rect", x0: record.block - 0.5, x1: record.block + 0.5, line: { color: palette.text, width: 2 } };
    const rows = name === "heatmap" ? { yref: "y", y0: record.index - 0.5, y1: record.index + 0.5 }
      : { yref: "paper", y0: 0, y1: 1 };
    figure.layout.shapes = [...(figure.layout.shapes ?? []), { ...box, ...rows }];
  }

  Object.assign(NeuroAL, { TimeLine, markBlock, markedFigure });
})();
