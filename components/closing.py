"""The end of a server that is told to stop: runs are marked as interrupted, streams end, and all of it is soon over.

A supervisor that sends SIGTERM kills some seconds later what is still there; nothing here may wait as long as that.
"""

from __future__ import annotations

import logging
import signal
import time

import gradio as gr

from neuroal.runs.workshop import Workshop
from neuroal.threads import end_at_the_latest, end_without_threads

logger = logging.getLogger(__name__)

# Seconds that runs have to reach their next event, and then viewers to take what is left of their streams.
RUNS_SECONDS, VIEWERS_SECONDS = 2.0, 1.0

# Seconds after which the process ends whatever still goes on in it: a download that hangs, a block of a large model.
LAST_SECONDS = 4.0


def serve_until_told(page: gr.Blocks, workshop: Workshop) -> None:
    """Waits for Ctrl+C or SIGTERM, then closes both. In the main thread of a process that ends with this."""
    try:
        while page.is_running:
            time.sleep(0.1)
    except KeyboardInterrupt:
        logger.info("The server stops.")
    finally:
        for told in (signal.SIGINT, signal.SIGTERM):  # once is enough
            signal.signal(told, signal.SIG_IGN)
        end_at_the_latest(LAST_SECONDS)
        workshop.stop(RUNS_SECONDS)  # before the page: viewers are told how their run ended
        close_page(page)
        workshop.close()
    end_without_threads()


def close_page(page: gr.Blocks, patience: float = VIEWERS_SECONDS) -> None:
    """Ends every stream and the server. A viewer that does not read is waited for no longer than ``patience`` seconds;
    Gradio itself would wait until it is gone."""
    page.server.config.timeout_graceful_shutdown = patience
    page.close(verbose=False)
