"""Tiny random checkpoints, a Hub that lives in this process, an environment that stays inside tmp_path."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import huggingface_hub
import pytest
import torch
from huggingface_hub.utils import get_session
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from neuroal.models import hub

# Bytes from which a file of the fake Hub is a large one.
LARGE = 10_000

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROAL_DATA", str(tmp_path / "data"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "NEUROAL_LOCAL_FOLDERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    hub.forget_unreachable()
    torch.set_num_threads(1)
    torch.manual_seed(0)


def llama(blocks: int = 2) -> LlamaForCausalLM:
    """Grouped-query, tied. Prunable of two blocks by hand: 2 x (256 + 128 + 128 + 256 + 3 x 512) = 4,608."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=64,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=blocks,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=40,
            tie_word_embeddings=True,
        )
    )


def gpt2() -> GPT2LMHeadModel:
    """Two blocks of Conv1D. Prunable by hand: 2 x (16 x 48 + 16 x 16 + 16 x 64 + 64 x 16) = 6,144."""
    return GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=16, n_layer=2, n_head=2, n_positions=24))


def save(model: PreTrainedModel, folder: Path) -> Path:
    """A complete checkpoint with a word tokenizer of 64 words."""
    model.save_pretrained(folder)
    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(64)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="w0", eos_token="w1").save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved Llama; read-only by agreement."""
    return save(llama(), tmp_path_factory.mktemp("llama") / "model")


@pytest.fixture(scope="session")
def gpt2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved GPT-2; read-only by agreement."""
    return save(gpt2(), tmp_path_factory.mktemp("gpt2") / "model")


@dataclass
class FakeHub:
    """Answers as the Hub does, from dicts. ``fail`` maps a path's beginning to (status, headers)."""

    http: Any
    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    fail: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    faults: dict[str, list[Callable[[bytes], Any]]] = field(default_factory=dict)
    ranges: list[tuple[str, int]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)

    def add(self, repo_id: str, folder: Path, **more: bytes) -> None:
        """Puts a checkpoint's files into a repository."""
        files = {f.name: f.read_bytes() for f in folder.iterdir()}
        self.repositories[repo_id] = {**files, **more}

    def answer(self, request: Any) -> Any:
        """The seam: a request of the HTTP client in, a response out."""
        path = unquote(request.url.path)
        self.asked.append(f"{request.method} {path}")
        self.tokens.add(request.headers.get("authorization"))
        for beginning, (status, headers) in self.fail.items():
            if path.startswith(beginning):
                return self.http.Response(status, headers=headers)
        if path == "/":
            return self.http.Response(200)
        repo_id = next((r for r in self.repositories if f"/{r}/" in f"{path}/"), None)
        if repo_id is None:
            return self.http.Response(404, headers={"X-Error-Code": "RepoNotFound"})
        return self._repository(request, path, repo_id)

    def _repository(self, request: Any, path: str, repo_id: str) -> Any:
        files = self.repositories[repo_id]
        revision = path.partition("/revision/")[2] or path.partition("/resolve/")[2].split("/")[0]
        if revision not in ("", "main", "v1", COMMIT):
            return self.http.Response(404, headers={"X-Error-Code": "RevisionNotFound"})
        if "/tree/" in path:
            listing = [{"type": "file", "path": n, "size": len(b), "oid": _etag(b)} for n, b in files.items()]
            return self.http.Response(200, json=listing)
        if "/resolve/" in path:
            return self._file(request, files, path.partition("/resolve/")[2].partition("/")[2], repo_id)
        siblings = [{"rfilename": name, "size": len(content)} for name, content in files.items()]
        gated = "manual" if repo_id in self.gated else False
        return self.http.Response(200, json={"id": repo_id, "sha": COMMIT, "gated": gated, "siblings": siblings})

    def _file(self, request: Any, files: dict[str, bytes], name: str, repo_id: str) -> Any:
        if repo_id in self.gated:
            status = 403 if request.headers.get("authorization") else 401
            return self.http.Response(status, headers={"X-Error-Code": "GatedRepo"})
        if name not in files:
            return self.http.Response(404, headers={"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        content = files[name]
        headers = {"ETag": f'"{_etag(content)}"', "X-Repo-Commit": COMMIT}
        if request.method == "HEAD":
            return self.http.Response(200, headers={**headers, "Content-Length": str(len(content))})
        first = int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.ranges.append((name, first))
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        body = self.send(name, content[first:])
        headers["Content-Length"] = str(len(content) - first)
        return self.http.Response(206 if first else 200, headers=headers, content=body)

    def send(self, name: str, content: bytes) -> Any:
        """What is sent of a file; ``faults`` has what befalls it, by its name, one after the other."""
        fault = self.faults[name].pop(0) if self.faults.get(name) else None
        return fault(content) if fault else content


def _etag(content: bytes) -> str:
    """As the Hub's: git's hash of small files, sha256 of large ones."""
    if len(content) < LARGE:
        return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def use_transport() -> Iterator[Callable[[Callable[[Any], Any]], Any]]:
    """Puts a function in the place of the network, through huggingface_hub's own seam; returns the HTTP library."""
    # huggingface_hub has changed its HTTP client before; the fake follows whichever this version uses.
    http = importlib.import_module(type(get_session()).__module__.split(".")[0])

    def install(handler: Callable[[Any], Any]) -> Any:
        transport = http.MockTransport(handler)
        huggingface_hub.set_client_factory(lambda: http.Client(transport=transport, follow_redirects=True))
        return http

    yield install
    huggingface_hub.set_client_factory(huggingface_hub.utils._http.default_client_factory)


@pytest.fixture
def fake_hub(use_transport: Callable[[Callable[[Any], Any]], Any]) -> FakeHub:
    """A Hub without repositories."""
    fake = FakeHub(None)
    fake.http = use_transport(fake.answer)
    return fake


@pytest.fixture
def no_hub(use_transport: Callable[[Callable[[Any], Any]], Any]) -> list[str]:
    """A network without a Hub; returns what was asked."""
    asked: list[str] = []

    def refuse(request: Any) -> Any:
        asked.append(str(request.url))
        raise http.ConnectError("no route to host")

    http = use_transport(refuse)
    return asked


@pytest.fixture
def said() -> list[str]:
    """Collects sentences: pass ``said.append`` as ``say``."""
    return []


def edit_config(folder: Path, **changes: Any) -> None:
    """Changes a saved config.json; None removes a key."""
    path = folder / "config.json"
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in values.items() if v is not None}))
