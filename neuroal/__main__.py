"""``python -m neuroal``: the command line."""

from __future__ import annotations

import sys

from neuroal.commands.app import main

if __name__ == "__main__":
    sys.exit(main())
