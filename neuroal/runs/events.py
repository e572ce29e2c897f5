"""The events of a run: frozen, plain, numbered by the log that stores them.

A run is its RunSpec and its event log. The engine yields these; job, command line, page and tests drain them. On the
wire and in the store an event is one flat JSON object: ``{"n": number, "t": seconds, "kind": class name, ...fields}``,
where ``t`` counts from the start of the run and is stamped by whoever drains.

Vocabulary shared by the fields
    step       "alignment" (the pass at uniform sparsity that supplies the row step), "block" or "row"
    variant    "dense" (unpruned), "uniform" (the control: same pruner, same sparsity everywhere), "chosen"
    block      index of the decoder block, from 0
    sparsity   fraction of zeros, 0..1
    score      alignment score, a sum of distances between normalised activation norms; lower is better
    seconds    wall-clock duration of the thing that ended
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar


def _freeze(value: Any) -> Any:
    """JSON arrays back to tuples, at any depth, so that an event survives the round trip equal to itself."""
    if isinstance(value, (list, tuple)):
        return tuple(_freeze(item) for item in value)
    if isinstance(value, dict):
        return {key: _freeze(item) for key, item in value.items()}
    return value


@dataclass(frozen=True)
class Event:
    """Base of all events. Fields are JSON values only; sequences are tuples."""

    kinds: ClassVar[dict[str, type[Event]]] = {}

    def __init_subclass__(cls) -> None:
        Event.kinds[cls.__name__] = cls

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            object.__setattr__(self, f.name, _freeze(getattr(self, f.name)))

    def to_dict(self) -> dict[str, Any]:
        """A flat JSON-ready dict with the class name under ``kind``."""
        return {"kind": type(self).__name__, **{f.name: getattr(self, f.name) for f in dataclasses.fields(self)}}

    @staticmethod
    def from_dict(record: dict[str, Any]) -> Event:
        """The event a record stands for; ``n`` and ``t`` are left to the log, fields unknown to this version dropped.

        Raises:
            ValueError: the kind is not known, or a field without default is missing.
        """
        named = record.get("kind")
        kind = Event.kinds.get(named) if isinstance(named, str) else None
        if kind is None:
            raise ValueError(f"Unknown event kind {named!r}.")
        names = {f.name for f in dataclasses.fields(kind)}
        try:
            return kind(**{k: v for k, v in record.items() if k in names})
        except TypeError as error:
            raise ValueError(f"Event {record['kind']} is incomplete: {error}.") from error


# --- the run as a whole ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Queued(Event):
    """Waiting for a worker; position 1 is next."""

    position: int


@dataclass(frozen=True)
class RunStarted(Event):
    """The config card: what was asked, on what. ``spec`` is ``RunSpec.card()``: own text only as its digest."""

    spec: dict[str, Any]
    key: str
    versions: dict[str, str]
    hardware: dict[str, Any]
    started_at: str


@dataclass(frozen=True)
class RunPlanned(Event):
    """The work ahead, for progress and time left: ``units`` maps a stage to its number of countable events and the
    weight of each, in arbitrary but mutually comparable work units.

    Stages: "alignment", "block", "row" count BlockScored; "rate" counts BlockRated; "prune:uniform", "prune:chosen"
    count BlockPruned; "evaluate:dense", "evaluate:uniform", "evaluate:chosen" count Evaluated for the
    perplexity, "evaluate:chosen:divergence" and the like for the other evaluations.
    """

    units: dict[str, dict[str, float]]


@dataclass(frozen=True)
class StageStarted(Event):
    """One plain sentence: what happens now. ``stage`` is "model", "calibration" or a stage of RunPlanned."""

    stage: str
    message: str


@dataclass(frozen=True)
class Notice(Event):
    """Something degraded or worth knowing: clipped ratios, a fallback, a skipped module."""

    message: str


@dataclass(frozen=True)
class RunFinished(Event):
    """The end, as asked. ``peak_memory``: largest resident size of the process in bytes."""

    seconds: float
    peak_memory: int


@dataclass(frozen=True)
class RunFailed(Event):
    """``message`` is one sentence for the person; the traceback goes to the server's log only."""

    message: str


@dataclass(frozen=True)
class RunCancelled(Event):
    """Stopped by a person, at a block boundary."""


@dataclass(frozen=True)
class RunInterrupted(Event):
    """The server stopped while the run was going, or ``message`` says why it made way; it can be resumed."""

    message: str = ""


