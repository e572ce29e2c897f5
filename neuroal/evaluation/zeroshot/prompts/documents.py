"""lm-eval looks for a function named in a YAML file beside that file."""

from neuroal.evaluation.zeroshot.data import documents

__all__ = ["documents"]
