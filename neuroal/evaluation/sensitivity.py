"""Calibration sensitivity: the same run on other calibrations, to see which differences mean something.

A search and a pruning see a few thousand tokens; on others they come out a little differently. Here lambda is searched,
and the model pruned and measured, once more for other seeds, other numbers of samples and other texts, and with each of
them the uniform control on the same tokens: what calibration alone does stands beside what the method does.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor, nn

from neuroal.allocation import Allocation
from neuroal.api import drain, iter_allocate
from neuroal.background import in_background
from neuroal.calibration import calibration_tokens
from neuroal.errors import UserError
from neuroal.evaluation.perplexity import Perplexity, iter_perplexity
from neuroal.evaluation.spread import Spread, spread
from neuroal.models.loading import LanguageModel
from neuroal.options import Options
from neuroal.pruning import iter_prune, iter_written
from neuroal.runs.estimate import MOST_TOKENS, SETUP_TOKENS, WALKS, kept_tokens
from neuroal.runs.events import BlockPruned, BlockRated, BlockScored, Evaluated, Event, LambdaChosen, Measured
from neuroal.runs.plan import Shape, plan
from neuroal.runs.spec import SOURCES, RunSpec
from neuroal.texts import at_hand
from neuroal.twin import sparse_twin

Result = TypeVar("Result")
Plan = dict[str, dict[str, float]]

METRIC = "sensitivity"

# The number of samples is multiplied by these.
FACTORS = (0.5, 2)

# Seconds between two events of progress; inner events come much faster.
PAUSE = 0.3

# Progress is told in percent.
WHOLE = 100


@dataclass(frozen=True)
class Change:
    """A calibration: ``what`` differs from the run's own ("seed 1"; "this run" for its own), and the spec with it."""

    what: str
    spec: RunSpec


@dataclass(frozen=True)
class Own:
    """What a run has already: its pruned model, the sparsity that this was to reach, and the lambdas chosen."""

    model: nn.Module
    target: float
    block_lambda: float | None
    row_lambda: float | None


@dataclass(frozen=True)
class Variation:
    """What came of one calibration.

    Attributes:
        what: as in :class:`Change`.
        source, seed, samples: the calibration.
        block_lambda, row_lambda: chosen on it; None where that step did not run.
        perplexity, stderr: of the model pruned with it, and its standard error over windows.
        uniform: perplexity of the control; None where the method is the control itself.
        predictions: how many each perplexity is the mean of.
    """

    what: str
    source: str
    seed: int
    samples: int
    block_lambda: float | None
    row_lambda: float | None
    perplexity: float
    stderr: float
    uniform: float | None
    predictions: int

    @property
    def difference(self) -> float | None:
        """Method minus control: negative where the method is better."""
        return None if self.uniform is None else self.perplexity - self.uniform


@dataclass(frozen=True)
class Sensitivity:
    """What came of all of them.

    Attributes:
        variations: in the order in which they were measured, the run's own first.
        spread: their summary; None where fewer than two could be measured.
        notices: what was left out, and why.
    """

    variations: tuple[Variation, ...]
    spread: Spread | None
    notices: tuple[str, ...]


def iter_sensitivity(
    lm: LanguageModel,
    spec: RunSpec,
    windows: Tensor,
    *,
    variant: str = "",
    own: Own | None = None,
) -> Generator[Event, None, Sensitivity]:
    """Repeats search, pruning and perplexity on other calibrations, one twin at a time.

    Args:
        lm: the dense model; it is read only.
        windows: int64 [n, length], held out.
        variant: names the model in the events.
        own: of the run, for its own figures without another search.

    Yields:
        Evaluated in percent of the work, at most a few a second and often the same again: closing takes effect at each.
        Measured as "sensitivity/<what>" for each calibration. What happens inside is not told.

    Returns:
        also where some calibrations cannot be had, or lead to no figure: these are left out, each with a notice.
    """
    changes, notices = variations(spec)
    if own:
        changes.insert(0, Change("this run", spec))
    shape = Shape(lm.info.blocks, lm.info.prunable, lm.info.parameters)
    plans = [_plan(change.spec, shape, own=change.spec is spec) for change in changes]
    progress, found = _Progress(variant, plans), []
    for change in changes:
        started = time.perf_counter()
        try:
            one = yield from _Trial(lm, change, windows, progress).measured(own if change.spec is spec else None)
        except UserError as error:
            notices.append(f"Calibration sensitivity leaves out {change.what}: {error}")
        else:
            found.append(one)
            yield _told(one, variant, spec.eval_source, windows, time.perf_counter() - started)
        yield progress.next()
    figures, controls = [one.perplexity for one in found], [one.uniform for one in found]
    summary = spread(figures, None if None in controls else controls)
    return Sensitivity(tuple(found), summary, tuple(notices))


