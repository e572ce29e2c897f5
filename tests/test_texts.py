"""Which texts are on this machine, as datasets itself lays them down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import pytest

from neuroal.runs.spec import SOURCES
from neuroal.texts import at_hand


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where downloaded texts are looked for."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Lines(datasets.GeneratorBasedBuilder):
    """One line of text."""

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(features=datasets.Features({"text": datasets.Value("string")}))

    def _split_generators(self, _: Any) -> list[datasets.SplitGenerator]:
        return [datasets.SplitGenerator("train")]

    def _generate_examples(self) -> Any:
        yield 0, {"text": "A line."}


def laid_down(cache: Path, repository: str, config: str) -> None:
    """A text as datasets leaves it behind when it has come from the Hub."""
    how: Any = {"repo_id": repository, "dataset_name": repository.split("/")[1], "config_name": config, "hash": "0a1b"}
    Lines(cache_dir=str(cache), **how).download_and_prepare()


def test_only_the_bundled_prose_is_always_there() -> None:
    assert {source: at_hand(source) for source in SOURCES} == {s: s == "prose" for s in SOURCES}


@pytest.mark.parametrize(
    ("source", "repository", "config"),
    [
        ("wikitext2", "Salesforce/wikitext", "wikitext-2-raw-v1"),
        ("ptb", "ptb-text-only/ptb_text_only", "penn_treebank"),
        ("ptb", "ptb-text-only/ptb_text_only", "default"),
    ],
)
def test_what_datasets_has_prepared_is_there(cache: Path, source: str, repository: str, config: str) -> None:
    laid_down(cache, repository, config)
    assert {s for s in SOURCES if at_hand(s)} == {"prose", source}


def test_another_configuration_of_a_repository_is_another_text(cache: Path) -> None:
    laid_down(cache, "Salesforce/wikitext", "wikitext-103-raw-v1")
    assert not at_hand("wikitext2")


def test_without_a_folder_of_its_own_the_hubs_is_looked_at(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_DATASETS_CACHE")
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path))
    assert not at_hand("wikitext2")
    laid_down(tmp_path / "datasets", "Salesforce/wikitext", "wikitext-2-raw-v1")
    assert at_hand("wikitext2")
