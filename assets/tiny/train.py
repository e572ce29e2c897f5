"""Train the tiny teaching model that ships with NeuroAL Explorer.

Reads six public-domain novels by Jane Austen, trains a byte-level BPE tokenizer and a small Llama-architecture
model on five of them, measures perplexity on the sixth (dense and after magnitude pruning) and writes a folder
that ``AutoModelForCausalLM`` and ``AutoTokenizer`` load. Needs torch, transformers, rdata, and apt-get + dpkg-deb
(or ``--deb``):

    pip install rdata && python train.py --minutes 25
"""

from __future__ import annotations

import argparse
import copy
import math
import re
import subprocess
import tempfile
import textwrap
import time
import zlib
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

DEB_PACKAGE = "r-cran-janeaustenr"  # version 1.0.0-1 made the shipped model
HELD_OUT = "persuasion"
VOCAB_SIZE = 2048
CONTEXT = 512
TOKENS_PER_BATCH = 1024
WINDOW_LENGTHS = (128, 256, 256, 512)  # drawn evenly; the longest equals CONTEXT, so every position is trained
ARCHITECTURE: dict[str, Any] = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 128,
    "intermediate_size": 352,
    "num_hidden_layers": 8,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
    "tie_word_embeddings": True,
    "initializer_range": 0.05,  # learns faster than the customary 0.02, which suits far wider models
}
PEAK_LR = 5e-3
WARMUP_STEPS = 100
SPARSITIES = (0.5, 0.6, 0.7)
HEADING = re.compile(r"^\s*(?:VOLUME|CHAPTER)\s+[0-9IVXLC]+\.?\s*$", re.IGNORECASE | re.MULTILINE)
CLOSING = re.compile(r"\n\s*(?:finis|the end|a note on the text\b.*)\s*$", re.IGNORECASE | re.DOTALL)
CARD_TEMPLATE = Path(__file__).with_name("README.template.md")


def read_novels(deb: Path | None) -> dict[str, str]:
    """Return {novel name: plain text, hard-wrapped as stored} from the Debian package (downloaded if not given)."""
    import rdata  # imported here so that the other functions can be used without it

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if deb is None:
            subprocess.run(["apt-get", "download", DEB_PACKAGE], cwd=folder, check=True)
            deb = next(folder.glob("*.deb"))
        subprocess.run(["dpkg-deb", "-x", str(deb), str(folder / "x")], check=True)
        data = folder / "x/usr/lib/R/site-library/janeaustenr/data"
        index = rdata.read_rds(data / "Rdata.rdx")["variables"]
        chunks = (data / "Rdata.rdb").read_bytes()
    novels: dict[str, str] = {}
    for novel, (start, length) in index.items():
        # Each chunk of an R lazy-load database is a 4-byte size followed by a zlib stream that holds one R object.
        serialized = zlib.decompress(chunks[start + 4 : start + length])
        lines = rdata.conversion.convert(rdata.parser.parse_data(serialized, extension=".rds"))
        novels[str(novel)] = "\n".join(str(line) for line in lines)
    return novels


def split_chapters(novel: str) -> list[str]:
    """Cut one novel into chapters: headings dropped, paragraphs unwrapped and separated by an empty line."""
    chapters = []
    for raw in HEADING.split(CLOSING.sub("", novel))[1:]:  # the part before the first heading is the title page
        # Underscores mark italics in the source; the hard line breaks would only teach the model a column width.
        paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", raw.replace("_", "")))
        text = "\n\n".join(part for part in paragraphs if part.strip("* "))
        if text:  # empty between a volume heading and its first chapter heading
            chapters.append(text)
    return chapters


def train_tokenizer(chapters: list[str]) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer of VOCAB_SIZE tokens that puts ``<s>`` in front, as Llama tokenizers do."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()  # all 256 bytes, so that no text is unknown
    trainer = trainers.BpeTrainer(vocab_size=VOCAB_SIZE, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet)
    core.train_from_iterator(chapters, trainer)
    start = ("<s>", core.token_to_id("<s>"))
    core.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[start])
    roles = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=CONTEXT, **roles)


