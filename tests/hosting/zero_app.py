"""The app as on ZeroGPU, with ``spaces`` as it is: torch is told that there is a GPU, in the app's own process too.

Only where a forked process would take a real GPU into use it goes on without. A torch that was built without CUDA lacks
what ``spaces`` looks at when it is imported, so that is made up.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def nothing(*_: Any, **__: Any) -> int:
    """In place of what needs a GPU."""
    return 0


importlib.import_module("neuroal")  # first, as in the app
torch = importlib.import_module("torch")
torch.version.cuda = torch.version.cuda or "12.8"
torch.cuda._is_in_bad_fork = bool  # False, and can be pickled
for name in ("_cuda_init", "_cuda_exchangeDevice"):
    if not hasattr(torch._C, name):
        setattr(torch._C, name, nothing)
importlib.import_module("spaces")
lending = importlib.import_module("spaces.zero.torch")
lending.init = lending.move = lending.size = nothing
importlib.import_module("app").main()
