"""The real app served from this process, and whatever it logs meanwhile."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
import pytest

import app
from components.closing import RUNS_SECONDS, close_page
from components.warmup import Warmup
from neuroal.runs.workshop import Workshop


@contextmanager
def served(data: Path, **environment: str) -> Iterator[str]:
    """The address of an app with its own data folder and these settings."""
    stop, there, failure = threading.Event(), threading.Event(), []
    address: list[str] = []

    def announce(url: str) -> None:
        address.append(url.rstrip("/"))

    def until_told(page: gr.Blocks, workshop: Workshop) -> None:
        """As the app's, but for what ends a process."""
        there.set()
        stop.wait()
        workshop.stop(RUNS_SECONDS)
        close_page(page)
        workshop.close()

    def serve() -> None:
        try:
            app.serve(announce)
        except BaseException as error:
            failure.append(error)
        finally:
            there.set()

    root = logging.getLogger()
    before = list(root.handlers), root.level
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(app, "serve_until_told", until_told)
        patched.setenv("NEUROAL_DATA", str(data))
        patched.setattr(Warmup, "start", lambda _: None)  # no model is loaded before one is asked for
        for name, value in environment.items():
            patched.setenv(name, value)
        thread = threading.Thread(target=serve, name="app")
        thread.start()
        assert there.wait(60), "the app did not start"
        try:
            if failure:
                raise failure[0]
            yield address[0]
        finally:
            stop.set()
            thread.join(30)
            root.handlers[:], root.level = before
