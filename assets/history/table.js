/** The table of runs: its heads, which sort, and its rows. It is drawn anew as a whole, but keeps the focus. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { make } = NeuroAL;

  // What a click on a head first sorts by: the newest, the lowest perplexity, the quickest search.
  const COLUMNS = [
    { label: "Select to compare", hidden: true },
    { label: "Run" },
    { label: "Status", order: "status", descending: false },
    { label: "When", order: "created", descending: true },
    { label: "Sparsity", order: "achieved", descending: true, title: "Share of the prunable weights that are zero" },
    { label: "Perplexity", order: "perplexity", descending: false,
      title: "Dense → pruned on held-out text, and the uniformly pruned control" },
    { label: "Search", order: "search_seconds", descending: false, title: "How long the search, or the rating, took" },
    { label: "Tags" },
    { label: "Pin and delete", hidden: true },
  ];

  /** Choices of the menu that a phone shows instead of heads: [value, label]. */
  const SORTS = COLUMNS.filter((column) => column.order).flatMap(({ label, order }) => [
    [`${order} desc`, `${label}, ${order === "created" ? "newest" : "highest"} first`],
    [`${order} asc`, `${label}, ${order === "created" ? "oldest" : "lowest"} first`],
  ]).filter(([value]) => value !== "status desc").map(([value, label]) => [value, value === "status asc" ? "Status" : label]);

  class RunTable {
    /** @param {object} act see rowOf; `sort(order, descending)` besides */
    constructor(act) {
      this.act = act;
      this.node = make("table", "na-runs");
      this.node.append(make("caption", "na-hidden", "Runs, pinned ones first"));
      this.heads = this.node.appendChild(make("thead", "")).appendChild(make("tr", ""));
      this.body = this.node.appendChild(make("tbody", ""));
    }

    /** @param {Map} selected runs by id; @param {{order: string, descending: boolean}} sorted */
    draw(rows, selected, sorted, most) {
      const key = this.node.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
      this.heads.replaceChildren(...COLUMNS.map((column) => this.head(column, sorted)));
      const full = selected.size >= most;
      this.body.replaceChildren(
        ...rows.map((row) => NeuroAL.rowOf(row, this.act, { selected: selected.has(row.id), full })));
      if (key) this.focus(key);
    }

    /** Give the focus to a control by its key. */
    focus(key) { this.node.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus(); }

    head({ label, order, descending, hidden, title }, sorted) {
      const node = make("th", "");
      node.scope = "col";
      if (!order) {
        node.append(make("span", hidden ? "na-hidden" : "", label));
        return node;
      }
      const active = sorted.order === order;
      if (active) node.setAttribute("aria-sort", sorted.descending ? "descending" : "ascending");
      const button = node.appendChild(make("button", "na-sort", label));
      Object.assign(button, {
        type: "button", title: title ?? "",
        onclick: () => this.act.sort(order, active ? !sorted.descending : descending),
      });
      button.dataset.key = `sort ${order}`;
      const mark = button.appendChild(make("span", "na-mark", active ? (sorted.descending ? " ▼" : " ▲") : ""));
      mark.setAttribute("aria-hidden", "true");
      return node;
    }
  }

  Object.assign(NeuroAL, { RunTable, SORTS });
})();
