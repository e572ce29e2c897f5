"""How threads wait is decided before torch is there, and a person's own choice is left alone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from neuroal.threads import SPINS

ASK = "import os, sys, neuroal; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"


@pytest.mark.parametrize(
    ("own", "expected"),
    [({}, f"{SPINS} False"), ({"GOMP_SPINCOUNT": "7"}, "7 False"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None False")],
)
def test_importing_the_engine_decides_it(own: dict[str, str], expected: str) -> None:
    clean = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    answer = subprocess.run(
        [sys.executable, "-c", ASK], env={**clean, **own}, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == expected
