"""The app as on ZeroGPU: with ``spaces`` as it is, but for its hands on torch, which want a real GPU."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import neuroal  # noqa: F401, I001  (first, as in the app)

sys.modules["torch"] = None  # type: ignore[assignment]
import spaces  # noqa: F401

del sys.modules["torch"]

import app

app.main()
