"""A run's question, to be asked again: as a command, as a Python script, and as a spec; from its config card.

A card has only the digest of someone's own text. What is made of it asks for the text in a file of its owner's, which
nobody else has; that it is the same text can be told by the digest.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Mapping
from typing import Any

from neuroal.runs.spec import OWN_TEXTS, RunSpec

PROGRAM = "python -m neuroal"

# Where own texts are expected, and a spec.
TEXT_FILES = {"text": "own-text.txt", "eval_text": "own-held-out-text.txt"}
SPEC_FILE = "spec.json"

# Of a list without entries, or a setting that is not given.
NONE = "none"

_SCRIPT = '''"""Asks the question of a run again: run it in the folder of NeuroAL Explorer's repository."""

import json
{path}
import neuroal

SPEC = json.loads(r"""{spec}""")
{texts}
for event in neuroal.run(neuroal.RunSpec.from_dict(SPEC)):
    print(event)
'''

_TEXT = 'SPEC["{name}"] = Path("{file}").read_bytes().decode("utf-8")  # your own text: the spec has only its digest\n'

Card = Mapping[str, Any]


def repeated(card: Card) -> dict[str, Any]:
    """How a question is asked again.

    Args:
        card: as of ``RunSpec.card``; what an earlier version did not know is at its default.

    Returns:
        ``command``, ``script`` and ``spec``, texts; ``with_spec``, the command that reads the spec from SPEC_FILE; and
        ``files``, those that the owner of a text has to make of it.
    """
    return {
        "command": command(card),
        "script": script(card),
        "spec": json.dumps(card, indent=1),
        "with_spec": shlex.join([*PROGRAM.split(), "prune", SPEC_FILE, *_texts(card)]),
        "files": [TEXT_FILES[name] for name in OWN_TEXTS if card.get(name)],
    }


def command(card: Card) -> str:
    """The command line, for a POSIX shell."""
    return shlex.join([*PROGRAM.split(), "prune", *as_options(card)])


def script(card: Card) -> str:
    """The Python script; it needs nothing but the public face."""
    texts = "".join(_TEXT.format(name=name, file=TEXT_FILES[name]) for name in OWN_TEXTS if card.get(name))
    path = "from pathlib import Path\n" if texts else ""
    return _SCRIPT.format(spec=json.dumps(card, indent=1), texts=texts, path=path)


def option_of(name: str) -> str:
    """What the option of a setting is called."""
    return "--" + name.replace("_", "-") + ("-file" if name in OWN_TEXTS else "")


def as_options(card: Card) -> list[str]:
    """The model, and every setting that is not at its default."""
    found = ["--model", str(card.get("model", RunSpec.model))]
    for field in dataclasses.fields(RunSpec):
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        value = card.get(field.name, default)
        value = list(value) if isinstance(value, tuple) else value
        if field.name not in ("model", *OWN_TEXTS) and value != default:
            found += _as_option(field.name, value)
    return found + _texts(card)


def _texts(card: Card) -> list[str]:
    return [word for name in OWN_TEXTS if card.get(name) for word in (option_of(name), TEXT_FILES[name])]


def _as_option(name: str, value: Any) -> list[str]:
    option = option_of(name)
    if isinstance(value, bool):
        return [option if value else f"--no-{option[2:]}"]
    if isinstance(value, list):
        value = ",".join(map(str, value))
    return [option, str(value) if value not in (None, "") else NONE]
