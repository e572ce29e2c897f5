"""The Hugging Face Hub: what a repository holds, its local cache, a download that says how far it is.

Safetensors are taken where the repository has them. Some models worth pruning exist only as ``pytorch_model.bin``; such
a file is a pickle, so it is read with ``weights_only``, which refuses everything that is not a tensor.
"""

from __future__ import annotations

import fnmatch
import queue
import re
import reprlib
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from neuroal.errors import UserError
from neuroal.models import access, blobs, cache
from neuroal.models.checkpoint import is_complete, weight_files
from neuroal.models.hub_errors import sentences
from neuroal.models.progress import Say, bar_class, quiet

# Configuration and tokenizer, from the top of the repository only: never code, never a subfolder's other formats.
SMALL_FILES = ("*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken")
SUBFOLDERS = "*/*"

# A branch, tag or commit: no way up, and nothing that git forbids.
REVISION = re.compile(r"(?!.*(?:\.\.|//|/\.|\.lock(?:/|$)))\w[\w.+/-]{0,198}(?<![./])|\w", re.ASCII)

# Bytes of a configuration, and of it and the tokenizer in all; the largest tokenizers have 40 MB.
CONFIG_BYTES, SMALL_BYTES = 10 * 10**6, 500 * 10**6

# With the time to import and to start a thread, the answer is there in 3 seconds.
PROBE_SECONDS = 2.5
ANSWER_SECONDS = 10.0
REMEMBER_SECONDS = 60.0

# Downloads of what arrives damaged.
ATTEMPTS = 2

_unreachable_since: float | None = None
_probe_lock = threading.Lock()


@dataclass(frozen=True)
class Repository:
    """What the Hub says about a model repository.

    Attributes:
        repo_id: its canonical name.
        revision: the commit.
        gated: whether it asks for an accepted licence.
        sizes: bytes by file name; 0 where the Hub does not say.
    """

    repo_id: str
    revision: str
    gated: bool
    sizes: dict[str, int]


def reachable() -> bool:
    """Whether the Hub answers, known within 3 seconds; a "no" is remembered for a minute.

    ``HF_ENDPOINT`` and ``HF_HUB_OFFLINE`` are honoured. Any HTTP answer counts: what it means is for the real request.
    """
    global _unreachable_since
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    with _probe_lock:
        if _unreachable_since is not None and time.monotonic() - _unreachable_since < REMEMBER_SECONDS:
            return False
        answered = _probe(constants.ENDPOINT)
        _unreachable_since = None if answered else time.monotonic()
        return answered


def forget_unreachable() -> None:
    """Makes the next :func:`reachable` look again, for a button that says "try again"."""
    global _unreachable_since
    _unreachable_since = None


def require_reachable(name: str) -> None:
    """
    Raises:
        UserError: the Hub cannot be reached, or offline mode is on; the sentence says which.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise UserError(
            f"{name} is not on this machine and offline mode is on (HF_HUB_OFFLINE); unset it, or pick another model."
        )
    if not reachable():
        raise UserError(
            f"{name} is not on this machine and the Hugging Face Hub cannot be reached; check the connection, "
            "pick the tiny model, or give a local folder."
        )


def require_valid(repo_id: str) -> None:
    """
    Raises:
        UserError: the Hub could not have a repository of this name.
    """
    from huggingface_hub.utils import validate_repo_id

    with sentences(repo_id):
        validate_repo_id(repo_id)


def require_revision(revision: str | None) -> None:
    """huggingface_hub makes the name of a file in its cache of it.

    Raises:
        UserError: git could not have a branch, tag or commit of this name.
    """
    if revision is not None and not REVISION.fullmatch(revision):
        raise UserError(
            f"Revision {reprlib.repr(revision)} is no name of a branch, tag or commit; leave it empty for the newest."
        )


def require_access(repo_id: str, token: str | bool | None) -> bool:
    """Whether everybody has access to a repository.

    Args:
        token: as huggingface_hub takes it; False for nobody's.

    Raises:
        UserError: whoever has this token has none, or as :func:`repository`.
    """
    from huggingface_hub import HfApi

    with sentences(repo_id, None, token):
        info = HfApi().model_info(repo_id, timeout=ANSWER_SECONDS, token=token)
        if info.gated or info.private:
            HfApi().auth_check(repo_id, token=token)
            return False
    return True


def repository(repo_id: str, revision: str | None = None, token: str | None = None) -> Repository:
    """Asks the Hub once, without retries.

    Args:
        repo_id: "owner/name", or one of the old names without owner.
        revision: branch, tag or commit; None for the main branch.
        token: of the person; None for HF_TOKEN or the login of huggingface_hub.

    Raises:
        UserError: not found, gated, rate limited, a server error or no answer; a sentence each.
    """
    from huggingface_hub import HfApi

    token = access.token_for(repo_id, token)
    with sentences(repo_id, revision, token):
        info = HfApi().model_info(repo_id, revision=revision, files_metadata=True, timeout=ANSWER_SECONDS, token=token)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    return Repository(info.id, info.sha or revision or "main", bool(info.gated), sizes)


def cached(repo_id: str, revision: str | None = None) -> Path | None:
    """The snapshot in the local Hub cache, if it is complete: configuration, tokenizer, every weight file."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(
            snapshot_download(
                repo_id,
                revision=revision,
                local_files_only=True,
                allow_patterns=list(SMALL_FILES),
                ignore_patterns=SUBFOLDERS,
            )
        )
    except (OSError, ValueError):  # nothing cached, or not all of it, or not a valid name
        return None
    return folder if is_complete(folder) else None


