"""The menu: what names match, what a line says, and that none of it needs torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from neuroal.models.memory import Memory
from neuroal.models.menu import MENU, MenuEntry, _tiny, describe, find_entry, near_misses

GB = 10**9


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("GPT-2", "GPT-2"),
        ("gpt-2", "GPT-2"),
        (" openai-community/gpt2 ", "GPT-2"),
        ("gpt2", "GPT-2"),
        ("FACEBOOK/OPT-125M", "OPT-125m"),
        ("tiny", "tiny"),
        ("smollm2-135m-instruct", "SmolLM2-135M-Instruct"),
    ],
)
def test_names_match_in_any_case(typed: str, name: str) -> None:
    assert find_entry(typed).name == name


@pytest.mark.parametrize("typed", ["", "gpt", "someone/gpt2", "SmolLM2"])
def test_other_names_do_not_match(typed: str) -> None:
    assert find_entry(typed) is None


def test_default_is_first_and_tiny_second() -> None:
    assert [entry.name for entry in MENU[:2]] == ["SmolLM2-135M-Instruct", "tiny"]
    assert MENU[0].package is not None
    assert MENU[1].folder is not None


def test_every_name_and_repository_is_there_once() -> None:
    names = [entry.name.casefold() for entry in MENU] + [e.repo_id.casefold() for e in MENU if e.repo_id]
    assert len(names) == len(set(names))


def test_near_miss_ignores_case_and_owner() -> None:
    assert "Did you mean 'Qwen3-0.6B'?" in near_misses("Qwen/Qwen3-0.6")
    assert "Did you mean 'GPT-2'?" in near_misses("GPT2")


def test_line_says_that_it_fits() -> None:
    entry = MenuEntry("A", "o/a", 124_000_000, 12, 768, 1024, "MIT")
    line = describe(entry, Memory("cpu", 1, 8 * GB))
    assert line == "A · 124M parameters · 12 blocks · context 1,024 · fits this machine"


def test_line_says_what_is_lacking_and_gated() -> None:
    entry = MenuEntry("B", "o/b", 2_800_000_000, 32, 2560, 2048, "MIT", gated=True)
    line = describe(entry, Memory("cpu", 8 * GB, 8 * GB))
    assert "2.8B parameters" in line
    assert "gated: needs a Hugging Face token" in line
    assert "too large for this machine (needs 23 GB of memory, has 8.0 GB)" in line  # 2.8e9 x 4 x 2 + 0.5 GB


def test_half_precision_counts_half() -> None:
    entry = MenuEntry("B", "o/b", 2_800_000_000, 32, 2560, 2048, "MIT")
    assert "fits" in describe(entry, Memory("cuda", 12 * GB, 12 * GB))


def test_tiny_figures_come_from_its_files(llama_folder: Path) -> None:
    entry = _tiny(llama_folder)
    # 4,608 in linears, 64 x 16 embeddings, 5 norms of 16
    assert (entry.parameters, entry.blocks, entry.hidden, entry.context) == (4608 + 1024 + 80, 2, 16, 40)


def test_tiny_without_files_is_still_on_the_menu(tmp_path: Path) -> None:
    assert _tiny(tmp_path / "absent").blocks == 8


def test_menu_needs_nothing_heavy() -> None:
    code = (
        "import sys, neuroal.models as m; [m.describe(e, m.Memory('cpu', 1, 1)) for e in m.MENU]; "
        "sys.exit(bool({'torch', 'transformers', 'huggingface_hub', 'gradio', 'plotly'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
