"""Which architectures llama.cpp itself answers alike for: makes assets/gguf/tried.json.

python tests/benchmarks/record_gguf.py FOLDER [--client PYTHON]

Random small models of every family in tests/families are exported into FOLDER; llama.cpp, as xllamacpp of the
interpreter PYTHON (pip install xllamacpp numpy), then reads each beginning of a sentence and tells its five likeliest
next tokens. They are compared with those of transformers. Architectures of which some file could not be loaded, or one
answer differs, are left out; differences below 1e-5 are rounding, below 1e-2 llama.cpp's table of an activation.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SENTENCE = "The sea was calm and grey, and nobody had come down to the boats."
ALIKE = 1e-2

# Sizes at which every family can be built, and that no table's default contradicts.
SIZES = {"hidden_size": 64, "intermediate_size": 128, "max_position_embeddings": 256, "n_embd": 64, "n_positions": 1024}
WIDTH = 128


def make(folder: Path) -> dict[str, str]:
    """Exports what can be; returns the architecture of each file by its name."""
    import torch

    sys.path.insert(0, str(ROOT))
    import neuroal
    from neuroal.errors import UserError
    from neuroal.export import export, gguf_layout, of_model
    from tests.families.table import FAMILIES

    everything = type("Everything", (), {"__contains__": lambda *_: True})()
    gguf_layout.tried = lambda: everything  # what is to be found out
    tokenizer, made = neuroal.load("tiny", device="cpu", dtype="float32").tokenizer, {}
    ids = tokenizer(SENTENCE)["input_ids"]
    for name, family in FAMILIES.items():
        settings = {key: SIZES.get(key, value) for key, value in family.settings.items()} | {"vocab_size": 2048}
        if "head_dim" in settings:
            settings["head_dim"] = WIDTH
        try:
            model: Any = dataclasses.replace(family, settings=settings).build().requires_grad_(False)
            export(of_model(model, tokenizer), "gguf", folder / f"{name}.gguf")
        except (UserError, ValueError, RuntimeError) as refusal:
            print(f"{name}: {refusal}", flush=True)
            continue
        answers = []
        for length in range(2, len(ids) + 1):
            with torch.no_grad():
                top = model(torch.tensor([ids[:length]])).logits[0, -1].log_softmax(-1).topk(5)
            text = tokenizer.decode(top.indices[:1])
            if text.isascii():  # llama.cpp's server keeps tokens back that are no whole character
                answers.append([ids[:length], top.indices.tolist(), top.values.tolist()])
        (folder / f"{name}.json").write_text(json.dumps(answers))
        made[name] = gguf_layout._architecture(model.config.model_type)
    return made


def answer(file: Path) -> None:
    """In the client: the largest difference of a log-probability, or infinity where other tokens are likeliest."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = str(file)
    settings.n_ctx, settings.n_parallel, settings.n_gpu_layers, settings.warmup = 64, 1, 0, False
    settings.cpuparams.n_threads, settings.verbosity = 1, -1
    settings.cache_type_k = settings.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    settings.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server, worst, answers = xllamacpp.Server(settings), 0.0, json.loads(file.with_suffix(".json").read_text())
    for ids, tokens, values in answers:
        asked = {"prompt": ids, "n_predict": 1, "temperature": 0, "n_probs": 5, "cache_prompt": False}
        top = server.handle_completions(asked)["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        if top[0]["id"] != tokens[0]:
            worst = float("inf")
        worst = max([worst, *(abs(a["logprob"] - b) for a, b in zip(top, values, strict=True))])
    whole = server.handle_completions({"prompt": SENTENCE, "n_predict": 1})["usage"]["prompt_tokens"]
    print(json.dumps({"answers": len(answers), "difference": worst, "tokens": whole, "client": version("xllamacpp")}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--client", default=sys.executable)
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.answer:
        return answer(arguments.folder)
    arguments.folder.mkdir()
    made, found, client = make(arguments.folder), {}, ""
    for name, arch in made.items():
        file = arguments.folder / f"{name}.gguf"
        command = [arguments.client, __file__, str(file), "--answer"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        told = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {"difference": float("inf")}
        print(f"{name} ({arch}): {told}", flush=True)
        client = told.pop("client", client)
        found.setdefault(arch, []).append(told)
    kept = {arch: all_[0] for arch, all_ in found.items() if all(each["difference"] < ALIKE for each in all_)}
    record = {"client": f"llama.cpp as xllamacpp {client}", "architectures": dict(sorted(kept.items()))}
    (ROOT / "assets" / "gguf" / "tried.json").write_text(json.dumps(record, indent=1) + "\n")
    return None


if __name__ == "__main__":
    main()
