"""The app as on ZeroGPU: with ``spaces`` as it is, but for its hands on torch, which want a real GPU."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
importlib.import_module("neuroal")  # first, as in the app
sys.modules["torch"] = None  # type: ignore[assignment]
importlib.import_module("spaces")
del sys.modules["torch"]
importlib.import_module("app").main()
