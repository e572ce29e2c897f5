"""``serve``: the page."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from neuroal.commands.output import Busy, Code, Output
from neuroal.errors import UserError

ROOT = Path(__file__).resolve().parents[2]

SERVE_EXAMPLES = ("serve", "serve --port 8080", "serve --host 0.0.0.0 --port 7860")


def serve(
    out: Output,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen at; 0.0.0.0 for every one.")] = None,
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535, help="Port to listen at.")] = None,
) -> Code | None:
    """Starts the page, and serves until it is told to stop."""
    for name, value in (("GRADIO_SERVER_NAME", host), ("GRADIO_SERVER_PORT", port)):
        if value is not None:
            os.environ[name] = str(value)
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    try:
        import app
    except ImportError as error:
        raise UserError(f"The page cannot be served here: {error}; run this in the app's own folder.") from error
    from neuroal.runs.instances import InUse

    def announce(url: str) -> None:
        if port is not None and not url.rstrip("/").endswith(f":{port}"):
            out.say(f"Port {port} is in use, so another one was taken.")
        out.document = {"url": url}
        out.line(f"The page is at {url}. Ctrl+C stops it.")
        out.finish()

    try:
        app.serve(announce)
    except InUse as error:
        raise Busy(str(error)) from None
    except OSError as error:
        if "empty port" not in str(error):
            raise
        raise UserError("No free port was found; name another one with --port.") from None
    out.as_json = False  # all is said
