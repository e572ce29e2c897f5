"""RunSpec: the question a run answers, as a frozen dataclass of plain values.

Form, command line and HTTP API are generated from, or validated by, this one class; its canonical JSON is hashed to the
question's key and printed as the config card. It imports nothing heavy, so that the page can be built without torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import reprlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from neuroal.errors import UserError, did_you_mean
from neuroal.evaluation.kinds import EVALUATIONS
from neuroal.evaluation.zeroshot.tasks import SEVEN, TASKS
from neuroal.hosting.profile import setting
from neuroal.patterns import Pattern
from neuroal.pruners import PRUNERS
from neuroal.runs.checks import check_field, checked_globs, checked_lambdas, checked_names, checked_ratios
from neuroal.topups import TOP_UPS


def _default_model() -> str:
    """A host may offer another model first. What is wrong with its profile is said when the app starts, not here."""
    with suppress(UserError):
        return setting("NEUROAL_DEFAULT_MODEL") or "SmolLM2-135M-Instruct"
    return "SmolLM2-135M-Instruct"


DEFAULT_MODEL = _default_model()

STEPS = {"both": "Blocks, then rows", "block": "Blocks only", "row": "Rows only"}
MODES = {"auto": "As few lambdas as find the lowest score", "exact": "Every lambda of the paper's grid"}
SOURCES = {
    "prose": "Bundled prose",
    "own": "My own text",
    "wikitext2": "WikiText-2 (Hub)",
    "c4": "C4 (Hub)",
    "ptb": "Penn Treebank (Hub)",
}
GQA = {"fold": "k and v follow the mean of their query heads", "base": "q, k and v keep the block's ratio"}
# Settings that hold a person's own text.
OWN_TEXTS = ("text", "eval_text")

DTYPES = ("auto", "float32", "bfloat16", "float16")

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

    Example:
        >>> spec = neuroal.RunSpec(model="tiny", pruner="magnitude", top_up="owl", sparsity=0.5)
        >>> neuroal.RunSpec.from_json(spec.to_json()) == spec
        True
        >>> spec.key() == neuroal.RunSpec.from_dict(spec.card()).key()
        True
    """

    model: str = _setting(
        DEFAULT_MODEL, "Model", "A name from the menu, a Hugging Face Hub id, or a local folder.", longest=1000
    )
    revision: str | None = _setting(
        None, "Revision", "Branch, tag or commit on the Hub; empty for the newest.", longest=200
    )
    pruner: str = _setting("wanda", "Base pruner", "Which weights are the least important.", choices=PRUNERS.labels)
    top_up: str = _setting(
        "neuroal", "Top-up", "How the sparsity is spread over blocks and rows.", choices=TOP_UPS.labels
    )
    step: str = _setting("both", "NeuroAL step", "What the search varies.", choices=STEPS)
    mode: str = _setting("auto", "Search mode", "An own grid is always scored in full.", choices=MODES)
    sparsity: float = _setting(
        0.6, "Sparsity ratio", "Share of the prunable weights set to zero.", minimum=0.1, maximum=0.9
    )
    pattern: str | None = _setting(
        None, "N:M pattern", "Keep N of every M weights, such as 2:4; it decides the sparsity. Empty for unstructured."
    )
    exclude: tuple[str, ...] = _setting(
        (), "Keep dense", "Globs of linears or blocks, such as *.down_proj, 0 or model.layers.2?."
    )
    reconstruct: bool = _setting(
        False,
        "Refit the kept weights",
        "After masking, kept weights are refitted to the outputs on the calibration text.",
    )
    continuations: int = _setting(
        3, "Continuations", "Sequences that the model writes on from each sample, to refit on.", minimum=0, maximum=32
    )
    block_sparsity: tuple[float, ...] | None = _setting(
        None, "Your ratios", "One sparsity ratio per block, first to last: 0.5, 0.55, 0.6 ..."
    )
    owl_m: float = _setting(5.0, "OWL's M", "Outliers exceed M times the mean.", minimum=0.1, maximum=1000)
    owl_lambda: float = _setting(0.08, "OWL's lambda", "Blocks differ by at most twice this.", minimum=0, maximum=0.5)
    alpha_epsilon: float = _setting(
        0.3,
        "AlphaPruning's epsilon",
        "Ratios lie within 1 - epsilon to 1 + epsilon of each other.",
        minimum=0,
        maximum=0.99,
    )
    dsnot_cycles: int = _setting(50, "DSnoT's cycles", "At most this many swaps a row.", minimum=1, maximum=10_000)
    dsnot_threshold: float = _setting(
        0.1, "DSnoT's threshold", "Rows with a smaller error are left alone.", minimum=0, maximum=1e6
    )
    renormalise: bool = _setting(
        False, "Restore the mean", "Where ratios are clipped, shift the others so that the target is kept."
    )
    exact_budget: bool = _setting(
        False, "Exact budget", "Counts add up to the target to the weight, instead of being rounded row by row."
    )
    exact_statistics: bool = _setting(
        False,
        "Exact statistics",
        "SparseGPT in float64 with plain means, DSnoT with pooled variances, unlike the originals.",
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
    evaluations: tuple[str, ...] = _setting(
        ("perplexity",), "Evaluations", "What is measured at the end.", options=EVALUATIONS.labels
    )
    eval_source: str = _setting("prose", "Held-out text", "What the damage is measured on.", choices=SOURCES)
    eval_text: str = _setting(
        "", "Own held-out text", "Used when the held-out text is your own; who has the run's link sees its beginning."
    )
    eval_windows: int = _setting(16, "Held-out windows", "At most this many.", minimum=1, maximum=4096)
    eval_length: int = _setting(512, "Window length", "Tokens of each held-out window.", minimum=16, maximum=8192)
    tasks: tuple[str, ...] = _setting(
        SEVEN, "Tasks", "Zero-shot tasks to ask.", options={task.name: task.label for task in TASKS.values()}
    )
    task_limit: int = _setting(100, "Questions", "Of each task, at most.", minimum=1, maximum=100_000)
    sensitivity_seeds: int = _setting(
        2, "Further seeds", "That the calibration is repeated with, to see what it does.", minimum=1, maximum=20
    )

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            if not (f.name == "sparsity" and self.pattern):  # the pattern decides it, and may go beyond the range
                check_field(f, getattr(self, f.name))
        self._normalise()
        if self.top_up == "custom" and self.block_sparsity is None:
            raise UserError("The custom top-up needs your ratios, one per block; give them, or pick another top-up.")
        if not self.model:
            raise UserError("No model is given; pick one from the menu or type a Hub id or a folder.")
        if self.source == "own" and not self.text.strip():
            raise UserError(
                "The calibration text is empty; paste some text, upload a .txt file, or pick another source."
            )
        if not self.tasks:
            raise UserError("No zero-shot task is chosen; choose at least one, or leave the evaluation out.")
        if self.eval_source == "own" and not self.eval_text.strip():
            raise UserError("The held-out text is empty; paste some text, or pick another held-out text.")
        for text, name in ((self.text, "calibration"), (self.eval_text, "held-out")):
            if re.fullmatch(r"\s*[0-9a-f]{64}\s*", text):
                raise UserError(f"A config card holds only the digest of the {name} text; paste the text itself.")
        if self.text and self.text.strip() == self.eval_text.strip():
            raise UserError("Held-out text cannot be the calibration text itself; choose another held-out text.")

    def _normalise(self) -> None:
        """One form for what means the same, so that it has the same key; text that is not used is not kept."""
        values = {
            "model": self.model.strip(),
            "revision": (self.revision or "").strip() or None,
            "pattern": str(Pattern.parse(self.pattern)) if self.pattern else None,
            "exclude": checked_globs(self.exclude),
            "block_sparsity": checked_ratios(self.block_sparsity),
            "lambdas": None if self.lambdas is None else checked_lambdas(self.lambdas),
            "evaluations": checked_names("Evaluation", self.evaluations, list(EVALUATIONS.labels)),
            "tasks": checked_names("Task", self.tasks, list(TASKS)),
            "text": self.text if self.source == "own" else "",
            "eval_text": self.eval_text if self.eval_source == "own" else "",
        }
        for name, default in _DEFAULTS.items():
            if isinstance(default, float) and not (name == "sparsity" and values["pattern"]):
                values[name] = float(getattr(self, name))  # 5 and 5.0 are one question
        for name in self.idle():
            values[name] = _DEFAULTS[name]
        if values["pattern"]:
            values["sparsity"] = Pattern.parse(values["pattern"]).sparsity
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def idle(self) -> set[str]:
        """Settings that nothing looks at, given the others."""
        top_up = TOP_UPS.get(self.top_up)
        idle = {name for each in TOP_UPS.entries for name in each.settings} - set(top_up.settings)
        idle |= {name for each in EVALUATIONS.entries if each.name not in self.evaluations for name in each.settings}
        if not top_up.steps:
            idle.add("step")
        elif self.step == "block":
            idle.add("gqa")
        if self.lambdas is not None:
            idle.add("mode")  # an own grid is scored in full
        if not self.reconstruct:
            idle.add("continuations")
        if self.pattern:
            idle.add("exact_budget")  # its counts are whole already
        if self.top_up == "custom":
            idle.add("sparsity")
        return idle

    @property
    def private(self) -> bool:
        """Whether someone's own text is asked about: such an answer is its owner's."""
        return "own" in (self.source, self.eval_source)

    def card(self) -> dict[str, Any]:
        """The spec as JSON values, own text replaced by its digest: safe to show and to share."""
        values = dataclasses.asdict(self)
        for name in ("text", "eval_text"):
            own = getattr(self, name)
            values[name] = hashlib.sha256(own.encode()).hexdigest() if own else ""
        return json.loads(json.dumps(values))

    def key(self) -> str:
        """Hash of the canonical JSON: equal for two runs that ask the same question (32 hex digits)."""
        card = {name: value for name, value in self.card().items() if name not in _ADDED or value != _ADDED[name]}
        if "mode" in self.idle():
            card["mode"] = "exact"  # as it was when there was no other
        canonical = json.dumps(card, sort_keys=True, separators=(",", ":"))
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
            values = json.loads(text)
        except (ValueError, RecursionError) as error:  # also a number of a million digits, a list in a list in a list
            raise UserError("The settings of this run cannot be read: they are not JSON.") from error
        return cls.from_dict(values)

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


_DEFAULTS = {f.name: f.default for f in dataclasses.fields(RunSpec)}

# Settings that came later count in the key where they are not at their default: earlier answers stay answers.
_ADDED = {
    name: list(_DEFAULTS[name]) if isinstance(_DEFAULTS[name], tuple) else _DEFAULTS[name]
    for name in (
        "pattern", "exclude", "reconstruct", "continuations", "block_sparsity", "owl_m", "owl_lambda", "alpha_epsilon",
        "dsnot_cycles", "dsnot_threshold", "renormalise", "exact_budget", "exact_statistics", "tasks", "task_limit",
        "eval_text", "sensitivity_seeds",
    )
}  # fmt: skip
