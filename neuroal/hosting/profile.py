"""A hosting profile: which models and how much a host allows, what it shows, where and how long it keeps what.

Profiles are JSON files (``assets/profiles``). Which one holds is detected, or said by NEUROAL_PROFILE: a shipped name
or a file of one's own. Nothing heavy is imported here, for the page and the command line ask before anything else.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroal.errors import UserError, did_you_mean

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "profiles"

LOCAL = "local"

# Whose runs are listed (components/listing.py), and who may use the host's own token for the Hub.
CHOICES = {"history": ("all", "own"), "token": ("all", "menu", "none"), "engine": ("", "thread", "ray", "zerogpu")}

# Where the driver of a GPU shows itself; asking torch would take seconds.
GPU_TRACES = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidia0"), Path("/dev/kfd"))


@dataclass(frozen=True)
class Profile:
    """What a host allows. None, and an empty list, are no limit.

    Attributes:
        name: "space-cpu" ..., or that of a file.
        where: the host in a person's words, as in "this Space"; ``more``: what to do for more than is allowed.
        models: the only ones (names of the menu, Hub ids); ``parameters``: of the largest one.
        samples, length: sequences of text, to calibrate and to prune, and tokens of each, also of held-out windows.
        windows, questions: of held-out text, and of each zero-shot task.
        text: characters of a person's own text.
        sweep: runs of a sweep; with 0 sweeps are not shown at all.
        waiting: runs that one visitor may have waiting.
        minutes: that a run may go; then it ends, and may be resumed when others have had their turn.
        disk_gb: of the data folder and the Hub's cache together; the oldest goes first.
        retention_days: after which runs are removed.
        history, local_folders, default_model, engine: as the settings NEUROAL_HISTORY and so on.
        token: whose models the host's HF_TOKEN may fetch: "all" that visitors name, those of the "menu" (and of
            ``models``), or "none".
        data: folders for what is to outlive a restart, of which the first that can be written is taken; without any,
            those of a host like this one: /data on a Space.
        gpu_seconds: of one call on ZeroGPU.
    """

    name: str = LOCAL
    where: str = "this host"
    more: str = ""
    models: tuple[str, ...] = ()
    parameters: int | None = None
    samples: int | None = None
    length: int | None = None
    windows: int | None = None
    questions: int | None = None
    text: int | None = None
    sweep: int | None = None
    waiting: int = 3
    minutes: float | None = None
    disk_gb: float | None = None
    retention_days: int | None = None
    history: str = "all"
    local_folders: bool = True
    default_model: str = ""
    engine: str = ""
    token: str = "all"
    data: tuple[str, ...] = ()
    gpu_seconds: int = 60

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not _fits(field, value):
                raise UserError(
                    f"{field.name} is {value!r} in the hosting profile {self.name!r}; it must be {_wanted(field)}."
                )

    @property
    def limited(self) -> bool:
        """Whether there is anything to tell a visitor before it bites."""
        counted = (self.parameters, self.samples, self.length, self.text, self.sweep, self.minutes)
        return bool(self.models) or any(limit is not None for limit in counted)


def current(environ: Mapping[str, str] = os.environ) -> Profile:
    """The profile that holds here.

    Raises:
        UserError: NEUROAL_PROFILE names none, or a file that is none.
    """
    asked = environ.get("NEUROAL_PROFILE", "").strip()
    return _read(asked or detected(environ))


def detected(environ: Mapping[str, str] = os.environ) -> str:
    """The name of the shipped profile for this environment: that of a Space by its variables, else "local"."""
    if not environ.get("SPACE_ID"):
        return LOCAL
    if is_zerogpu(environ):
        return "zerogpu"
    return "space-gpu" if any(trace.exists() for trace in GPU_TRACES) else "space-cpu"


def is_zerogpu(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this is a ZeroGPU Space, as the package ``spaces`` tells it."""
    return environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def shipped() -> list[str]:
    """The names of the profiles that come with the app."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def setting(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """What a person has set in the environment, else what the profile says; empty for neither.

    Raises:
        UserError: as :func:`current`.
    """
    if given := environ.get(name, "").strip():
        return given
    profile = current(environ)
    return {
        "NEUROAL_DATA": storage(profile, environ) or "",
        "NEUROAL_DEFAULT_MODEL": profile.default_model,
        "NEUROAL_ENGINE": profile.engine or ("zerogpu" if is_zerogpu(environ) else ""),
        "NEUROAL_HISTORY": profile.history,
        "NEUROAL_LOCAL_FOLDERS": "1" if profile.local_folders else "0",
    }[name]


def places(profile: Profile, environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Folders that outlive a restart: the profile's, else those of a host like this one."""
    return profile.data or _read(detected(environ)).data


def storage(profile: Profile, environ: Mapping[str, str] = os.environ) -> str | None:
    """The first of these folders that is there and can be written; None where there are none, or none is."""
    folders = places(profile, environ)
    usable = (folder for folder in folders if os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK))
    return next((os.path.join(folder, "neuroal") for folder in usable), None)


@functools.lru_cache(maxsize=16)
def _read(asked: str) -> Profile:
    known = shipped()
    path = FOLDER / f"{asked}.json" if asked in known else Path(asked).expanduser()
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"NEUROAL_PROFILE is {asked!r}, which is no profile and no file that can be read."
            f"{did_you_mean(asked, known)}"
        ) from error
    except ValueError as error:
        raise UserError(f"The hosting profile {asked!r} is no JSON; see assets/profiles for examples.") from error
    if not isinstance(values, dict):
        raise UserError(f"The hosting profile {asked!r} is no JSON object; see assets/profiles for examples.")
    names = [field.name for field in dataclasses.fields(Profile)]
    for name in values:
        if name not in names:
            raise UserError(f"{name!r} in the hosting profile {asked!r} is not known.{did_you_mean(name, names)}")
    plain = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return Profile(**{"name": path.stem, **plain})


def _fits(field: dataclasses.Field[Any], value: Any) -> bool:
    """Whether a value is of the kind that its field is annotated with, and above zero where it counts something."""
    if field.name in CHOICES:
        return value in CHOICES[field.name]
    kind = str(field.type)
    if value is None:
        return "None" in kind
    if kind.startswith("tuple"):
        return isinstance(value, tuple) and all(isinstance(each, str) and each for each in value)
    if kind in ("bool", "str"):
        return isinstance(value, {"bool": bool, "str": str}[kind])
    if isinstance(value, bool):
        return False
    if kind.startswith("float"):
        return isinstance(value, (int, float)) and 0 < value < float("inf")
    return isinstance(value, int) and value >= (0 if field.name == "sweep" else 1)


def _wanted(field: dataclasses.Field[Any]) -> str:
    kind = str(field.type)
    if field.name in CHOICES:
        return f"one of: {', '.join(filter(None, CHOICES[field.name]))}"
    if kind.startswith("tuple"):
        return "a list of texts"
    if kind in ("bool", "str"):
        return {"bool": "true or false", "str": "a text"}[kind]
    number = "a number above 0" if kind.startswith("float") else f"a whole number from {int(field.name != 'sweep')}"
    return f"{number}, or null for no limit" if "None" in kind else number