@dataclass(frozen=True)
class RunResumed(Event):
    """Going on from what was finished: candidates and figures."""


# --- preparation ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelReady(Event):
    """``source`` is a phrase: "the local cache", "Hugging Face Hub" ...; ``linears``: names within a block."""

    name: str
    source: str
    blocks: int
    parameters: int
    prunable: int
    linears: tuple[str, ...]
    dtype: str
    device: str
    seconds: float


@dataclass(frozen=True)
class CalibrationReady(Event):
    """Tokens are drawn. ``digest`` tells whether two runs saw the same ones."""

    source: str
    samples: int
    length: int
    digest: str
    seconds: float


# --- the search -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SearchStarted(Event):
    """A grid of lambda is about to be scored."""

    step: str
    lambdas: tuple[float, ...]
    blocks: int
    target: float


@dataclass(frozen=True)
class CandidateStarted(Event):
    """``sparsity`` holds the requested sparsity ratio of each block (row step: mean over the rows of the block)."""

    step: str
    index: int
    lam: float
    sparsity: tuple[float, ...]


@dataclass(frozen=True)
class BlockScored(Event):
    """The candidate's term of one block: the sum of the distances of the block's linears."""

    step: str
    index: int
    lam: float
    block: int
    score: float


@dataclass(frozen=True)
class CandidateFinished(Event):
    """A lambda is scored over all blocks: where an interrupted run can go on from."""

    step: str
    index: int
    lam: float
    score: float
    seconds: float


@dataclass(frozen=True)
class LambdaChosen(Event):
    """The smallest score wins, the first one on ties. ``near_ties``: other lambdas within 1 % of the winner."""

    step: str
    index: int
    lam: float
    score: float
    near_ties: tuple[float, ...]


# --- the allocation and the pruning ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class BlockRated(Event):
    """The figure by which a top-up without search spreads the sparsity. ``measure`` is its name, ``label`` says it."""

    measure: str
    label: str
    block: int
    value: float


@dataclass(frozen=True)
class AllocationReady(Event):
    """The sparsity ratios that will be applied. ``sparsity``: per block, weighted by parameters."""

    top_up: str
    sparsity: tuple[float, ...]


@dataclass(frozen=True)
class RowsAllocated(Event):
    """Distribution of the row sparsities. ``edges``: 51 bin edges over 0..1; ``counts[b]``: 50 counts of block b.

    ``linears`` maps a linear's name within the block to ``[smallest, mean, largest]`` row sparsity over all blocks.
    """

    edges: tuple[float, ...]
    counts: tuple[tuple[int, ...], ...]
    linears: dict[str, tuple[float, float, float]]


@dataclass(frozen=True)
class BlockPruned(Event):
    """``achieved``: fraction of zeros in the block's prunable weights, counted on the weights themselves."""

    variant: str
    block: int
    requested: float
    achieved: float
    linears: dict[str, float]


@dataclass(frozen=True)
class PruningFinished(Event):
    """All blocks are pruned. ``overall``: fraction of zeros over all prunable weights."""

    variant: str
    overall: float
    seconds: float


# --- the damage -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evaluated(Event):
    """A part of an evaluation done, ``done`` of ``total`` windows, questions or prompts."""

    variant: str
    done: int
    total: int
    metric: str = "perplexity"


@dataclass(frozen=True)
class Measured(Event):
    """A figure. ``metric``: the evaluation's name, or of several figures of one its name and theirs ("zeroshot/rte").

    ``tokens``: what was predicted or asked; ``stderr``: standard error of ``value``, of a perplexity by the delta
    method over windows; ``details``: more of the same measurement, by name.
    """

    variant: str
    metric: str
    source: str
    value: float
    stderr: float
    tokens: int
    length: int
    seconds: float
    details: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class TokensCompared(Event):
    """A stretch of a text that the dense model and ``variant`` have both read: one entry per token in each tuple.

    ``start``, ``total``: index of its first token, tokens of the text. ``text``: what each token adds to it. ``kl``:
    KL(dense || variant) of its predictions, in nats; ``dense``, ``pruned``: its probability; ``dense_top``,
    ``pruned_top``: the likeliest tokens, (text, probability). The first token of a text has no prediction.
    """

    variant: str
    start: int
    total: int
    text: tuple[str, ...]
    kl: tuple[float | None, ...]
    dense: tuple[float | None, ...]
    pruned: tuple[float | None, ...]
    dense_top: tuple[tuple[tuple[str, float], ...], ...]
    pruned_top: tuple[tuple[tuple[str, float], ...], ...]
