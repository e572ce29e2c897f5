/**
 * "Repeat it": the question of a run as a command, a script and a spec, to be copied. The server makes the texts
 * (components/repeat_route.py), so that they are those of a bundle and of the command line.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { PlainCard, copyButton, make, setText } = NeuroAL;

  // What is shown: the name in the answer, what it is called, and whether it lies open.
  const PARTS = [["command", "Command", true], ["script", "Python script", false], ["spec", "Spec", false]];

  class RepeatCard extends PlainCard {
    constructor() {
      super("repeat", "Repeat it");
      this.parts = {};
      this.body = this.node.appendChild(make("div", "na-repeat"));
      for (const [name, title, open] of PARTS) {
        const fold = this.body.appendChild(make("details", "na-texts"));
        const text = make("pre", "na-json");
        Object.assign(text, { tabIndex: 0 });
        text.setAttribute("role", "group");
        text.setAttribute("aria-label", title);
        fold.append(make("summary", "", title), copyButton(text, title), text);
        fold.open = open;
        this.parts[name] = text;
      }
      this.use = this.parts.spec.parentNode.appendChild(make("p", "na-card-explain"));
      this.asked = null;
    }

    reset() {
      this.asked = null;
      this.node.hidden = true;
    }

    draw(_, state, __, run) {
      const asked = `${run} ${state.key}`; // measuring more of a run makes it another question
      if (!run || !state.spec.model || this.asked === asked) return;
      this.asked = asked;
      this.ask(run).then((texts) => (this.asked === asked ? this.show(texts) : null))
        .catch((error) => { this.asked = null; console.error(error); }); // asked again with the next record
    }

    async ask(run) {
      const answer = await fetch(`${NeuroAL.rootOf()}/gradio_api/runs/${encodeURIComponent(run)}/repeat`);
      if (!answer.ok) throw new Error(`The question of this run cannot be had (${answer.status}).`);
      return answer.json();
    }

    show(texts) {
      for (const [name] of PARTS) setText(this.parts[name], texts[name]);
      setText(this.use, `Save it as spec.json, then: ${texts.with_spec}`);
      setText(this.explain, "The same question gives the same figures: in the folder of this app, in a terminal or from"
        + ` Python.${texts.files.length ? ` It is about someone's own text, which is not in here: its owner saves it as ${texts.files.join(" and ")} first.` : ""}`);
      this.node.hidden = false;
    }
  }

  Object.assign(NeuroAL, { RepeatCard });
})();
