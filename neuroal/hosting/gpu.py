"""Whether this process has a GPU. On a ZeroGPU Space the app has none: only a process that is forked for a call does.

There the package ``spaces`` makes torch say that CUDA is available all the same, and what then touches it fails. So
whoever asks torch for CUDA asks here first.
"""

from __future__ import annotations

import importlib.util

from neuroal.errors import UserError
from neuroal.hosting.profile import is_zerogpu

_lent = False
_prepared = False


def is_usable() -> bool:
    """Whether a GPU that torch finds may be used here."""
    return _lent or not is_zerogpu()


def take() -> None:
    """This process is one to which a GPU was lent."""
    global _lent
    _lent = True


def is_prepared() -> bool:
    """Whether calls can be made to processes with a GPU."""
    return _prepared


def prepare() -> None:
    """On ZeroGPU imports ``spaces``, which has to come before torch and Gradio; elsewhere does nothing.

    Raises:
        UserError: it is not installed.
    """
    global _prepared
    if not is_zerogpu():
        return
    if importlib.util.find_spec("spaces") is None:
        raise UserError("This is a ZeroGPU Space, but the package that lends its GPU is missing: pip install spaces.")
    import spaces  # noqa: F401

    _prepared = True
