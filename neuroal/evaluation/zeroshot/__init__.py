"""Zero-shot accuracy on the tasks that pruning papers report, scored by lm-eval on the model in memory.

Importing this needs neither lm-eval nor torch; :func:`available` says whether lm-eval is there.
"""

from neuroal.evaluation.zeroshot.data import prepare, ready
from neuroal.evaluation.zeroshot.run import TaskScore, available, iter_zeroshot
from neuroal.evaluation.zeroshot.tasks import SEVEN, TASKS, Task

__all__ = ["SEVEN", "TASKS", "Task", "TaskScore", "available", "iter_zeroshot", "prepare", "ready"]
