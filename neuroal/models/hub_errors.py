"""What the Hub's failures mean: each its own sentence for a person."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from neuroal.errors import UserError
from neuroal.models import access
from neuroal.models.menu import near_misses

_TOKEN_HELP, _SIGN_IN = "set HF_TOKEN, or log in with: hf auth login", "sign in with Hugging Face on this page"


def _token_help() -> str:
    """How to have a token: the host's own, or on a host that strangers share a visitor's."""
    return _SIGN_IN if access.is_restricted() else _TOKEN_HELP


@contextmanager
def sentences(repo_id: str, revision: str | None = None, token: str | bool | None = None) -> Iterator[None]:
    """Turns whatever huggingface_hub, its HTTP client or the network raise inside the block into a UserError."""
    try:
        yield
    except UserError:
        raise
    except _failures() as error:
        raise UserError(explain(error, repo_id, revision, has_token=_has_token(token))) from error


@contextmanager
def uploading(repo_id: str) -> Iterator[None]:
    """The same for what goes wrong while something is written to a repository, with a token."""
    try:
        yield
    except UserError:
        raise
    except _failures() as error:
        raise UserError(explain_upload(error, repo_id)) from error


def explain_upload(error: BaseException, repo_id: str) -> str:
    """The sentence for ``error``. It never repeats what the Hub said, which may quote the request."""
    from huggingface_hub import errors

    chain = list(_causes(error))
    if any(isinstance(cause, errors.HFValidationError) for cause in chain):
        return f"{repo_id!r} is not a name for a repository; it looks like owner/name."
    for cause in chain:
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if status in _UPLOADS:
            return _UPLOADS[status].format(repo_id)
        if status is not None and (sentence := _by_status(status, cause, repo_id, has_token=True)):
            return sentence
    return f"The Hugging Face Hub stopped answering while {repo_id} was uploaded; check the connection and try again."


_UPLOADS = {
    400: "The Hugging Face Hub does not accept {} as a repository; choose another name.",
    401: "The Hugging Face token was not accepted; make a new one that may write, and try again.",
    403: "The token in use may not write to {}; use one with write access, or a repository of your own.",
    404: "There is no owner for {} on the Hugging Face Hub, or the token in use may not see it; check the name.",
    409: "{} was made or changed by someone else meanwhile; look at it, then try again or choose another name.",
    413: "The Hugging Face Hub takes no more from this account: its storage is full; make room there.",
}


def explain(error: BaseException, repo_id: str, revision: str | None, *, has_token: bool) -> str:
    """The sentence for ``error``. huggingface_hub wraps a status it cannot get round, so causes are looked at too."""
    from huggingface_hub import errors

    chain = list(_causes(error))
    for cause in chain:
        if isinstance(cause, errors.GatedRepoError):
            return _gated(repo_id, has_token=has_token)
        if isinstance(cause, errors.RevisionNotFoundError):
            return f"{repo_id} has no revision {revision!r} on the Hugging Face Hub; leave it empty for the newest."
        if isinstance(cause, errors.RemoteEntryNotFoundError):
            return f"{repo_id} holds no config.json, so it is not a model that transformers can load; choose another."
        if isinstance(cause, errors.HFValidationError):
            return f"{repo_id!r} is not a model name; it looks like owner/name.{near_misses(repo_id)}"
        if isinstance(cause, errors.RepositoryNotFoundError):
            return _not_found(repo_id, has_token=has_token)
    for cause in chain:
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if status is not None and (sentence := _by_status(status, cause, repo_id, has_token=has_token)):
            return sentence
    if any(isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT) for cause in chain):
        return f"The disk filled up while downloading {repo_id}; make room, or set HF_HOME to a larger disk."
    return f"The Hugging Face Hub stopped answering while fetching {repo_id}; check the connection and try again."


def _by_status(status: int, cause: BaseException, repo_id: str, *, has_token: bool) -> str | None:
    """For HTTP statuses that huggingface_hub has no exception class of its own for."""
    if status == 401:
        return f"The Hugging Face token was not accepted; renew it, then {_token_help()}."
    if status == 403:
        return _gated(repo_id, has_token=has_token)
    if status == 404:
        return _not_found(repo_id, has_token=has_token)
    if status == 429:
        wait = cause.response.headers.get("retry-after", "")  # type: ignore[attr-defined]
        when = f"in {wait} seconds" if wait.isdigit() else "in a few minutes"
        hint = "" if has_token else f"; with a token the limit is higher ({_token_help()})"
        return f"The Hugging Face Hub limits how often this machine may ask; try again {when}{hint}."
    if status >= 500:
        return f"The Hugging Face Hub has a problem of its own (error {status}); try again in a few minutes."
    return None


def _gated(repo_id: str, *, has_token: bool) -> str:
    page = f"its page, huggingface.co/{repo_id}"
    if has_token:
        return f"{repo_id} is gated and the token in use has no access to it; ask for access on {page}."
    return f"{repo_id} is gated: accept its licence on {page}, then {_token_help()}."


def _not_found(repo_id: str, *, has_token: bool) -> str:
    private = "" if has_token else f"; if it is private, {_token_help()}"
    return f"There is no model {repo_id!r} on the Hugging Face Hub{private}.{near_misses(repo_id)}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what caused it, outermost first."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _has_token(token: str | bool | None) -> bool:
    from huggingface_hub import get_token

    return token is not False and bool(token or get_token())


def _failures() -> tuple[type[Exception], ...]:
    """What the block may raise. The HTTP client differs between versions of huggingface_hub; its base error does not.

    Not simply ``Exception``: a progress callback that raises in order to stop must get through.
    """
    from huggingface_hub import errors

    http_error = errors.HfHubHTTPError.__mro__[1]
    return OSError, ValueError, RuntimeError, http_error, getattr(errors, "XetDownloadError", OSError)
