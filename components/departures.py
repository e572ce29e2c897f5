"""What the log says of visitors who are gone: one line in the place of two tracebacks."""

from __future__ import annotations

import logging
import traceback

from starlette.requests import ClientDisconnect

logger = logging.getLogger(__name__)

# Of Gradio's routes: the stream of what its queue tells a page or a client. Where a visitor has left, the queue forgets
# them at once, and a stream that is about to go on finds nothing of theirs and fails (Gradio 6.30). Nobody sees that.
STREAM, ROUTES = "sse_stream", "gradio/routes.py"


class Departures(logging.Filter):
    """Lets everything through but the failure of a stream, or of a route that is still being asked, to find a visitor
    who has left."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        said = _departure(error)
        if said:
            logger.info(said)
        return not said


def hush_departures() -> None:
    """For the process: the web server logs what nothing else caught."""
    logging.getLogger("uvicorn.error").addFilter(Departures())


def _departure(error: BaseException | None) -> str:
    """In a sentence, where the failure, or one that it came of, was that of a missing visitor; else empty."""
    while error is not None:
        if isinstance(error, ClientDisconnect):
            return "A visitor left before they had asked to the end."
        missing = isinstance(error, KeyError) or getattr(error, "status_code", None) == 404
        frames = traceback.extract_tb(error.__traceback__)
        if missing and frames and frames[-1].name == STREAM and frames[-1].filename.endswith(ROUTES):
            return "A visitor left while something was told to them."
        error = error.__cause__ or error.__context__
    return ""
