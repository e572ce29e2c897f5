"""The forms that a pruned model can take, and what each is good for. Light: the page reads it at start-up."""

from __future__ import annotations

from dataclasses import dataclass

from neuroal.errors import UserError, did_you_mean


@dataclass(frozen=True)
class Form:
    """One form.

    Attributes:
        name: as it is asked for.
        label: for a person.
        suffix: of the file; empty for a folder.
        note: what one gets, and how large it is; plain text.
        copies: files of the size of the checkpoint that are on the disk at once while it is made.
    """

    name: str
    label: str
    suffix: str
    note: str
    copies: float


FORMS: dict[str, Form] = {
    form.name: form
    for form in (
        Form(
            "folder",
            "Checkpoint folder",
            "",
            "A checkpoint for transformers: safetensors, tokenizer, model card and allocation. As large as before: "
            "zeros are stored like any other number.",
            1,
        ),
        Form(
            "zip",
            "Checkpoint (.zip)",
            ".zip",
            "The checkpoint for transformers in one file. The model in it is as large as before: zeros are stored like "
            "any other number, and only packed for the way.",
            2,
        ),
        Form(
            "sparse",
            "Sparse file",
            ".sparse.zip",
            "What pruning makes smaller: one bit per weight, then the values that are not zero, compressed. "
            "python -m neuroal decode FILE --out FOLDER, or neuroal.export.decode, makes the checkpoint of it again, "
            "bit for bit.",
            2,
        ),
        Form(
            "gguf",
            "GGUF (llama.cpp)",
            ".gguf",
            "One file for llama.cpp and what builds on it, not quantised. As large as before: zeros are stored like "
            "any other number.",
            1,
        ),
    )
}

# Not a form of its own: a folder that is uploaded.
HUB = "hub"

# What is said of a form that is not made here.
ONNX = (
    "ONNX is not made here, because optimum-onnx needs transformers 4, which misreads what transformers 5 saves; load "
    "the checkpoint and use PyTorch's own exporter, torch.onnx.export(..., dynamo=True), which was tried and works."
)


def find_form(name: str) -> Form:
    """The form of this name.

    Raises:
        UserError: there is none.
    """
    if name == "onnx":
        raise UserError(ONNX)
    if name not in FORMS:
        raise UserError(f"Form {name!r} is not known.{did_you_mean(str(name), FORMS)}")
    return FORMS[name]
