"""Zero-shot accuracy against a plain loop and lm-eval's command line; cancelling, faults, and what is left alone."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import random
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaForCausalLM, PreTrainedModel

from neuroal.api import drain
from neuroal.errors import UserError
from neuroal.evaluation.zeroshot import TASKS, available, iter_zeroshot, run
from neuroal.evaluation.zeroshot.data import documents
from neuroal.evaluation.zeroshot.harness import HFLM, PROMPTS, ModelInMemory
from neuroal.models.loading import LanguageModel
from neuroal.runs.events import Evaluated
from tests.offloaded import WAYS
from tests.toys import random_llama

pytestmark = pytest.mark.usefixtures("questions")

LIMIT = 8
ROOT = Path(__file__).parents[3]


def _log_p(lm: LanguageModel, context: str, continuation: str) -> tuple[float, bool]:
    """Log-probability of a continuation in float64, and whether greedy decoding would write it."""
    ids = lm.tokenizer(context + continuation).input_ids
    start = len(lm.tokenizer(context).input_ids)
    log_p = lm.model(torch.tensor([ids])).logits[0, :-1].double().log_softmax(-1)[start - 1 :]
    wanted = torch.tensor(ids[start:])
    return float(log_p.gather(1, wanted[:, None]).sum()), bool((log_p.argmax(-1) == wanted).all())


def _rte(lm: LanguageModel, row: dict[str, Any]) -> bool:
    prompt = f"{row['sentence1']}\nQuestion: {row['sentence2']} True or False?\nAnswer:"
    true, false = (_log_p(lm, prompt, choice)[0] for choice in (" True", " False"))
    return (true >= false) == (row["label"] == 0)


def _winogrande(lm: LanguageModel, row: dict[str, Any]) -> bool:
    before, after = row["sentence"].split("_")
    first, second = (_log_p(lm, before + row[o], " " + after.strip())[0] for o in ("option1", "option2"))
    return (first >= second) == (row["answer"] == "1")


def _openbookqa(lm: LanguageModel, row: dict[str, Any]) -> bool:
    scores = [_log_p(lm, row["question_stem"], f" {choice}")[0] for choice in row["choices"]]
    return scores.index(max(scores)) == row["label"]


def _lambada(lm: LanguageModel, row: dict[str, Any]) -> bool:
    return _log_p(lm, row["passage"], f" {row['word']}")[1]


PLAIN = {"rte": _rte, "winogrande": _winogrande, "openbookqa": _openbookqa, "lambada_openai": _lambada}


def test_equal_to_a_plain_loop(tiny: LanguageModel) -> None:
    scores = drain(iter_zeroshot(tiny.model, tiny.tokenizer, tasks=PLAIN, limit=12))
    assert [score.task for score in scores] == list(PLAIN)
    for score in scores:
        right = [PLAIN[score.task](tiny, row) for row in documents(score.task)["questions"].select(range(12))]
        p = sum(right) / 12
        assert score.value == pytest.approx(p, abs=1e-12)
        assert score.stderr == pytest.approx(math.sqrt(p * (1 - p) / 11), abs=1e-12)
        assert score.count == 12


def test_equal_to_the_command_line_of_lm_eval(tiny: LanguageModel, tmp_path: Path) -> None:
    """The same model from a folder, the same prompts, in a process of its own."""
    tiny.model.save_pretrained(tmp_path / "model")
    tiny.tokenizer.save_pretrained(tmp_path / "model")
    tasks = ",".join(f"explorer_{name}" for name in TASKS)
    command = [sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", f"pretrained={tmp_path / 'model'}"]
    command += ["--include_path", str(PROMPTS), "--tasks", tasks, "--limit", str(LIMIT), "--device", "cpu"]
    offline = {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "--output_path", str(tmp_path / "out")],
        env={**os.environ, **offline},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (file,) = (tmp_path / "out").rglob("results_*.json")
    found = json.loads(file.read_text())["results"]
    scores = drain(iter_zeroshot(tiny.model, tiny.tokenizer, tasks=TASKS, limit=LIMIT))
    ours = {f"explorer_{score.task}": (score.value, score.stderr) for score in scores}
    assert ours == {name: (found[name]["acc,none"], found[name]["acc_stderr,none"]) for name in ours}
    assert len({value for value, _ in ours.values()}) > 2


def test_every_question_is_told_and_long_ones_are_noticed(tiny: LanguageModel) -> None:
    events = iter_zeroshot(tiny.model, tiny.tokenizer, tasks=["boolq", "piqa"], limit=LIMIT, variant="dense")
    told = []
    while True:
        try:
            told.append(next(events))
        except StopIteration as end:
            boolq, piqa = end.value
            break
    assert list(dict.fromkeys(e for e in told if e.done)) == [Evaluated("dense", n, 16) for n in range(1, 17)]
    rows = documents("boolq")["questions"].select(range(LIMIT))
    texts = [f"{row['passage']}\nQuestion: {row['question']}?\nAnswer: yes" for row in rows]
    long = sum(len(tiny.tokenizer(text).input_ids) > 512 + 1 for text in texts)
    assert long
    assert boolq.notice.endswith(
        f"{long} of 8 questions were longer than the model's 512 tokens and lost their beginning."
    )
    assert boolq.notice.startswith(TASKS["boolq"].notice)
    assert piqa.notice == ""
    assert (piqa.label, piqa.metric, piqa.chance, piqa.count) == ("PIQA", "acc", 0.5, LIMIT)


def test_no_network_no_seed_no_change(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("reached for what belongs to all")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(tiny.tokenizer, "padding_side", "right")
    tiny.model.train()
    environment = dict(os.environ)
    weights = {name: (t.data_ptr(), t.clone()) for name, t in tiny.model.state_dict().items()}
    state = torch.get_rng_state()
    monkeypatch.setattr(random, "seed", refuse)
    monkeypatch.setattr(torch, "manual_seed", refuse)
    (score,) = drain(iter_zeroshot(tiny.model, tiny.tokenizer, tasks=["rte"], limit=1))
    assert (score.count, score.stderr) == (1, 0.0)
    assert tiny.model.training
    tiny.model.eval()
    assert torch.equal(torch.get_rng_state(), state)
    assert dict(os.environ) == environment
    for name, tensor in tiny.model.state_dict().items():
        assert tensor.data_ptr() == weights[name][0]
        assert torch.equal(tensor, weights[name][1])


def test_closing_stops_after_the_batch_at_hand(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, original = [], HFLM._model_call
    monkeypatch.setattr(HFLM, "_model_call", lambda *args: calls.append(1) or original(*args))
    monkeypatch.setattr("neuroal.evaluation.zeroshot.harness.LARGEST_BATCH", 1)
    events = iter_zeroshot(tiny.model, tiny.tokenizer, tasks=["hellaswag"], limit=200)
    while next(events).done < 1:
        pass
    events.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "neuroal-zeroshot"]
    assert len(calls) < 200


def test_closing_stops_while_texts_are_encoded(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, let_go, original = threading.Event(), threading.Event(), HFLM.tok_encode
    encoded = []

    def slow(*args: Any, **kwargs: Any) -> list[int]:
        encoded.append(1)
        begun.set()
        let_go.wait(10)
        return original(*args, **kwargs)

    monkeypatch.setattr(HFLM, "tok_encode", slow)
    monkeypatch.setattr("neuroal.background.HEARTBEAT", 0.01)
    events = iter_zeroshot(tiny.model, tiny.tokenizer, tasks=["rte"], limit=5)
    while not begun.is_set():
        assert next(events).done == 0
    threading.Timer(0.1, let_go.set).start()
    events.close()
    assert len(encoded) == 1


@pytest.mark.parametrize("way", WAYS)
def test_weights_kept_elsewhere_score_the_same(way: str, tiny: LanguageModel, tmp_path: Path) -> None:
    """Log-likelihoods of a random model, because its accuracy says little."""
    whole = _log_likelihoods(random_llama(), tiny.tokenizer)
    assert _log_likelihoods(WAYS[way](tmp_path), tiny.tokenizer) == pytest.approx(whole, rel=1e-5)


def _log_likelihoods(model: PreTrainedModel, tokenizer: Any) -> list[float]:
    lm = ModelInMemory(model, tokenizer, threading.Event())
    pairs = [(("a", "b"), [5, 9, 3], [7, 2]), (("a", "c"), [5, 9, 3], [8]), (("d", "e"), [1, 2], [40, 41, 42])]
    lm._answers = type("Nobody", (), {"questions": lambda *_: 0})()
    return [value for value, _ in lm._loglikelihood_tokens(pairs, disable_tqdm=True)]


def test_predictions_that_are_not_finite_are_one_sentence(tiny: LanguageModel) -> None:
    broken = LlamaForCausalLM(tiny.model.config).requires_grad_(False)
    broken.model.norm.weight[0] = float("nan")
    with pytest.raises(UserError, match="not finite"):
        drain(iter_zeroshot(broken, tiny.tokenizer, tasks=["rte"], limit=2))


@pytest.mark.parametrize("limit", [0, -1, 2.5, True])
def test_limits_that_are_none_are_refused(tiny: LanguageModel, limit: Any) -> None:
    with pytest.raises(UserError, match="whole number from 1"):
        iter_zeroshot(tiny.model, tiny.tokenizer, tasks=["rte"], limit=limit)


def test_unknown_task_is_refused_at_the_call(tiny: LanguageModel) -> None:
    with pytest.raises(UserError, match="Did you mean 'piqa'"):
        iter_zeroshot(tiny.model, tiny.tokenizer, tasks=["pika"], limit=1)


@pytest.mark.parametrize(
    ("version", "sentence"), [(None, "not installed; run: pip install lm-eval"), ("0.4.9", "newer")]
)
def test_without_lm_eval_a_sentence(
    tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch, version: str | None, sentence: str
) -> None:
    assert available() == ""

    def found(_: str) -> str:
        if version is None:
            raise importlib.metadata.PackageNotFoundError
        return version

    monkeypatch.setattr(importlib.metadata, "version", found)
    assert sentence in available()
    with pytest.raises(UserError, match=sentence):
        iter_zeroshot(tiny.model, tiny.tokenizer, tasks=["rte"], limit=1)


def test_lm_eval_that_cannot_be_imported_is_a_sentence(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> None:
        raise ImportError("No module named 'sacrebleu'")

    monkeypatch.setattr(run, "import_heavy", fail)
    with pytest.raises(UserError, match="sacrebleu.*pip install"):
        drain(iter_zeroshot(tiny.model, tiny.tokenizer, tasks=["rte"], limit=1))


def test_missing_questions_are_fetched_first(
    tiny: LanguageModel, fetched: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NEUROAL_DATA", str(tmp_path / "empty"))

    def prepare(say: Any) -> None:
        say("Downloading")
        monkeypatch.setenv("NEUROAL_DATA", str(fetched))

    monkeypatch.setattr(run, "prepare", prepare)
    events = iter_zeroshot(tiny.model, tiny.tokenizer, tasks=["rte"], limit=1)
    assert next(events) == Evaluated("", 0, 1)
    assert [score.task for score in drain(events)] == ["rte"]
