"""Checkpoints that mean harm: no code of theirs runs, no file but theirs is read, and nothing of them is endless."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from neuroal.errors import UserError
from neuroal.generation import Settings, encode, generate_pair
from neuroal.models import hub
from neuroal.models.building import BUILDING, Building
from neuroal.models.checkpoint import is_complete
from neuroal.models.containment import is_plain
from neuroal.models.facts import inspect
from neuroal.models.loading import load
from neuroal.models.locate import locate
from neuroal.templates.rendering import Renderer, TemplateFailed
from tests.models.conftest import _isolated as _isolated
from tests.models.conftest import edit_config, llama, save
from tests.models.conftest import fake_hub as fake_hub
from tests.models.conftest import use_transport as use_transport

MARK = "harm-was-done"

EVIL_CODE = f"import pathlib; pathlib.Path(__file__).with_name({MARK!r}).touch()\n"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(llama(), tmp_path_factory.mktemp("sound") / "model")


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A copy to be spoilt; beside it lies another model, which is not this one's business."""
    shutil.copytree(sound, tmp_path / "other")
    return Path(shutil.copytree(sound, tmp_path / "model"))


class Harm:
    """Leaves a mark when it is unpickled."""

    def __init__(self, at: Path) -> None:
        self.at = at

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.at),)


def as_json(name: str, **values: Any) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        known = json.loads((folder / name).read_text()) if (folder / name).exists() else {}
        (folder / name).write_text(json.dumps({**known, **values}))

    return write


def config(**values: Any) -> Callable[[Path], None]:
    return lambda folder: edit_config(folder, **values)


def code_beside(**values: Any) -> Callable[[Path], None]:
    """Code in the folder that the configuration names."""

    def write(folder: Path) -> None:
        for name in ("evil.py", "modeling_evil.py", "custom_generate/generate.py", "setup.py", "__init__.py"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(EVIL_CODE)
        edit_config(folder, **values)

    return write


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"x": Harm(folder / MARK)}, folder / "pytorch_model.bin")


def bare_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Harm(folder / MARK)))


def pickle_as_safetensors(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps(Harm(folder / MARK)))


def pickled_adapter(folder: Path) -> None:
    as_json("adapter_config.json", base_model_name_or_path=str(folder.parent / "other"), peft_type="LORA")(folder)
    torch.save({"x": Harm(folder / MARK)}, folder / "adapter_model.bin")


