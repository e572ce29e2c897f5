/** The recorded runs as cards to choose from: what each is of, and why to look at it. All text by textContent. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  class Gallery {
    /**
     * @param {HTMLElement} host where to build it
     * @param {{id: string, name: string, title: string, about: string, line: string}[]} examples
     * @param {Function} chosen called with the name of an example that a person wants to look at
     */
    constructor(host, examples, chosen) {
      this.node = element("details", "na-gallery");
      const head = `Recorded runs: ${examples.length} examples to replay or step through`;
      this.node.append(element("summary", "na-gallery-head", head));
      const list = this.node.appendChild(element("ul", "na-gallery-list"));
      this.buttons = new Map(examples.map((example) => [example.id, list.appendChild(card(example, chosen))]));
      host.replaceChildren(this.node);
      document.addEventListener("na-shown", (event) => this.show(event.detail.run));
    }

    /** Mark the example that is looked at; open while one is, out of the way of a person's own run. */
    show(run) {
      this.node.open = !run || this.buttons.has(run);
      for (const [id, item] of this.buttons) item.firstChild.setAttribute("aria-pressed", String(id === run));
      const item = this.buttons.get(run), list = this.node.lastChild;
      if (item) list.scrollLeft = item.offsetLeft - list.offsetLeft - (list.clientWidth - item.offsetWidth) / 2;
    }
  }

  function card({ name, title, about, line }, chosen) {
    const item = element("li", "");
    const button = item.appendChild(element("button", "na-example"));
    Object.assign(button, { type: "button", onclick: () => { remember(name); chosen(name); } });
    button.append(element("strong", "", title), element("span", "na-example-about", about), element("span", "", line));
    return item;
  }

  /** The address leads back to the example. */
  function remember(name) {
    const url = new URL(window.location);
    url.searchParams.delete("run");
    url.searchParams.set("example", name);
    window.history.replaceState(null, "", url);
  }

  function element(tag, className, text = "") {
    const node = document.createElement(tag);
    node.className = className;
    node.textContent = text;
    return node;
  }

  Object.assign(NeuroAL, { Gallery });
})();
