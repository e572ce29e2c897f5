"""Before the start: is what is asked possible, how long will it take, and how much memory."""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuroal.errors import UserError
from neuroal.evaluation.kinds import EVALUATIONS
from neuroal.method import Method
from neuroal.models.containment import tokenizing
from neuroal.models.facts import ModelFacts, inspect
from neuroal.models.memory import AUTO_BYTES, gigabytes, machine_memory, needed_bytes
from neuroal.options import Options
from neuroal.runs.machine import machine_speed
from neuroal.runs.plan import Shape, plan, variants
from neuroal.runs.spec import RunSpec
from neuroal.topups.custom import check_count

if TYPE_CHECKING:
    from neuroal.runs.pool import ModelPool

# A pass through a block reaches about this share of the speed of its bare matrix products; where a model is measured,
# with its head and the losses, less. Beside its weight a unit of work takes a moment (hooks, the event and its commit),
# and a stage too. Each walk over the blocks begins with trying them and, where it prunes, with a copy of the weights:
# as long as this many tokens take. Measured by bench_growth.py.
EFFICIENCY, MEASURING_EFFICIENCY = 0.88, 0.75
UNIT_SECONDS, STAGE_SECONDS, SETUP_TOKENS = 0.004, 0.05, 250

# A token's attention takes as long as so many weights for each feature and each token of its sequence (measured up to
# 2,048 of them).
ATTENTION = 0.5

# Calibration hidden states are kept for all sequences at once; this many tokens bound them.
MOST_TOKENS = 2**19

STAGES = {
    "alignment": "search",
    "block": "search",
    "row": "search",
    "rate": "rating",
    "prune": "pruning",
    "evaluate": "measuring",
}


# Stages that walk over the blocks from the beginning.
WALKS = ("alignment", "block", "rate", "prune")


@dataclass(frozen=True)
class Estimate:
    """Seconds by what they are spent on, and peak bytes of the process."""

    seconds: dict[str, float]
    memory: int

    @property
    def sentence(self) -> str:
        """For a person, such as "About 2 min (search 90 s, ...) and 1.6 GB of memory"."""
        parts = ", ".join(f"{what} {duration(s)}" for what, s in self.seconds.items() if s)
        return f"About {duration(sum(self.seconds.values()))} ({parts}) and {gigabytes(self.memory)} of memory."


@functools.lru_cache(maxsize=64)
def facts(name: str, revision: str | None) -> ModelFacts:
    """The model's facts from its configuration, remembered; raises UserError where it cannot be used."""
    return inspect(name, revision)


def estimate(spec: RunSpec, without: Collection[str] = ()) -> Estimate:
    """What a run will cost on this machine, from the count of its work and the machine's measured speed.

    Args:
        without: stages of its plan that will not have to be done.

    Raises:
        UserError: the model cannot be used here, or the run would be refused (:func:`check`).
    """
    check(spec)
    model = facts(spec.model, spec.revision)
    work = plan(spec, Shape(model.blocks, model.prunable, model.parameters))
    seconds: dict[str, float] = {}
    for stage, units in work.items():
        if stage in without:
            continue
        name = stage.partition(":")[0]
        if name == "evaluate":
            per_token = _seconds_of_a_token(model, spec.eval_length) / MEASURING_EFFICIENCY
        else:
            per_token = _seconds_of_a_token(model, spec.length) / EFFICIENCY
        tokens = units["units"] * units["weight"] + (SETUP_TOKENS * model.blocks if name in WALKS else 0)
        took = tokens * per_token + units["units"] * UNIT_SECONDS + STAGE_SECONDS
        seconds[STAGES[name]] = seconds.get(STAGES[name], 0.0) + took
    return Estimate(seconds, _memory(spec, model))


def _seconds_of_a_token(model: ModelFacts, length: int) -> float:
    """In one block, in a sequence of that length, at the full speed of the machine: two operations for each weight."""
    return 2 * (model.prunable / model.blocks + ATTENTION * model.hidden * length) / machine_speed()


def _memory(spec: RunSpec, model: ModelFacts) -> int:
    """Peak bytes: the dense model, its twins (the control, or what an evaluation prunes itself, is made while the
    pruned one is kept), and hidden states."""
    kind = machine_memory().kind
    width = AUTO_BYTES[kind] if spec.dtype == "auto" else (4 if spec.dtype == "float32" else 2)
    again = max((EVALUATIONS.get(name).prunes_on for name in spec.evaluations), default=0)
    twins = 2 if again or "uniform" in variants(spec) else 1
    hidden = 3 * min(kept_tokens(spec) * max(1, again), MOST_TOKENS) * model.hidden * width
    return needed_bytes(model.parameters, width, twins * model.prunable / model.parameters) + hidden


def check(spec: RunSpec, pool: ModelPool | None = None) -> None:
    """Refuses, with one sentence, what is known not to work before a weight is loaded.

    What only the model's own linears can tell (an exclusion that matches nothing) is refused when the run meets it.

    Raises:
        UserError: settings that exclude each other, unknown or unsuitable model, sequences longer than its context,
            too many tokens, too short a text.
    """
    method = Method(spec.pruner, spec.top_up, Options.of(spec))
    method.top_up.refuse(method.pruner, method.of, spec.step)
    model = facts(spec.model, spec.revision)
    if spec.block_sparsity is not None:
        check_count(spec.block_sparsity, model.blocks)
    for label, length in (("Length", spec.length), ("Window length", spec.eval_length)):
        if model.context and length > model.context:
            raise UserError(f"{label} is {length}, but the context of {spec.model} is {model.context}; shorten it.")
    tokens = kept_tokens(spec)
    if tokens > MOST_TOKENS:
        refit = spec.reconstruct and spec.continuations
        raise UserError(
            f"Samples x length{' with their continuations' if refit else ''} is {tokens:,} tokens, but at most "
            f"{MOST_TOKENS:,} are allowed; take fewer or shorter samples{' or fewer continuations' if refit else ''}."
        )
    for name in spec.evaluations:
        EVALUATIONS.get(name)().refuse(spec)
    if spec.source == "own":
        _check_text(spec, spec.text, spec.length, pool)
    if spec.eval_source == "own" and spec.evaluations:
        _check_text(spec, spec.eval_text, spec.eval_length - 1, pool)


def kept_tokens(spec: RunSpec) -> int:
    """Tokens whose hidden states are kept at once: of the search, or of the pruning with what the model writes."""
    written = spec.continuations if spec.reconstruct else 0
    return max(spec.samples, (spec.prune_samples or spec.samples) * (1 + written)) * spec.length


def _check_text(spec: RunSpec, text: str, length: int, pool: ModelPool | None) -> None:
    """With the model's own tokenizer where it is loaded; else by the fact that a token is at least one character.

    Args:
        length: the text must have more tokens.
    """
    if pool and pool.is_loaded(spec.model):
        lm = pool.get(spec.model, revision=spec.revision, dtype=spec.dtype)
        with tokenizing():
            count = len(lm.tokenizer(text, verbose=False).input_ids)
    else:
        count = len(text)
    if count <= length:
        raise UserError(
            f"Your text has about {count} tokens, too few for sequences of {length}; "
            "give more text or choose a shorter length."
        )


def duration(seconds: float) -> str:
    """Such as "40 s", "3 min" or "1 h 20 min"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
