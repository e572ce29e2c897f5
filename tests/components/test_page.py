"""What the page asks of Gradio beside its components."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest

from components.page import QUEUE_SECONDS, Records, build_page
from components.warmup import Warmup
from neuroal.runs.workshop import Workshop


@pytest.fixture
def page(tmp_path: Path) -> gr.Blocks:
    workshop = Workshop(tmp_path)
    built = build_page(workshop, Records(workshop), Warmup(workshop))
    workshop.close()
    return built


def test_the_queue_looks_for_work_as_often_as_the_page_says(page: gr.Blocks) -> None:
    """It is Gradio's own attribute: under another name the queue would go back to a thousand times a second."""
    with gr.Blocks() as plain:
        pass
    assert hasattr(plain._queue, "sleep_when_free")
    assert page._queue.sleep_when_free == QUEUE_SECONDS
