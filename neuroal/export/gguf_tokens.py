"""A tokenizer in a GGUF file: tokens, their types, merges, special tokens, chat template, and how text is cut first.

Only byte-level BPE is written, and only with a rule for cutting text that llama.cpp is known to have: it finds the rule
by a name, and a wrong one would tokenise text otherwise without anyone noticing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from neuroal.errors import UserError
from neuroal.export.gguf_layout import REFUSED

# Names of llama.cpp for text that is cut by the expression of GPT-2, which is built into the tokenizers library, as it
# is, or after each digit was set apart.
PLAIN, DIGITS = "gpt-2", "smollm"

# Rules by which llama.cpp looks a whole word up before it merges anything.
WHOLE_WORDS = ("llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2")

# Encoded by the original and by what is read back: words, figures, spaces, line breaks, other scripts, an emoji.
SAMPLES = (
    "The sea was calm that morning, and 12 boats lay in the harbour.",
    "It's 1,234.5 metres;  two  spaces,\n\na blank line\tand a tab.",
    "Grüße, Ελλάδα, 東京 and 🧠: def f(x): return x**2  # don't",
)


def write_tokens(writer: Any, tokenizer: Any, size: int, aside: Path) -> None:
    """Adds the tokenizer to a ``gguf.GGUFWriter``.

    Args:
        size: of the vocabulary: rows of the embedding.
        aside: an empty folder.

    Raises:
        UserError: it is of another kind.
    """
    from gguf import SpecialVocab

    tokenizer.save_pretrained(aside)
    file = aside / "tokenizer.json"
    if not file.is_file():
        raise UserError(REFUSED.format("its tokenizer has no tokenizer.json"))
    described = json.loads(file.read_text(encoding="utf-8"))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(rule_of(described))
    tokens, types = tokens_of(tokenizer, size)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    special = SpecialVocab(aside, load_merges=True, n_vocab=size)
    begin, end = _added(tokenizer)
    special.add_special_token = {"bos": begin, "eos": end}
    special.add_to_gguf(writer, quiet=True)


def rule_of(described: dict[str, Any]) -> str:
    """llama.cpp's name of the rule by which a tokenizer cuts text before it merges.

    Args:
        described: the content of tokenizer.json.

    Raises:
        UserError: it is not byte-level BPE, or its rule is not a known one.
    """
    model, normalizer = described.get("model") or {}, described.get("normalizer")
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        raise UserError(REFUSED.format("its tokenizer is not byte-level BPE, and could not be checked"))
    if normalizer and normalizer.get("type") != "NFC":  # llama.cpp takes text as it comes
        raise UserError(REFUSED.format("its tokenizer rewrites text before it cuts it"))
    steps = described.get("pre_tokenizer") or {}
    steps = steps.get("pretokenizers", [steps]) if steps.get("type") == "Sequence" else [steps]
    name = _rule(steps)
    if name is None or bool(model.get("ignore_merges")) != (name in WHOLE_WORDS):
        raise UserError(REFUSED.format("llama.cpp is not known to have the rule by which its tokenizer cuts text"))
    return name


def _rule(steps: list[dict[str, Any]]) -> str | None:
    *before, last = steps
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space"):
        return None
    if last.get("use_regex", True):
        if not before:
            return PLAIN
        only = before == [{"type": "Digits", "individual_digits": True}]
        return DIGITS if only else None
    if len(before) != 1 or before[0].get("type") != "Split":
        return None
    split = before[0]
    if str(split.get("behavior")).lower() != "isolated" or split.get("invert"):
        return None
    expression = (split.get("pattern") or {}).get("Regex")
    return next((name for name, known in _expressions().items() if known == expression), None)


def _expressions() -> dict[str, str]:
    """Regular expressions by llama.cpp's name, from transformers where it has them."""
    try:
        from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS
    except ImportError:
        return {}
    return GGUF_PRE_TOKENIZER_SPLITS


def tokens_of(tokenizer: Any, size: int) -> tuple[list[str], list[int]]:
    """Every id's token and its type; ids that the tokenizer does not use get a name and are marked as unused."""
    from gguf import TokenType

    spelled = {index: token for token, index in tokenizer.get_vocab().items()}
    if spelled and max(spelled) >= size:
        raise UserError(REFUSED.format("its tokenizer has more tokens than its embedding"))
    added = tokenizer.added_tokens_decoder
    tokens, types = [], []
    for index in range(size):
        if index not in spelled:
            tokens.append(f"[PAD{index}]")
            types.append(TokenType.UNUSED)
            continue
        tokens.append(spelled[index])
        own = added.get(index)
        types.append(TokenType.NORMAL if own is None else TokenType.CONTROL if own.special else TokenType.USER_DEFINED)
    return tokens, types


def _added(tokenizer: Any) -> tuple[bool, bool]:
    """Whether a text gets a token in front, and one behind."""
    plain, full = (tokenizer("a", add_special_tokens=each)["input_ids"] for each in (False, True))
    if full == plain:
        return False, False
    begin, end = [tokenizer.bos_token_id], [tokenizer.eos_token_id]
    for flags, expected in (
        ((True, False), begin + plain),
        ((False, True), plain + end),
        ((True, True), begin + plain + end),
    ):
        if full == expected:
            return flags
    raise UserError(REFUSED.format("its tokenizer adds tokens to a text that llama.cpp does not know"))


def same_tokens(tokenizer: Any, read: Any, size: int) -> None:
    """
    Raises:
        UserError: the tokenizer that was read back spells an id or cuts a text in another way.
    """
    wanted = {token: index for token, index in tokenizer.get_vocab().items() if index < size}
    found = read.get_vocab()
    for token, index in wanted.items():
        if found.get(token) != index:
            raise UserError(REFUSED.format(f"token {index} of its tokenizer was read back as another one"))
    for text in SAMPLES:
        before, after = (each(text, add_special_tokens=False)["input_ids"] for each in (tokenizer, read))
        if before != after:
            raise UserError(REFUSED.format("its tokenizer cuts a text otherwise once it is read back"))
