/**
 * The guided path: one page at a time, its text and controls on the left, the live figures on the right. It asks the
 * route of components/learn_route.py for scenes, keeps page and settings in the address, and shows itself large for a
 * projector.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { LESSONS, learnSettings, make, questionOf, setAddress, setText } = NeuroAL;

  const ASK_AFTER_MS = 60, AHEAD_AFTER_MS = 1500, FRAME_MS = 550;

  class LearnView {
    /** @param {HTMLElement} host; @param {{palettes: object, plotly: Promise}} options */
    constructor(host, options) {
      Object.assign(this, { host, options, scenes: {}, answers: NeuroAL.answers, model: null, plotly: null, shown: false, race: {}, panels: new Map() });
      const link = new URL(window.location).searchParams;
      this.settings = learnSettings.unlinked(link.get("set"));
      this.page = Math.max(LESSONS.findIndex((lesson) => lesson.id === link.get("learn")), 0);
      this.linked = link.has("learn");
      this.build();
      options.plotly.then((plotly) => { this.plotly = plotly; this.draw(); })
        .catch(() => this.say("The charts could not be loaded. Reload the page to try again."));
      this.watch();
      if (link.get("present") === "1" && this.linked) this.present(true);
    }

    get lesson() { return LESSONS[this.page]; }

    /** Whether it is shown for a projector. */
    get isLarge() { return this.host.classList.contains("na-present"); }

    /** What a challenge has of its own, with the attempts made so far; null on other pages. */
    get panel() {
      const { lesson, model } = this;
      if (!lesson.challenge || !model) return null;
      if (!this.panels.has(lesson.id)) this.panels.set(lesson.id, new NeuroAL.ChallengePanel(lesson, model.blocks, {
        lam: () => this.settings.lam, take: (lam) => this.change({ lam }), changed: () => this.draw(),
        measure: (settings) => this.attempt(settings),
      }));
      return this.panels.get(lesson.id);
    }

    // --- building ---------------------------------------------------------------------------------------------------

    build() {
      this.stage = new NeuroAL.LearnStage({ choose: (some) => this.change(some) });
      this.text = make("section", "na-lesson");
      this.after = make("section", "na-lesson-after");
      this.problem = make("p", "na-problem");
      this.problem.setAttribute("role", "alert");
      this.problem.hidden = true;
      const body = make("div", "na-learn-body");
      body.append(this.text, this.stage.node, this.after);
      this.host.replaceChildren(this.makeSteps(), this.problem, body);
      this.host.addEventListener("keydown", (event) => this.key(event));
      // Who presents may have clicked beside everything, or nowhere yet: the keys are for the lesson all the same.
      document.addEventListener("keydown", (event) => { if (this.isLarge && !this.host.contains(event.target)) this.key(event); });
      this.open(this.page, false);
    }

    makeSteps() {
      const nav = make("nav", "na-pages");
      nav.setAttribute("aria-label", "Pages of the guided path");
      const list = nav.appendChild(make("ol", ""));
      this.steps = LESSONS.map((lesson, i) => {
        const button = list.appendChild(make("li", "")).appendChild(make("button", "na-page", String(i + 1)));
        button.type = "button";
        button.title = lesson.title;
        button.setAttribute("aria-label", `Page ${i + 1}: ${lesson.title}`);
        button.onclick = () => this.open(i);
        return button;
      });
      this.presenting = nav.appendChild(make("button", "na-button", "Present"));
      this.presenting.type = "button";
      this.presenting.onclick = () => this.present(!this.isLarge);
      this.copy = nav.appendChild(make("button", "na-button", "Copy link"));
      this.copy.type = "button";
      this.copy.onclick = () => this.copyLink();
      return nav;
    }

    /** Turn to a page; focus follows, so that a screen reader reads it. */
    open(page, focus = true) {
      this.page = Math.min(Math.max(page, 0), LESSONS.length - 1);
      this.scenes = {};
      this.stopRace();
      this.steps.forEach((button, i) => {
        if (i === this.page) button.setAttribute("aria-current", "step"); else button.removeAttribute("aria-current");
      });
      this.stage.open(this.lesson);
      this.write();
      if (focus) { this.heading.focus({ preventScroll: true }); this.host.scrollTop = 0; }
      this.changed();
    }

    write() {
      const { lesson } = this;
      this.heading = make("h2", "na-lesson-title", `${this.page + 1}. ${lesson.title}`);
      this.heading.tabIndex = -1;
      const controls = make("div", "na-learn-controls");
      this.controls = !this.model ? [] : lesson.controls.map((name) => NeuroAL.control(name, {
        model: this.model, settings: this.settings, changed: (key, value) => this.change({ [key]: value }),
        pressed: (key) => this.press(key),
      }));
      controls.append(...this.controls.map(({ node }) => node));
      const panel = this.panel ? [this.panel.node] : [];
      this.text.replaceChildren(this.heading, ...lesson.text.map((text) => make("p", "na-lesson-text", text)), controls, ...panel);
      this.after.replaceChildren(this.makeQuestion(), this.makeFormula(), this.makeTurning());
    }

    makeQuestion() {
      const box = make("div", "na-question");
      box.append(make("p", "na-question-text", this.lesson.question));
      this.asking = box.appendChild(make("button", "na-button"));
      this.asking.type = "button";
      this.asking.setAttribute("aria-expanded", "false");
      this.answer = box.appendChild(make("p", "na-answer"));
      this.answer.setAttribute("aria-live", "polite");
      this.answered = false;
      this.asking.onclick = () => { this.answered = !this.answered; this.draw(); };
      return box;
    }

    makeFormula() {
      const details = make("details", "na-details");
      details.append(make("summary", "", "The formula, and the paper's name for it"), NeuroAL.formula(this.lesson.formula),
        make("p", "na-paper", this.lesson.paper));
      this.formula = details;
      return details;
    }

    makeTurning() {
      const row = make("div", "na-turning");
      const turn = (label, by, off) => {
        const button = row.appendChild(make("button", "na-button", label));
        button.type = "button";
        button.disabled = off;
        button.onclick = () => this.open(this.page + by);
      };
      turn("← Back", -1, this.page === 0);
      turn("Next →", 1, this.page === LESSONS.length - 1);
      return row;
    }

    // --- what a person does -------------------------------------------------------------------------------------------

    /** Change settings; what depends on them is asked again. */
    change(some) {
      Object.assign(this.settings, some);
      if (this.model) Object.assign(this.settings, learnSettings.possible(this.settings, this.model));
      this.controls.forEach(({ refresh }) => refresh());
      this.changed();
    }

    press(name) {
      if (name === "race") this.startRace();
      else if (name === "winner") this.takeWinner();
      else this.ask(true);
    }

    async takeWinner() {
      const race = await this.fetch("race");
      if (race) this.change({ lam: race.chosen });
    }

    key(event) {
      if (event.defaultPrevented) return; // the bars of a challenge have keys of their own
      const typing = event.target.closest("input:not([type=checkbox]), select, summary");
      const turning = { PageDown: 1, PageUp: -1, ...(typing ? {} : { ArrowRight: 1, ArrowLeft: -1 }) }[event.key];
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (turning && !event.target.closest(".js-plotly-plot")) this.open(this.page + turning);
      else if (event.key === "Escape" && this.isLarge) this.present(false);
      else if (event.key === "a" && !typing) this.asking.click();
      else if (event.key === "f" && !typing) this.formula.open = !this.formula.open;
      else return;
      event.preventDefault();
    }

    /** Large, over the whole window, without what is around it. */
    present(on) {
      this.host.classList.toggle("na-present", on);
      this.presenting.textContent = on ? "Leave the presentation" : "Present";
      document.body.classList.toggle("na-presenting", on);
      if (on) this.host.requestFullscreen?.().catch(() => {}); // only a click may ask for it; the window is enough
      else if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
      this.heading.focus({ preventScroll: true });
      this.remember();
      this.draw();
    }

    async copyLink() {
      this.remember();
      try {
        await navigator.clipboard.writeText(window.location.href);
        setText(this.copy, "Copied");
      } catch {
        setText(this.copy, "Copy it from the address bar");
      }
      setTimeout(() => setText(this.copy, "Copy link"), 2500);
    }

    // --- scenes -----------------------------------------------------------------------------------------------------

    changed() {
      this.remember();
      this.draw();
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.ask(), ASK_AFTER_MS);
    }

    /** Ask for what the page needs and is not here; only the newest settings matter. */
    async ask(anew = false) {
      if (!this.shown) return;
      this.asked?.abort();
      this.asked = new AbortController();
      const { lesson, asked } = this;
      if (!this.model) await this.meet(asked.signal);
      if (!this.model || asked.signal.aborted) return;
      await Promise.all(lesson.scenes.map(async (name) => {
        const scene = await this.fetch(name, asked.signal, anew);
        if (!scene || asked.signal.aborted) return;
        const fresh = this.scenes[name] !== scene;
        this.scenes[name] = scene;
        if (name === "race" && fresh) this.stopRace();
        this.draw();
      }));
      clearTimeout(this.reading);
      this.reading = setTimeout(() => this.readAhead(), AHEAD_AFTER_MS);
    }

    /** The goals of the challenges take a second each and are the same for everyone: other pages are read meanwhile. */
    async readAhead() {
      for (const lesson of LESSONS.slice(this.page + 1))
        if (lesson.challenge && this.shown) await this.answers.ahead(questionOf("challenge", lesson, this.settings));
    }

    /** The model itself, once. */
    async meet(signal) {
      this.model = await this.fetch("model", signal);
      if (!this.model) return;
      this.settings = learnSettings.possible(this.settings, this.model);
      this.stage.showMap(this.model);
      this.write();
      this.draw();
    }

    /** A scene, from what was asked before or from the server; null, and a sentence, where it cannot be had. */
    async fetch(name, signal = undefined, anew = false) {
      try {
        const scene = await this.waited(this.answers.get(questionOf(name, this.lesson, this.settings), signal, anew));
        this.say("");
        return scene;
      } catch (error) {
        if (error.name !== "AbortError") this.say(error.message);
        return null;
      }
    }

    /** What became of an allocation; rejects with a sentence. */
    attempt(more) {
      const { scene, settings } = questionOf("attempt", this.lesson, this.settings);
      return this.waited(this.answers.asked({ scene, settings: { ...settings, ...more } }));
    }

    /** An answer that is on its way is shown to be. */
    async waited(answer) {
      this.busy(1);
      try {
        return await answer;
      } finally {
        this.busy(-1);
      }
    }

    /** How many answers are on their way. */
    busy(more) {
      this.waiting = (this.waiting ?? 0) + more;
      if (this.waiting) this.host.setAttribute("aria-busy", "true"); else this.host.removeAttribute("aria-busy");
    }

    // --- the race -----------------------------------------------------------------------------------------------------

    startRace() {
      const race = this.scenes.race;
      if (!race) return;
      clearTimeout(this.race.timer);
      if (matchMedia("(prefers-reduced-motion: reduce)").matches) return this.stopRace();
      this.race.step = 0;
      const go = () => {
        this.draw();
        if (this.race.step >= race.terms[0].length) return;
        this.race.timer = setTimeout(() => { this.race.step += 1; go(); }, FRAME_MS);
      };
      go();
    }

    /** Show the end. */
    stopRace() {
      clearTimeout(this.race.timer);
      this.race = {};
    }

    // --- drawing ------------------------------------------------------------------------------------------------------

    draw() {
      if (!this.shown || !this.model) return;
      const { settings, lesson, panel } = this;
      panel?.draw(this.scenes.challenge ?? null, this.scenes.ends ?? null, this.answered);
      const asked = (lesson.controls.includes("lam") && (this.scenes.score ?? this.scenes.result)?.ratios) || null;
      const ratios = panel ? panel.ratios : asked;
      const level = lesson.controls.includes("sparsity") ? Array(this.model.blocks).fill(settings.sparsity) : null;
      this.stage.map.show(settings, lesson.lights, ratios ?? level);
      if (this.plotly)
        this.stage.draw(this.plotly, NeuroAL.paletteOf(this.host, this.options.palettes), this.scenes,
          { ...settings, step: this.race.step, present: this.isLarge, challenge: this.challenged });
      this.showAnswer();
    }

    showAnswer() {
      const ready = (this.lesson.answers ?? this.lesson.scenes.slice(0, 1)).every((name) => this.scenes[name]);
      this.asking.setAttribute("aria-expanded", String(this.answered));
      setText(this.asking, this.answered ? "Hide the answer" : this.lesson.reveal ?? "Show the answer");
      this.answer.hidden = !this.answered;
      setText(this.answer, !this.answered ? "" : ready ? this.lesson.answer(this.scenes, this.challenged) : "One moment.");
    }

    /** What the figures and the answer of a challenge are made of beside the scene. */
    get challenged() {
      const { panel, lesson } = this;
      return panel && { attempts: panel.attempts, ratios: panel.ratios, goal: lesson.challenge.goal, revealed: this.answered };
    }

    say(problem) {
      setText(this.problem, problem);
      this.problem.hidden = !problem;
    }

    /** Page and settings in the address, while they are looked at. */
    remember() {
      if (!this.shown) return;
      setAddress("learn", this.lesson.id);
      setAddress("set", learnSettings.linked(this.settings, learnSettings.possible(learnSettings.DEFAULTS, this.model ?? NO_MODEL)));
      setAddress("present", this.isLarge ? "1" : "");
    }

    forget() {
      for (const name of ["learn", "set", "present"]) setAddress(name, "");
    }

    /** Nothing is asked and drawn before the tab is opened; then on every change of width and theme. */
    watch() {
      new ResizeObserver(() => {
        const shown = this.host.offsetWidth > 0;
        if (shown !== this.shown) {
          this.shown = shown;
          if (shown) this.changed(); else this.forget();
        }
        for (const plot of this.host.querySelectorAll(".js-plotly-plot"))
          if (shown && plot.offsetWidth) this.plotly.Plots.resize(plot);
      }).observe(this.host);
      new MutationObserver(() => this.draw()).observe(document.body, { attributes: true, attributeFilter: ["class"] });
    }
  }

  const NO_MODEL = { groups: [[""]], blocks: Infinity, shapes: { "": [Infinity] } };

  NeuroAL.LearnView = LearnView;
})();