def variations(spec: RunSpec) -> tuple[list[Change], list[str]]:
    """The other calibrations of a run, and a sentence for each that cannot be had: further seeds, half and twice the
    samples, and other texts that are on this machine."""
    changes, notices = [], []
    for i in range(1, spec.sensitivity_seeds + 1):
        seed = (spec.seed + i) % 2**31
        changes.append(Change(f"seed {seed}", dataclasses.replace(spec, seed=seed)))
    for factor in FACTORS:
        samples = int(spec.samples * factor)
        if not samples:
            continue
        try:
            changes.append(Change(f"{samples} sample{'s' * (samples > 1)}", _resized(spec, factor)))
        except UserError as error:
            notices.append(f"Calibration sensitivity leaves out {samples} samples: {error}")
    absent = []
    for source, label in SOURCES.items():
        name = label.removesuffix(" (Hub)")
        if source in (spec.source, "own"):
            continue
        if at_hand(source):
            changes.append(Change(name, dataclasses.replace(spec, source=source)))
        else:
            absent.append(name)
    if absent:
        notices.append(f"Calibration sensitivity leaves out {', '.join(absent)}: not on this machine.")
    return changes, notices


def _resized(spec: RunSpec, factor: float) -> RunSpec:
    """More or fewer samples to search with and to prune with; raises UserError beyond what a run may have."""
    prune = spec.prune_samples and max(1, int(spec.prune_samples * factor))
    resized = dataclasses.replace(spec, samples=int(spec.samples * factor), prune_samples=prune)
    if kept_tokens(resized) > MOST_TOKENS:
        raise UserError(
            f"These would be {kept_tokens(resized):,} tokens, but at most {MOST_TOKENS:,} are kept at once."
        )
    return resized


def work(spec: RunSpec, shape: Shape) -> tuple[float, float]:
    """Units of work in a run, and their mean weight, as in ``neuroal.runs.plan``."""
    plans = [_plan(spec, shape, own=True), *(_plan(change.spec, shape) for change in variations(spec)[0])]
    units = sum(stage["units"] for stages in plans for stage in stages.values())
    setups = sum(stage.partition(":")[0] in WALKS for stages in plans for stage in stages)
    return units, (sum(map(_weight, plans)) + setups * SETUP_TOKENS * shape.blocks) / units


def _plan(spec: RunSpec, shape: Shape, own: bool = False) -> Plan:
    """The stages of a calibration, as if it were a run; of the run's own only those that it has not behind it."""
    stages = plan(dataclasses.replace(spec, evaluations=("perplexity",)), shape)
    left = {"evaluate:chosen", "prune:uniform", "evaluate:uniform"} if own else set(stages) - {"evaluate:dense"}
    return {name: stage for name, stage in stages.items() if name in left}


def _weight(stages: Plan) -> float:
    return sum(stage["units"] * stage["weight"] for stage in stages.values())


def _told(one: Variation, variant: str, source: str, windows: Tensor, seconds: float) -> Measured:
    details = dataclasses.asdict(one) | {"difference": one.difference}
    value, stderr, predictions = (details.pop(name) for name in ("perplexity", "stderr", "predictions"))
    what, length = f"{METRIC}/{one.what}", windows.shape[1]
    return Measured(variant, what, source, value, stderr, predictions, length, seconds, details)


