"""The sparse file: any file comes back bit for bit, and what nobody should believe is refused in a sentence."""

from __future__ import annotations

import io
import json
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zstandard
from safetensors.torch import save_file

from neuroal.api import drain
from neuroal.errors import UserError
from neuroal.export import decode, decoding, sparse
from neuroal.export.sparse import ABOUT, DATA, HEAD, RAW, SPARSE, ZSTD, Malformed, Segment, encode_chunk, segments

NAMES = {RAW: "raw", ZSTD: "zstd", SPARSE: "sparse"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of everything that can be in a checkpoint, and some that cannot."""
    made = tmp_path / "plain"
    made.mkdir()
    holes = torch.randn(300, 70).masked_fill(torch.rand(300, 70) < 0.7, 0)
    tensors = {
        "half": holes.half(), "single": holes + 0, "brain": holes.bfloat16(), "none": torch.zeros(40, 9),
        "negative": torch.tensor([-0.0, 0.0, float("nan"), float("inf")]), "empty": torch.empty(0, 3),
        "long": torch.arange(50), "bool": torch.tensor([True, False]), "scalar": torch.tensor(1.5),
    }  # fmt: skip
    save_file(tensors, made / "model.safetensors", metadata={"format": "pt"})
    (made / "config.json").write_text('{"a": 1}')
    (made / "noise.bin").write_bytes(np.random.default_rng(0).bytes(1000))
    (made / "nothing.txt").write_bytes(b"")
    (made / "broken.safetensors").write_bytes(b"\xff" * 40)
    (made / "short.safetensors").write_bytes(b"\x02")
    (made / "templates").mkdir()
    (made / "templates" / "one.jinja").write_text("{{ 1 }}")
    return made


def packed(folder: Path) -> Path:
    target = folder.parent / "packed.sparse.zip"
    drain(sparse.iter_encode(folder, target))
    return target


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("chunk", [2**22, 1000, 7])
def test_every_file_comes_back(chunk: int, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "CHUNK", chunk)
    assert content(decode(packed(folder), tmp_path / "back")) == content(folder)


def test_the_same_folder_gives_the_same_file(folder: Path) -> None:
    first = packed(folder).read_bytes()
    assert packed(folder).read_bytes() == first


def test_the_smallest_form_is_taken() -> None:
    noise = np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    holes = np.where(np.random.default_rng(1).random(4000) < 0.3, noise, np.float32(0))
    assert NAMES[encode_chunk(noise.tobytes(), 4)[0]] in ("raw", "zstd")
    assert NAMES[encode_chunk(np.random.default_rng(0).bytes(4000), 1)[0]] == "raw"
    assert NAMES[encode_chunk(np.ones(4000, np.float32).tobytes(), 4)[0]] == "zstd"
    form, a, b = encode_chunk(holes.astype(np.float32).tobytes(), 4)
    assert NAMES[form] == "sparse"
    assert len(a) + len(b) < 4000 / 8 + np.count_nonzero(holes) * 4 * 1.02


def test_segments_by_hand() -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "b": {"dtype": "F16", "shape": [2, 3], "data_offsets": [8, 20]},
        "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "c": {"dtype": "F4", "shape": [6], "data_offsets": [20, 23]},
    }
    text = json.dumps(header).encode()
    packed_header = struct.pack("<Q", len(text)) + text
    assert segments(packed_header, len(packed_header) + 23) == [Segment(2, 4), Segment(6, 2), Segment(3, 1)]
    with pytest.raises(Malformed):
        segments(packed_header, len(packed_header) + 24)


@pytest.mark.parametrize(
    "entry",
    [
        {"shape": [2], "data_offsets": [1, 9]},
        {"shape": [2], "data_offsets": [0, -8]},
        {"shape": [-2], "data_offsets": [0, 8]},
        {"shape": [True], "data_offsets": [0, 8]},
        {"shape": "2", "data_offsets": [0, 8]},
        {"data_offsets": [0, 8]},
        {"shape": [2], "data_offsets": [0, "8"]},
        [],
    ],
)
def test_a_header_that_describes_nothing_is_malformed(entry: Any) -> None:
    text = json.dumps({"a": entry}).encode()
    with pytest.raises(Malformed):
        segments(struct.pack("<Q", len(text)) + text, 8 + len(text) + 8)


# --- what nobody should believe ---------------------------------------------------------------------------------------


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The file with its members changed."""
    with zipfile.ZipFile(path) as before:
        members = {name: before.read(name) for name in before.namelist()}
    change(members)
    target = path.with_name("hostile.sparse.zip")
    with zipfile.ZipFile(target, "w") as after:
        for name, text in members.items():
            after.writestr(name, text)
    return target


def about(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, bytes]], None]:
    def apply(members: dict[str, bytes]) -> None:
        listed = json.loads(members[ABOUT])
        change(listed)
        members[ABOUT] = json.dumps(listed).encode()

    return apply


def named(name: Any) -> Callable[[dict[str, bytes]], None]:
    def apply(members: dict[str, bytes]) -> None:
        listed = json.loads(members[ABOUT])
        first = listed["files"][0]
        members[f"{DATA}{name}"] = members.pop(DATA + first["name"])
        first["name"] = name
        members[ABOUT] = json.dumps(listed).encode()

    return apply


