"""The evaluations that a run can be asked for; what each does is in the module of its name."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator
from typing import TYPE_CHECKING

import neuroal.evaluation.alignment  # noqa: F401 (registers itself)
from neuroal.errors import UserError
from neuroal.evaluation.base import EVALUATIONS, Evaluation, Ground, reading
from neuroal.evaluation.zeroshot.tasks import TASKS
from neuroal.runs.events import Event, Notice, TokensCompared

if TYPE_CHECKING:
    from torch import nn

    from neuroal.evaluation.throughput import Throughput
    from neuroal.runs.plan import Shape
    from neuroal.runs.spec import RunSpec


# Tokens of the text that is shown token by token.
SHOWN_TOKENS = 128

# In tokens that are read: a zero-shot question with its choices, the collapse probes, the trials of the cost card.
QUESTION_TOKENS, PROBE_TOKENS, TRIAL_TOKENS = 250, 1600, 7000


@EVALUATIONS.register
class Perplexity(Evaluation):
    """exp of the mean cross-entropy on held-out windows; of the dense model, the control and the pruned one."""

    name = "perplexity"
    label = "Perplexity"
    summary = "how surprised the model is by each next token of held-out text"
    rank = 10
    sentence = "Reading held-out text with the {}."

    def work(self, spec: RunSpec, shape: Shape, variant: str) -> tuple[float, float]:
        """Batches of windows."""
        return reading(spec, shape)

    def measure(self, ground: Ground, variant: str, model: nn.Module) -> Generator[Event, None, None]:
        """One figure."""
        from neuroal.evaluation.perplexity import iter_perplexity

        started = time.perf_counter()
        figure = yield from iter_perplexity(model, ground.windows, variant=variant)
        length = ground.windows.shape[1]
        yield self.measured(ground, variant, started, figure.value, figure.stderr, figure.predictions, length)


@EVALUATIONS.register
class Divergence(Evaluation):
    """How far predictions are from the dense model's on the same text; and one text token by token."""

    name = "divergence"
    label = "Divergence from the dense model"
    summary = "how often, and how far, its predictions differ from the dense model's on held-out text"
    rank = 20
    sentence = "Comparing the predictions of the dense model and the {}."
    variants = ("chosen", "uniform")

    def work(self, spec: RunSpec, shape: Shape, variant: str) -> tuple[float, float]:
        """Batches of windows, each read by two models."""
        return reading(spec, shape, models=2)

    def measure(self, ground: Ground, variant: str, model: nn.Module) -> Generator[Event, None, None]:
        """The figures, and before them, of the pruned model, a text."""
        from neuroal.evaluation.divergence import iter_divergence
        from neuroal.evaluation.tokenwise import iter_compared
        from neuroal.heap import working_heap

        started, windows, dense = time.perf_counter(), ground.windows, ground.lm.model
        with working_heap():
            found = yield from self.told(iter_divergence(dense, model, windows, variant=variant))
        figures = dataclasses.asdict(found)
        value, stderr, count = (figures.pop(name) for name in ("kl", "kl_stderr", "predictions"))
        for notice in figures.pop("notices"):
            yield Notice(notice)
        if variant == "chosen":
            for piece in iter_compared(dense, model, ground.lm.tokenizer, windows[:1, :SHOWN_TOKENS]):
                yield TokensCompared(variant, **dataclasses.asdict(piece))
        yield self.measured(ground, variant, started, value, stderr, count, windows.shape[1], **figures)


@EVALUATIONS.register
class ZeroShot(Evaluation):
    """Accuracy on tasks without any example, through lm-eval."""

    name = "zeroshot"
    label = "Zero-shot tasks"
    summary = "questions of seven benchmarks, answered without an example, through lm-eval"
    rank = 30
    sentence = "Asking the {} the questions of the zero-shot tasks."
    variants = ("dense", "chosen")
    settings = ("tasks", "task_limit")

    def refuse(self, spec: RunSpec) -> None:
        """Where lm-eval is not installed."""
        from neuroal.evaluation.zeroshot import available

        if missing := available():
            raise UserError(missing)

    def work(self, spec: RunSpec, shape: Shape, variant: str) -> tuple[float, float]:
        """A question is a few choices, each read behind it."""
        questions = sum(min(spec.task_limit, TASKS[name].size) for name in spec.tasks)
        return questions, QUESTION_TOKENS * shape.blocks

    def measure(self, ground: Ground, variant: str, model: nn.Module) -> Generator[Event, None, None]:
        """A figure for each task, then their mean."""
        from neuroal.evaluation.zeroshot import iter_zeroshot

        spec, started = ground.spec, time.perf_counter()
        asked = {"tasks": spec.tasks, "limit": spec.task_limit, "variant": variant}
        scores = yield from self.told(iter_zeroshot(model, ground.lm.tokenizer, **asked))
        for score in scores:
            yield self.measured(
                ground, variant, time.perf_counter() - score.seconds, score.value, score.stderr, score.count,
                metric=f"{self.name}/{score.task}", label=score.label, measure=score.metric, chance=score.chance,
                notice=score.notice,
            )  # fmt: skip
        mean = sum(score.value for score in scores) / len(scores)
        stderr = sum(score.stderr**2 for score in scores) ** 0.5 / len(scores)
        chance = sum(score.chance for score in scores) / len(scores)
        count = sum(score.count for score in scores)
        yield self.measured(ground, variant, started, mean, stderr, count, tasks=list(spec.tasks), chance=chance)


