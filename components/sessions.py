"""What a visit costs the server before anything is asked.

For every session Gradio works out how each component of the page is set, to recreate it from a deep link: 20 ms and a
third of a megabyte for a page like this one (Gradio 6.30). Whoever calls an endpoint without a session is given a new
one each time. But what a component is before anybody has touched it is the same for everyone.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.blocks import BlocksConfig

Config = dict[str, Any]


class SharedConfig(BlocksConfig):
    """The components of a session, which knows from others how those are set that the page began with.

    Attributes:
        known: the settings of a component by its id.
        untouched: the page's own components by their id.
    """

    known: dict[int, Config]
    untouched: dict[int, Any]

    def config_for_block(self, _id: int, rendered_ids: list[int], block: Any, renderable: Any = None) -> Config:
        """As Gradio's. What it returns may be written to, as Gradio does with what a visitor has changed."""
        if renderable is not None or self.untouched.get(_id) is not block:
            return super().config_for_block(_id, rendered_ids, block, renderable)
        if _id not in self.known:
            self.known[_id] = super().config_for_block(_id, rendered_ids, block)
        return {**self.known[_id], "props": {**self.known[_id]["props"]}}

    def __copy__(self) -> SharedConfig:
        return shared(super().__copy__(), self.known, self.untouched)


def shared(config: BlocksConfig, known: dict[int, Config], untouched: dict[int, Any]) -> SharedConfig:
    """The same object, as one of ours."""
    config.__class__ = SharedConfig
    config.known, config.untouched = known, untouched
    return config


def share_settings(page: gr.Blocks) -> None:
    """From now on sessions share what their components are to begin with; call it once the page is built."""
    shared(page.default_config, {}, dict(page.default_config.blocks))
