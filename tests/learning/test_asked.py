"""What a learner's controls, or a stranger's request, may say."""

from __future__ import annotations

from typing import Any

import pytest

from neuroal.errors import UserError
from neuroal.learning.asked import Asked

REFUSED = {
    "unknown setting": ({"sparsty": 0.5}, "did you mean 'sparsity'"),
    "unknown pruner": ({"pruner": "wandaa"}, "Pruner 'wandaa'"),
    "a pruner that is too slow here": ({"pruner": "sparsegpt"}, "not in these lessons"),
    "too sparse": ({"sparsity": 1.2}, "from 0.05 to 0.95"),
    "not a number": ({"sparsity": "0.5"}, "from 0.05 to 0.95"),
    "true is no number": ({"lam": True}, "from 0 to 0.25"),
    "NaN": ({"lam": float("nan")}, "from 0 to 0.25"),
    "negative block": ({"block": -1}, "from 0 on"),
    "half a row": ({"row": 0.5}, "from 0 on"),
    "a linear that is no text": ({"linear": ["self_attn"]}, "named by a text"),
    "ratios that are no list": ({"ratios": "0.5"}, "list of numbers"),
    "a ratio that prunes everything": ({"ratios": [0.5, 1.0]}, "from 0 to 0.99"),
}


@pytest.mark.parametrize("given, says", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_allowed_is_said(given: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match="(?i)" + says.replace("'", ".")):
        Asked.parse(given)


def test_what_is_left_out_has_its_default() -> None:
    assert Asked.parse({"ratios": [0.5, 0.6]}) == Asked(ratios=(0.5, 0.6))