class _Trial:
    """Everything with one calibration. Each stage yields progress only."""

    def __init__(self, lm: LanguageModel, change: Change, windows: Tensor, progress: _Progress) -> None:
        self.lm, self.spec, self.what = lm, change.spec, change.what
        self.windows, self.progress = windows, progress

    def measured(self, own: Own | None) -> Generator[Evaluated, None, Variation]:
        """Search, pruning and reading, of the method and of the control; of the run's own only what is not known."""
        spec, quietly = self.spec, self.progress.quietly
        tokens = yield from quietly(in_background("calibration", lambda *_: self._tokens()))
        self.pruning = tokens[: spec.prune_samples or spec.samples]
        controlled, written = spec.top_up != "uniform", None
        if spec.reconstruct and spec.continuations and (controlled or not own):
            written = yield from quietly(iter_written(self.lm.model, self.pruning, spec.continuations))
        if own:
            allocation: Own | Allocation = own
            figure = yield from quietly(iter_perplexity(own.model, self.windows, variant="chosen"))
        else:
            allocation = yield from quietly(self._allocation(tokens, spec.top_up))
            figure = yield from self._pruned(allocation, "chosen", written)
        control = None
        if controlled:
            # as in a run: ratios of one's own, all the same, because a pattern's ratio need not be the run's
            same = (allocation.target,) * len(self.lm.stack)
            uniform = drain(self._allocation(tokens, "custom", block_sparsity=same))
            control = (yield from self._pruned(uniform, "uniform", written)).value
        return Variation(
            self.what, spec.source, spec.seed, spec.samples, allocation.block_lambda, allocation.row_lambda,
            figure.value, figure.stderr, control, figure.predictions,
        )  # fmt: skip

    def _tokens(self) -> Tensor:
        spec = self.spec
        drawn = max(spec.samples, spec.prune_samples or 0)
        return calibration_tokens(self.lm.tokenizer, spec.source, drawn, spec.length, spec.seed, spec.text)

    def _allocation(self, tokens: Tensor, top_up: str, **changes: Any) -> Generator[Event, None, Allocation]:
        spec = self.spec
        options = dataclasses.asdict(Options.of(spec)) | changes
        how = {"pruner": spec.pruner, "step": spec.step, "sparsity": spec.sparsity, "mode": spec.mode}
        return iter_allocate(self.lm.model, tokens[: spec.samples], top_up=top_up, **how, **options)

    def _pruned(
        self, allocation: Allocation, variant: str, written: Tensor | None
    ) -> Generator[Evaluated, None, Perplexity]:
        """Perplexity of a twin that is let go afterwards."""
        twin = sparse_twin(self.lm.model, (linear.path for linear in self.lm.stack.all_linears()))
        quietly = self.progress.quietly
        yield from quietly(iter_prune(twin, self.pruning, allocation, variant=variant, written=written))
        return (yield from quietly(iter_perplexity(twin, self.windows, variant=variant)))


class _Progress:
    """How much of the planned work is done: inner events become one figure."""

    def __init__(self, variant: str, plans: list[Plan]) -> None:
        self.variant, self.plans = variant, plans
        self.total, self.behind, self.last = sum(map(_weight, plans)), 0.0, 0.0
        self.at, self.seen = 0, Counter[str]()

    def quietly(self, events: Generator[Any, None, Result]) -> Generator[Evaluated, None, Result]:
        """The same generator; of what it yields only that something happened is passed on, and not more than a few
        times a second."""
        with closing(events):
            while True:
                try:
                    self._count(next(events))
                except StopIteration as end:
                    return end.value
                if time.monotonic() - self.last >= PAUSE:
                    yield self._event()

    def next(self) -> Evaluated:
        """The current calibration is done, or left out."""
        self.behind += _weight(self.plans[self.at])
        self.at, self.seen = self.at + 1, Counter()
        return self._event()

    def _count(self, event: Any) -> None:
        """Units of the plan, by stage; where not every candidate is scored, the rest is done with the choice."""
        if isinstance(event, BlockScored):
            self.seen[event.step] += 1
        elif isinstance(event, LambdaChosen):
            self.seen[event.step] = 10**9
        elif isinstance(event, BlockRated):
            self.seen["rate"] += 1
        elif isinstance(event, BlockPruned):
            self.seen[f"prune:{event.variant}"] += 1
        elif isinstance(event, Evaluated):
            stage = f"evaluate:{event.variant}"
            planned = self.plans[self.at].get(stage, {"units": 0})["units"]
            self.seen[stage] = planned * event.done / event.total

    def _event(self) -> Evaluated:
        self.last = time.monotonic()
        inside = 0.0
        if self.at < len(self.plans):
            stages = self.plans[self.at].items()
            inside = sum(min(self.seen[name], stage["units"]) * stage["weight"] for name, stage in stages)
        done = WHOLE if self.at == len(self.plans) else int(WHOLE * (self.behind + inside) / self.total)
        return Evaluated(self.variant, min(done, WHOLE), WHOLE, METRIC)