def cached_config(repo_id: str, revision: str | None = None) -> Path | None:
    """``config.json`` in the local Hub cache, whether or not the weights are there."""
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(repo_id, "config.json", revision=revision)
    except ValueError:  # not a valid name
        return None
    return Path(found) if isinstance(found, str) else None


def fetch_config(repo_id: str, revision: str | None = None, token: str | None = None) -> Path:
    """``config.json`` alone, into the Hub cache.

    Raises:
        UserError: as :func:`repository`, or the repository has none.
    """
    from huggingface_hub import hf_hub_download

    token = access.token_for(repo_id, token)
    with sentences(repo_id, revision, token):
        return Path(hf_hub_download(repo_id, "config.json", revision=revision, token=token))


def download(repo_id: str, revision: str | None = None, token: str | None = None, say: Say = quiet) -> Path:
    """Configuration, tokenizer and weights, into the Hub cache; each file is compared with its checksum.

    Where the connection breaks off, a file goes on from where it was; after a new start of the app, files that were
    complete are not fetched again.

    Returns:
        The snapshot's folder, named after the commit.

    Raises:
        UserError: as :func:`repository`; or the repository has no weights that can be used; or the disk is too small.
    """
    from huggingface_hub import constants, snapshot_download

    found = repository(repo_id, revision, token)
    weights = weight_files(found.sizes, repo_id)
    total = sum(found.sizes[name] for name in weights)
    small = sum(size for name, size in found.sizes.items() if _is_small(name))
    if small > SMALL_BYTES:
        raise UserError(
            f"Configuration and tokenizer of {repo_id} have {small / 10**6:,.0f} MB, too much; choose another model."
        )
    cache.require_space(Path(constants.HF_HUB_CACHE), total, f"Downloading {repo_id}")
    _sweep(repo_id)
    what, token = f"Downloading {repo_id.split('/')[-1]} from the Hugging Face Hub", access.token_for(repo_id, token)
    say(f"{what}: 0 of {total / 10**6:.0f} MB")
    for again in range(ATTEMPTS):
        with sentences(repo_id, revision, token):
            folder = snapshot_download(
                repo_id,
                revision=revision,
                token=token,
                allow_patterns=[*SMALL_FILES, *weights],
                ignore_patterns=SUBFOLDERS,
                max_workers=4,
                tqdm_class=bar_class(say, what, total),
            )
        if not blobs.discard_damaged(Path(folder)):
            break
        if again:
            raise UserError(
                f"What arrived of {repo_id} is, twice, not what the Hugging Face Hub has (its checksum differs); "
                "check the connection, then try again."
            )
        say(f"What arrived of {repo_id} was damaged on its way; fetching that part again")
    if not is_complete(Path(folder)):
        raise UserError(f"The download of {repo_id} is incomplete; try again, it goes on where it stopped.")
    return Path(folder)


def _is_small(name: str) -> bool:
    return "/" not in name and any(fnmatch.fnmatch(name, pattern) for pattern in SMALL_FILES)


def _sweep(repo_id: str) -> None:
    """Removes what killed downloads left of a repository's files: huggingface_hub begins such a file anew."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    blobs_of = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repo_id, repo_type="model") / "blobs"
    for part in blobs_of.glob("*.incomplete"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > cache.STALE_SECONDS:
                part.unlink()


def _probe(endpoint: str) -> bool:
    """One HEAD request. In a thread of its own, since a name server that is silent keeps to no timeout."""
    from huggingface_hub.utils import get_session

    answers: queue.Queue[bool] = queue.Queue()

    def ask() -> None:
        try:
            get_session().head(endpoint, timeout=PROBE_SECONDS)
            answers.put(True)
        except Exception:  # every kind of network, proxy and certificate failure means the same here
            answers.put(False)

    threading.Thread(target=ask, name="hub-probe", daemon=True).start()
    try:
        return answers.get(timeout=PROBE_SECONDS)
    except queue.Empty:
        return False
