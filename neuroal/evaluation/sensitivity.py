"""Calibration sensitivity: the same run on other calibrations, to see which differences mean something.

A search and a pruning see a few thousand tokens; on others they come out a little differently. Here lambda is searched,
and the model pruned and measured, once more for other seeds, other numbers of samples and other texts, and with each of
them the uniform control on the same tokens: what calibration alone does stands beside what the method does.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from neuroal.allocation import Allocation
from neuroal.api import drain, iter_allocate
from neuroal.background import in_background
from neuroal.calibration import calibration_tokens
from neuroal.errors import UserError
from neuroal.evaluation.perplexity import Perplexity, iter_perplexity
from neuroal.evaluation.quiet import Plan, Progress, weight
from neuroal.evaluation.spread import Spread, spread
from neuroal.evaluation.variations import Change, variations
from neuroal.models.loading import LanguageModel
from neuroal.options import Options
from neuroal.pruning import iter_prune, iter_written
from neuroal.runs.estimate import SETUP_TOKENS, WALKS
from neuroal.runs.events import Evaluated, Event, Measured
from neuroal.runs.plan import Shape, plan
from neuroal.runs.spec import RunSpec
from neuroal.twin import sparse_twin

METRIC = "sensitivity"


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
        uniform, uniform_stderr: the same of the control; None where the method is the control itself.
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
    uniform_stderr: float | None
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
    known: Mapping[str, Variation] | None = None,
) -> Generator[Event, None, Sensitivity]:
    """Repeats search, pruning and perplexity on other calibrations, one twin at a time.

    Args:
        lm: the dense model; it is read only.
        windows: int64 [n, length], held out.
        variant: names the model in the events.
        own: of the run, for its own figures without another search.
        known: calibrations that are measured already, by what they are; they are not measured or told again.

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
    progress, known, found = Progress(variant, METRIC, plans), known or {}, []
    for change in changes:
        if change.what in known:
            found.append(known[change.what])
            yield progress.next()
            continue
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


def work(spec: RunSpec, shape: Shape) -> tuple[float, float]:
    """Units of work in a run, and their mean weight, as in ``neuroal.runs.plan``."""
    plans = [_plan(spec, shape, own=True), *(_plan(change.spec, shape) for change in variations(spec)[0])]
    units = sum(stage["units"] for stages in plans for stage in stages.values())
    setups = sum(stage.partition(":")[0] in WALKS for stages in plans for stage in stages)
    return units, (sum(map(weight, plans)) + setups * SETUP_TOKENS * shape.blocks) / units


def _plan(spec: RunSpec, shape: Shape, own: bool = False) -> Plan:
    """The stages of a calibration, as if it were a run; of the run's own only those that it has not behind it."""
    stages = plan(dataclasses.replace(spec, evaluations=("perplexity",)), shape)
    left = {"evaluate:chosen", "prune:uniform", "evaluate:uniform"} if own else set(stages) - {"evaluate:dense"}
    return {name: stage for name, stage in stages.items() if name in left}


def _told(one: Variation, variant: str, source: str, windows: Tensor, seconds: float) -> Measured:
    details = dataclasses.asdict(one) | {"difference": one.difference}
    value, stderr, predictions = (details.pop(name) for name in ("perplexity", "stderr", "predictions"))
    what, length = f"{METRIC}/{one.what}", windows.shape[1]
    return Measured(variant, what, source, value, stderr, predictions, length, seconds, details)


def told_before(measured: Mapping[tuple[str, str], Measured], variant: str) -> dict[str, Variation]:
    """The calibrations that an interrupted run had measured, by what they are.

    Args:
        measured: its figures, by metric and variant.
    """
    found = {}
    for (metric, of), event in measured.items():
        _, inside, what = metric.partition(f"{METRIC}/")
        if inside and of == variant:
            figures = {"perplexity": event.value, "stderr": event.stderr, "predictions": event.tokens}
            # what an older version did not tell is not known
            fields = {field.name: event.details.get(field.name) for field in dataclasses.fields(Variation)}
            found[what] = Variation(**fields | figures)
    return found


class _Trial:
    """Everything with one calibration. Each stage yields progress only."""

    def __init__(self, lm: LanguageModel, change: Change, windows: Tensor, progress: Progress) -> None:
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
            control = yield from self._pruned(uniform, "uniform", written)
        return Variation(
            self.what, spec.source, spec.seed, spec.samples, allocation.block_lambda, allocation.row_lambda,
            figure.value, figure.stderr, control and control.value, control and control.stderr, figure.predictions,
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