def index(shard: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        names = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        where = shard.replace("OTHER", str(folder.parent / "other"))
        text = json.dumps({"metadata": {}, "weight_map": dict.fromkeys(names, where)})
        (folder / "model.safetensors.index.json").write_text(text)

    return write


def header(length: int, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / "model.safetensors").write_bytes(length.to_bytes(8, "little") + content) and None


def deep(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text('{"model_type":"llama","a":' + "[" * 100_000) and None


REFUSED: list[tuple[str, Callable[[Path], None], str]] = [
    ("code for an unknown type", code_beside(model_type="evil", auto_map={"AutoConfig": "evil.C"}), "never run here"),
    ("a pickle", pickled, "never done here"),
    ("a bare pickle", bare_pickle, "never done here|damaged"),
    ("a pickle called safetensors", pickle_as_safetensors, "damaged or incomplete"),
    ("an adapter of another model", pickled_adapter, "carries an adapter"),
    ("attention from a repository", config(attn_implementation="evil/kernel"), "compiled code of another repository"),
    ("attention from a repository, inside", config(_attn_implementation="evil/kernel@main:f"), "compiled code"),
    ("attention by part", config(attn_implementation={"": "sdpa", "text": "evil/kernel"}), "compiled code"),
    ("attention of a part", config(text_config={"_attn_implementation": "evil/kernel"}), "compiled code"),
    ("experts from a repository", config(experts_implementation="evil/kernel"), "compiled code"),
    ("a billion layers", config(num_hidden_layers=10**9), "more than 400 parts"),
    ("weights of 10^15 words", config(vocab_size=10**15), "of memory"),
    ("a negative size", config(hidden_size=-16), "config.json"),
    ("no heads", config(num_attention_heads=0), "config.json"),
    ("a function that is none", config(hidden_act="__import__"), "cannot be built"),
    ("lists in lists in lists", deep("config.json"), "cannot be read"),
    ("a module for a precision", config(dtype="os"), "not valid"),
    ("a class by its path", config(architectures=["../../evil"]), "not a causal language model"),
    ("weights up from here", index("../other/model.safetensors"), "outside of its folder"),
    ("weights elsewhere", index("OTHER/model.safetensors"), "outside of its folder"),
    ("weights on a share", index("\\\\host\\share\\model.safetensors"), "outside of its folder"),
    ("a header of 2^63 bytes", header(2**63 - 1, b"{}"), "damaged or incomplete"),
    ("a header of 99 MB", header(99_000_000, b"{" + b" " * 1000), "damaged or incomplete"),
    ("a tokenizer of its own code", as_json("tokenizer_config.json", tokenizer_class="Evil",
                                            auto_map={"AutoTokenizer": ["evil.T", None]}), "tokenizer"),
    ("lists in lists for a tokenizer", deep("tokenizer.json"), "tokenizer"),
    ("zero bytes for a tokenizer", lambda f: (f / "tokenizer.json").write_bytes(b"\0" * 10**7) and None, "tokenizer"),
]  # fmt: skip


@pytest.mark.parametrize(("label", "spoil", "sentence"), REFUSED, ids=[label for label, *_ in REFUSED])
def test_a_checkpoint_is_refused_in_a_sentence(
    label: str, spoil: Callable[[Path], None], sentence: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BUILDING, "most", 400)
    spoil(folder)
    begun = time.monotonic()
    with pytest.raises(UserError, match=sentence) as error:
        load(str(folder), device="cpu", dtype="float32")
    assert "\n" not in str(error.value) and time.monotonic() - begun < 20
    assert not list(folder.rglob(MARK)) and "evil" not in sys.modules


HARMLESS: list[tuple[str, Callable[[Path], None]]] = [
    ("code for a known type", code_beside(auto_map={"AutoModelForCausalLM": "evil.M", "AutoConfig": "evil.C"})),
    ("code for generating", code_beside()),
    ("a vocabulary elsewhere", as_json("tokenizer_config.json", vocab_file="/etc/passwd", merges_file="/etc/passwd")),
    ("a name that is another's", config(_name_or_path="evil/other")),
    ("a million answers", as_json("generation_config.json", num_return_sequences=10**6, num_beams=10**6)),
    ("decoding whose code is fetched", as_json("generation_config.json", penalty_alpha=0.6, top_k=4, do_sample=True)),
    ("layers against each other", as_json("generation_config.json", dola_layers="high")),
    ("words by force", as_json("generation_config.json", force_words_ids=[[1]], num_beams=2)),
    ("a compiled cache", as_json("generation_config.json", cache_implementation="static")),
    ("a cache on a device that is not there", as_json("generation_config.json", cache_implementation="offloaded")),
    ("guesses of another model", as_json("generation_config.json", prompt_lookup_num_tokens=3, is_assistant=True)),
    ("positions without end", config(max_position_embeddings=10**12)),
]  # fmt: skip


@pytest.mark.parametrize(("label", "spoil"), HARMLESS, ids=[label for label, _ in HARMLESS])
def test_what_a_checkpoint_asks_for_beside_is_not_done(label: str, spoil: Callable[[Path], None], folder: Path) -> None:
    """The model is a model: it is loaded, and answers like any other."""
    spoil(folder)
    try:
        lm = load(str(folder), device="cpu", dtype="float32")
    except UserError as error:  # transformers refuses some by itself
        assert "\n" not in str(error)
    else:
        assert not any("root" in word for word in lm.tokenizer.get_vocab())
        *_, last = generate_pair(lm.model, lm.model, lm.tokenizer, "w3 w4", Settings(max_tokens=3), chat=False)
        assert last.dense.done and not last.dense.error and len(last.dense.ids) <= 3
    assert not list(folder.rglob(MARK)) and "evil" not in sys.modules


def test_a_pattern_that_searches_for_ever_ends(folder: Path) -> None:
    known = json.loads((folder / "tokenizer.json").read_text())
    known["pre_tokenizer"] = {"type": "Split", "pattern": {"Regex": "(w+)+$"}, "behavior": "Removed", "invert": False}
    (folder / "tokenizer.json").write_text(json.dumps(known))
    lm, begun = load(str(folder), device="cpu", dtype="float32"), time.monotonic()
    with pytest.raises(UserError, match="tokenizer fails on this text"):
        encode(lm.model, lm.tokenizer, "w" * 19_000 + "!", Settings(), chat=False)
    assert time.monotonic() - begun < 20


def test_building_counts_its_own_modules_only() -> None:
    few = Building(3)
    with few, few:
        torch.nn.Sequential(*(torch.nn.Identity() for _ in range(3)))
        with pytest.raises(UserError, match="more than 3 parts"):
            torch.nn.Sequential(torch.nn.Identity())
    torch.nn.Sequential(*(torch.nn.Identity() for _ in range(9)))  # the lock is open again
    with few:
        torch.nn.Sequential(torch.nn.Identity())


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a\\b", "C:a", "a\0"])
def test_names_that_lead_out(name: str) -> None:
    assert not is_plain(name) and is_plain("model-00001-of-00002.safetensors")


def test_an_index_that_leads_out_is_no_complete_checkpoint(folder: Path) -> None:
    index("../other/model.safetensors")(folder)
    assert not is_complete(folder)


# --- the Hub --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", ["../../x", "/etc/passwd", "a/../b", "a b", "a\nb", "-x", "x.lock", "a" * 300, ""])
def test_a_revision_leads_nowhere(fake_hub: Any, sound: Path, revision: str) -> None:
    fake_hub.add("o/m", sound)
    with pytest.raises(UserError, match="is no name of a branch"):
        locate("o/m", revision)
    assert fake_hub.asked == []


def test_files_of_endless_size_are_not_fetched(fake_hub: Any, sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hub.add("o/m", sound)
    monkeypatch.setattr(hub, "SMALL_BYTES", 1000)
    with pytest.raises(UserError, match="too much"):
        locate("o/m")
    monkeypatch.setattr(hub, "CONFIG_BYTES", 10)
    with pytest.raises(UserError, match="larger than any"):
        inspect("o/m")
    assert not any("/resolve/" in asked for asked in fake_hub.asked)


def test_code_of_a_repository_is_not_even_fetched(fake_hub: Any, sound: Path) -> None:
    more = {"evil.py": b"raise SystemExit", "deep/evil.bin": b"x", "evil.pkl": b"x", "x.msgpack": b"x"}
    fake_hub.add("o/m", sound, **more)
    folder = locate("o/m").folder
    assert {file.name for file in folder.rglob("*")} & {Path(name).name for name in more} == set()


# --- chat templates -------------------------------------------------------------------------------------------------


class Speaker:
    """As much of a tokenizer as a template needs."""

    special_tokens_map = {"bos_token": "<s>", "extra_special_tokens": ["<a>", "<b>"]}

    def __init__(self, template: str) -> None:
        self.template = template

    def get_chat_template(self) -> str:
        return self.template


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    made = Renderer(seconds=1.5)
    yield made
    made.close()


HELLO = [{"role": "user", "content": "Hello {{ 1 }} ${2} \u2028 ü <b>"}]

TEMPLATES = [
    ("a loop in a loop", "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"),
    ("three gigabytes", "{{ 'a' * 3000000000 }}"),
    ("three gigabytes by a filter", "{{ 'a' | center(3000000000) }}"),
    ("three gigabytes by a format", "{{ '%3000000000d' | format(1) }}"),
    ("a number of a billion digits", "{{ 10 ** (10 ** 9) }}"),
    ("a long text", "{{ 'x'.ljust(300000) }}"),
    ("a call of itself", "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}"),
    ("every class there is", "{{ ''.__class__.__mro__[1].__subclasses__() }}"),
    ("a shell", "{{ cycler.__init__.__globals__.os.popen('id').read() }}"),
    ("a file", "{% include '/etc/passwd' %}"),
    ("a module", "{% import 'os' as os %}{{ os.environ }}"),
    ("what is no template", "{% for %}"),
    ("a refusal", "{{ raise_exception('no') }}"),
]


@pytest.mark.parametrize(("label", "template"), TEMPLATES, ids=[label for label, _ in TEMPLATES])
def test_a_template_that_means_harm_fails_and_the_next_one_works(label: str, template: str, renderer: Renderer) -> None:
    with pytest.raises(TemplateFailed):
        renderer.render(Speaker(template), HELLO)
    text = renderer.render(Speaker("{{ bos_token }}{{ messages[0].content }}{{ extra_special_tokens[1] }}"), HELLO)
    assert text == f"<s>{HELLO[0]['content']}<b>"


@pytest.mark.parametrize("template", ["{{ raise_exception.__globals__ }}", "{{ lipsum.__globals__ }}", "{{ environ }}"])
def test_what_a_template_may_not_see_is_nothing(template: str, renderer: Renderer) -> None:
    assert renderer.render(Speaker(template), HELLO) == ""


def test_templates_run_without_the_servers_environment(renderer: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("NEUROAL_AUTH", "ann:secret-password")
    renderer.close()
    renderer.render(Speaker("x"), HELLO)
    environment = Path(f"/proc/{renderer._process.pid}/environ")
    if environment.exists():
        assert b"secret" not in environment.read_bytes()


def test_it_is_what_transformers_makes_of_it(sound: Path, renderer: Renderer) -> None:
    tokenizer = load(str(sound), device="cpu", dtype="float32").tokenizer
    tokenizer.chat_template = (
        "{{ eos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m.content | trim }} {{ m | tojson }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}{% generation %}x{% endgeneration %}"
    )
    usual = tokenizer.apply_chat_template(HELLO, add_generation_prompt=True, tokenize=False)
    assert renderer.render(tokenizer, HELLO) == usual
