"""Who calls an endpoint, and what they are told where it does not work: one sentence."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from components.incoming import is_foreign
from components.visitors import address
from neuroal.errors import UserError

logger = logging.getLogger(__name__)

FAULT = "Something went wrong on the server; try again."


# Gradio keeps a state for every session, a third of a megabyte for this page; a caller without one is given a new one
# each time. So many of those are kept for as long as others do not come.
KEPT_SESSIONS = 100

_sessions: OrderedDict[str, None] = OrderedDict()


class Refused(gr.Error):
    """A refusal in one sentence, as any client shows it."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, print_exception=False)

    def __str__(self) -> str:
        return self.message


@contextmanager
def asked_by(request: Any) -> Iterator[None]:
    """Whatever goes wrong inside is a sentence for the caller; of a fault that is not theirs the log says more.

    Args:
        request: Gradio's, or over MCP the web server's own. One that another site's page sends is refused.
    """
    try:
        _forget_old_sessions(request)
        if is_foreign(request):
            raise UserError("A page of another site may not ask this in a visitor's name.")
        yield
    except UserError as error:
        raise Refused(str(error)) from None
    except Exception:
        logger.exception("An endpoint failed")
        raise Refused(FAULT) from None


def _forget_old_sessions(request: Any) -> None:
    """Of those who call endpoints: it is a page that needs its state, and pages do not call them."""
    asked = request.request if isinstance(request, gr.Request) else None
    holder = getattr(asked.scope.get("app"), "state_holder", None) if asked else None
    if holder is None or not request.session_hash:
        return  # over MCP, which has no session
    _sessions[request.session_hash] = None
    _sessions.move_to_end(request.session_hash)
    while len(_sessions) > KEPT_SESSIONS:
        oldest, _ = _sessions.popitem(last=False)
        with holder.lock:
            holder.session_data.pop(oldest, None)
            holder.time_last_used.pop(oldest, None)


def visitor(request: Any) -> str:
    """Who asks, for fairness only. Not by Gradio's session: a caller that names none is given a new one each time."""
    return f"api:{address(request)}"


def as_text(name: str, value: Any) -> str:
    """An argument that must be a text; clients may send anything."""
    if not isinstance(value, str):
        raise UserError(f"The argument {name} must be a text, not {type(value).__name__}.")
    return value


def as_whole(name: str, value: Any) -> int:
    """An argument that must be a whole number from 0 on."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UserError(f"The argument {name} must be a whole number from 0 on.")
    return value
