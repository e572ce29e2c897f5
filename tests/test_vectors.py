"""numpy's vectors are chosen before it is there, for the one kind of processor that needs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from neuroal.vectors import DISABLED, fast_bfloat16

CPU = "processor\t: 0\nvendor_id\t: {}\ncpu family\t: {}\nflags\t\t: sse2 avx2 {}\n\nprocessor\t: 1\n"
ZEN_4 = CPU.format("AuthenticAMD", 25, "avx512f avx512dq")

ASK = """
import os, sys, warnings
from pathlib import Path
warnings.simplefilter("error")  # numpy warns of a feature that it does not know
from neuroal import vectors
{before}
vectors.choose_vectors(Path({path!r}))
import numpy
print(os.environ.get({disabled!r}), numpy.partition(numpy.arange(900)[::-1] % 7, 450)[450])
"""


UNSET = f"os.environ.pop({DISABLED!r}, None)"


def chosen(path: Path, before: str = UNSET) -> str:
    """What a fresh process decides, given this description of the processor."""
    script = ASK.format(before=before, path=str(path), disabled=DISABLED)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("cpu", "short"),
    [
        (ZEN_4, True),
        (CPU.format("AuthenticAMD", 25, ""), False),  # Zen 3
        (CPU.format("AuthenticAMD", 26, "avx512f"), False),  # Zen 5
        (CPU.format("GenuineIntel", 6, "avx512f"), False),
        ("", False),
    ],
)
def test_only_one_kind_of_processor_gets_short_vectors(cpu: str, short: bool, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(cpu)
    names = np._core._multiarray_umath.__cpu_dispatch__
    if short and not {"X86_V4", "AVX512_SKX"} & set(names):
        pytest.skip("this numpy has no vectors to choose from")
    expected = ("X86_V4" if "X86_V4" in names else "AVX512_SKX") if short else None
    assert chosen(tmp_path / "cpuinfo") == f"{expected} 3\n"


def test_no_description_no_choice(tmp_path: Path) -> None:
    assert chosen(tmp_path / "none") == "None 3\n"


def test_what_a_person_has_set_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(ZEN_4)
    assert chosen(tmp_path / "cpuinfo", before=f"os.environ[{DISABLED!r}] = ''") == " 3\n"


def test_too_late_is_not_pretended(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(ZEN_4)
    assert chosen(tmp_path / "cpuinfo", before=f"{UNSET}; import numpy") == "None 3\n"


@pytest.mark.parametrize(
    ("cpu", "fast"),
    [
        (CPU.format("AuthenticAMD", 25, "avx512f avx512_bf16"), True),
        (CPU.format("GenuineIntel", 6, "avx512f amx_bf16"), True),
        (CPU.format("GenuineIntel", 6, "avx512f"), False),
        ("processor\t: 0\nFeatures\t: fp asimd bf16 sve\n\n", True),
        ("processor\t: 0\nFeatures\t: fp asimd svebf16\n\n", False),
        ("", False),
    ],
)
def test_bfloat16_is_fast_where_the_processor_multiplies_it(cpu: str, fast: bool, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(cpu)
    assert fast_bfloat16(tmp_path / "cpuinfo") is fast
    assert fast_bfloat16(tmp_path / "none") is False
