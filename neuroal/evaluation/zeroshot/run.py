"""Zero-shot accuracy: lm-eval on the model in memory, with progress by question."""

from __future__ import annotations

import importlib.metadata
import itertools
import threading
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from neuroal.background import in_background, mapped
from neuroal.errors import UserError
from neuroal.evaluation.zeroshot.data import prepare, ready
from neuroal.evaluation.zeroshot.tasks import PREFIX, Task, find_tasks
from neuroal.importing import import_heavy
from neuroal.runs.events import Evaluated

if TYPE_CHECKING:
    from torch import nn

    from neuroal.evaluation.zeroshot.harness import ModelInMemory

INSTALL = "pip install lm-eval"
OLDEST = "0.4.13"  # the oldest release that was tried


@dataclass(frozen=True)
class TaskScore:
    """What a model scored on a task.

    Attributes:
        task, label, metric, chance: see :class:`neuroal.evaluation.zeroshot.tasks.Task`.
        value: fraction of questions answered rightly, 0..1.
        stderr: its standard error over questions, sqrt(p (1 - p) / (n - 1)); 0 for a single one, which tells nothing.
        count: questions asked: the first ones of the task.
        notice: what one should know before comparing the figure; empty if nothing.
        seconds: how long it took.
    """

    task: str
    label: str
    metric: str
    value: float
    stderr: float
    count: int
    chance: float
    notice: str
    seconds: float


def available() -> str:
    """Empty where zero-shot tasks can be run, else the sentence that says what to install."""
    try:
        found = importlib.metadata.version("lm_eval")
    except importlib.metadata.PackageNotFoundError:
        return f"Zero-shot tasks need the package lm-eval, which is not installed; run: {INSTALL}"
    if Version(found) < Version(OLDEST):
        return f"Zero-shot tasks need lm-eval {OLDEST} or newer, not {found}; run: {INSTALL} --upgrade"
    return ""


def iter_zeroshot(
    model: nn.Module, tokenizer: Any, *, tasks: Iterable[str], limit: int | None, variant: str = "", seed: int = 0
) -> Generator[Evaluated, None, tuple[TaskScore, ...]]:
    """Scores the model on each task, no example given.

    The questions come from the data folder and are fetched before if they are not there (data.py); then nothing here
    reaches for a network. Dense and pruned are comparable because both are asked the same questions.

    Args:
        model: a causal language model of transformers; it is not touched, a skeleton of it runs.
        tokenizer: the model's own.
        tasks: names in ``TASKS``.
        limit: questions per task, the first ones, as lm-eval's --limit; None for all.
        variant: names the model in the events.
        seed: for lm-eval's choice of examples; without examples nothing is drawn.

    Yields:
        Evaluated after each question, and the last one again every two seconds in which there was none. Closing ends
        the evaluation after the batch at hand, or leaves the fetching to itself.

    Raises:
        UserError: lm-eval is missing, an unknown task, a limit below 1, questions that cannot be fetched, or a model
            whose predictions are not numbers.
    """
    chosen = find_tasks(tasks)
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise UserError(f"The limit of zero-shot questions is {limit!r}; it must be a whole number from 1, or None.")
    if sentence := available():
        raise UserError(sentence)
    return _zeroshot(model, tokenizer, chosen, limit, variant, seed)


def _zeroshot(
    model: nn.Module, tokenizer: Any, tasks: tuple[Task, ...], limit: int | None, variant: str, seed: int
) -> Generator[Evaluated, None, tuple[TaskScore, ...]]:
    """The generator behind ``iter_zeroshot``, so that its checks run at the call and not at the first event."""
    done, total = 0, sum(min(limit or task.size, task.size) for task in tasks)

    def told(news: Any) -> Evaluated:
        """News are the number of questions done; a sentence of the fetching, or a heartbeat, changes nothing."""
        nonlocal done
        done = news if isinstance(news, int) else done
        return Evaluated(variant, done, total)

    def score(say: Callable[[int], None], stop: threading.Event) -> tuple[TaskScore, ...]:
        lm, asked = _harness().ModelInMemory(model, tokenizer, stop), itertools.count(1)
        return tuple(_score(lm, task, limit, seed, lambda: say(next(asked))) for task in tasks)

    if not ready():
        yield from mapped(in_background("zeroshot-data", lambda say, _: prepare(say)), told)
    return (yield from mapped(in_background("zeroshot", score, join=True), told))


def _harness() -> ModuleType:
    """The module that imports lm-eval.

    Raises:
        UserError: lm-eval is there but cannot be imported.
    """
    try:
        return import_heavy("neuroal.evaluation.zeroshot.harness")
    except ImportError as error:
        raise UserError(f"lm-eval cannot be imported ({error}); install it anew: {INSTALL}") from error


def _score(lm: ModelInMemory, task: Task, limit: int | None, seed: int, tell: Callable[[], None]) -> TaskScore:
    started = time.perf_counter()
    found = lm.score(PREFIX + task.name, limit, seed, tell)
    value, spread, count = found[f"{task.metric},none"], found[f"{task.metric}_stderr,none"], found["questions"]
    return TaskScore(
        task=task.name,
        label=task.label,
        metric=task.metric,
        value=float(value),
        stderr=float(spread) if count > 1 else 0.0,  # lm-eval says "N/A" then
        count=count,
        chance=task.chance,
        notice=" ".join(filter(None, (task.notice, _truncated(lm, count)))),
        seconds=time.perf_counter() - started,
    )


def _truncated(lm: ModelInMemory, count: int) -> str:
    if not lm.truncated:
        return ""
    return (
        f"{lm.truncated} of {count} questions were longer than the model's {lm.max_length} tokens "
        "and lost their beginning."
    )
