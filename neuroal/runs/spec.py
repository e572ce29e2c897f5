"""RunSpec: the question a run answers, as a frozen dataclass of plain values.

Form, command line and HTTP API are generated from, or validated by, this one class; its canonical JSON is hashed to the
question's key and printed as the config card. It imports nothing heavy, so that the page can be built without torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import reprlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from neuroal.errors import UserError, did_you_mean
from neuroal.pruners import PRUNERS
from neuroal.topups import TOP_UPS

# A host may offer another model first.
DEFAULT_MODEL = os.environ.get("NEUROAL_DEFAULT_MODEL") or "SmolLM2-135M-Instruct"

STEPS = {"both": "Blocks, then rows", "block": "Blocks only", "row": "Rows only"}
MODES = {"exact": "Every candidate of the paper's grid"}
SOURCES = {
    "prose": "Bundled prose",
    "own": "My own text",
    "wikitext2": "WikiText-2 (Hub)",
    "c4": "C4 (Hub)",
    "ptb": "Penn Treebank (Hub)",
}
GQA = {"fold": "k and v follow the mean of their query heads", "base": "q, k and v keep the block's ratio"}
DTYPES = ("auto", "float32", "bfloat16", "float16")
EVALUATIONS = ("perplexity",)

# Lambdas of an own grid; each costs a pass over the model.
MOST_LAMBDAS = 100

# The names of the calibration presets, and what each sets.
PRESETS: dict[str, dict[str, Any]] = {
    "Quick": {"samples": 8, "length": 64, "prune_samples": None, "eval_windows": 16, "eval_length": 256},
    "Balanced": {"samples": 8, "length": 256, "prune_samples": None, "eval_windows": 16, "eval_length": 512},
    "Paper": {"samples": 8, "length": 2048, "prune_samples": 128, "eval_windows": 16, "eval_length": 512},
}


def _setting(default: Any, label: str, help: str, **limits: Any) -> Any:
    """A field that knows how to ask for itself: label, help, and ``minimum``/``maximum`` or ``choices``."""
    return field(default=default, metadata={"label": label, "help": help, **limits})


@dataclass(frozen=True)
class RunSpec:
    """What to prune, how, and how to measure it. ``RunSpec()`` is the balanced default.

    Raises:
        UserError: at construction, when a value is outside what its field allows.
    """

    model: str = _setting(DEFAULT_MODEL, "Model", "A name from the menu, a Hugging Face Hub id, or a local folder.")
    revision: str | None = _setting(None, "Revision", "Branch, tag or commit on the Hub; empty for the newest.")
    pruner: str = _setting("wanda", "Base pruner", "Which weights are the least important.", choices=PRUNERS.labels)
    top_up: str = _setting(
        "neuroal", "Top-up", "How the sparsity is spread over blocks and rows.", choices=TOP_UPS.labels
    )
    step: str = _setting("both", "NeuroAL step", "What the search varies.", choices=STEPS)
    mode: str = _setting("exact", "Search mode", "Which candidates are scored.", choices=MODES)
    sparsity: float = _setting(
        0.6, "Sparsity ratio", "Share of the prunable weights set to zero.", minimum=0.1, maximum=0.9
    )
    lambdas: tuple[float, ...] | None = _setting(None, "Lambdas", "Own grid; empty for the paper's.")
    gqa: str = _setting("fold", "Grouped-query rows", "How rows of shared key/value heads are driven.", choices=GQA)
    source: str = _setting("prose", "Calibration text", "What the norms are gathered on.", choices=SOURCES)
    text: str = _setting("", "Own text", "Pasted or uploaded; used when the calibration text is your own.")
    samples: int = _setting(8, "Samples", "Calibration sequences for the search.", minimum=1, maximum=256)
    length: int = _setting(256, "Length", "Tokens of each sequence.", minimum=16, maximum=8192)
    prune_samples: int | None = _setting(
        None, "Samples to prune", "Sequences for the final pruning; empty or 0 for the same.", minimum=1, maximum=512
    )
    seed: int = _setting(0, "Seed", "Which stretches of the text are drawn.", minimum=0, maximum=2**31 - 1)
    dtype: str = _setting("auto", "Precision", "auto: float32 on a CPU, half on a GPU.", choices=DTYPES)
    evaluations: tuple[str, ...] = _setting(("perplexity",), "Evaluations", "What is measured at the end.")
    eval_source: str = _setting("prose", "Held-out text", "What the damage is measured on.", choices=SOURCES)
    eval_windows: int = _setting(16, "Held-out windows", "At most this many.", minimum=1, maximum=4096)
    eval_length: int = _setting(512, "Window length", "Tokens of each held-out window.", minimum=16, maximum=8192)

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            _check(f, getattr(self, f.name))
        self._normalise()
        if not self.model:
            raise UserError("No model is given; pick one from the menu or type a Hub id or a folder.")
        if self.source == "own" and not self.text.strip():
            raise UserError(
                "The calibration text is empty; paste some text, upload a .txt file, or pick another source."
            )
        if re.fullmatch(r"\s*[0-9a-f]{64}\s*", self.text):
            raise UserError("A config card holds only the digest of the calibration text; paste the text itself.")
        if self.eval_source == "own":
            raise UserError("Held-out text cannot be the calibration text itself; choose another held-out text.")

    def _normalise(self) -> None:
        """One form for what means the same, so that it has the same key; text that is not used is not kept."""
        values = {
            "model": self.model.strip(),
            "revision": (self.revision or "").strip() or None,
            "lambdas": None if self.lambdas is None else _checked_lambdas(self.lambdas),
            "evaluations": _checked_evaluations(self.evaluations),
            "text": self.text if self.source == "own" else "",
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def card(self) -> dict[str, Any]:
        """The spec as JSON values, own text replaced by its digest: safe to show and to share."""
        values = dataclasses.asdict(self)
        values["text"] = hashlib.sha256(self.text.encode()).hexdigest() if self.text else ""
        return json.loads(json.dumps(values))

    def key(self) -> str:
        """Hash of the canonical JSON: equal for two runs that ask the same question (32 hex digits)."""
        canonical = json.dumps(self.card(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:32]

    def to_json(self) -> str:
        """All fields, own text included: for the owner's store, never for the page."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> RunSpec:
        """The inverse of :meth:`to_json`.

        Raises:
            UserError: the text is not JSON, or as :meth:`from_dict`.
        """
        try:
            return cls.from_dict(json.loads(text))
        except json.JSONDecodeError as error:
            raise UserError("The settings of this run cannot be read: they are not JSON.") from error

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> RunSpec:
        """A spec from JSON values.

        Raises:
            UserError: a name is unknown (the near miss is named) or a value is out of range.
        """
        if not isinstance(values, dict):
            raise UserError("Settings must be a JSON object of names and values, such as a config card.")
        names = [f.name for f in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                raise UserError(f"Setting {reprlib.repr(name)} is not known.{did_you_mean(str(name), names)}")
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def _check(f: dataclasses.Field[Any], value: Any) -> None:
    """Type, then choices or range; one sentence each."""
    label, meta = f.metadata["label"], f.metadata
    if value is None and f.default is None:
        return
    if "choices" in meta:
        if not isinstance(value, str) or value not in meta["choices"]:
            raise UserError(f"{label} {reprlib.repr(value)} is not known.{did_you_mean(str(value), meta['choices'])}")
    elif "minimum" in meta:
        whole = isinstance(f.default, int) or f.default is None
        good = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not good or not meta["minimum"] <= value <= meta["maximum"]:  # NaN is in no range
            kind = "a whole number" if whole else "a number"
            limits = f"{kind} from {meta['minimum']} to {meta['maximum']}"
            raise UserError(f"{label} is {reprlib.repr(value)}; it must be {limits}.")
    elif str(f.type).startswith("str"):
        _check_text(label, value)


def _check_text(label: str, value: Any) -> None:
    """Text that can be encoded: a stray half of a surrogate pair would fail much later, in the tokenizer."""
    if not isinstance(value, str):
        raise UserError(f"{label} must be text, not {type(value).__name__}.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{label} holds characters that are not valid Unicode; save it as UTF-8 and try again."
        ) from error


def _checked_lambdas(lambdas: Collection[float]) -> tuple[float, ...]:
    """A non-empty grid of finite values in 0..1, as floats, each once."""
    good = isinstance(lambdas, Collection) and 0 < len(lambdas) <= MOST_LAMBDAS
    if not good or not all(_is_share(x) for x in lambdas):
        raise UserError(f"Lambdas must be one to {MOST_LAMBDAS} numbers from 0 to 1, such as 0.02, 0.05, 0.1.")
    return tuple(dict.fromkeys(float(x) for x in lambdas))


def _is_share(x: Any) -> bool:
    return isinstance(x, (int, float)) and not isinstance(x, bool) and 0 <= x <= 1


def _checked_evaluations(evaluations: Sequence[str]) -> tuple[str, ...]:
    """Known names, each once; none at all is allowed."""
    if isinstance(evaluations, str) or not isinstance(evaluations, Sequence):
        raise UserError(f"Evaluations must be a list of names; known: {', '.join(EVALUATIONS)}.")
    for name in evaluations:
        if name not in EVALUATIONS:
            raise UserError(f"Evaluation {reprlib.repr(name)} is not known.{did_you_mean(str(name), EVALUATIONS)}")
    return tuple(dict.fromkeys(evaluations))
