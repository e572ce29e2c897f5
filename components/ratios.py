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
    text, model = controls["block_sparsity"], [controls["top_up"], controls["model"], controls["revision"]]

    def borrow(value: EditorValue, looked_at: dict[str, Any] | None) -> tuple[Any, EditorValue]:
        return borrowed(value, (looked_at or {}).get("run", ""), read)

    counted = gr.on(
        [control.change for control in model],
        count,
        model,
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
    editor.borrow(borrow, [editor, live], [text, editor], concurrency_limit=8, **_QUIET)


def count(top_up: str, model: str, revision: str | None) -> Iterator[EditorValue]:
    """Values of the editor: seen where the top-up asks for ratios, then with the blocks of the model."""
    if "block_sparsity" not in TOP_UPS.get(top_up).settings:
        yield {"shown": False}
        return
    yield {"shown": True}
    import_engine()
    from neuroal.runs.estimate import facts

    try:
        yield {"shown": True, "blocks": facts(model, revision or None).blocks}
    except UserError as error:
        yield {"shown": True, "blocks": 0, "problem": str(error)}


def borrowed(value: EditorValue, run: str, read: Read) -> tuple[Any, EditorValue]:
    """The text and the editor's value with the ratios that a run gave its blocks; or why it has none for this model."""
    try:
        records, _ = read(run, 0)
    except KeyError:
        records = []
    found = [r["sparsity"] for r in records if r["kind"] == "AllocationReady"]
    if not run:
        note = "No run is shown; start one, or open the link of one."
    elif not found:
        note = "The run that is shown has no ratios yet; wait until its search is over."
    elif len(found[-1]) != value.get("blocks"):
        note = f"The run that is shown is of a model with {len(found[-1])} blocks, this one has {value.get('blocks')}."
    else:
        ratios = [round(ratio, DIGITS) for ratio in found[-1]]
        text = as_shown("block_sparsity", ratios)
        return text, {**value, "text": text, "target": sum(ratios) / len(ratios), "note": ""}
    return gr.skip(), {**value, "note": note}
