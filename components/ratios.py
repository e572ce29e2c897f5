"""What the editor of ratios, the text box beside it and the rest of the page do to each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from components.controls import as_shown
from components.form import Form
from components.ratio_editor import EditorValue
from neuroal.errors import UserError
from neuroal.importing import import_engine
from neuroal.topups import TOP_UPS

# Digits that a ratio is written with, as in assets/editor/ratios.js.
DIGITS = 4

Read = Callable[[str, int], tuple[list[dict[str, Any]], bool]]

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def wire_ratios(form: Form, live: gr.HTML, read: Read) -> None:
    """Connects the editor.

    Args:
        live: the live view, whose value names the run that is looked at.
        read: the records of a run after a number, as ``Jobs.read``.
    """
    editor, controls = form.editor, form.controls
    text, model = controls["block_sparsity"], [controls["model"], controls["revision"]]
    counting = [controls["top_up"], *model]

    def borrow(
        value: EditorValue, looked_at: dict[str, Any] | None, model: str, revision: str | None
    ) -> tuple[Any, EditorValue]:
        return borrowed(value, (looked_at or {}).get("run", ""), model, revision, read)

    counted = gr.on(
        [control.change for control in counting],
        count,
        counting,
        editor,
        trigger_mode="always_last",
        concurrency_limit=4,
        **_QUIET,
    )
    # What the text box and the slider hold by then: a person may have gone on meanwhile.
    now = [editor, text, controls["sparsity"]]
    counted.then(None, now, editor, js="(value, text, slider) => ({ ...value, text: text ?? '', slider })", **_QUIET)
    # In the browser: an answer from the server could overwrite what a person does meanwhile.
    text.change(None, [editor, text], editor, js="(value, text) => ({ ...value, text: text ?? '' })", **_QUIET)
    editor.edited(None, editor, text, js="(value) => value.text", **_QUIET)
    editor.borrow(borrow, [editor, live, *model], [text, editor], concurrency_limit=8, **_QUIET)


def count(top_up: str, model: str, revision: str | None) -> Iterator[EditorValue]:
    """Values of the editor: seen where the top-up asks for ratios, then with the blocks of the model."""
    if "block_sparsity" not in TOP_UPS.get(top_up).settings:
        yield {"shown": False}
        return
    yield {"shown": True}
    yield {"shown": True, **_blocks_of(model, revision)}


def _blocks_of(model: str, revision: str | None) -> EditorValue:
    """The blocks of the model; 0 and the problem where they cannot be known."""
    import_engine()
    from neuroal.runs.estimate import facts

    try:
        return {"blocks": facts(model, revision or None).blocks}
    except UserError as error:
        return {"blocks": 0, "problem": str(error)}


def borrowed(value: EditorValue, run: str, model: str, revision: str | None, read: Read) -> tuple[Any, EditorValue]:
    """The text and the editor's value with the ratios that a run gave its blocks; or why it has none for this model.

    The blocks are counted here: the editor may not have been told them yet, or be told those of another model.
    """
    try:
        records, _ = read(run, 0)
    except KeyError:
        records = []
    found = [r["sparsity"] for r in records if r["kind"] == "AllocationReady"]
    if not run:
        return gr.skip(), {**value, "note": "No run is shown; start one, or open the link of one."}
    if not found:
        note = "The run that is shown has no ratios yet; wait until its search is over."
        return gr.skip(), {**value, "note": note}
    now: EditorValue = {**value, "problem": "", **_blocks_of(model, revision)}
    if now["problem"]:
        return gr.skip(), now
    if len(found[-1]) != now["blocks"]:
        note = f"The run that is shown is of a model with {len(found[-1])} blocks, this one has {now['blocks']}."
        return gr.skip(), {**now, "note": note}
    ratios = [round(ratio, DIGITS) for ratio in found[-1]]
    text = as_shown("block_sparsity", ratios)
    return text, {**now, "text": text, "target": sum(ratios) / len(ratios), "note": ""}
