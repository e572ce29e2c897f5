"""Our prompts against lm-eval's own: the same questions through both, request by request."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import lm_eval
import pytest
from datasets import Dataset
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks._yaml_loader import load_yaml

from neuroal.evaluation.zeroshot import TASKS
from neuroal.evaluation.zeroshot.data import documents
from neuroal.evaluation.zeroshot.harness import PROMPTS

OWN = {
    "rte": "glue/rte/default.yaml",
    "winogrande": "winogrande/default.yaml",
    "boolq": "super_glue/boolq/default.yaml",
    "hellaswag": "hellaswag/hellaswag.yaml",
    "arc_easy": "arc/arc_easy.yaml",
    "arc_challenge": "arc/arc_challenge.yaml",
    "openbookqa": "openbookqa/openbookqa.yaml",
    "lambada_openai": "lambada/lambada_openai.yaml",
    "piqa": "piqa/piqa.yaml",
}


def _as_published(name: str, file: Path) -> list[dict[str, Any]]:
    """The package's rows with the columns that lm-eval's own task reads."""
    if name == "lambada_openai":
        docs = [json.loads(line)["doc"] for line in gzip.decompress(file.read_bytes()).splitlines()]
        return [{"text": f"{doc['query']} {doc['answers_text'][0]}"} for doc in docs]
    rows = Dataset.from_file(str(file), in_memory=True).to_list()
    return [{**row, "label": int(row["answer"])} for row in rows] if name == "boolq" else rows


def _requests(config: dict[str, Any], rows: Dataset) -> tuple[list[Any], list[Any]]:
    """Texts of the requests that lm-eval makes of these rows, and the right answers."""
    splits = dict.fromkeys(("train", "validation", "test", "questions"), rows)
    task = ConfigurableTask(config={**config, "custom_dataset": lambda **_: splits, "num_fewshot": 0})
    task.build_all_requests()
    right = [[task.doc_to_target(row), task.doc_to_text(row)] for row in task.eval_docs]
    return [request.args for request in task.instances], right


@pytest.mark.parametrize("name", TASKS)
def test_requests_are_those_of_lm_eval(questions: None, raw: dict[str, Path], name: str) -> None:
    ours = documents(name)["questions"]
    every = range(0, len(ours), max(1, len(ours) // 60))
    published = _as_published(name, raw[TASKS[name].source])
    theirs = Dataset.from_list([published[i] for i in every])
    own = load_yaml(Path(lm_eval.__file__).parent / "tasks" / OWN[name])
    assert _requests(load_yaml(PROMPTS / f"{name}.yaml"), ours.select(every)) == _requests(own, theirs)
