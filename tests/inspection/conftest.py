"""The fixtures of the runs, whose matrices are looked into."""

from tests.runs.conftest import language_model, loads, model_folder, open_workshop

__all__ = ["language_model", "loads", "model_folder", "open_workshop"]
