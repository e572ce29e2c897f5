/** One run of the list as a row of the table: its figures, and what may be done to it. All text by textContent. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { make, nameOf } = NeuroAL;

  // Paths of 24 × 24 drawings.
  const ICONS = {
    pin: "M14 2l8 8-3 1-4 4-1 5-3-3-6 5-1-1 5-6-3-3 5-1 4-4z",
    pencil: "M3 21v-5L16 3l5 5L8 21zM14 5l5 5",
    bin: "M4 6h16M9 6V3h6v3M6 6l1 15h10l1-15M10 10v7M14 10v7",
    tag: "M3 3h8l10 10-8 8L3 11zM7.5 6a1.5 1.5 0 100 3 1.5 1.5 0 000-3z",
  };

  /** A button that shows a drawing and says `label`; `key` names it, so that it has the focus again when redrawn. */
  function iconButton(icon, label, key, act) {
    const button = make("button", `na-icon na-icon-${icon}`);
    Object.assign(button, { type: "button", title: label, onclick: act });
    button.setAttribute("aria-label", label);
    button.dataset.key = key;
    const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    drawing.setAttribute("viewBox", "0 0 24 24");
    drawing.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", ICONS[icon]);
    drawing.append(path);
    button.append(drawing);
    return button;
  }

  /**
   * A text edited where it stands: Enter or leaving the field keeps it, Escape does not.
   * @param {Node} place what the field takes the place of
   * @param {Function} done called with the text, or null where it is not kept
   */
  function editInPlace(place, label, text, longest, done) {
    const field = make("input", "na-field");
    Object.assign(field, { type: "text", value: text, maxLength: longest });
    field.setAttribute("aria-label", label);
    let over = false;
    const end = (kept) => {
      if (over) return;
      over = true;
      done(kept && field.value !== text ? field.value : null);
    };
    field.onkeydown = (event) => {
      if (event.key === "Enter") end(true);
      else if (event.key === "Escape") end(false);
      else return;
      event.preventDefault();
    };
    field.onblur = () => end(true);
    place.replaceChildren(field);
    field.focus();
    field.select();
  }

  /**
   * @param {object} row see Listing.row in components/listing.py
   * @param {object} act what the buttons do: open, edit, remove, select, filterBy, editing
   * @param {{selected: boolean, full: boolean}} state `full`: no further run can be selected
   */
  function rowOf(row, act, state) {
    const node = make("tr", `na-run${row.pinned ? " na-pinned" : ""}`);
    node.dataset.run = row.id;
    node.append(
      selectCell(row, act, state), nameCell(row, act), statusCell(row), whenCell(row),
      cell("Sparsity", NeuroAL.shareText(row.achieved)), perplexityCell(row),
      cell("Search", NeuroAL.took(row.search)), tagsCell(row, act), actionsCell(row, act),
    );
    return node;
  }

  /** `label` is what a phone shows beside the value, where there are no column heads; there a dash is left out. */
  function cell(label, text = "", className = "") {
    const node = make("td", text === "–" ? `na-none ${className}` : className, text);
    node.dataset.label = label;
    return node;
  }

  function selectCell(row, act, { selected, full }) {
    const node = cell("", "", "na-cell-select"), label = node.appendChild(make("label", "na-select-run"));
    const box = label.appendChild(make("input", ""));
    Object.assign(box, { type: "checkbox", checked: selected, disabled: full && !selected });
    box.dataset.key = `${row.id} select`;
    box.onchange = () => act.select(row, box.checked);
    label.append(make("span", "na-hidden", `Select ${nameOf(row)} to compare`));
    return node;
  }

  function nameCell(row, act) {
    const node = make("th", "na-cell-name");
    node.scope = "row";
    const line = node.appendChild(make("div", "na-name"));
    const open = line.appendChild(make("button", "na-open", nameOf(row)));
    Object.assign(open, { type: "button", title: "Open this run", onclick: () => act.open(row.id) });
    open.dataset.key = `${row.id} open`;
    if (row.mine) line.append(iconButton("pencil", `Rename ${nameOf(row)}`, `${row.id} rename`, () => {
      act.editing(true);
      editInPlace(line, `New name of ${nameOf(row)}; empty for none`, row.name || row.title, 120, (text) => {
        act.editing(false);
        const name = text === row.title ? "" : text;
        act.edit(row, name === null ? {} : { name }, `${row.id} rename`);
      });
    }));
    if (row.name) node.append(make("div", "na-quiet", row.title));
    if (!row.mine) node.append(make("div", "na-quiet", "answered before, in another browser"));
    if (row.private) node.append(make("div", "na-quiet", "on your own text"));
    return node;
  }

  function statusCell(row) {
    const node = cell("Status");
    const chip = node.appendChild(make("span", "na-status", NeuroAL.RUN_STATUS[row.status] ?? row.status));
    chip.dataset.status = row.status;
    return node;
  }

  function whenCell(row) {
    const node = cell("When"), time = node.appendChild(make("time", "", NeuroAL.when(row.created)));
    time.dateTime = row.created;
    time.title = new Date(row.created).toLocaleString("en-GB");
    return node;
  }

  function perplexityCell(row) {
    if (row.dense === null && row.perplexity === null) return cell("Perplexity", "–");
    const node = cell("Perplexity", "", "na-cell-perplexity");
    const line = node.appendChild(make("span", "na-from-to"));
    line.append(NeuroAL.figureText(row.dense), make("span", "na-arrow", " → "), make("b", "", NeuroAL.figureText(row.perplexity)));
    if (row.uniform !== null) node.append(make("div", "na-quiet", `uniform ${NeuroAL.figureText(row.uniform)}`));
    return node;
  }

  function tagsCell(row, act) {
    const node = cell("Tags", "", "na-cell-tags"), list = node.appendChild(make("div", "na-tags"));
    for (const tag of row.tags) {
      const chip = list.appendChild(make("button", "na-tag", tag));
      Object.assign(chip, { type: "button", title: `Show runs tagged ${tag}`, onclick: () => act.filterBy(tag) });
      chip.dataset.key = `${row.id} tag ${tag}`;
    }
    if (row.mine) list.append(iconButton("tag", `Tags of ${nameOf(row)}`, `${row.id} tags`, () => {
      act.editing(true);
      editInPlace(list, "Tags, with commas between them", row.tags.join(", "), 400, (text) => {
        act.editing(false);
        act.edit(row, text === null ? {} : { tags: text.split(",") }, `${row.id} tags`);
      });
    }));
    return node;
  }

  function actionsCell(row, act) {
    const node = cell("", "", "na-cell-actions");
    if (!row.mine) {
      node.append(iconButton("bin", `Take ${nameOf(row)} off this list`, `${row.id} delete`, () => act.remove(row)));
      return node;
    }
    const pin = iconButton("pin", row.pinned ? `Unpin ${nameOf(row)}` : `Pin ${nameOf(row)} to the top`,
      `${row.id} pin`, () => act.edit(row, { pinned: !row.pinned }, `${row.id} pin`));
    pin.setAttribute("aria-pressed", String(row.pinned));
    const bin = iconButton("bin", `Delete ${nameOf(row)}`, `${row.id} delete`, () => act.remove(row));
    if (row.going) Object.assign(bin, { disabled: true, title: "A run that is going has to be cancelled first" });
    node.append(pin, bin);
    return node;
  }

  Object.assign(NeuroAL, { rowOf });
})();
