/**
 * Take it away: the forms that a run's model can have, what is being made, and what can be fetched.
 * All text is written with textContent.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { make, setText } = NeuroAL;
  const words = NeuroAL.exportWords;

  const UNREACHABLE = "The server cannot be reached; trying again.";
  const POLL_MS = 500;

  class ExportView {
    /**
     * @param {HTMLElement} element a `details`, in which to build the view
     * @param {{forms: object[], onnx: string, oauth: boolean}} config
     */
    constructor(element, config) {
      Object.assign(this, { element, config, run: "", state: null, timer: null, refused: "", lookedFor: false });
      this.build();
      element.addEventListener("toggle", () => this.look());
      document.addEventListener("na-away", () => this.arrive());
    }

    // --- building ---------------------------------------------------------------------------------------------------

    build() {
      this.element.append(make("summary", "na-export-summary", "Take it away"));
      const body = this.element.appendChild(make("div", "na-export-body"));
      this.problem = body.appendChild(make("p", "na-problem"));
      this.problem.setAttribute("role", "alert");
      this.buildProgress(body);
      this.ways = body.appendChild(make("div", "na-export-ways"));
      this.ways.append(make("p", "na-export-plainly", "Pruned weights are zeros in ordinary tensors, so a checkpoint is as"
        + " large as before, in a folder and in a .zip once it is unpacked. The sparse file is what is smaller."));
      this.list = this.ways.appendChild(make("ul", "na-export-forms"));
      this.rows = new Map(this.config.forms.map((form) => [form.name, this.row(form)]));
      this.ways.append(make("p", "na-card-explain", this.config.onnx));
      this.upload = new NeuroAL.Upload(this.config.oauth, (asked) => this.post(asked));
      this.ways.append(this.upload.node);
      this.draw(""); // nothing is offered before it is known what there is
    }

    row(form) {
      const item = this.list.appendChild(make("li", "na-export-form"));
      const head = item.appendChild(make("div", "na-export-head"));
      head.append(make("h3", "na-card-title", form.label));
      const button = head.appendChild(make("button", "na-button", "Make"));
      Object.assign(button, { type: "button", onclick: () => this.post({ form: form.name }) });
      button.setAttribute("aria-label", `Make: ${form.label}`);
      const link = head.appendChild(make("a", "na-button na-export-link", "Download"));
      link.setAttribute("aria-label", `Download: ${form.label}`);
      item.append(make("p", "na-card-explain", form.note));
      const made = item.appendChild(make("p", "na-export-made"));
      const sum = item.appendChild(make("p", "na-export-sum"));
      const checked = item.appendChild(make("p", "na-card-explain"));
      return { button, link, made, sum, checked };
    }

    buildProgress(body) {
      this.progress = body.appendChild(make("div", "na-export-going"));
      this.sentence = this.progress.appendChild(make("p", "na-export-sentence"));
      this.bar = this.progress.appendChild(make("div", "na-bar"));
      this.bar.setAttribute("role", "progressbar");
      this.bar.setAttribute("aria-label", "Progress of the export");
      this.bar.setAttribute("aria-valuemin", "0");
      this.bar.setAttribute("aria-valuemax", "100");
      this.fill = this.bar.appendChild(make("div", "na-bar-fill"));
      this.cancel = this.progress.appendChild(make("button", "na-button", "Cancel"));
      Object.assign(this.cancel, { type: "button", onclick: () => this.post({ cancel: true }) });
      this.cancel.setAttribute("aria-label", "Cancel the export");
      this.spoken = body.appendChild(make("p", "na-hidden"));
      this.spoken.setAttribute("role", "status");
    }

    // --- asking -----------------------------------------------------------------------------------------------------

    /** Whose model it is about; nothing is asked for until a person opens the view. */
    attach({ run = "" } = {}) {
      this.element.hidden = !run;
      if (run !== this.run) {
        Object.assign(this, { run, state: null, refused: "" });
        this.draw(""); // what there was of another run goes at once
      }
      this.look();
    }

    /** A button further up leads here. */
    arrive() {
      this.element.open = true;
      this.element.scrollIntoView({ block: "start" });
      this.element.querySelector("summary").focus({ preventScroll: true });
    }

    /** What there is, and again while something is being made. */
    async look() {
      clearTimeout(this.timer);
      if (!this.element.open || !this.run) return;
      await this.answered(this.run, () => fetch(this.path()));
    }

    async post(asked) {
      this.refused = "";
      await this.answered(this.run, () => fetch(this.path(), {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(asked),
      }), true);
    }

    path() {
      return `${NeuroAL.rootOf()}/gradio_api/runs/${encodeURIComponent(this.run)}/export`;
    }

    /** @param {boolean} acted what was refused is what a person asked for: what there is stays on the screen */
    async answered(run, ask, acted = false) {
      clearTimeout(this.timer);
      const turn = this.turn = (this.turn ?? 0) + 1;
      let state = null, lost = false, problem = "";
      // Before the answer: another one may come meanwhile, and take the focus with the button that was pressed.
      const pressed = acted && this.element.contains(document.activeElement);
      try {
        const answer = await ask(), body = await answer.json();
        if (answer.ok) state = body;
        else if (answer.status === 401) problem = "You are not logged in any more. Reload the page to log in.";
        else problem = typeof body.error === "string" ? body.error : "The server refused; reload the page.";
      } catch {
        lost = true;
      }
      if (run !== this.run || turn !== this.turn) return; // another was asked later, and knows more
      if (state) this.state = state;
      else if (!lost && !acted) this.state = null;
      if (acted) this.refused = problem;
      this.lookedFor ||= acted;
      this.draw(lost ? UNREACHABLE : problem || this.refused);
      // The button that was pressed cannot be any more; who has gone elsewhere is left there.
      const stayed = document.activeElement === document.body || this.element.contains(document.activeElement);
      if (pressed && stayed && this.state?.going) this.cancel.focus();
      this.lookedFor &&= Boolean(this.state?.going); // by a person who waits for how it ends
      if (lost || this.state?.going) this.timer = setTimeout(() => this.look(), POLL_MS);
    }

    // --- drawing ----------------------------------------------------------------------------------------------------

    draw(problem) {
      const { state } = this, going = state?.going ?? null, waited = document.activeElement === this.cancel;
      const said = problem || state?.failed || "";
      const news = said && said !== this.problem.textContent;
      setText(this.problem, said);
      this.problem.hidden = !said;
      if (news && this.lookedFor) this.problem.scrollIntoView({ block: "nearest" }); // who uploads is further down
      this.ways.hidden = !state;
      this.progress.hidden = !going;
      if (!state) return;
      for (const form of this.config.forms) this.drawRow(form, state.kept[form.name], going);
      this.upload.show(state);
      if (going) this.drawGoing(going);
      this.speak(going, said);
      if (!going && waited) this.focusOn(this.lastForm);
      this.lastForm = going?.form ?? this.lastForm;
    }

    /** Who waited at the button for cancelling goes on at what there is now. */
    focusOn(form) {
      const row = this.rows.get(form);
      if (row) (row.link.hidden ? row.button : row.link).focus();
    }

    drawRow(form, made, going) {
      const row = this.rows.get(form.name);
      row.button.hidden = Boolean(made);
      row.button.disabled = Boolean(going);
      row.link.hidden = row.made.hidden = row.sum.hidden = row.checked.hidden = !made;
      if (!made) return;
      row.link.href = `${this.path()}/${form.name}`;
      row.link.setAttribute("download", made.name);
      setText(row.made, words.summaryOf(made));
      setText(row.sum, `SHA-256 ${made.sha256}`);
      setText(row.checked, made.checked);
    }

    drawGoing(going) {
      setText(this.sentence, words.going(going));
      const share = going.total ? Math.min(1, going.done / going.total) : 0;
      this.bar.hidden = !going.total;
      this.bar.setAttribute("aria-valuenow", String(Math.floor(100 * share)));
      this.fill.style.width = `${100 * share}%`;
    }

    /** The live region: what begins, and how it ends; not every per cent. */
    speak(going, said) {
      if (going) setText(this.spoken, going.message);
      else if (this.wasGoing) setText(this.spoken, said || "Done.");
      this.wasGoing = Boolean(going);
    }
  }

  Object.assign(NeuroAL, { ExportView });
})();
