"""The measuring of a run: every evaluation asked for, of the dense model, the pruned one and the uniform control.

What another run has found out already is told, not measured again (shared.py).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from neuroal.calibration import digest
from neuroal.evaluation.base import Evaluation, Ground
from neuroal.models.loading import LanguageModel
from neuroal.runs.events import Event, Measured, StageStarted
from neuroal.runs.plan import asked, variants
from neuroal.runs.pool import ModelPool
from neuroal.runs.shared import as_control, control_figure_key, control_key, dense_key, model_key
from neuroal.runs.spec import RunSpec

VARIANT_WORDS = {"dense": "dense model", "uniform": "uniformly pruned control", "chosen": "pruned model"}


@dataclass(frozen=True)
class Measuring:
    """What is measured, and on what.

    Attributes:
        tokens: int64 [samples, length], what was calibrated on.
        windows: int64 [n, length], held out.
        target: the sparsity that the pruned model was to reach.
        lambdas: that each step chose, by step.
        measured: what an interrupted run had measured, by metric and variant.
        control: prunes the uniform control.
    """

    spec: RunSpec
    lm: LanguageModel
    tokens: Tensor
    windows: Tensor
    pool: ModelPool
    target: float
    lambdas: Mapping[str, float]
    measured: Mapping[tuple[str, str], Measured]
    control: Callable[[], Generator[Event, None, nn.Module]]

    def of_all(self, twin: nn.Module) -> Generator[Event, None, None]:
        """The dense model, the pruned one, then the control, which is made for this where nobody has yet."""
        yield from self.of_dense()
        for evaluation in self._open("chosen"):
            yield from self._chosen(evaluation, twin)
        if "uniform" in variants(self.spec) and (left := self._open("uniform")):
            yield from self._of_control(left)

    def of_dense(self) -> Generator[Event, None, None]:
        """The dense model alone."""
        for evaluation in self._open("dense"):
            key = dense_key(model_key(self.lm), digest(self.windows), evaluation, self.spec)
            yield from self._shared(key, evaluation, "dense", self.lm.model)

    def _chosen(self, evaluation: Evaluation, twin: nn.Module) -> Generator[Event, None, None]:
        """Of the pruned model. One that is pruned uniformly is the control of other runs."""
        measuring = self._measure(evaluation, "chosen", twin)
        if self.spec.top_up == "uniform" and "uniform" in evaluation.variants:
            measuring = self.pool.shared.recording(self._control_figure(evaluation), measuring, as_control)
        yield from measuring

    def _of_control(self, left: list[Evaluation]) -> Generator[Event, None, None]:
        shared, keys = self.pool.shared, [self._control_figure(evaluation) for evaluation in left]
        if all(shared.get(key) is not None for key in keys):
            yield from shared.get(self._control) or ()
            model: nn.Module = self.lm.model  # not looked at: every figure is there
        else:
            model = yield from shared.recording(self._control, self.control())
        for key, evaluation in zip(keys, left, strict=True):
            yield from self._shared(key, evaluation, "uniform", model)

    def _shared(self, key: str, evaluation: Evaluation, variant: str, model: nn.Module) -> Generator[Event, None, None]:
        known = self.pool.shared.get(key)
        if known is not None:
            yield from known
        else:
            yield from self.pool.shared.recording(key, self._measure(evaluation, variant, model))

    def _measure(self, evaluation: Evaluation, variant: str, model: nn.Module) -> Generator[Event, None, None]:
        ground = Ground(self.spec, self.lm, self.tokens, self.windows, self.target, self.lambdas, self.measured)
        yield StageStarted(evaluation.stage(variant), evaluation.sentence.format(VARIANT_WORDS[variant]))
        yield from evaluation.measure(ground, variant, model)

    def _open(self, variant: str) -> list[Evaluation]:
        """What is asked of a variant and not known yet."""
        return [e for e in asked(self.spec, variant) if (e.name, variant) not in self.measured]

    def _control_figure(self, evaluation: Evaluation) -> str:
        return control_figure_key(self._control, digest(self.windows), evaluation, self.spec)

    @property
    def _control(self) -> str:
        return control_key(model_key(self.lm), digest(self.tokens), self.target, self.spec)
