"""``python -m neuroal``: the command line."""

from __future__ import annotations

import sys

from neuroal.commands.app import main
from neuroal.threads import end_without_threads

if __name__ == "__main__":
    code = main()
    end_without_threads(code)
    sys.exit(code)
