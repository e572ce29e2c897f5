"""NeuroAL Explorer: assembles the page and serves it. Also the app file of a Hugging Face Space."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before gradio is imported: the app asks no other host
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

# First of all: the package decides how torch and numpy, which are not there yet, will use the processor.
from neuroal.errors import UserError
from neuroal.hosting.gpu import prepare
from neuroal.importing import uncollected, without_interface_files

try:
    prepare()  # on ZeroGPU: before torch and Gradio are imported
except UserError as error:
    sys.exit(str(error))

with uncollected(), without_interface_files():
    import gradio as gr
    from fastapi import FastAPI

    from components.bundles import add_bundle_route
    from components.closing import serve_until_told
    from components.departures import hush_departures
    from components.export_route import add_export_route
    from components.guard.accounts import MESSAGE, accounts_from_environment
    from components.guard.headers import IN_THE_PAGE
    from components.guard.origin import hosts_from_environment
    from components.guard.protect import protect
    from components.last_word import add_last_word
    from components.learn_route import Lessons, add_learn_route
    from components.listing import Listing, whose_from_environment
    from components.listing_route import add_listing_route
    from components.matrix_route import add_matrix_route
    from components.mcp_tools import attach, wanted
    from components.others import Others
    from components.page import ASSETS, Records, build_page
    from components.repeat_route import add_repeat_route
    from components.stream import add_event_route
    from components.warmup import Warmup
    from neuroal.hosting.profile import current
    from neuroal.models.access import restrict
    from neuroal.runs.workshop import Workshop

# Seconds after which a thread that computes has to let another one go on. Two models that answer side by side have
# hundreds of small things to do for a token, each in turn, and the usual 5 ms are long for them.
SWITCH_SECONDS = 0.0005

# Visits whose state Gradio keeps, a third of a megabyte each; the menus of one that is forgotten start anew.
SESSIONS = 2000


def main() -> None:
    """Serves until it is told to stop; a setting that is not allowed is told in a sentence."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        serve()
    except UserError as error:  # or the store cannot be opened, or the engine not be had
        sys.exit(str(error))


def serve(announce: Callable[[str], None] | None = None) -> None:
    """Serves until it is told to stop; runs that are going are then marked as interrupted.

    Args:
        announce: is told the address once the page is there, in place of what Gradio prints.

    Raises:
        UserError: a setting or the host's profile is not allowed, the store cannot be opened, or the engine not be had.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    hush_departures()
    sys.setswitchinterval(SWITCH_SECONDS)
    whose, tools = whose_from_environment(), wanted()
    accounts, hosts = accounts_from_environment(), hosts_from_environment()
    profile = current()
    restrict(profile)
    workshop = Workshop(profile=profile)
    records, warmup = Records(workshop), Warmup(workshop)
    page = build_page(workshop, records, warmup)

    @asynccontextmanager
    async def with_routes(app: FastAPI) -> AsyncIterator[None]:
        """Before the first request is answered: a page that reconnects must not hear that its run is not known."""
        _add_routes(app, workshop, records, Listing(workshop.jobs, whose, records.read))
        attach(app, page.mcp_server_obj, tools)
        protect(app, accounts, hosts)
        yield

    _, url, _ = page.launch(
        theme=gr.themes.Default(font=["ui-sans-serif", "system-ui", "sans-serif"]),  # fonts of the system, none fetched
        css_paths=[ASSETS / "style.css"],
        footer_links=["api", "settings"],
        head=IN_THE_PAGE,
        show_error=True,
        auth=accounts,
        enable_monitoring=False,  # its address, which lets in whoever has it, would be printed into the log
        auth_message=MESSAGE if accounts else None,
        prevent_thread_lock=True,
        state_session_capacity=SESSIONS,
        quiet=announce is not None,
        app_kwargs={"lifespan": with_routes},
        mcp_server=tools,
        # Gradio's own look whether the page is there waits three seconds, once: a small machine that renders it on the
        # server may take longer, and the app would end.
        _frontend=False,
    )
    if announce:
        announce(url)
    warmup.start()
    serve_until_told(page, workshop)


def _add_routes(app: FastAPI, workshop: Workshop, records: Records, listing: Listing) -> None:
    """What the page's scripts ask for beside what Gradio answers."""
    add_last_word(app)
    add_event_route(app, records)
    add_bundle_route(app, records)
    add_listing_route(app, listing, Others(listing, records.read))
    add_learn_route(app, Lessons())
    add_matrix_route(app, workshop.inspector)
    add_repeat_route(app, records)
    add_export_route(app, workshop.exporter)


def _interrupt(*_: object) -> None:
    """A supervisor's SIGTERM ends the app as Ctrl+C does, also where SIGINT is ignored (a shell's background job)."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