@EVALUATIONS.register
class CollapseProbes(Evaluation):
    """What the model writes by itself, judged beside what the dense model writes."""

    name = "probes"
    label = "Collapse probes"
    summary = "what it writes by itself: does it repeat itself, does it still use words"
    rank = 40
    sentence = "Letting the {} write."
    variants = ("chosen", "uniform")

    def work(self, spec: RunSpec, shape: Shape, variant: str) -> tuple[float, float]:
        """A token written costs more than one read."""
        return 1, PROBE_TOKENS * shape.blocks

    def measure(self, ground: Ground, variant: str, model: nn.Module) -> Generator[Event, None, None]:
        """One figure, the perplexity of what it wrote under the dense model; verdict, reasons and texts with it."""
        from neuroal.evaluation.probes import iter_probes

        started, lm = time.perf_counter(), ground.lm
        found = yield from self.told(iter_probes(lm.model, model, lm.tokenizer, variant=variant))
        for notice in found.notices:
            yield Notice(notice)
        yield self.measured(
            ground, variant, started, found.figures.perplexity.value, found.figures.perplexity.stderr,
            sum(answer.tokens for answer in found.answers),
            verdict=found.verdict, reasons=list(found.reasons), figures=dataclasses.asdict(found.figures),
            dense=dataclasses.asdict(found.dense), texts=[[a.prompt, a.text] for a in found.answers],
            dense_texts=[a.text for a in found.dense_answers],
        )  # fmt: skip


@EVALUATIONS.register
class CostCard(Evaluation):
    """What pruning saves and what it does not: bytes, memory and speed on this machine."""

    name = "cost"
    label = "Cost card"
    summary = "bytes of both models, as they are and encoded, and their speed on this machine"
    rank = 50
    sentence = "Weighing and timing the {} beside the dense model."
    variants = ("chosen",)

    def work(self, spec: RunSpec, shape: Shape, variant: str) -> tuple[float, float]:
        """Trials of both models; compressing takes as long as a few of them."""
        return 1, TRIAL_TOKENS * shape.blocks

    def measure(self, ground: Ground, variant: str, model: nn.Module) -> Generator[Event, None, None]:
        """One figure, the share of the dense bytes that the encoded model has; the card with it."""
        from neuroal.evaluation.cost import iter_cost

        started, lm = time.perf_counter(), ground.lm
        found = yield from self.told(iter_cost(lm.model, model, lm.tokenizer, variant=variant))
        for notice in found.notices:
            yield Notice(notice)
        speeds = {name: _spread(getattr(found, name)) for name in ("dense", "pruned")}
        yield self.measured(
            ground, variant, started, found.sizes.bitmask_zstd / found.sizes.dense,
            sizes=dataclasses.asdict(found.sizes), memory=dataclasses.asdict(found.memory), speeds=speeds,
            read=found.read, write=found.write, sentence=found.sentence,
            products=[dataclasses.asdict(product) for product in found.products],
        )  # fmt: skip


def _spread(throughput: Throughput) -> dict[str, list[float]]:
    """Tokens per second of reading and writing: smallest, median, largest."""
    return {what: [rate.smallest, rate.median, rate.largest] for what, rate in vars(throughput).items()}


@EVALUATIONS.register
class Sensitivity(Evaluation):
    """The same run on other calibrations: how far its figures move, beside the difference that the method makes."""

    name = "sensitivity"
    label = "Calibration sensitivity"
    summary = "search and pruning again with other seeds, samples and texts: which differences mean something"
    rank = 60
    sentence = "Repeating the {} and its control on other calibrations, in percent."
    variants = ("chosen",)
    settings = ("sensitivity_seeds",)
    prunes_on = 2

    def refuse(self, spec: RunSpec) -> None:
        """Where no calibration is looked at."""
        from neuroal.method import Method
        from neuroal.options import Options

        method = Method(spec.pruner, spec.top_up, Options.of(spec))
        if not (method.needs_data or method.top_up.needs_data):
            raise UserError(
                f"The pruner {spec.pruner} with the top-up {spec.top_up} looks at no calibration text, so it is not "
                "sensitive to it; leave calibration sensitivity out, or choose another pruner or top-up."
            )

    def work(self, spec: RunSpec, shape: Shape, variant: str) -> tuple[float, float]:
        """That of all the runs inside."""
        from neuroal.evaluation.sensitivity import work

        return work(spec, shape)

    def measure(self, ground: Ground, variant: str, model: nn.Module) -> Generator[Event, None, None]:
        """A figure for each calibration; then their standard deviation, with the summary."""
        from neuroal.evaluation.sensitivity import Own, iter_sensitivity, told_before

        started, lambdas = time.perf_counter(), ground.lambdas
        own = Own(model, ground.target, lambdas.get("block"), lambdas.get("row"))
        known = told_before(ground.known, variant)
        found = yield from iter_sensitivity(
            ground.lm, ground.spec, ground.windows, variant=variant, own=own, known=known
        )
        for notice in found.notices:
            yield Notice(notice)
        if found.spread is None:
            yield Notice("Calibration sensitivity could measure no two calibrations, so it says nothing.")
            return
        last, length = found.variations[-1], ground.windows.shape[1]
        details = dataclasses.asdict(found.spread)
        yield self.measured(
            ground, variant, started, found.spread.method.deviation, 0.0, last.predictions, length, **details
        )
