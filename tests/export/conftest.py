"""Pruned random models with a tokenizer, and whatever else is exported in the tests."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import huggingface_hub
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from neuroal.blocks import DecoderStack
from neuroal.export import Source, of_model
from neuroal.models.hub import forget_unreachable
from neuroal.models.loading import LanguageModel
from neuroal.residence import read_weight
from tests.models.conftest import use_transport  # noqa: F401  (a fixture)
from tests.toys import random_llama

SHARE = 0.7


def zeroed(model: Any, share: float = SHARE) -> Any:
    """The model with the first ``share`` of each linear's weights, by size, set to zero in place."""
    stack = DecoderStack(model)
    with torch.no_grad():
        for linear in stack.all_linears():
            weight = linear.weight
            kth = weight.abs().flatten().kthvalue(max(1, int(share * weight.numel()))).values
            stack.write(linear, weight.masked_fill(weight.abs() <= kth, 0))
    return model


def zeros_of(model: Any) -> dict[str, int]:
    """Zeros of each linear by path."""
    stack = DecoderStack(model)
    return {x.path: int((read_weight(stack.model, x.path) == 0).sum()) for x in stack.all_linears()}


def conv1d() -> PreTrainedModel:
    """Two blocks whose linears have their weights transposed, with the vocabulary of the teaching model."""
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=2048, n_embd=16, n_layer=2, n_head=2, n_positions=64)
    return GPT2LMHeadModel(config).eval().requires_grad_(False)


@pytest.fixture
def source_of(tiny: LanguageModel) -> Callable[..., Source]:
    """Makes a source of a model, with the tokenizer of the teaching model."""

    def make(model: Any, **more: Any) -> Source:
        return of_model(model, tiny.tokenizer, **more)

    return make


@pytest.fixture
def pruned() -> PreTrainedModel:
    """A random grouped-query model of three blocks with the vocabulary of the teaching model, 70 % zero."""
    return zeroed(random_llama(vocab_size=2048))


@pytest.fixture
def source(pruned: PreTrainedModel, source_of: Callable[..., Source]) -> Source:
    return source_of(pruned, name="someone/a-model", licence="Apache-2.0")


@pytest.fixture
def hub(use_transport: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeHub:
    """A Hub without repositories, in which "someone" is signed in with the token "hf_secret"."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    forget_unreachable()
    fake = FakeHub()
    fake.http = use_transport(fake.answer)
    return fake


@dataclass
class FakeHub:
    """Answers what an upload asks of the Hub. ``fail`` maps "METHOD path's beginning" to a status, or to an exception."""

    http: Any = None
    repositories: dict[str, dict[str, Any]] = field(default_factory=dict)
    fail: dict[str, int | Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def answer(self, request: Any) -> Any:
        """The seam: a request of the HTTP client in, a response out."""
        path, what = unquote(request.url.path), request.method
        self.asked.append(f"{what} {path}")
        for beginning, failure in self.fail.items():
            if f"{what} {path}".startswith(beginning):
                if isinstance(failure, Exception):
                    raise failure
                return self.http.Response(failure, json={"error": f"no, {request.headers.get('authorization')}"})
        if path == "/":
            return self.http.Response(200)
        if request.headers.get("authorization") != "Bearer hf_secret":
            return self.http.Response(401, json={"error": "Invalid username or password."})
        if path == "/api/whoami-v2":
            return self.http.Response(200, json={"type": "user", "name": "someone", "auth": {}})
        if path == "/api/repos/create":
            return self._create(json.loads(request.content))
        if path == "/api/repos/delete":
            asked = json.loads(request.content)
            del self.repositories[f"{asked.get('organization') or 'someone'}/{asked['name']}"]
            return self.http.Response(200)
        repo_id = "/".join(path.split("/")[3:5])
        if repo_id not in self.repositories:
            return self.http.Response(404, headers={"X-Error-Code": "RepoNotFound"})
        return self._repository(request, path, repo_id)

    def _create(self, asked: dict[str, Any]) -> Any:
        repo_id = f"{asked.get('organization') or 'someone'}/{asked['name']}"
        private = asked.get("private", asked.get("visibility") == "private")
        self.repositories[repo_id] = {"private": bool(private), "files": {}}
        return self.http.Response(200, json={"url": f"https://huggingface.co/{repo_id}", "id": repo_id})

    def _repository(self, request: Any, path: str, repo_id: str) -> Any:
        known = self.repositories[repo_id]
        if "/preupload/" in path:
            files = [
                {**f, "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(request.content)["files"]
            ]
            return self.http.Response(200, json={"files": files})
        if "/commit/" in path:
            self.bodies.append(request.content)
            for line in map(json.loads, request.content.splitlines()):
                if line["key"] == "file":
                    known["files"][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return self.http.Response(
                200, json={"commitUrl": f"https://huggingface.co/{repo_id}/commit/a", "commitOid": "a"}
            )
        siblings = [{"rfilename": name} for name in known["files"]]
        return self.http.Response(
            200, json={"id": repo_id, "sha": "a", "private": known["private"], "siblings": siblings}
        )
