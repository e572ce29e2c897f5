"""The Hub: every status its own sentence, an unreachable one known at once, a download that says how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from neuroal.errors import UserError
from neuroal.models import hub
from neuroal.models.checkpoint import is_complete, weight_files

COMMIT = "0123456789abcdef0123456789abcdef01234567"
API = "/api/models/"


def test_reachable_and_remembered_when_not(no_hub: list[str]) -> None:
    assert not hub.reachable()
    assert not hub.reachable()
    assert len(no_hub) == 1, "a no is remembered"
    hub.forget_unreachable()
    assert not hub.reachable()
    assert len(no_hub) == 2


def test_silent_network_is_known_in_three_seconds(use_transport: Callable[..., Any]) -> None:
    use_transport(lambda _: time.sleep(20))
    start = time.monotonic()
    with pytest.raises(UserError, match="cannot be reached"):
        hub.require_reachable("X")
    assert time.monotonic() - start < 3


def test_any_answer_counts_as_reachable(fake_hub: Any) -> None:
    fake_hub.fail["/"] = (503, {})
    assert hub.reachable()


def test_offline_mode_asks_nobody(fake_hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE"):
        hub.require_reachable("X")
    assert not fake_hub.asked


@pytest.mark.parametrize(
    ("status", "headers", "sentence"),
    [
        (401, {"X-Error-Code": "GatedRepo"}, "is gated: accept its licence on its page, huggingface.co/o/m"),
        (403, {}, "is gated: accept its licence"),
        (401, {}, "There is no model 'o/m' .*if it is private, set HF_TOKEN"),
        (401, {"X-Error-Message": "Invalid credentials in Authorization header"}, "token was not accepted"),
        (404, {"X-Error-Code": "RepoNotFound"}, "There is no model 'o/m'"),
        (404, {}, "There is no model 'o/m'"),
        (429, {"Retry-After": "70"}, "limits how often this machine may ask; try again in 70 seconds"),
        (429, {}, "try again in a few minutes; with a token the limit is higher"),
        (500, {}, r"problem of its own \(error 500\)"),
        (503, {}, r"problem of its own \(error 503\)"),
    ],
)
def test_each_status_is_its_own_sentence(fake_hub: Any, status: int, headers: dict[str, str], sentence: str) -> None:
    fake_hub.fail[API] = (status, headers)
    start = time.monotonic()
    with pytest.raises(UserError, match=sentence):
        hub.repository("o/m")
    assert time.monotonic() - start < 1, "no retries"


def test_not_found_names_the_near_miss(fake_hub: Any) -> None:
    with pytest.raises(UserError, match="Did you mean 'Qwen3-0.6B'"):
        hub.repository("Qwen/Qwen3-0.6")


def test_unknown_revision(fake_hub: Any, llama_folder: Path) -> None:
    fake_hub.add("o/m", llama_folder)
    with pytest.raises(UserError, match="has no revision 'v9'"):
        hub.repository("o/m", "v9")


def test_name_that_cannot_be_one(fake_hub: Any) -> None:
    with pytest.raises(UserError, match="'a b' is not a model name; it looks like owner/name"):
        hub.require_valid("a b")
    assert not fake_hub.asked


def test_connection_lost_is_a_sentence(no_hub: list[str]) -> None:
    with pytest.raises(UserError, match="stopped answering"):
        hub.repository("o/m")


def test_token_is_sent_and_never_said(fake_hub: Any, llama_folder: Path) -> None:
    fake_hub.add("o/m", llama_folder)
    fake_hub.gated.add("o/m")
    assert hub.repository("o/m", token="hf_secret").gated
    with pytest.raises(UserError, match="the token in use has no access") as caught:
        hub.download("o/m", token="hf_secret")
    assert "hf_secret" not in str(caught.value)
    assert "Bearer hf_secret" in fake_hub.tokens


def test_gated_without_a_token(fake_hub: Any, llama_folder: Path) -> None:
    fake_hub.add("o/m", llama_folder)
    fake_hub.gated.add("o/m")
    with pytest.raises(UserError, match="accept its licence"):
        hub.fetch_config("o/m")


def test_download_takes_what_is_needed_and_says_how_far(fake_hub: Any, llama_folder: Path, said: list[str]) -> None:
    more = {
        "pytorch_model.bin": b"x",
        "modeling_own.py": b"x",
        "onnx/config.json": b"{}",
        "consolidated.safetensors": b"x",
    }
    fake_hub.add("o/model", llama_folder, **more)
    assert hub.cached("o/model") is None
    folder = hub.download("o/model", say=said.append)
    assert folder.name == COMMIT
    assert {p.name for p in folder.iterdir()} == {p.name for p in llama_folder.iterdir()}
    assert said[0].startswith("Downloading model from the Hugging Face Hub: 0 of")
    fake_hub.asked.clear()
    assert hub.cached("o/model") == folder
    assert hub.cached("o/model", COMMIT) == folder
    assert hub.cached("o/model", "v1") is None, "another revision is another question"
    assert not fake_hub.asked


def test_progress_counts_bytes(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from neuroal.models import progress

    monkeypatch.setattr(progress, "SECONDS_BETWEEN", 0)
    cls = progress.bar_class(said.append, "Downloading X", 724_000_000)
    files = cls(total=3, desc="Fetching 3 files")
    received = cls(total=0, unit="B", unit_scale=True, name="transfer")
    written = cls(total=0, unit="B", unit_scale=True)
    received.update(120_000_000)
    written.update(100_000_000)
    files.update(1)
    assert said[0] == "Downloading X: 120 of 724 MB"
    assert said[-1] == "Downloading X: 120 of 724 MB"


def test_whoever_listens_can_stop_a_download(fake_hub: Any, llama_folder: Path) -> None:
    class Stop(Exception):
        pass

    def stop(_: str) -> None:
        raise Stop

    fake_hub.add("o/m", llama_folder)
    with pytest.raises(Stop):
        hub.download("o/m", say=stop)


def test_interrupted_download_is_not_complete(fake_hub: Any, llama_folder: Path) -> None:
    fake_hub.add("o/m", llama_folder)
    hub.fetch_config("o/m")
    assert hub.cached_config("o/m").name == "config.json"
    assert hub.cached("o/m") is None
    (hub.download("o/m") / "model.safetensors").unlink()
    assert hub.cached("o/m") is None


def test_repository_without_usable_weights(fake_hub: Any, llama_folder: Path) -> None:
    fake_hub.add("o/m", llama_folder)
    del fake_hub.repositories["o/m"]["model.safetensors"]
    with pytest.raises(UserError, match="holds no weights that can be read here"):
        hub.download("o/m")


def test_repository_without_config(fake_hub: Any) -> None:
    fake_hub.repositories["o/m"] = {"model.safetensors": b"x"}
    with pytest.raises(UserError, match=r"holds no config.json"):
        hub.fetch_config("o/m")


def test_no_room_is_said_before_the_download(
    fake_hub: Any, llama_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_hub.add("o/m", llama_folder)
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(hub.cache.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match="of disk"):
        hub.download("o/m")


@pytest.mark.parametrize(
    ("present", "taken"),
    [
        (["pytorch_model.bin", "model.safetensors"], ["model.safetensors"]),
        (["pytorch_model.bin", "tf_model.h5"], ["pytorch_model.bin"]),
        (
            ["model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
        ),
        (["pytorch_model.bin.index.json", "pytorch_model-1.bin"], ["pytorch_model-1.bin"]),
    ],
)
def test_which_weights_are_taken(present: list[str], taken: list[str]) -> None:
    assert weight_files(present, "o/m") == taken


def test_checkpoint_is_complete_only_with_every_shard(tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "a.safetensors"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "model.safetensors.index.json").write_text(
        '{"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}'
    )
    assert not is_complete(tmp_path)
    (tmp_path / "b.safetensors").write_text("")
    assert is_complete(tmp_path)
