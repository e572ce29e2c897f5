"""The question that options ask, over that of a file where there is one: into the class that a form gives.

A file is a spec, a config card, or any JSON document that has one under "spec".
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neuroal.commands.output import Misuse
from neuroal.commands.settings import BUDGETS, FIELDS, Settings
from neuroal.errors import UserError, did_you_mean
from neuroal.runs.checks import TEXT_BYTES
from neuroal.runs.spec import OWN_TEXTS, RunSpec
from neuroal.sharing.repeat import NONE, option_of

STDIN = "-"


def taken(values: Settings) -> Settings:
    """Takes the settings that were given out of the values of a command's parameters."""
    given = {name: values.pop(name) for name in (*FIELDS, "budget") if name in values}
    return {name: value for name, value in given.items() if value is not None}


def spec_from(given: Mapping[str, Any], file: str | None = None) -> RunSpec:
    """The question that options ask, over that of a file where there is one.

    Args:
        given: values of options, as :func:`taken`.
        file: path of a spec, or - for stdin.

    Raises:
        Misuse: a value is not allowed, or the file holds no spec.
    """
    try:
        settings = settings_from(given, file)
        return RunSpec.from_dict(settings)
    except UserError as error:
        raise Misuse(_by_option(str(error))) from error


def settings_from(given: Mapping[str, Any], file: str | None = None) -> Settings:
    """As :func:`spec_from`, before it is looked at as a whole."""
    asked = _from_file(file) if file else {}
    if file == STDIN and STDIN in (given.get("text"), given.get("eval_text")):
        raise Misuse("Both the spec and a text are to come from stdin; give one of them as a file.")
    if budget := given.get("budget"):
        if budget.lower() not in BUDGETS:
            raise Misuse(f"Budget {budget!r} is not known.{did_you_mean(budget, BUDGETS)}")
        asked |= BUDGETS[budget.lower()]
    read = {name: _read(name, value) for name, value in given.items() if name in FIELDS}
    for name in OWN_TEXTS:
        if name in read:
            _check_digest(name, asked.get(name), read[name])
            read.setdefault("source" if name == "text" else "eval_source", "own")
    return asked | read


def as_setting(name: str, said: str) -> Any:
    """A setting as it is written on an axis.

    Raises:
        Misuse: it is to be a number, and is none.
    """
    field = FIELDS[name]
    if isinstance(field.default, bool):
        if said.lower() not in ("true", "false", "yes", "no"):
            raise Misuse(f"{name} is true or false, not {said!r}.")
        return said.lower() in ("true", "yes")
    if "minimum" not in field.metadata or (field.default is None and said == NONE):
        return _read(name, said)
    try:
        return float(said) if isinstance(field.default, float) else int(said)
    except ValueError:
        raise Misuse(f"{name} takes numbers, not {said!r}.") from None


def _read(name: str, value: Any) -> Any:
    """A setting from the value of its option."""
    field = FIELDS[name]
    if field.default is None and value in ("", NONE, 0):
        return None
    if name in OWN_TEXTS:
        return _text(value)
    if "tuple" not in str(field.type):
        return value
    parts = [part.strip() for part in re.split(r"[,\n]", value) if part.strip()]
    if parts == [NONE]:
        return ()
    if "float" not in str(field.type):
        return tuple(parts)
    try:
        return tuple(map(float, parts))
    except ValueError:
        raise Misuse(f"{option_of(name)} takes numbers apart by commas, such as 0.5,0.6; not {value!r}.") from None


def _from_file(file: str) -> Settings:
    what = "What came by stdin" if file == STDIN else f"The file {file!r}"
    if file != STDIN and not Path(file).is_file():
        meant = " To name a model, write --model." if not file.endswith(".json") else ""
        raise Misuse(f"There is no file {file!r} with a spec; give a path, or - for stdin.{meant}")
    try:
        found = json.loads(read_bytes(file).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Misuse(f"{what} is no JSON, so it is no spec; copy one from a run's config card.") from error
    if isinstance(found, dict) and isinstance(found.get("spec"), dict):
        found = found["spec"]
    if not isinstance(found, dict):
        raise Misuse(f"{what} is no spec: that is a JSON object of settings, such as a config card.")
    return {name: tuple(v) if isinstance(v, list) else v for name, v in found.items()}


def _text(file: str) -> str:
    if file != STDIN and not Path(file).is_file():
        raise Misuse(f"There is no file {file!r} with a text; give a path, or - for stdin.")
    read = read_bytes(file)
    if len(read) > TEXT_BYTES:
        raise Misuse(f"The text in {file!r} is larger than {TEXT_BYTES // 10**6} MB; give a shorter one.")
    try:
        return read.decode("utf-8")
    except UnicodeDecodeError:
        raise Misuse(f"The text in {file!r} is not UTF-8; save it as a plain text file.") from None


def read_bytes(file: str) -> bytes:
    """A file, or all of stdin where it is -. Misuse where it cannot be read."""
    try:
        return sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
    except OSError as error:
        raise Misuse(f"{file!r} cannot be read: {error.strerror}.") from error


def _check_digest(name: str, card: Any, text: str) -> None:
    """A config card has the digest of a text, which then has to be the text itself."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    if isinstance(card, str) and re.fullmatch(r"[0-9a-f]{64}", card) and card != digest:
        raise Misuse(f"The text of {option_of(name)} is not the one that the spec was made with.")


def _by_option(sentence: str) -> str:
    """Where a card has no text, what to do about it here."""
    if "only the digest" in sentence:
        which = "eval_text" if "held-out" in sentence else "text"
        return f"{sentence.partition(';')[0]}; give the text with {option_of(which)} FILE."
    return sentence
