"""The table of tasks against the questions themselves."""

from __future__ import annotations

import pytest

from neuroal.errors import UserError
from neuroal.evaluation.zeroshot import SEVEN, TASKS
from neuroal.evaluation.zeroshot.data import documents
from neuroal.evaluation.zeroshot.tasks import find_tasks

CHOICES = {"choices": "arc_easy arc_challenge openbookqa", "endings": "hellaswag"}


@pytest.mark.parametrize("name", TASKS)
def test_size_and_chance_are_those_of_the_questions(questions: None, name: str) -> None:
    rows = documents(name)["questions"]
    assert len(rows) == TASKS[name].size
    column = next((column for column, tasks in CHOICES.items() if name in tasks.split()), None)
    if column:
        assert TASKS[name].chance == pytest.approx(sum(1 / len(c) for c in rows[column]) / len(rows), abs=1e-3)
    else:
        assert TASKS[name].chance == (0 if name == "lambada_openai" else 1 / 2)


def test_sets_that_are_not_the_published_ones_say_so() -> None:
    noticed = {task.name for task in TASKS.values() if "validation set" in task.notice}
    assert noticed == {name for name in TASKS if name.startswith(("arc_", "openbook"))}
    assert "title" in TASKS["boolq"].notice
    assert set(SEVEN) == set(TASKS) - {"lambada_openai", "piqa"}


def test_tasks_are_found_once_and_in_order() -> None:
    assert find_tasks(["piqa", "rte", "piqa"]) == (TASKS["piqa"], TASKS["rte"])
    assert find_tasks("rte") == (TASKS["rte"],)


@pytest.mark.parametrize(("names", "sentence"), [([], "No zero-shot task"), (["hellaswg"], "Did you mean 'hellaswag'")])
def test_unknown_tasks_are_a_sentence(names: list[str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        find_tasks(names)
