/* Shows both answers; the body of the component's js_on_load (element, props and watch are Gradio's, STYLE is ours).
   Models write anything, so all of it goes in as text, never as markup. */
const WAITING = "Waiting for the server.";
const WAITING_AFTER = 900; // ms; its first word comes much sooner, also where it says that others are before us

if (!document.getElementById("na-compare-style")) {
  document.head.append(Object.assign(document.createElement("style"), { id: "na-compare-style", textContent: STYLE }));
}

const find = (selector) => element.querySelector(selector);
let waiting = null;
let halted = false; // stopped by the person: what the server had already sent of that answer may still arrive

/** Writes only what differs, so that a person's selection and the screen reader are left alone. */
function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** The three parts of a pane: shared text, the token at which it parts, the rest. Made anew only when they appear. */
function parts(host, parted) {
  const tags = parted ? ["span", "mark", "span"] : ["span"];
  if (host.children.length !== tags.length) host.replaceChildren(...tags.map((tag) => document.createElement(tag)));
  return host.children;
}

/** A sign for a token that cannot be seen, "" for one that can. */
function sign(pane) {
  if (pane.at.trim()) return "";
  if (pane.at) return pane.at.includes("\n") ? "⏎" : "␣";
  return pane.done && !pane.after ? "end" : "…";
}

function renderPane(side, pane, phase) {
  const host = find(`[data-side="${side}"]`);
  const text = host.querySelector(".na-text");
  write(host.querySelector("h3"), pane.title);
  host.setAttribute("aria-label", `${pane.title}: answer`);
  text.dataset.empty = pane.empty;
  const [before, at, after] = parts(text, pane.parted);
  write(before, pane.before);
  if (pane.parted) {
    // A blank token is shown by its sign: the line it breaks must not break the mark.
    const blank = !pane.at.trim();
    write(at, blank ? "" : pane.at);
    write(after, blank ? pane.at + pane.after : pane.after);
    at.dataset.sign = sign(pane);
    at.title = "The first token that differs";
  }
  text.classList.toggle("na-blank", !pane.before && !pane.parted);
  host.classList.toggle("na-going", phase === "answering" && !pane.done);
  write(host.querySelector(".na-error"), pane.error);
  write(host.querySelector(".na-stats"), pane.stats || "\u00a0");
}

function render() {
  const value = props.value;
  if (!value?.dense || (halted && ["preparing", "answering"].includes(value.phase))) return;
  settle();
  const over = ["finished", "stopped", "refused"].includes(value.phase);
  find(".na-compare").dataset.phase = value.phase;
  write(find(".na-note"), value.note);
  renderPane("dense", value.dense, value.phase);
  renderPane("pruned", value.pruned, value.phase);
  write(find(".na-verdict"), value.verdict);
  const errors = [value.dense.error, value.pruned.error];
  write(find(".na-spoken"), over ? [value.note, ...errors, value.verdict].filter(Boolean).join(" ") : "");
}

function settle() {
  clearTimeout(waiting);
  waiting = null;
}

// A page may mount the component again (tabs, routes): the listeners of a gone one take themselves off.
function listen(name, act) {
  document.addEventListener(name, function heard() {
    if (element.isConnected) act();
    else document.removeEventListener(name, heard);
  });
}

listen("na-asked", () => {
  halted = false;
  settle();
  waiting = setTimeout(() => write(find(".na-note"), WAITING), WAITING_AFTER);
});
listen("na-stopped", () => {
  halted = true;
  settle();
  if (find(".na-note").textContent === WAITING) write(find(".na-note"), "");
});
watch("value", render);
render();
