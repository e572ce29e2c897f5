"""Fixtures of the runs: a tiny model, loaded once, a store and jobs in a temporary folder."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import NullPool, create_engine, inspect

from neuroal.runs.jobs import Jobs
from neuroal.runs.spec import RunSpec
from neuroal.runs.store import Store
from tests.runs.helpers import SMALL, Script
from tests.runs.postgresql import Server

if TYPE_CHECKING:
    from neuroal.models.loading import LanguageModel
    from neuroal.runs.workshop import Workshop

TINY = Path(__file__).resolve().parents[2] / "assets" / "tiny"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def _kept_database(postgresql: Server) -> str:
    return postgresql.new_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where an empty store is, by turns a folder and the URL of a PostgreSQL database."""
    return tmp_path if request.param == "sqlite" else request.getfixturevalue("shared")


@pytest.fixture
def shared(_kept_database: str) -> str:
    """The URL of a PostgreSQL database with empty tables, or none yet."""
    engine = create_engine(_kept_database, poolclass=NullPool)
    with engine.begin() as connection:
        for name in inspect(connection).get_table_names():
            connection.exec_driver_sql(f"TRUNCATE {name}")
    return _kept_database


@pytest.fixture
def either_store(where: Path | str) -> Iterator[Store]:
    """An empty store, by turns of both kinds."""
    opened = Store(where)
    yield opened
    opened.close()


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def make_jobs(tmp_path: Path, script: Script) -> Iterator[Callable[..., Jobs]]:
    """Jobs on the test's folder with the scripted engine; what is held is released at the end."""
    made: list[Jobs] = []

    def make(**settings: Any) -> Jobs:
        made.append(Jobs(Store(tmp_path), settings.pop("engine", script), **settings))
        return made[-1]

    yield make
    script.release()
    for jobs in made:
        jobs.close()
        jobs.store.close()


@pytest.fixture
def jobs(make_jobs: Callable[..., Jobs]) -> Jobs:
    return make_jobs()


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a random grouped-query Llama of three blocks, with the tokenizer of the teaching model."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(1)
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(TINY)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True, initializer_range=0.2,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("models") / "random-llama"
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class _RememberingTokenizer:
    """Encodes each text once: the bundled prose is the slowest part of a run this small."""

    def __init__(self, tokenizer: Any) -> None:
        self.encode = functools.cache(lambda text: tokenizer(text, verbose=False))
        self.tokenizer = tokenizer

    def __call__(self, text: str, **_: Any) -> Any:
        return self.encode(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tokenizer, name)


@pytest.fixture(scope="session")
def language_model(model_folder: Path) -> LanguageModel:
    """The random model, loaded as a run would."""
    from neuroal.models.loading import load

    loaded = load(str(model_folder), device="cpu", dtype="float32")
    return dataclasses.replace(loaded, tokenizer=_RememberingTokenizer(loaded.tokenizer))


@pytest.fixture
def loads(language_model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Makes every pool get the random model at once; holds the names that were loaded."""
    from neuroal.runs import pool

    names: list[str] = []

    def load(name: str, **_: Any) -> LanguageModel:
        names.append(name)
        return language_model

    monkeypatch.setattr(pool, "load", load)
    return names


@pytest.fixture
def small_spec(model_folder: Path) -> RunSpec:
    return RunSpec(model=str(model_folder), **SMALL)


@pytest.fixture
def open_workshop(tmp_path: Path, loads: list[str]) -> Iterator[Callable[[], Workshop]]:
    """Workshops on the test's folder, as before and after a restart of the server."""
    from neuroal.runs.workshop import Workshop

    opened: list[Workshop] = []

    def make(**settings: Any) -> Workshop:
        opened.append(Workshop(tmp_path, **settings))
        return opened[-1]

    yield make
    for workshop in opened:
        workshop.close()
