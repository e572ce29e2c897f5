"""The Compare tab: one prompt, answered by two models side by side: dense and pruned, or any two finished runs.

What the models write is untrusted text. It travels in the display's value, which no template touches, and
``assets/compare/compare.js`` writes it to the page as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from components.answers import EMPTY, NO_RUN, TITLES, answers, cleared, ready, shown, stopped, titles
from components.controls import as_whole
from components.sides import DENSE, OPEN, Sides, build_sides
from components.visitors import stranger

if TYPE_CHECKING:
    from components.listing import Listing
    from neuroal.runs.workshop import Workshop

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "compare"

EXAMPLES = (
    "What is the capital of France?",
    "List three things to pack for a day at the beach.",
    "Explain in two sentences why the sky is blue.",
    "Once upon a time, in a village by the sea,",
    "Roses are red, violets are blue,",
)
GREEDY, SAMPLED = "Greedy", "Sampled"

_PANE = (
    "<article class='na-pane' data-side='{side}' aria-label='{title} answer'><h3>{title}</h3>"
    "<div class='na-text' data-empty='{empty}'></div>"
    "<p class='na-error'></p><p class='na-stats'></p></article>"
)
# A constant, see above.
_TEMPLATE = (
    "<section class='na-compare' aria-label='Answers'><p class='na-note'></p><div class='na-panes'>"
    + _PANE.format(side="dense", title=TITLES[DENSE], empty=EMPTY[DENSE])
    + _PANE.format(side="pruned", title=TITLES[OPEN], empty=EMPTY[OPEN])
    + "</div><p class='na-verdict'></p><p class='na-spoken' role='status' aria-live='polite'></p></section>"
)

# Runs in the browser before the request is sent, so that a place in the queue can be shown at once.
_TELL_ASKED = "(...values) => { document.dispatchEvent(new Event('na-asked')); return values; }"
_TELL_STOPPED = "(...values) => { document.dispatchEvent(new Event('na-stopped')); return values; }"


class AnswerPair(gr.HTML):
    """Both answers. The value is what ``shown`` returns: strings and nothing to evaluate."""

    def __init__(self, value: dict[str, Any] | None = None, **kwargs: Any) -> None:
        style = json.dumps((ASSETS / "compare.css").read_text(encoding="utf-8"))
        script = (ASSETS / "compare.js").read_text(encoding="utf-8")
        super().__init__(
            value or shown("idle", NO_RUN),
            html_template=_TEMPLATE,
            js_on_load=f"const STYLE = {style};\n{script}",
            **kwargs,
        )

    def api_info(self) -> dict[str, Any]:
        """An object, for the page's own API documentation."""
        return {"type": "object"}


@dataclass(frozen=True)
class Compare:
    """The components of the tab. ``sampling`` holds what only a sampled answer needs."""

    prompt: gr.Textbox
    generate: gr.Button
    stop: gr.Button
    chat: gr.Checkbox
    mode: gr.Radio
    sampling: gr.Row
    temperature: gr.Slider
    top_p: gr.Slider
    seed: gr.Number
    max_tokens: gr.Slider
    sides: Sides
    display: AnswerPair


def build_compare() -> Compare:
    """The tab's components, created where the caller is; ``wire_compare`` brings them to life."""
    # One line for Gradio, because only then does Enter submit; the style sheet makes it two lines high.
    prompt = gr.Textbox(
        label="Prompt", placeholder="Ask something, or begin a text", lines=1, max_lines=8, elem_id="na-compare-prompt"
    )
    gr.Examples([[text] for text in EXAMPLES], prompt, label="Examples", api_visibility="private")
    with gr.Row():
        generate = gr.Button("Generate", variant="primary", scale=0, min_width=140)
        stop = gr.Button("Stop", variant="secondary", scale=0, min_width=140)
    with gr.Accordion("How to answer", open=False):
        with gr.Row():
            chat = gr.Checkbox(True, label="Use the chat template", info="No effect on a model that has none.")
            mode = gr.Radio([GREEDY, SAMPLED], value=GREEDY, label="Choice of tokens")
            max_tokens = gr.Slider(16, 512, value=96, step=1, label="Max new tokens")
        with gr.Row(visible=False) as sampling:
            temperature = gr.Slider(0.1, 2, value=0.8, step=0.05, label="Temperature")
            top_p = gr.Slider(0.05, 1, value=0.95, step=0.05, label="Top-p")
            seed = gr.Number(0, label="Seed", step=1, info="The same noise for both models.")  # Settings judges it
    sides = build_sides()
    display = AnswerPair(elem_id="na-compare-display")
    return Compare(prompt, generate, stop, chat, mode, sampling, temperature, top_p, seed, max_tokens, sides, display)


def wire_compare(
    compare: Compare,
    workshop: Workshop,
    run_id: gr.components.Component,
    live: Any = None,
    listing: Listing | None = None,
) -> None:
    """Connects the tab.

    Args:
        workshop: answers ``pair(run_id)`` with a loaded model and its pruned twin, ``sides(...)`` with any two.
        run_id: holds the id of the run that is looked at; its ``change`` clears what an earlier run answered.
        live: the live view; its event ``finished`` takes back a remark that the run is not ready.
        listing: knows what other runs than the open one are called.
    """
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

    def answer(
        prompt: str,
        chat: bool,
        mode: str,
        temperature: float,
        top_p: float,
        seed: float | None,
        max_tokens: int,
        left: str,
        right: str,
        run: str,
        request: gr.Request,
    ) -> Iterator[dict[str, Any]]:
        given = {"temperature": temperature, "top_p": top_p, "seed": as_whole(seed or 0)} if mode == SAMPLED else {}
        chosen = {"sides": (left, right), "titles": titles(listing, left, right)}
        who = {"owner": request.session_hash or "", "address": stranger(request)}
        yield from answers(workshop, run, prompt, chat=chat, max_tokens=int(max_tokens), **chosen, **who, **given)

    asked = [compare.prompt, compare.chat, compare.mode, compare.temperature, compare.top_p, compare.seed]
    menus = [compare.sides.left, compare.sides.right]
    answering = gr.on(
        [compare.generate.click, compare.prompt.submit],
        answer,
        [*asked, compare.max_tokens, *menus, run_id],
        compare.display,
        js=_TELL_ASKED,
        concurrency_limit=None,  # they take turns, see answers.py
        **quiet,
    )
    compare.stop.click(
        stopped, compare.display, compare.display, js=_TELL_STOPPED, cancels=[answering], queue=False, **quiet
    )
    compare.mode.change(
        lambda mode: gr.Row(visible=mode == SAMPLED), compare.mode, compare.sampling, queue=False, **quiet
    )

    def emptied(run: str, left: str, right: str) -> dict[str, Any]:
        return cleared(run, titles(listing, left, right)) if run or OPEN not in (left, right) else cleared("")

    changes = [run_id.change, *(menu.input for menu in menus)]
    gr.on(changes, emptied, [run_id, *menus], compare.display, cancels=[answering], queue=False, **quiet)
    if live is not None:
        live.finished(ready, compare.display, compare.display, queue=False, **quiet)
