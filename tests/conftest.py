"""Shared by all tests: one torch thread, a fixed seed, a data folder of their own, and the tiny teaching model."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: two threads waiting for each other on busy cores crawl
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import neuroal  # noqa: F401, I001  (first, as in the app: it decides how torch and numpy use the processor)

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from playwright.sync_api import Browser, Playwright, sync_playwright
from transformers import LlamaForCausalLM
from transformers import logging as transformers_logging

from neuroal.models.loading import LanguageModel, load
from tests.runs.postgresql import Server, binaries, running
from tests.toys import random_llama

torch.set_num_threads(1)  # sums in one order, so that bits can be compared; see on_threads
transformers_logging.disable_progress_bar()

# The same examples in every run, so that nobody's change fails for what another one did; to look further:
# --hypothesis-profile=explore.
settings.register_profile("same", derandomize=True)
settings.register_profile("explore", derandomize=False)
settings.load_profile("same")

# The shell is the same browser without the windows that nobody sees: a page costs half the processor time.
CHROMIUM = next(filter(os.path.exists, ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium")), "")
CHROMIUM_ARGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def on_threads() -> Iterator[Callable[[int], None]]:
    """Says how many threads torch has until the end of the test; it is one otherwise."""
    yield torch.set_num_threads
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _no_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures do not depend on the processor; a test that is about bfloat16 asks for it."""
    for name in ("neuroal.api", "neuroal.runs.machine", "neuroal.runs.plan"):
        monkeypatch.setattr(f"{name}.fast_bfloat16", lambda: False)


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing a test writes reaches the data folder of the person who runs it."""
    monkeypatch.setenv("NEUROAL_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("NEUROAL_STORE", raising=False)


@pytest.fixture(scope="session")
def tiny() -> LanguageModel:
    """The teaching model of assets/tiny; read-only by agreement, as every dense model is."""
    return load("tiny", device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A data folder for SmolLM2 as fetched and converted once: whoever fetches it leaves it here for the others, also
    for the other processes that run tests (the app's own lock makes them wait)."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "converted"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def model() -> LlamaForCausalLM:
    """A fresh random model that the test may prune."""
    return random_llama()


@pytest.fixture
def tokens() -> torch.Tensor:
    """int64 [4, 12], ids of ``model``."""
    return torch.randint(0, 64, (4, 12), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """Debian's own server, started once; where it is missing, tests that need it are skipped."""
    programs = binaries()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql).")
    pytest.importorskip("psycopg", reason='psycopg is not installed: pip install "psycopg[binary]".')
    with running(programs) as server:
        yield server


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


def chromium() -> str:
    """The browser's file; a machine without it fails these tests, it does not skip them."""
    if not CHROMIUM:
        pytest.fail("There is no Chromium in /usr/bin: install Debian's package chromium-headless-shell, or chromium.")
    return CHROMIUM


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Headless Chromium, for contexts that share nothing."""
    started = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGS)
    yield started
    started.close()
