/**
 * What a challenge has beside its figures: the goal, the bars of a hand-made allocation, the button that measures an
 * attempt, and the attempts so far. It keeps them while other pages are looked at.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { challenges, make, setText } = NeuroAL;
  const { percent, short } = NeuroAL.words;

  const HEAD = ["attempt", "mean", "zeros", "score", "perplexity", "met"];
  const same = (a, b) => a.every((ratio, i) => Math.abs(ratio - b[i]) < 1e-9);

  class ChallengePanel {
    /**
     * @param {object} lesson
     * @param {number} blocks of the model
     * @param {{lam: Function, measure: Function, take: Function, changed: Function}} on `lam()` is the lambda that is
     *     set; `measure(settings)` a promise of the scene "attempt"; `take(lam)`: go back to this lambda; `changed()`:
     *     there is something else to draw
     */
    constructor(lesson, blocks, on) {
      Object.assign(this, { lesson, blocks, on, attempts: [], limit: null, busy: false });
      this.node = make("div", "na-challenge");
      this.goal = make("p", "na-challenge-goal", "Measuring what uniform and the search reach.");
      this.editor = lesson.challenge.by === "hand" ? this.makeEditor() : null;
      this.button = make("button", "na-button na-challenge-try", "Measure this one");
      this.button.type = "button";
      this.button.onclick = () => this.measure();
      this.said = make("p", "na-challenge-said");
      this.said.setAttribute("role", "status");
      this.list = make("div", "na-table na-challenge-list");
      this.node.append(this.goal, ...(this.editor ? [this.editor.element] : []), this.button, this.said, this.list);
    }

    get sparsity() { return this.lesson.fixed.sparsity; }

    makeEditor() {
      const edited = () => { if (this.editor) this.on.changed(); }; // else it is only being made
      const editor = new NeuroAL.RatioEditor(make("div", "na-editor"), { edited, fixed: true });
      editor.attach({ shown: true, blocks: this.blocks, text: "", target: this.sparsity, slider: this.sparsity });
      return editor;
    }

    /** The ratios that would be measured now. */
    get ratios() {
      return this.editor ? this.editor.ratios : NeuroAL.ratios.risingLine(this.sparsity, this.on.lam(), this.blocks);
    }

    async measure() {
      if (this.busy) return;
      const { ratios, editor } = this, lam = editor ? null : this.on.lam();
      const before = this.attempts.findIndex((attempt) => same(attempt.ratios, ratios));
      if (before >= 0) return this.say(`You have measured this already: it is attempt ${before + 1}.`);
      this.busy = true;
      this.say("Pruning and reading.");
      try {
        const attempt = await this.on.measure(editor ? { ratios } : { lam });
        this.attempts.push({ ...attempt, lam });
        this.say(challenges.attemptWords(attempt, this.limit, this.sparsity));
      } catch (error) {
        this.say(error.message);
      } finally {
        this.busy = false;
      }
      return this.on.changed();
    }

    say(text) { setText(this.said, text); }

    /** Go on from an attempt. */
    take({ lam, ratios }) {
      if (this.editor) this.editor.commit(ratios); else this.on.take(lam);
    }

    // --- drawing ------------------------------------------------------------------------------------------------------

    /**
     * @param {?object} data the scene; @param {?object} ends what is known before it
     * @param {boolean} revealed whether the search's choice is shown
     */
    draw(data, ends, revealed) {
      const { goal } = this.lesson.challenge;
      this.limit = data?.goals[goal] ?? this.limit; // the page may be opened again, and the scene on its way
      if (data) setText(this.goal, challenges.goalWords(data, goal));
      else if (ends && this.limit === null) setText(this.goal, challenges.endsWords(ends));
      this.button.disabled = this.limit === null;
      const rows = this.attempts.map((attempt, i) => [`${i + 1}`, attempt]);
      if (data && revealed) rows.push(["search", data.search]);
      const shape = JSON.stringify([rows.length, revealed, this.limit]);
      if (shape === this.drawn) return;
      this.drawn = shape;
      this.list.hidden = !rows.length;
      this.list.replaceChildren(this.table(rows));
    }

    table(rows) {
      const table = make("table", "");
      table.append(make("caption", "na-hidden", "Attempts"));
      table.createTHead().insertRow().append(...HEAD.map((text) => Object.assign(make("th", "", text), { scope: "col" })));
      const body = table.createTBody(), best = challenges.bestOf(this.attempts);
      rows.forEach(([name, attempt], i) => body.append(this.row(name, attempt, i === best)));
      return table;
    }

    row(name, attempt, isBest) {
      const row = make("tr", isBest ? "na-challenge-best" : ""), head = Object.assign(make("th", ""), { scope: "row" });
      const text = `${name}${isBest ? ", best" : ""}${attempt.lam === null ? "" : `: ${attempt.lam.toFixed(2)}`}`;
      head.append(this.entry(name, text, attempt));
      const met = challenges.isMet(attempt, this.limit), said = met === null ? "does not count" : met ? "yes" : "no";
      const cells = [challenges.share(attempt.mean), challenges.share(attempt.achieved), short(attempt.score),
        challenges.told(attempt.perplexity), name === "search" ? "–" : said];
      row.append(head, ...cells.map((cell) => make("td", "", cell)));
      return row;
    }

    /** Its name and a small drawing of its ratios; a button that leads back to it, unless it is the search's line. */
    entry(name, text, attempt) {
      const entry = make(name === "search" && this.editor ? "span" : "button", "na-challenge-entry");
      entry.append(make("span", "", text), bars(attempt.ratios));
      if (entry.tagName === "BUTTON") {
        entry.type = "button";
        entry.title = "Go on from this one";
        entry.onclick = () => this.take(attempt);
      }
      return entry;
    }
  }

  function bars(ratios) {
    const box = make("span", "na-challenge-bars");
    box.setAttribute("role", "img");
    box.setAttribute("aria-label", `ratios ${ratios.map((ratio) => percent(ratio)).join(", ")}`);
    for (const ratio of ratios) box.appendChild(make("span", "")).style.height = `${100 * ratio}%`;
    return box;
  }

  Object.assign(NeuroAL, { ChallengePanel });
})();
