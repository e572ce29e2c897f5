"""With whose token the Hub is asked: a visitor's own, the host's where its profile lets visitors use it, or nobody's.

On a machine of one's own everything is fetched with HF_TOKEN, or the login of huggingface_hub. On a host that strangers
share, that token might open its owner's private models to them, or give away what its owner alone has a licence for. So
there it fetches only what the host offers itself (the open models of the menu, its profile's list, its default model);
for all else a visitor may sign in, and what is here already for someone else is given only to who could have it from
the Hub.
"""

from __future__ import annotations

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neuroal.hosting.profile import Profile
from neuroal.models.menu import find_entry, same

# Of whoever asks; runs are done in the context in which they were asked, so it is the visitor's there too.
_VISITOR: contextvars.ContextVar[str | None] = contextvars.ContextVar("neuroal_visitor", default=None)

_host = Profile()
_public: set[str] = set()


def restrict(host: Profile) -> None:
    """From now on this process keeps to the profile's word about the host's token."""
    global _host
    _host = host


def is_restricted() -> bool:
    """Whether visitors may use the host's token for some models only."""
    return _host.token != "all"


@contextmanager
def acting_for(token: str | None) -> Iterator[None]:
    """What happens inside, and the runs that are started there, are the person's whose token it is."""
    before = _VISITOR.set(token)
    try:
        yield
    finally:
        _VISITOR.reset(before)


def token_for(repo_id: str, given: str | None = None) -> str | bool | None:
    """What huggingface_hub takes as a token.

    Returns:
        the given one; None for the host's own (HF_TOKEN, or its login); a visitor's; or False for nobody's.
    """
    if given or not is_restricted():
        return given
    from huggingface_hub import get_token

    offered = _is_offered(repo_id)
    if offered and get_token():
        return None
    return _VISITOR.get() or (None if offered else False)


def require(name: str) -> None:
    """Refuses a model of the Hub that whoever asks could not have from there.

    Raises:
        UserError: it is gated or private and they have no access, there is none, or the Hub cannot be asked.
    """
    entry = find_entry(name)
    repo_id = entry.repo_id if entry else name.strip()
    if not is_restricted() or repo_id is None or _is_offered(repo_id) or repo_id in _public or _is_folder(name):
        return
    from neuroal.models import hub

    hub.require_valid(repo_id)
    hub.require_reachable(repo_id)
    if hub.require_access(repo_id, token_for(repo_id)):
        _public.add(repo_id)


def _is_offered(repo_id: str) -> bool:
    """Whether the host's token is for this model."""
    from neuroal.runs.spec import DEFAULT_MODEL

    if _host.token == "none":
        return False
    entry = find_entry(repo_id)
    named = {same(name) for name in (*_host.models, DEFAULT_MODEL)}
    return same(repo_id) in named or (entry is not None and not entry.gated)


def _is_folder(name: str) -> bool:
    """Folders of the host are another matter (NEUROAL_LOCAL_FOLDERS)."""
    try:
        return name.startswith((".", "~", "/", "\\")) or Path(name).expanduser().is_dir()
    except (OSError, RuntimeError, ValueError):
        return False
