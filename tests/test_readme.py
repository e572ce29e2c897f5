"""The README is true: its example runs, its commands exist, its settings are read somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from neuroal.pruners import PRUNERS
from neuroal.topups import TOP_UPS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_example_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    scope: dict[str, object] = {}
    exec(example, scope)
    assert 0.55 < scope["report"].overall < 0.65


def test_continuous_integration_runs_exactly_the_test_command() -> None:
    command = README.split("<!-- test command -->")[1].split("```bash\n")[1].split("\n```")[0]
    assert command.endswith("-m pytest")
    script = (ROOT / ".ci" / "run").read_text()
    found = re.search(r"command=\$\((.*)\)\n", script)[1]
    assert subprocess.check_output(["bash", "-c", found], cwd=ROOT, text=True).strip() == command


def test_every_setting_is_read_by_the_code() -> None:
    names = set(re.findall(r"\| `(NEUROAL_\w+)` \|", README))
    code = "\n".join(p.read_text() for folder in ("neuroal", "components") for p in (ROOT / folder).rglob("*.py"))
    assert names == set(re.findall(r"NEUROAL_[A-Z_]+", code))


def test_every_extra_is_what_its_sentence_says_to_install() -> None:
    extras = re.findall(r"^\| `(pip install .*?)` \|", README, flags=re.M)
    code = "\n".join(p.read_text() for folder in ("neuroal", "components") for p in (ROOT / folder).rglob("*.py"))
    assert len(extras) >= 5
    assert [extra for extra in extras if extra not in code] == []


def methods() -> str:
    """The tables of methods, from what is registered."""
    tables = []
    for head, entries in (
        ("base pruner | what is pruned first", PRUNERS),
        ("top-up | how the sparsity is spread", TOP_UPS),
    ):
        rows = [f"| {entry.label.partition(':')[0]} | {entry.summary} |" for entry in entries.entries]
        tables.append("\n".join([f"| {head} |", "|---|---|", *rows]))
    return "\n\n".join(tables)


def test_the_tables_of_methods_are_what_is_registered() -> None:
    """After adding a method: ``python tests/test_readme.py`` writes them."""
    assert README.split("<!-- methods -->\n")[1].split("\n<!-- /methods -->")[0] == methods()


@pytest.mark.parametrize(
    "key", ["title", "sdk", "sdk_version", "python_version", "app_file", "license", "tags", "models"]
)
def test_the_front_matter_of_the_space_is_complete(key: str) -> None:
    front = README.split("---")[1]
    assert re.search(rf"^{key}:", front, flags=re.M)


def test_links_to_files_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_top_level_holds_what_it_should() -> None:
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    allowed = {"app.py", "neuroal", "components", "assets", "requirements.txt", "tests", "README.md"}
    tools = {".ci", ".gitignore", "LICENSE", "pyproject.toml"}
    assert {name.split("/")[0] for name in tracked} <= allowed | tools


def test_the_code_is_clean_by_its_own_rules() -> None:
    assert subprocess.run([sys.executable, "-m", "ruff", "check", "."], cwd=ROOT, check=False).returncode == 0


if __name__ == "__main__":
    before, _, rest = README.partition("<!-- methods -->\n")
    after = rest[rest.index("<!-- /methods -->") :]
    (ROOT / "README.md").write_text(f"{before}<!-- methods -->\n{methods()}\n{after}", encoding="utf-8")
