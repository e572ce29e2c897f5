"""lm-eval's model class around a model in memory: it tells of each question, stops when asked, and stays offline.

Imports lm-eval, so only run.py imports this, and only when it runs.
"""

from __future__ import annotations

import copy
import logging
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lm_eval.evaluator import evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from torch import Tensor, nn

from neuroal.batches import at_once
from neuroal.errors import UserError
from neuroal.residence import execution_device
from neuroal.twin import skeleton

# Its warnings are about options that are not used here.
logging.getLogger("lm_eval").setLevel(logging.ERROR)

PROMPTS = Path(__file__).with_name("prompts")

# Bytes of the logits of one batch; lm-eval holds their log-softmax beside them.
LOGIT_BYTES = {"cpu": 2**28, "other": 2**31}
LARGEST_BATCH = 64

Request = tuple[tuple[str, str], list[int], list[int]]


class Stopped(Exception):
    """Whoever listened has closed the evaluation."""


class ModelInMemory(HFLM):
    """lm-eval's own scoring of a model of ours; what differs is when it speaks and when it stops.

    Attributes:
        truncated: questions of the last task whose beginning did not fit the model's context.
    """

    def __init__(self, model: nn.Module, tokenizer: Any, stop: threading.Event) -> None:
        """``model`` is not touched: a skeleton of it runs. ``tokenizer`` is copied: it may be given a padding token."""
        self._stop = stop
        self._tell: Callable[[], None] = lambda: None
        self.truncated = 0
        private = skeleton(model)
        private.tie_weights = lambda *_, **__: None  # they are tied; tying again would load what is kept on disk
        super().__init__(pretrained=private, tokenizer=copy.deepcopy(tokenizer), backend="causal", batch_size=1)
        self._device = execution_device(model)
        self._logit_bytes = model.get_input_embeddings().num_embeddings * next(model.parameters()).element_size()

    def score(self, name: str, limit: int | None, seed: int, tell: Callable[[], None]) -> dict[str, Any]:
        """lm-eval's figures of one task, and "questions", their number. ``tell`` is called after each question.

        lm-eval's ``simple_evaluate`` calls the same ``evaluate``; besides, it seeds the random generators of the whole
        process, asks the Hub for the model's commit, and runs pip, git and others for three seconds.
        """
        loaded = TaskManager(include_path=str(PROMPTS), include_defaults=False).load([name])
        for task in loaded["tasks"].values():
            task.set_fewshot_seed(seed)
        self._tell = tell
        found = evaluate(lm=self, task_dict=loaded, limit=limit, bootstrap_iters=1, log_samples=False)
        return {**found["results"][name], "questions": found["n-samples"][name]["effective"]}

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = True) -> list[tuple[float, bool]]:
        """As lm-eval's, without its progress bars; counts how many answers each question still waits for."""
        self._answers = _Answers(requests, self._tell)
        self.set_cache_hook(self._answers)
        return super().loglikelihood(requests, disable_tqdm=True)

    def tok_encode(self, string: str, *args: Any, **kwargs: Any) -> list[int]:
        """As lm-eval's, unless stopped."""
        self._check()
        return super().tok_encode(string, *args, **kwargs)

    def _loglikelihood_tokens(self, requests: list[Request], *args: Any, **kwargs: Any) -> list[tuple[float, bool]]:
        """As lm-eval's, with batches as large as memory for the longest request allows."""
        lengths = {texts: len(context) + len(continuation) for texts, context, continuation in requests}
        self.truncated = self._answers.questions(t for t, length in lengths.items() if length > self.max_length + 1)
        budget = LOGIT_BYTES["cpu" if self.device.type == "cpu" else "other"] // self._logit_bytes
        self.batch_size_per_gpu = min(LARGEST_BATCH, at_once(budget, min(max(lengths.values()), self.max_length)))
        return super()._loglikelihood_tokens(requests, *args, **kwargs)

    def _model_call(self, inps: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """As lm-eval's, unless stopped."""
        self._check()
        return super()._model_call(inps, *args, **kwargs)

    def _check(self) -> None:
        if self._stop.is_set():
            raise Stopped


class _Answers:
    """In the place of lm-eval's cache: hears of every request answered, keeps none of them."""

    def __init__(self, requests: list[Any], tell: Callable[[], None]) -> None:
        self._question: dict[tuple[str, str], list[int]] = {}
        for request in requests:
            self._question.setdefault(request.args, []).append(request.doc_id)
        self._missing = Counter(request.doc_id for request in requests)
        self._tell = tell

    def questions(self, requests: Iterable[tuple[str, str]]) -> int:
        """To how many questions these requests belong."""
        return len({question for request in requests for question in self._question[request]})

    def add_partial(self, _: str, request: tuple[str, str], answer: tuple[float, bool]) -> None:
        """Called by lm-eval for every request, with its log-likelihood and whether greedy decoding would write it."""
        if math.isnan(answer[0]):
            raise UserError("The model's predictions are not finite numbers, so it has no accuracy.")
        question = self._question[request].pop()
        self._missing[question] -= 1
        if not self._missing[question]:
            self._tell()
