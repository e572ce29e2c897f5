"""A whole run as a generator of events: load, calibrate, search, prune, measure."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import platform
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, TypeVar

import psutil
import torch
from torch import Tensor, nn

from neuroal.allocation import Allocation
from neuroal.api import drain, iter_allocate
from neuroal.background import in_background, mapped
from neuroal.batches import sparing
from neuroal.calibration import calibration_tokens, digest, held_out_windows
from neuroal.evaluation.start import begun, start_token
from neuroal.models.loading import LanguageModel
from neuroal.models.precision import has_cuda
from neuroal.options import Options
from neuroal.pruning import iter_prune, iter_written
from neuroal.runs.events import (
    CalibrationReady,
    CandidateFinished,
    Event,
    LambdaChosen,
    Measured,
    ModelReady,
    Notice,
    RunFinished,
    RunPlanned,
    RunStarted,
    StageStarted,
)
from neuroal.runs.measuring import VARIANT_WORDS, Measuring
from neuroal.runs.plan import Shape, plan
from neuroal.runs.pool import ModelPool
from neuroal.runs.shared import as_control, control_key, model_key
from neuroal.runs.spec import RunSpec
from neuroal.scoring import Problem, Scorer
from neuroal.topups import TOP_UPS
from neuroal.twin import sparse_twin

Result = TypeVar("Result")


@dataclass
class Known:
    """What an interrupted run had finished: scores by (step, lambda), figures by (metric, variant), and the lambdas
    chosen, by step."""

    scores: Mapping[tuple[str, float], float] = field(default_factory=dict)
    measured: Mapping[tuple[str, str], Measured] = field(default_factory=dict)
    lambdas: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[dict[str, Any]]) -> Known:
        """Read from a log."""
        found = list(records)
        scores = {(r["step"], r["lam"]): r["score"] for r in found if r["kind"] == "CandidateFinished"}
        measured = {(r["metric"], r["variant"]): Measured.from_dict(r) for r in found if r["kind"] == "Measured"}
        return cls(scores, measured, {r["step"]: r["lam"] for r in found if r["kind"] == "LambdaChosen"})

    def __or__(self, more: Known) -> Known:
        return Known(
            {**self.scores, **more.scores}, {**self.measured, **more.measured}, {**self.lambdas, **more.lambdas}
        )


@dataclass(frozen=True)
class Outcome:
    """What a finished run leaves behind: the dense model, its sparse twin, and the allocation that made it."""

    language_model: LanguageModel
    twin: nn.Module
    allocation: Allocation


def run(
    spec: RunSpec,
    *,
    pool: ModelPool | None = None,
    known: Known | None = None,
    keep: Callable[[Outcome], None] = lambda _: None,
    scorer: Callable[[Tensor, Problem], Scorer] | None = None,
) -> Generator[Event, None, Outcome]:
    """Does everything a RunSpec asks for.

    Args:
        pool: where models are loaded and kept; a private one when not given.
        known: from an interrupted run; what it had finished is not done again, with the same result.
        keep: called with the outcome before the run says that it has finished.
        scorer: makes what scores candidates from the calibration tokens and the problem; None for one that does it
            here.

    Yields:
        RunStarted first and RunFinished last. Errors are raised, as UserError where a person can act on them.

    Returns:
        The dense model, its pruned twin and the allocation, as the value of the generator's StopIteration.

    Example:
        >>> from neuroal.runs.events import Measured
        >>> spec = neuroal.RunSpec(
        ...     model="tiny", step="block", lambdas=(0.05, 0.1), samples=2, length=32, eval_windows=2, eval_length=64
        ... )
        >>> events = list(neuroal.run(spec))
        >>> [event.variant for event in events if isinstance(event, Measured)]
        ['dense', 'chosen', 'uniform']
        >>> type(events[-1]).__name__
        'RunFinished'
    """
    pool, started = pool or ModelPool(), time.perf_counter()

    def attempt(known: Known) -> Generator[Event, None, Outcome]:
        work = _Work(spec, pool, known)
        work.scorer = scorer
        yield _opening(spec)
        yield from work.prepare()
        allocation = yield from work.allocate()
        twin = yield from work.prune(allocation, "chosen")
        yield from work.measure(twin, allocation.target)
        outcome = Outcome(work.lm, twin, allocation)
        keep(outcome)
        yield RunFinished(time.perf_counter() - started, _peak_memory())
        return outcome

    return (yield from _sparing(attempt, known or Known()))


def measure(
    spec: RunSpec, twin: nn.Module, *, pool: ModelPool, known: Known, spent: float = 0.0
) -> Generator[Event, None, None]:
    """More evaluations of a finished run.

    Args:
        spec: the run's, with all that is asked by now.
        twin: its pruned model.
        known: what is measured already is not measured again.
        spent: seconds that the run had taken.
    """
    started = time.perf_counter()

    def attempt(known: Known) -> Generator[Event, None, None]:
        work = _Work(spec, pool, known)
        yield _opening(spec)
        yield from work.prepare()
        yield from work.measure(twin, work.target())
        yield RunFinished(spent + time.perf_counter() - started, _peak_memory())

    yield from _sparing(attempt, known)


def examine(spec: RunSpec, *, pool: ModelPool) -> Generator[Event, None, None]:
    """The evaluations of a model as it is: nothing is searched or pruned.

    Args:
        spec: of which the model, the held-out text and the evaluations count, those that look at a dense model.
    """
    started = time.perf_counter()

    def attempt(known: Known) -> Generator[Event, None, None]:
        work = _Work(spec, pool, known)
        yield _opening(spec)
        for event in work.prepare():
            yield _of_dense(event) if isinstance(event, RunPlanned) else event
        yield from work.measure_dense()
        yield RunFinished(time.perf_counter() - started, _peak_memory())

    yield from _sparing(attempt, Known())


def _sparing(
    attempt: Callable[[Known], Generator[Event, None, Result]], known: Known
) -> Generator[Event, None, Result]:
    """A run, which goes on with half the batch where the machine runs out of memory: as one that is resumed."""
    told: list[dict[str, Any]] = []

    def going_on() -> Generator[Event, None, Result]:
        with closing(attempt(known | Known.of(told))) as events:
            while True:
                try:
                    event = next(events)
                except StopIteration as end:
                    return end.value
                if isinstance(event, (CandidateFinished, LambdaChosen, Measured)):
                    told.append(event.to_dict())
                yield event

    return (yield from sparing(going_on, Notice))


def _of_dense(planned: RunPlanned) -> RunPlanned:
    return RunPlanned({stage: units for stage, units in planned.units.items() if stage.startswith("evaluate:dense")})


def _opening(spec: RunSpec) -> RunStarted:
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    return RunStarted(spec.card(), spec.key(), _versions(), _hardware(), now)


class _Work:
    """The stages of one run; each is a generator of its events."""

    lm: LanguageModel
    tokens: Tensor
    windows: Tensor | None = None
    written: Tensor | None = None
    scorer: Callable[[Tensor, Problem], Scorer] | None = None

    def __init__(self, spec: RunSpec, pool: ModelPool, known: Known) -> None:
        self.spec, self.pool, self.known = spec, pool, known
        self.lambdas = known.lambdas

    def prepare(self) -> Generator[Event, None, None]:
        """Model, plan, and tokens."""
        spec, started = self.spec, time.perf_counter()
        self.lm = yield from narrated(
            "model",
            f"Loading {spec.model}.",
            lambda say: self.pool.get(spec.model, revision=spec.revision, dtype=spec.dtype, say=say),
        )
        info = self.lm.info
        shape = Shape(info.blocks, info.prunable, info.parameters)
        yield ModelReady(
            name=spec.model,
            source=info.source,
            blocks=info.blocks,
            parameters=info.parameters,
            prunable=info.prunable,
            linears=tuple(linear.name for linear in self.lm.stack.linears[0]),
            dtype=info.dtype,
            device=info.device,
            seconds=time.perf_counter() - started,
        )
        for notice in info.notices:
            yield Notice(notice)
        yield from self._read_texts()
        windows = spec.eval_windows if self.windows is None else len(self.windows)  # the text may hold fewer
        yield RunPlanned(plan(dataclasses.replace(spec, eval_windows=windows), shape))

    def _read_texts(self) -> Generator[Event, None, None]:
        spec, started = self.spec, time.perf_counter()
        yield StageStarted("calibration", f"Drawing {spec.samples} sequences of {spec.length} tokens.")
        drawn = max(spec.samples, spec.prune_samples or 0)
        self.tokens = calibration_tokens(
            self.lm.tokenizer, spec.source, drawn, spec.length, spec.seed, spec.text if spec.source == "own" else ""
        )
        if spec.evaluations:
            self.windows = held_out_windows(
                self.lm.tokenizer, spec.eval_source, spec.eval_windows, spec.eval_length, spec.eval_text
            )
            if (token := start_token(self.lm.model, self.lm.tokenizer, self.windows)) is not None:
                self.windows = begun(self.windows, token)
                name = self.lm.tokenizer.convert_ids_to_tokens(token)
                yield Notice(f"This model needs {name} in front of a text, so each held-out window begins with it.")
        yield CalibrationReady(spec.source, drawn, spec.length, digest(self.tokens), time.perf_counter() - started)

    def allocate(self) -> Generator[Event, None, Allocation]:
        """The top-up's own search."""
        spec = self.spec
        if TOP_UPS.get(spec.top_up).steps:
            yield StageStarted(
                "search", "Searching lambda: pruning each block with every slope and comparing activations."
            )
        elif TOP_UPS.get(spec.top_up).rates:
            yield StageStarted("rate", "Rating every block of the dense model.")
        allocation = yield from self._allocation(spec.top_up)
        chosen = {"block": allocation.block_lambda, "row": allocation.row_lambda}
        self.lambdas = {step: lam for step, lam in chosen.items() if lam is not None}
        return allocation

    def _allocation(self, top_up: str, **changes: Any) -> Generator[Event, None, Allocation]:
        """An allocation with all the options of the spec but for ``changes``."""
        spec, tokens = self.spec, self.tokens[: self.spec.samples]
        return (
            yield from iter_allocate(
                self.lm.model,
                tokens,
                pruner=spec.pruner,
                top_up=top_up,
                step=spec.step,
                sparsity=spec.sparsity,
                mode=spec.mode,
                known=self.known.scores,
                scorer=functools.partial(self.scorer, tokens) if self.scorer else None,
                **dataclasses.asdict(Options.of(spec)) | changes,
            )
        )

    def prune(self, allocation: Allocation, variant: str) -> Generator[Event, None, nn.Module]:
        """A sparse twin of the dense model, pruned."""
        spec = self.spec
        yield StageStarted(f"prune:{variant}", f"Pruning to {allocation.target:.0%}: the {VARIANT_WORDS[variant]}.")
        twin = sparse_twin(self.lm.model, (linear.path for linear in self.lm.stack.all_linears()))
        tokens = self.tokens[: spec.prune_samples or spec.samples]
        if spec.reconstruct and spec.continuations and self.written is None:
            self.written = yield from iter_written(self.lm.model, tokens, spec.continuations, variant)
        pruning = iter_prune(twin, tokens, allocation, variant=variant, written=self.written)
        if variant == "chosen" and spec.top_up == "uniform":  # the control of other runs
            key = control_key(model_key(self.lm), digest(self.tokens), allocation.target, spec)
            pruning = self.pool.shared.recording(key, pruning, as_control)
        yield from pruning
        return twin

    def target(self) -> float:
        """The sparsity that the chosen allocation is to reach, without a search for it."""
        own_ratios = "block_sparsity" in TOP_UPS.get(self.spec.top_up).settings
        return drain(self._allocation(self.spec.top_up)).target if own_ratios else self.spec.sparsity

    def measure(self, twin: nn.Module, target: float) -> Generator[Event, None, None]:
        """Everything that is asked of the dense model, the pruned one, and a uniform control that is made for it."""
        if self.windows is not None:
            yield from self._measuring(target).of_all(twin)

    def measure_dense(self) -> Generator[Event, None, None]:
        """What is asked of the dense model alone."""
        if self.windows is not None:
            yield from self._measuring(0.0).of_dense()

    def _measuring(self, target: float) -> Measuring:
        def control() -> Generator[Event, None, nn.Module]:
            # as own ratios, all the same: a pattern's own ratio need not be that of the run
            same = {"block_sparsity": (target,) * len(self.lm.stack)}
            uniform = drain(self._allocation("custom", **same))  # its ratios are no news for the page
            return (yield from self.prune(uniform, "uniform"))

        return Measuring(
            self.spec, self.lm, self.tokens, self.windows, self.pool, target, self.lambdas, self.known.measured, control
        )


def narrated(
    stage: str, sentence: str, work: Callable[[Callable[[str], None]], Result]
) -> Generator[Event, None, Result]:
    """Runs blocking work in a thread and yields what it says, so that a long download is a visible, cancellable one."""
    waited = time.monotonic()

    def tell(news: str | None) -> Event:
        nonlocal sentence, waited
        if news is None:  # cancelling takes effect at an event
            return StageStarted(stage, f"{sentence.rstrip('.')} ({time.monotonic() - waited:.0f} s)")
        sentence, waited = news, time.monotonic()
        return StageStarted(stage, news)

    yield StageStarted(stage, sentence)
    return (yield from mapped(in_background(stage, lambda say, _: work(say)), tell))


def _versions() -> dict[str, str]:
    names = ("torch", "transformers", "numpy", "gradio", "lm-eval")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except Exception:
            continue
    return found


def _peak_memory() -> int:
    """Largest resident size of this process so far, in bytes; where the system does not say, the size now."""
    try:
        import resource

        scale = 1 if platform.system() == "Darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    except ImportError:
        return psutil.Process().memory_info().rss


def _hardware() -> dict[str, Any]:
    return {
        "machine": platform.machine(),
        "processors": psutil.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if has_cuda() else "",
    }
