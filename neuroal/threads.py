"""How torch's processor threads wait for each other: briefly, then asleep.

The threads of one product meet at its end. By default those who are there first spin for milliseconds, which costs the
others their processor as soon as anything else runs on it: a second search, an answer being written, another program.
Measured on 2 cores beside two other jobs, a run on the tiny model took 125 s spinning and 5 s so; alone on the machine
a lambda candidate on SmolLM2 took 3.6 s (7.2 CPU-s) spinning, 3.7 s asleep at once, and 3.2 s (5.7 CPU-s) so.
"""

from __future__ import annotations

import os

# Turns of the loop in which libgomp, the OpenMP of torch on Linux, waits before it sleeps.
SPINS = "10000"


def wait_briefly() -> None:
    """Takes effect where torch is not imported yet; what a person has set is left alone."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
