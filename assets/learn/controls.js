/** What a learner plays with: sliders, menus and buttons, each made from one line of a table. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { make } = NeuroAL;

  const whole = (value) => String(value);
  const share = (value) => `${Math.round(100 * value)} %`;
  const slope = (value) => value.toFixed(2);

  const SLIDERS = {
    sparsity: { label: "Sparsity", min: 0.3, max: 0.9, step: 0.05, text: share },
    lam: { label: "Lambda", min: 0, max: 0.25, step: 0.01, text: slope },
    row_lam: { label: "Lambda of the rows", min: 0, max: 0.25, step: 0.01, text: slope },
    row: { label: "Row", min: 0, max: 127, step: 1, text: whole },
  };
  const PRUNERS = [["wanda", "Wanda"], ["magnitude", "Magnitude"], ["multiflow", "MULTIFLOW"], ["random", "Random"]];
  const MENUS = {
    pruner: { label: "Pruner", options: () => PRUNERS },
    block: { label: "Block", options: ({ blocks }) => Array.from({ length: blocks }, (_, b) => [b, String(b)]) },
    linear: { label: "Linear", options: ({ groups }) => groups.flat().map((name) => [name, name.split(".").pop()]) },
  };
  const SWITCHES = { sorted: { label: "Loudest inputs first" } };
  const BUTTONS = { race: "Start", winner: "Take the search's lambda", measure: "Measure again" };

  let serial = 0;

  /**
   * A control bound to `settings[name]`.
   * @param {string} name in one of the tables above
   * @param {{model: object, settings: object, changed: Function, pressed: Function}} on `changed(name, value)` of a
   *     setting, `pressed(name)` of a button
   * @returns {{node: HTMLElement, refresh: Function}}
   */
  function control(name, on) {
    if (name in SLIDERS) return slider(name, SLIDERS[name], on);
    if (name in MENUS) return menu(name, MENUS[name], on);
    return name in SWITCHES ? toggle(name, SWITCHES[name], on) : button(name, BUTTONS[name], on);
  }

  function labelled(text, input) {
    const node = make("div", "na-control");
    input.id = `na-learn-control-${(serial += 1)}`;
    const label = node.appendChild(make("label", "na-control-label", text));
    label.htmlFor = input.id;
    return { node, label };
  }

  function slider(name, { label: text, min, max, step, text: say }, { model, settings, changed }) {
    const input = make("input", "na-range");
    const last = name === "row" ? () => model.shapes[settings.linear][0] - 1 : () => max;
    Object.assign(input, { type: "range", min, max: last(), step });
    const { node, label } = labelled(text, input);
    const value = label.appendChild(make("output", "na-control-value"));
    const refresh = () => {
      input.max = last();
      input.value = settings[name];
      value.textContent = say(settings[name]);
      input.setAttribute("aria-valuetext", say(settings[name]));
    };
    input.oninput = () => { changed(name, Number(input.value)); refresh(); };
    node.append(input);
    refresh();
    return { node, refresh };
  }

  function menu(name, { label, options }, { model, settings, changed }) {
    const input = make("select", "na-select");
    const choices = options(model);
    input.append(...choices.map(([value, text]) => new Option(text, String(value))));
    const { node } = labelled(label, input);
    const refresh = () => { input.value = String(settings[name]); };
    input.onchange = () => changed(name, choices.find(([value]) => String(value) === input.value)[0]);
    node.append(input);
    refresh();
    return { node, refresh };
  }

  function toggle(name, { label: text }, { settings, changed }) {
    const input = make("input", "na-check");
    input.type = "checkbox";
    const { node, label } = labelled(text, input);
    node.classList.add("na-control-check");
    node.insertBefore(input, label);
    const refresh = () => { input.checked = settings[name]; };
    input.onchange = () => changed(name, input.checked);
    refresh();
    return { node, refresh };
  }

  function button(name, text, { pressed }) {
    const node = make("button", "na-button na-control-button", text);
    node.type = "button";
    node.onclick = () => pressed(name);
    return { node, refresh: () => {} };
  }

  Object.assign(NeuroAL, { control, sliders: SLIDERS });
})();
