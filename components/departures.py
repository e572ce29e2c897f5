"""What Gradio logs of visitors who are gone: one line in the place of two tracebacks."""

from __future__ import annotations

import logging
import traceback

logger = logging.getLogger(__name__)

# Of Gradio's routes: the stream of what its queue tells a page or a client. Where a visitor has left, the queue forgets
# them at once, and a stream that is about to go on finds nothing of theirs and fails (Gradio 6.30). Nobody sees that.
STREAM, ROUTES = "sse_stream", "gradio/routes.py"


class Departures(logging.Filter):
    """Lets everything through but a stream's failure to find a visitor who has left."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if not _is_departure(error):
            return True
        logger.info("A visitor left while something was told to them.")
        return False


def hush_departures() -> None:
    """For the process: the web server logs what nothing else caught."""
    logging.getLogger("uvicorn.error").addFilter(Departures())


def _is_departure(error: BaseException | None) -> bool:
    """Whether the failure, or one that it came of, was a missing visitor in the stream."""
    while error is not None:
        missing = isinstance(error, KeyError) or getattr(error, "status_code", None) == 404
        frames = traceback.extract_tb(error.__traceback__)
        if missing and frames and frames[-1].name == STREAM and frames[-1].filename.endswith(ROUTES):
            return True
        error = error.__cause__ or error.__context__
    return False
