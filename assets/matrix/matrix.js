/**
 * Inside one matrix of a run: which one is looked at, where it comes from, and its place in the address of the page.
 * All text is written with textContent.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { make, setText } = NeuroAL;
  const words = NeuroAL.matrixWords;

  const PARAMETER = "matrix";

  class MatrixView {
    /**
     * @param {HTMLElement} element a `details`, in which to build the view
     * @param {{palettes: object, plotly: Promise}} options
     */
    constructor(element, options) {
      Object.assign(this, { element, run: "", place: "", wanted: "", note: "", overview: null, source: null });
      this.asking = null;
      this.build(options.palettes);
      options.plotly.then((plotly) => { this.cards.plotly = plotly; this.cards.touch(); },
        () => this.say("The charts could not be loaded. Reload the page to try again."));
      element.addEventListener("toggle", () => this.toggled());
      document.addEventListener("na-block", (event) => { if (element.open) this.choose(event.detail); });
    }

    // --- building ---------------------------------------------------------------------------------------------------

    build(palettes) {
      this.element.append(make("summary", "na-matrix-summary", "Inside one matrix"));
      const body = this.element.appendChild(make("div", "na-matrix-body"));
      this.menus = body.appendChild(make("div", "na-controls"));
      this.block = this.makeMenu("Block", (value) => this.choose(Number(value)));
      this.linear = this.makeMenu("Linear", (value) => this.go(value));
      this.problem = body.appendChild(make("p", "na-problem"));
      this.problem.setAttribute("role", "status");
      this.again = body.appendChild(make("button", "na-button", "Try again"));
      this.again.type = "button";
      this.again.onclick = () => this.load();
      this.summary = body.appendChild(make("p", "na-matrix-words"));
      this.summary.setAttribute("role", "status");
      this.grid = body.appendChild(make("div", "na-grid"));
      this.cards = new NeuroAL.MatrixCards(this.grid, palettes);
      this.say("");
    }

    makeMenu(label, chosen) {
      const field = this.menus.appendChild(make("label", "na-speed", label));
      const select = field.appendChild(make("select", "na-select"));
      select.setAttribute("aria-label", label); // else its name would be all of its choices
      select.onchange = () => chosen(select.value);
      return select;
    }

    // --- which run --------------------------------------------------------------------------------------------------

    /** Look into a run; nothing is asked for until a person opens the view, or comes by a link to a matrix. */
    attach({ run = "" } = {}) {
      this.element.hidden = !run;
      if (run !== this.run) this.forget();
      this.run = run;
      const asked = new URL(window.location).searchParams;
      if (run && !this.linked && asked.get("run") === run && asked.get(PARAMETER)) {
        this.linked = this.arriving = true;
        this.wanted = asked.get(PARAMETER);
        this.element.open = true;
      }
      this.loadOnce();
    }

    forget() {
      this.asking?.abort();
      this.cards.clear();
      Object.assign(this, { asking: null, overview: null, source: null, place: "", wanted: "", note: "" });
      this.say("");
    }

    toggled() {
      this.loadOnce();
      if (!this.element.open) NeuroAL.setAddress(PARAMETER, "");
      else if (this.place) NeuroAL.setAddress(PARAMETER, this.place);
      this.cards.touch();
    }

    loadOnce() {
      if (this.element.open && this.run && !this.overview && !this.asking) this.load();
    }

    async load() {
      this.asking?.abort();
      this.asking = new AbortController();
      const source = (this.source = new NeuroAL.MatrixSource(this.run, this.asking.signal));
      this.say("", "Looking into this run.");
      try {
        const overview = await source.overview((sentence) => this.say("", sentence));
        if (source !== this.source) return;
        this.overview = overview;
        const blocks = [...new Set(overview.linears.map(([block]) => block))];
        this.block.replaceChildren(...blocks.map((block) => new Option(String(block), String(block))));
        const known = overview.linears.some((linear) => placeOf(linear) === this.wanted);
        if (this.wanted && !known)
          this.note = `This run has no matrix “${this.wanted.slice(0, 60)}”; here is the one whose input drifted most. `;
        await this.go(known ? this.wanted : placeOf(largest(overview.linears)));
      } catch (error) {
        if (error.name === "AbortError" || source !== this.source) return;
        this.asking = null; // whoever comes back asks again
        this.say(error.message);
      }
    }

    // --- which matrix -----------------------------------------------------------------------------------------------

    /** The linear of this name, or else the first one, of another block. */
    choose(block) {
      const there = this.overview?.linears.filter((linear) => linear[0] === block) ?? [];
      const name = this.place.slice(this.place.indexOf(".") + 1);
      const next = there.find((linear) => linear[1] === name) ?? there[0];
      if (next) this.go(placeOf(next));
    }

    async go(place) {
      const [block, , rows, columns] = this.overview.linears.find((one) => placeOf(one) === place);
      const { source } = this, current = () => this.source === source && this.place === place;
      const began = performance.now();
      this.place = place;
      this.offer(block);
      try {
        const { figures, mask } = await source.matrix(place, rows, columns);
        if (current()) this.show(figures, mask, performance.now() - began);
      } catch (error) {
        if (error.name !== "AbortError" && current()) this.say(error.message);
      }
    }

    /** The menus, and the address, say what is looked at. */
    offer(block) {
      const there = this.overview.linears.filter((one) => one[0] === block);
      this.linear.replaceChildren(...there.map((one) => new Option(one[1], placeOf(one))));
      this.linear.value = this.place;
      this.block.value = String(block);
      if (this.element.open) NeuroAL.setAddress(PARAMETER, this.place);
    }

    show(figures, mask, ms) {
      const said = words.summaryOf(figures, this.overview.linears);
      setText(this.summary, this.note + said);
      this.note = "";
      this.cards.show(figures, mask, `Mask of block ${figures.block}, ${figures.name}: ${said}`);
      this.say("");
      this.element.dataset.place = figures.place;
      this.element.dataset.ms = ms.toFixed(0);
      if (this.arriving) this.element.scrollIntoView({ block: "start" });
      this.arriving = false;
    }

    /** A problem, or what is going on; neither is a matrix. */
    say(problem, going = "") {
      setText(this.problem, problem || going);
      this.problem.hidden = !(problem || going);
      this.problem.classList.toggle("na-matrix-going", !problem);
      this.again.hidden = !/try again/i.test(problem);
      this.menus.hidden = !this.overview;
      this.summary.hidden = this.grid.hidden = Boolean(problem || going) || !this.cards.matrix;
    }
  }

  const placeOf = ([block, name]) => `${block}.${name}`;

  /** The linear whose input drifted most: that is the one to begin with. */
  const largest = (linears) => linears.reduce((best, one) => ((one[4] ?? -1) > (best[4] ?? -1) ? one : best));

  Object.assign(NeuroAL, { MatrixView });
})();
