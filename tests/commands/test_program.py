"""The program as a whole: examples, help, completion, and what a shell does to it."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from neuroal.commands.app import app, build, main
from neuroal.commands.asked import spec_from, taken
from neuroal.commands.output import EXIT_CODES
from neuroal.models.cache import data_folder
from neuroal.runs.instances import SECOND, InUse
from tests.runs.helpers import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

LIGHT = """
import sys
from neuroal.commands.app import main
code = main(sys.argv[1:])
heavy = {"torch", "transformers", "gradio", "plotly"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else code)
"""


def commands() -> dict[str, Any]:
    """Every command by its words."""
    group = get_command(build())
    below = {f"runs {name}": each for name, each in group.commands["runs"].commands.items()}
    return {name: each for name, each in group.commands.items() if name != "runs"} | below


def parsed(line: str) -> tuple[str, dict[str, Any]]:
    """The command of a line, and the values of its parameters."""
    words = shlex.split(line.partition(" > ")[0])
    name = " ".join(words[: 2 if words[0] == "runs" else 1])
    context = commands()[name].make_context(name, words[len(name.split()) :])
    return name, dict(context.params)


def examples() -> list[str]:
    return [line for command in commands().values() for line in re.findall(r"python -m neuroal (.+)", command.epilog)]


def test_every_command_has_examples_and_each_is_right() -> None:
    seen = set()
    for line in examples():
        name, values = parsed(line.replace(r"\[", "["))
        seen.add(name)
        if name in ("prune", "search"):
            spec_from({k: v for k, v in taken(values).items() if k not in ("text", "eval_text", "source")})
    assert seen == set(commands())


def test_every_command_answers_with_json_and_explains_itself() -> None:
    for name, command in commands().items():
        options = {option for parameter in command.params for option in parameter.opts}
        assert {"--json", "--debug"} <= options, name
        assert command.help and command.help.endswith("."), name
        assert all(parameter.help for parameter in command.params if parameter.param_type_name == "option"), name


def test_the_commands_of_the_readme_are_right() -> None:
    section = README.split("## From the command line")[1].split("\n## ")[0]
    lines = re.findall(r"^python -m neuroal ([^#\n]+)", section, flags=re.M)
    assert len(lines) >= 5
    for line in lines:
        parsed(line.strip())
    for code, told in EXIT_CODES.items():
        assert f"| {code.value} | {told} |" in section


@pytest.mark.parametrize(
    "words", [["--help"], ["prune", "--help"], ["runs", "list"], ["runs", "list", "--json"], ["models"]]
)
def test_what_computes_nothing_imports_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", LIGHT, *words], cwd=ROOT, capture_output=True, text=True, env=environment(tmp_path)
    )
    assert found.returncode == 0, found.stderr


def test_near_misses_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prun"]) == 2
    assert "Did you mean 'prune'" in capsys.readouterr().err
    assert main(["prune", "--sparsty", "0.5", "--json"]) == 2
    said = capsys.readouterr()
    assert "--sparsity" in said.err and json.loads(said.out)["code"] == 2
    assert main(["prune", "--samples", "many"]) == 2
    assert "--samples" in capsys.readouterr().err


@pytest.mark.parametrize(
    "typed, offered",
    [
        ("neuroal pr", {"prune"}),
        ("neuroal prune --top-up o", {"owl"}),
        ("neuroal prune --evaluations perplexity,pro", {"perplexity,probes"}),
        ("neuroal prune --model ti", {"tiny"}),
        ("neuroal prune --budget b", {"balanced"}),
        ("neuroal export last --form g", {"gguf"}),
        ("neuroal runs re", {"restore", "resume"}),
    ],
)
def test_a_shell_can_complete(typed: str, offered: set[str], tmp_path: Path) -> None:
    words = typed.split(" ")
    asked = {"_NEUROAL_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    found = run_program([], tmp_path, **asked)
    assert set(found.stdout.split()) == offered, found.stderr


def test_completion_scripts_are_for_the_command_of_this_name(tmp_path: Path) -> None:
    found = run_program(["--show-completion", "bash"], tmp_path, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "complete -o default -F _neuroal_completion neuroal" in found.stdout, found.stdout + found.stderr


# --- in a process of its own ------------------------------------------------------------------------------------------


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "NO_COLOR")}
    return {**kept, "NEUROAL_DATA": str(folder / "data"), "OMP_NUM_THREADS": "1", "COLUMNS": "100", **more}


def run_program(words: list[str], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "neuroal", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=environment(folder, **more),
    )


def searching(model: Path, samples: int = 16) -> list[str]:
    """A run that is long enough to be stopped."""
    sizes = ["--samples", str(samples), "--length", "64", "--mode", "exact", "--evaluations", "none"]
    return ["prune", "--model", str(model), "--dtype", "float32", *sizes]


@pytest.fixture
def going(request: pytest.FixtureRequest, tmp_path: Path, model_folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A search that is under way; a parameter is the number of its samples."""
    words = [sys.executable, "-m", "neuroal", *searching(model_folder, getattr(request, "param", 16)), "--json"]
    child = subprocess.Popen(
        words, cwd=ROOT, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # As in a terminal: tests that a script started in the background have the signal of Ctrl+C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    until = time.monotonic() + 6 * PATIENCE
    for line in child.stderr:
        if "Searching lambda" in line:
            break
        assert time.monotonic() < until
    yield child
    child.kill()
    child.wait()
    child.stdout.close()
    child.stderr.close()


@pytest.mark.parametrize(
    "sent, code, status", [(signal.SIGINT, 130, "cancelled"), (signal.SIGTERM, 143, "interrupted")], ids=["INT", "TERM"]
)
def test_a_stopped_run_is_kept_and_goes_on(
    going: subprocess.Popen[str], sent: int, code: int, status: str, tmp_path: Path, model_folder: Path
) -> None:
    going.send_signal(sent)
    out, err = going.communicate(timeout=PATIENCE)
    assert going.returncode == code, err
    assert "Traceback" not in err
    run_id = re.search(r"Go on with: python -m neuroal runs resume ([\w-]+)", err)[1]
    json.loads(out)
    shown = json.loads(run_program(["runs", "show", run_id, "--json"], tmp_path).stdout)
    assert shown["status"] == status
    if sent == signal.SIGINT:
        resumed = run_program(["runs", "resume", run_id, "--json"], tmp_path)
        assert (resumed.returncode, json.loads(resumed.stdout)["status"]) == (0, "finished"), resumed.stderr


@pytest.mark.parametrize("going", [256], indirect=True)
def test_a_second_process_reads_but_does_not_compute(
    going: subprocess.Popen[str], tmp_path: Path, model_folder: Path
) -> None:
    second = run_program([*searching(model_folder), "--seed", "9", "--json"], tmp_path)
    assert (second.returncode, json.loads(second.stdout)["code"]) == (3, 3)
    assert len(second.stderr.splitlines()) == 1 and "--no-store" in second.stderr
    (run,) = json.loads(run_program(["runs", "list", "--json"], tmp_path).stdout)["runs"]
    assert run["status"] == "running"
    going.kill()
    going.wait()
    said = run_program(["runs", "cancel", run["id"]], tmp_path)
    assert said.stdout == f"Nobody does {run['id']} any more; it can be resumed.\n"


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path: Path) -> None:
    """As ``... | head -c 1``: the pipe is closed before everything is written."""
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-m", "neuroal", "models", "--json"]
    found = subprocess.run(
        words, cwd=ROOT, env=environment(tmp_path), stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert (found.returncode, found.stderr) == (141, "")


def test_an_answer_that_does_not_fit_the_disk_is_a_sentence(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        words = [sys.executable, "-m", "neuroal", "models", "--json"]
        found = subprocess.run(
            words, cwd=ROOT, env=environment(tmp_path), stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert found.returncode == 1
    assert found.stderr == "The answer could not be written: No space left on device.\n"


def test_a_terminal_gets_a_bar_and_no_colours_where_NO_COLOR_says_so(tmp_path: Path, model_folder: Path) -> None:
    """A pseudo-terminal stands for stderr."""
    sizes = ["--lambdas", "0.1", "--samples", "2", "--length", "32", "--evaluations", "none", "--no-store"]
    words = [sys.executable, "-m", "neuroal", "prune", "--model", str(model_folder), *sizes]
    ours, theirs = os.openpty()
    seen = environment(tmp_path, TERM="xterm", NO_COLOR="1")
    with subprocess.Popen(words, cwd=ROOT, env=seen, stdout=subprocess.PIPE, stderr=theirs) as child:
        os.close(theirs)
        drawn = b"".join(iter(lambda: read_terminal(ours), b""))
        answer = child.stdout.read().decode()
    os.close(ours)
    assert child.returncode == 0, drawn
    assert "━".encode() in drawn and b"\x1b[2K" in drawn, "a bar is drawn again and again"
    assert not re.search(rb"\x1b\[[\d;]*[34]\d[\d;]*m", drawn), "no colour"
    assert "\x1b" not in answer, "stdout is no terminal"


def read_terminal(end: int) -> bytes:
    try:
        return os.read(end, 65536)
    except OSError:  # the other end is closed
        return b""


def test_the_page_is_served(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "neuroal", "serve", "--port", str(free_port()), "--json"]
    more = {"NEUROAL_DEFAULT_MODEL": "tiny"}
    child = subprocess.Popen(
        words, cwd=ROOT, env=environment(tmp_path, **more), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        written = "".join(iter(lambda: child.stdout.read(1), "}")) + "}"
        url = json.loads(written)["url"]
        import httpx

        assert httpx.get(url, timeout=PATIENCE).status_code == 200
        child.send_signal(signal.SIGTERM)
        assert (child.wait(PATIENCE), child.stdout.read().strip()) == (0, "")
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_serving_beside_the_app_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import app as page

    def refused(_: Any) -> None:
        raise InUse

    monkeypatch.setattr(page, "serve", refused)
    assert main(["serve", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"] == SECOND


def test_another_port_than_the_one_asked_for_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import app as page

    monkeypatch.setenv("GRADIO_SERVER_PORT", "1")  # what the command sets is taken back after the test
    monkeypatch.setattr(page, "serve", lambda announce: announce("http://127.0.0.1:8081/"))
    assert main(["serve", "--port", "8080"]) == 0
    said = capsys.readouterr()
    assert said.err == "Port 8080 is in use, so another one was taken.\n"
    assert said.out == "The page is at http://127.0.0.1:8081/. Ctrl+C stops it.\n"


def free_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_the_same_program_is_called_in_this_process(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"total": 0, "runs": []}
    assert app is not None and (data_folder() / "runs.sqlite").exists()
