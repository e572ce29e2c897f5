/** The part that uploads to the Hugging Face Hub: a name, whether only its owner sees it, and a token. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { make, setText } = NeuroAL;

  class Upload {
    /** @param {boolean} oauth visitors can sign in; @param {Function} send is given what is asked for */
    constructor(oauth, send) {
      this.oauth = oauth;
      this.node = make("form", "na-export-upload");
      this.node.append(make("h3", "na-card-title", "Upload it to the Hugging Face Hub"));
      this.explain = this.node.appendChild(make("p", "na-card-explain"));
      this.repo = this.field("Repository", "text", "your-name/a-name");
      this.token = this.field("Token that may write", "password", "hf_…");
      Object.assign(this.token, { autocomplete: "off", spellcheck: false });
      const label = this.node.appendChild(make("label", "na-export-private"));
      this.private = label.appendChild(make("input"));
      Object.assign(this.private, { type: "checkbox", checked: true });
      label.append("Private: only you see it");
      this.button = this.node.appendChild(make("button", "na-button", "Upload"));
      this.node.onsubmit = (event) => {
        event.preventDefault();
        send({ form: "hub", repo: this.repo.value.trim(), private: this.private.checked, token: this.token.value.trim() });
        this.token.value = ""; // it is kept nowhere
      };
      this.done = this.node.appendChild(make("p", "na-export-pushed"));
    }

    field(text, type, placeholder) {
      const label = this.node.appendChild(make("label", "na-export-field", text));
      const input = label.appendChild(make("input", "na-export-input"));
      Object.assign(input, { type, placeholder });
      return input;
    }

    show({ going, pushed, signed_in: signedIn }) {
      this.button.disabled = Boolean(going);
      this.token.parentElement.hidden = signedIn;
      const who = signedIn ? "You are signed in." : this.oauth ? "Sign in above, or paste a token; it is not kept."
        : "The token is used for this upload and not kept.";
      setText(this.explain, `A new repository is private unless you say otherwise. ${who}`);
      this.done.hidden = !pushed;
      if (!pushed || this.url === pushed.url) return;
      this.url = pushed.url;
      const link = make("a", "", pushed.repo_id);
      if (/^https?:\/\//.test(pushed.url)) Object.assign(link, { href: pushed.url, target: "_blank", rel: "noopener" });
      this.done.replaceChildren("Uploaded to ", link, pushed.private ? " (private)." : " (public).");
    }
  }

  Object.assign(NeuroAL, { Upload });
})();
