"""Fixtures of the runs, for what befalls them."""

from tests.runs.conftest import (  # noqa: F401
    language_model,
    loads,
    make_jobs,
    model_folder,
    open_workshop,
    script,
    small_spec,
)
