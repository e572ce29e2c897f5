"""What the processor is good at: which vectors numpy selects with, and whether bfloat16 is faster.

numpy's partition and sort move what belongs together by one instruction of AVX-512 ("compress store"), which AMD's
Zen 4 carries out in microcode, about a hundred cycles each. Without AVX-512 they use AVX2, which has no such
instruction and is there the faster: 4.5 and 1.5 ns for an entry of a row of 576 (partition), 4.8 and 3.0 (sort); of
rows of 1,536, 5.4 and 1.4, 7.7 and 3.5. That is 6 % of a search. The results are the same bits.
"""

from __future__ import annotations

import functools
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# What decides, in the words of /proc/cpuinfo: Zen 3 and 4 are family 25, and of the two only Zen 4 has AVX-512.
ZEN_3_AND_4 = {"vendor_id": "AuthenticAMD", "cpu family": "25"}

# Processors that multiply bfloat16 matrices at twice the speed of float32 ones, or more: Intel, AMD, ARM.
BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})

DISABLED = "NPY_DISABLE_CPU_FEATURES"


def choose_vectors(cpuinfo: Path = Path("/proc/cpuinfo")) -> None:
    """Takes effect where numpy is not imported yet; what a person has set is left alone."""
    if DISABLED in os.environ or "numpy" in sys.modules or not _is_zen_4(cpuinfo):
        return
    try:
        release = tuple(int(part) for part in version("numpy").split(".")[:2])
    except (PackageNotFoundError, ValueError):
        return
    os.environ[DISABLED] = "X86_V4" if release >= (2, 4) else "AVX512_SKX"  # the names of the same thing


@functools.cache
def fast_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether a matrix product is faster in bfloat16 than in float32 here; False where the system does not say."""
    facts = _facts(cpuinfo)
    return not BFLOAT16.isdisjoint((facts.get("flags", "") + " " + facts.get("Features", "")).split())


def _is_zen_4(cpuinfo: Path) -> bool:
    facts = _facts(cpuinfo)
    return ZEN_3_AND_4.items() <= facts.items() and "avx512f" in facts.get("flags", "").split()


def _facts(cpuinfo: Path) -> dict[str, str]:
    """What Linux says of the first processor; nothing elsewhere."""
    try:
        first = cpuinfo.read_text().split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