@pytest.mark.parametrize(
    "name",
    [
        "../out.json",
        "/etc/out",
        "a/../../out",
        "C:\\out",
        "..",
        ".",
        "",
        ".hidden",
        "a/b/c",
        "a\\b",
        "x" * 300,
        "a\n",
        "a\0b",
    ],
)
def test_names_cannot_leave_the_folder(name: str, folder: Path, tmp_path: Path) -> None:
    hostile = rewritten(packed(folder), named(name))
    with pytest.raises(UserError, match="outside its folder|makes no sense"):
        decode(hostile, tmp_path / "back")
    assert not (tmp_path / "back").exists() and not (tmp_path / "out.json").exists()


def change_first(**values: Any) -> Callable[[dict[str, bytes]], None]:
    return about(lambda listed: listed["files"][0].update(values))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (change_first(bytes=10**18), "needs about 1000000000.0 GB of disk"),
        (change_first(bytes=-1), "makes no sense"),
        (change_first(bytes=True), "makes no sense"),
        (change_first(bytes="8"), "makes no sense"),
        (change_first(sha256="no"), "makes no sense"),
        (change_first(sha256="0" * 64), "has another checksum"),
        (change_first(name=5), "makes no sense"),
        (change_first(header=10**9), "makes no sense"),
        (about(lambda listed: listed["files"].append(dict(listed["files"][0]))), "makes no sense"),
        (about(lambda listed: listed["files"].append(5)), "makes no sense"),
        (about(lambda listed: listed.update(format=2)), "another version"),
        (about(lambda listed: listed.update(files={})), "not a sparse file"),
        (lambda members: members.pop(ABOUT), "not a sparse file"),
        (lambda members: members.update({ABOUT: b"[" * 100_000}), "cannot be read"),
        (lambda members: members.update({ABOUT: b"\xff"}), "cannot be read"),
        (lambda members: members.pop(f"{DATA}config.json"), "cannot be read"),
        (lambda members: members.update({f"{DATA}config.json": b""}), "ends too early"),
        (lambda members: members.update({f"{DATA}config.json": members[f"{DATA}config.json"] + b"0"}), "longer"),
    ],
)
def test_a_file_that_is_not_what_it_says(change: Any, sentence: str, folder: Path, tmp_path: Path) -> None:
    hostile = rewritten(packed(folder), change)
    with pytest.raises(UserError, match=sentence):
        decode(hostile, tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_file_that_was_cut_off(share: float, folder: Path, tmp_path: Path) -> None:
    whole = packed(folder)
    cut = tmp_path / "cut"
    cut.write_bytes(whole.read_bytes()[: int(share * whole.stat().st_size)])
    with pytest.raises(UserError, match="not a sparse file"):
        decode(cut, tmp_path / "back")


def test_any_flipped_byte_is_seen(folder: Path, tmp_path: Path) -> None:
    whole = bytearray(packed(folder).read_bytes())
    spoilt = tmp_path / "spoilt"
    seen = 0
    for at in range(100, len(whole), len(whole) // 40):
        whole[at] ^= 0xFF
        spoilt.write_bytes(whole)
        whole[at] ^= 0xFF
        try:
            shutil.rmtree(decode(spoilt, tmp_path / "back"))
        except UserError:
            seen += 1
    assert seen >= 36  # the rest is in README.txt, in names of the local headers and in dates, which nothing is read of
    assert not (tmp_path / "back").exists()


def chunk(form: int, a: bytes, b: bytes = b"") -> io.BytesIO:
    return io.BytesIO(HEAD.pack(form, len(a), len(b)) + a + b)


def frame(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content)


@pytest.mark.parametrize(
    "given",
    [
        chunk(3, b""),
        chunk(RAW, b"1234"),
        chunk(RAW, b"12345678", b"1"),
        chunk(ZSTD, b"nonsense"),
        chunk(ZSTD, frame(bytes(10**6))),
        chunk(SPARSE, frame(b"\xc0"), frame(bytes(8))[:-2]),
        chunk(SPARSE, frame(b"\xff"), frame(bytes(32))),
        chunk(SPARSE, frame(b"\xe0"), frame(bytes(12))),
        io.BytesIO(HEAD.pack(ZSTD, 2**31, 0)),
        io.BytesIO(HEAD.pack(SPARSE, 10, 2**31)),
        io.BytesIO(b"\0"),
    ],
)
def test_a_chunk_that_cannot_be_is_refused(given: io.BytesIO) -> None:
    """Of two entries of 4 bytes each."""
    with pytest.raises(UserError, match="damaged"):
        decoding.decode_chunk(given, 2, 4)


def test_a_folder_that_is_not_empty_is_not_touched(folder: Path) -> None:
    with pytest.raises(UserError, match="'plain' is not empty"):
        decode(packed(folder), folder)
    with pytest.raises(UserError, match="There is no file"):
        decode(folder / "missing", folder / "back")


def test_closing_the_decoder_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    generator = decoding.iter_decode(packed(folder), tmp_path / "back")
    for _ in range(3):
        next(generator)
    generator.close()
    assert {p.name for p in tmp_path.iterdir()} == {"plain", "packed.sparse.zip", "data"} - (
        set() if (tmp_path / "data").exists() else {"data"}
    )
