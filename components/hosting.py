"""What the page says of its host, beside the button that starts a run: the limits, before they bite, and what is not
kept."""

from __future__ import annotations

import os

import gradio as gr

from neuroal.hosting.gpu import is_zerogpu
from neuroal.hosting.limits import sentence
from neuroal.hosting.profile import Profile, places, storage

NOT_KEPT = (
    "⚠️ This Space has no storage of its own: runs, and what is kept of them, are gone when it restarts. "
    "Take along what you need."
)
LENT = (
    "Runs go on a GPU that is lent for {} s at a time, out of your own quota at Hugging Face (sign in there for more); "
    "the time that is told before the start is that of a processor."
)


def build_host(profile: Profile) -> None:
    """The sentences, where there are any, and on a Space the button that duplicates it."""
    if told := "\n\n".join(filter(None, (sentence(profile), _lending(profile)))):
        gr.Markdown(told, elem_id="limits", elem_classes="quiet")
    if told := _keeping(profile):
        gr.Markdown(told, elem_id="not-kept")
    if os.environ.get("SPACE_ID"):
        gr.DuplicateButton("Duplicate this Space", elem_id="duplicate")


def _lending(profile: Profile) -> str:
    return LENT.format(profile.gpu_seconds) if is_zerogpu() else ""


def _keeping(profile: Profile) -> str:
    """A profile that names folders to keep things in, of which none is there."""
    elsewhere = os.environ.get("NEUROAL_DATA") or os.environ.get("NEUROAL_STORE")
    return NOT_KEPT if places(profile) and not storage(profile) and not elsewhere else ""
