"""What sessions share: as Gradio would have worked it out, and nobody sees what another one has changed."""

from __future__ import annotations

import gradio as gr
import pytest
from gradio.state_holder import SessionState

from components.sessions import SharedConfig, share_settings


@pytest.fixture
def page() -> gr.Blocks:
    with gr.Blocks() as built:
        text = gr.Textbox("first", label="Text")
        held = gr.State({"a": 1})
        with gr.Row():
            gr.Button("Go").click(lambda x, _: x, [text, held], text)
    return built


def test_a_session_is_as_ever(page: gr.Blocks) -> None:
    before = SessionState(page)
    share_settings(page)
    for _ in range(2):
        session = SessionState(page)
        assert session.config_values == before.config_values
        assert session.blocks_config.fns == before.blocks_config.fns


def test_it_is_worked_out_once(page: gr.Blocks, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    original = gr.Textbox.get_config
    monkeypatch.setattr(gr.Textbox, "get_config", lambda self, cls=None: asked.append(1) or original(self, cls))
    SessionState(page), SessionState(page)
    assert len(asked) == 2
    share_settings(page)
    for _ in range(5):
        SessionState(page)
    assert len(asked) == 3


def test_what_one_changes_no_other_sees(page: gr.Blocks) -> None:
    share_settings(page)
    text = next(block for block in page.blocks.values() if isinstance(block, gr.Textbox))
    one, other = SessionState(page), SessionState(page)
    one._update_value_in_config(text._id, "mine")
    assert one.config_values[text._id]["props"]["value"] == "mine"
    one[text._id] = mine = gr.Textbox("another", label="Mine", render=False)
    assert one.blocks_config.config_for_block(text._id, [], mine)["props"]["label"] == "Mine"
    for session in (other, SessionState(page)):
        assert session.config_values[text._id]["props"]["value"] == "first"
        assert session.config_values[text._id]["props"]["label"] == "Text"
        assert session.blocks_config.blocks[text._id] is text


def test_a_component_of_a_session_alone_is_worked_out_for_it(page: gr.Blocks) -> None:
    share_settings(page)
    session = SessionState(page)
    assert isinstance(session.blocks_config, SharedConfig)
    added = gr.Number(3, render=False)
    session[9999] = added
    assert session.blocks_config.config_for_block(9999, [], added)["props"]["value"] == 3
    assert 9999 not in page.default_config.known