def token_stream(tokenizer: PreTrainedTokenizerFast, chapters: list[str]) -> torch.Tensor:
    """Return all chapters as one int64 tensor [tokens], each chapter as ``<s>`` ... ``</s>``."""
    ids: list[int] = []
    for chapter in tokenizer(chapters, verbose=False)["input_ids"]:
        ids += [*chapter, tokenizer.eos_token_id]
    return torch.tensor(ids)


def build_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Return an untrained float32 model: 8 blocks, 4 query heads on 2 key/value heads, tied embeddings."""
    roles = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    return LlamaForCausalLM(LlamaConfig(**ARCHITECTURE, **roles))


def random_batch(stream: torch.Tensor, bos_id: int) -> torch.Tensor:
    """Return random windows of the stream as int64 [windows, length], TOKENS_PER_BATCH tokens in all."""
    length = WINDOW_LENGTHS[int(torch.randint(len(WINDOW_LENGTHS), ()))]
    count = TOKENS_PER_BATCH // length
    starts = torch.randint(len(stream) - length + 1, (count, 1))
    batch = stream[starts + torch.arange(length)]
    batch[: count // 2, 0] = bos_id  # half the windows begin with <s>, so that any text may follow it
    return batch


def learning_rate(step: int, progress: float) -> float:
    """Return the rate at this step: linear warm-up, then a cosine from PEAK_LR to zero as progress goes 0 to 1."""
    return PEAK_LR * min(1.0, (step + 1) / WARMUP_STEPS) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def train(model: LlamaForCausalLM, stream: torch.Tensor, minutes: float, steps: int | None) -> tuple[int, float]:
    """Train in place with AdamW until the minutes (or, if given, the steps) are used; return (steps, minutes)."""
    matrices = {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.1}
    gains = {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0}  # of RMSNorm
    optimizer = torch.optim.AdamW([matrices, gains], betas=(0.9, 0.95))
    model.train()
    began, step = time.monotonic(), 0
    while True:
        elapsed = (time.monotonic() - began) / 60
        progress = step / steps if steps else elapsed / minutes
        if progress >= 1:
            return step, elapsed
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, progress)
        batch = random_batch(stream, model.config.bos_token_id)
        loss = model(input_ids=batch, labels=batch, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 100 == 0:
            print(f"step {step}  {elapsed:.1f} min  training loss {loss.item():.3f}", flush=True)
        step += 1


@torch.no_grad()
def perplexity(model: LlamaForCausalLM, stream: torch.Tensor, length: int = 256) -> float:
    """Return exp(mean negative log-likelihood in nats per predicted token) over non-overlapping windows."""
    model.eval()
    windows = stream[: len(stream) // length * length].view(-1, length)
    # Every window predicts length - 1 tokens, so the mean over windows is the mean over tokens.
    losses = [model(input_ids=part, labels=part, use_cache=False).loss * len(part) for part in windows.split(16)]
    return math.exp(float(torch.stack(losses).sum()) / len(windows))


@torch.no_grad()
def prune_by_magnitude(model: LlamaForCausalLM, sparsity: float) -> LlamaForCausalLM:
    """Return a copy in which each linear map of each block has lost its smallest weights (same share everywhere)."""
    pruned = copy.deepcopy(model)
    for module in pruned.model.layers.modules():
        if isinstance(module, torch.nn.Linear):
            size = module.weight.abs().flatten()
            module.weight.view(-1)[size.argsort()[: round(sparsity * size.numel())]] = 0
    return pruned


def sample_text(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, prompt: str) -> str:
    """Return the prompt and 80 sampled tokens (temperature 0.8, top-k 40) as a wrapped Markdown quotation."""
    start = tokenizer(prompt, return_tensors="pt")
    ids = model.generate(**start, max_new_tokens=80, do_sample=True, temperature=0.8, top_k=40)
    paragraphs = tokenizer.decode(ids[0], skip_special_tokens=True).strip().split("\n\n")
    wrapper = textwrap.TextWrapper(120, initial_indent="> ", subsequent_indent="> ")
    return "\n>\n".join(wrapper.fill(paragraph) for paragraph in paragraphs)


def measure(model: LlamaForCausalLM, held_out: torch.Tensor, trained_on: torch.Tensor) -> dict[str, str]:
    """Return the perplexities that the model card quotes, keyed by their place in its template."""
    results = {"train": perplexity(model, trained_on[: len(held_out)]), "dense": perplexity(model, held_out)}
    results["dense_long"] = perplexity(model, held_out, CONTEXT)
    for sparsity in SPARSITIES:
        results[f"pruned_{round(100 * sparsity)}"] = perplexity(prune_by_magnitude(model, sparsity), held_out)
    print("\n".join(f"perplexity {name:12} {value:8.2f}" for name, value in results.items()), flush=True)
    return {name: f"{value:.1f}" for name, value in results.items()}


def write_card(folder: Path, facts: dict[str, str]) -> None:
    """Fill the model card template and write it as README.md; every ``{{name}}`` in it must have a fact."""
    card = re.sub(r"{{(\w+)}}", lambda match: facts[match[1]], CARD_TEMPLATE.read_text(encoding="utf-8"))
    (folder / "README.md").write_text(card, encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train the tiny teaching model.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder that receives the model")
    parser.add_argument("--deb", type=Path, help=f"an already downloaded {DEB_PACKAGE} package")
    parser.add_argument("--minutes", type=float, default=25.0, help="training time")
    parser.add_argument("--steps", type=int, help="train for exactly this many steps instead of --minutes")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads used by torch")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """Train, export in float16, measure the exported model and move the finished files into place."""
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    chapters = {novel: split_chapters(text) for novel, text in read_novels(args.deb).items()}
    held_out_chapters = chapters.pop(HELD_OUT)
    training_chapters = [chapter for novel in chapters.values() for chapter in novel]
    tokenizer = train_tokenizer(training_chapters)
    trained_on, held_out = token_stream(tokenizer, training_chapters), token_stream(tokenizer, held_out_chapters)
    model = build_model(tokenizer)
    print(f"{model.num_parameters()} parameters, {len(trained_on)} training and {len(held_out)} held-out tokens")
    steps, minutes = train(model, trained_on, args.minutes, args.steps)
    args.out.mkdir(parents=True, exist_ok=True)
    # Written aside on the same disk, then renamed file by file: nobody ever reads a half-written file.
    with tempfile.TemporaryDirectory(dir=args.out, prefix=".new-") as name:
        folder = Path(name)
        model.half().save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        # What users load is measured, not what was trained: float16 rounding and the round trip are included.
        loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        reader = AutoTokenizer.from_pretrained(folder)
        facts = measure(loaded, held_out, trained_on)
        facts |= {"sample": sample_text(loaded, reader, "The evening was spent")}
        facts |= {"seed": str(args.seed), "threads": str(args.threads), "parameters": f"{model.num_parameters():,}"}
        facts |= {"train_tokens": f"{len(trained_on):,}", "held_out_tokens": f"{len(held_out):,}"}
        facts |= {"steps": f"{steps:,}", "passes": f"{steps * TOKENS_PER_BATCH / len(trained_on):.1f}"}
        budget = f"--steps {args.steps}" if args.steps else f"--minutes {args.minutes:g}"
        facts |= {"minutes": f"{minutes:.0f}", "budget": budget}
        write_card(folder, facts)
        for file in folder.iterdir():
            file.chmod(0o644)  # the weights are first written readable by their owner alone
            file.replace(args.out / file.name)


if __name__ == "__main__":
    main()
