/**
 * The History tab: what is looked for, the table of what was found, and the comparison of two to four runs.
 * While it can be seen it looks every few seconds for what has changed.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { RunTable, Undo, ask, make, setText } = NeuroAL;

  const LOOK_EVERY_MS = 3000;
  const TYPING_MS = 250;
  const MOST_COMPARED = 4;

  const EMPTY = {
    all: "No run yet. Press Run in the Prune tab; every run is kept and listed here, also after a restart.",
    own: "No run of this browser yet. Press Run in the Prune tab; runs that you start are listed here, for you alone.",
    nothing: "No run fits. Change what is searched for, or show all runs.",
  };

  class HistoryView {
    /**
     * @param {HTMLElement} element where to build the view
     * @param {object} options of the component; `open(run)` shows a run in the Prune tab
     */
    constructor(element, options) {
      Object.assign(this, { element, options, found: null, busy: 0, asked: 0, isEditing: false });
      this.query = { text: "", status: "", tags: [], order: "created", descending: true, page: 0 };
      this.selected = new Map();
      this.build();
      this.watch();
      const compared = new URL(window.location).searchParams.get("compare");
      if (compared) this.compare(compared.split(",").slice(0, MOST_COMPARED));
    }

    // --- building ---------------------------------------------------------------------------------------------------

    build() {
      this.list = make("section", "na-list");
      this.list.setAttribute("aria-label", "Runs");
      this.table = new RunTable({
        open: (run) => this.open(run), edit: (row, changes, key) => this.edit(row, changes, key),
        remove: (row) => this.remove(row), select: (row, on) => this.select(row, on),
        filterBy: (tag) => this.look({ tags: [tag], page: 0 }), editing: (on) => { this.isEditing = on; },
        sort: (order, descending) => this.look({ order, descending, page: 0 }),
      });
      this.problem = make("p", "na-problem");
      this.problem.setAttribute("role", "alert");
      this.problem.hidden = true;
      this.empty = make("p", "na-empty");
      this.empty.hidden = true;
      this.undo = new Undo((rows) => this.restore(rows));
      const scroll = make("div", "na-scroll");
      scroll.append(this.table.node);
      this.list.append(this.makeTools(), this.problem, this.empty, scroll, this.makePages(), this.undo.node);
      this.comparison = new NeuroAL.Comparison(this.options, () => this.back(), (run) => this.open(run));
      this.comparison.node.hidden = true;
      this.element.replaceChildren(this.list, this.comparison.node);
    }

    makeTools() {
      const tools = make("div", "na-tools");
      this.search = labelled("Search", make("input", "na-field na-search"));
      tools.append(this.search.parentNode);
      Object.assign(this.search, { type: "search", placeholder: "Name, model, method or tag", maxLength: 200 });
      this.search.oninput = () => {
        clearTimeout(this.typing);
        this.typing = setTimeout(() => this.look({ text: this.search.value, page: 0 }), TYPING_MS);
      };
      this.status = menu(tools, "Status", [["", "Every status"], ...Object.entries(NeuroAL.RUN_STATUS)],
        (status) => this.look({ status, page: 0 }));
      this.order = menu(tools, "Sorted by", NeuroAL.SORTS, (sort) => {
        const [order, way] = sort.split(" ");
        this.look({ order, descending: way === "desc", page: 0 });
      });
      this.order.parentNode.classList.add("na-only-narrow");
      this.tag = tools.appendChild(button("", () => this.look({ tags: [], page: 0 })));
      this.compareButton = tools.appendChild(button("Compare", () => this.compare([...this.selected.keys()])));
      this.compareButton.classList.add("na-primary");
      return tools;
    }

    makePages() {
      const pages = make("nav", "na-pages");
      pages.setAttribute("aria-label", "Pages of runs");
      this.previous = pages.appendChild(button("Previous", () => this.look({ page: this.query.page - 1 })));
      this.count = pages.appendChild(make("span", "na-count"));
      this.count.setAttribute("role", "status");
      this.next = pages.appendChild(button("Next", () => this.look({ page: this.query.page + 1 })));
      return pages;
    }

    /** Look for changes while the list can be seen, at once when it comes into view or a run was started. */
    watch() {
      new IntersectionObserver(([seen]) => {
        this.seen = seen.isIntersecting;
        if (this.seen) this.refresh();
      }).observe(this.list);
      const look = () => { if (this.seen && !document.hidden) this.refresh(); };
      document.addEventListener("visibilitychange", look);
      document.addEventListener("na-started", look);
      setInterval(look, LOOK_EVERY_MS);
    }

    // --- what is looked for -----------------------------------------------------------------------------------------

    look(changes) {
      Object.assign(this.query, changes);
      this.refresh();
    }

    /** Read the page of the list again; an answer that another question has overtaken is dropped. */
    async refresh() {
      if (!this.element.isConnected) return;
      const number = ++this.asked;
      const question = JSON.stringify(this.query);
      const [own, without] = [this.options.storage, this.options.hidden].map(NeuroAL.ownRuns);
      try {
        const seen = this.answered === question ? this.found?.seen : "";
        const found = await ask("list", { ...this.query, own, without, seen, browser: this.secret() });
        if (number !== this.asked) return;
        this.say("");
        if (found.same || this.isEditing) return;
        this.answered = question;
        this.found = found;
        this.query.page = found.page;
        this.draw();
      } catch (error) {
        if (number === this.asked) this.say(error.message);
      }
    }

    say(sentence) {
      setText(this.problem, sentence);
      this.problem.hidden = !sentence;
    }

    // --- what is shown ----------------------------------------------------------------------------------------------

    draw() {
      const { rows, total, pages, page, whose } = this.found;
      const filtered = Boolean(this.query.text || this.query.status || this.query.tags.length);
      for (const row of rows) if (this.selected.has(row.id)) this.selected.set(row.id, row);
      this.table.draw(rows, this.selected, this.query, MOST_COMPARED);
      this.table.node.hidden = !rows.length;
      this.empty.hidden = rows.length > 0;
      setText(this.empty, EMPTY[filtered ? "nothing" : whose]);
      this.order.value = `${this.query.order} ${this.query.descending ? "desc" : "asc"}`;
      this.tag.hidden = !this.query.tags.length;
      setText(this.tag, `Tag: ${this.query.tags.join(", ")} ✕`);
      this.tag.setAttribute("aria-label", `Tag: ${this.query.tags.join(", ")}; show runs of every tag`);
      const first = page * 50 + 1;
      const runs = total === 1 ? "1 run" : `${total.toLocaleString("en")} runs`;
      setText(this.count, pages > 1 ? `${first}–${first + rows.length - 1} of ${runs}` : runs);
      this.previous.hidden = this.next.hidden = pages < 2;
      this.previous.disabled = page === 0;
      this.next.disabled = page >= pages - 1;
      this.drawSelection();
    }

    drawSelection() {
      const { size } = this.selected;
      this.compareButton.disabled = size < 2;
      setText(this.compareButton, size < 2 ? "Compare" : `Compare ${size} runs`);
      this.compareButton.title = size < 2 ? "Select two to four runs to compare them" : "";
    }

    // --- what is done -----------------------------------------------------------------------------------------------

    open(run) {
      this.options.open(run);
      if (!this.comparison.node.hidden) this.back();
    }

    select(row, on) {
      if (on) this.selected.set(row.id, row); else this.selected.delete(row.id);
      this.draw();
    }

    /** Change a run, then give the focus back to the control `key`. */
    async edit(row, changes, key) {
      if (Object.keys(changes).length && await this.tell("edit", { id: row.id, ...changes })) await this.refresh();
      this.draw(); // also where nothing has changed: a field has to go
      this.table.focus(key);
    }

    secret() { return NeuroAL.kept(this.options.secret); }

    /** Delete a run; of one that another browser has started only its place in this list. */
    async remove(row) {
      const { hidden } = this.options;
      if (row.mine && !await this.tell("delete", { id: row.id })) return;
      if (!row.mine) NeuroAL.keepOwnRuns(hidden, [row.id, ...NeuroAL.ownRuns(hidden)]);
      this.selected.delete(row.id);
      this.undo.offer(row);
      await this.refresh();
      this.undo.button.focus();
    }

    async restore(rows) {
      const { hidden } = this.options;
      for (const row of rows)
        if (row.mine) await this.tell("restore", { id: row.id });
        else NeuroAL.keepOwnRuns(hidden, NeuroAL.ownRuns(hidden).filter((id) => id !== row.id));
      await this.refresh();
      this.table.focus(`${rows[rows.length - 1].id} open`);
    }

    /** Ask for a change; whether it was done. A refusal is shown. */
    async tell(what, values) {
      try {
        await ask(what, { ...values, browser: this.secret() });
        this.say("");
        return true;
      } catch (error) {
        this.asked += 1; // an answer that is on its way must not take the sentence off again
        this.say(error.message);
        return false;
      }
    }

    compare(ids) {
      NeuroAL.setAddress("compare", ids.join(","));
      this.list.hidden = true;
      this.comparison.show(ids);
    }

    back() {
      NeuroAL.setAddress("compare", "");
      this.comparison.hide();
      this.list.hidden = false;
      this.refresh();
    }
  }

  function button(text, act) {
    const node = make("button", "na-button", text);
    Object.assign(node, { type: "button", onclick: act });
    return node;
  }

  /** A control inside its label; returns the control. */
  function labelled(text, control) {
    const label = make("label", "na-labelled");
    label.append(make("span", "na-label", text), control);
    return control;
  }

  function menu(place, label, choices, chosen) {
    const node = labelled(label, make("select", "na-select"));
    node.append(...choices.map(([value, text]) => new Option(text, value)));
    node.onchange = () => chosen(node.value);
    place.append(node.parentNode);
    return node;
  }

  Object.assign(NeuroAL, { HistoryView });
})();
